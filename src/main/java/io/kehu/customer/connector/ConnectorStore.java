package io.kehu.customer.connector;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.job.Standing;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** SQL of connectors and of what they delivered; secrets are under the key of their connector. */
public final class ConnectorStore {
    private static final String TABLE = "customer.connector";
    private static final String CLASS = "C3";

    public static final String COLUMNS =
            "c.id, c.name, c.enabled, c.owner_id, c.source, c.mapping::text AS mapping, c.duplicates, c.former_until, c.version, c.valid_from";
    private static final String READ = "SELECT " + COLUMNS + " FROM customer.connector c ";
    private static final String INSERT_KEY =
            "INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped) VALUES ($1, 'connector', $2, $3)";
    private static final String INSERT = """
            INSERT INTO customer.connector AS c (id, name, owner_id, source, mapping, secret, duplicates)
            VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7) RETURNING\s""" + COLUMNS;
    private static final String UPDATE = """
            UPDATE customer.connector c SET name = $2, enabled = $3, source = $4, mapping = $5::text::jsonb, owner_id = $6, duplicates = $7
            WHERE c.id = $1 RETURNING\s""" + COLUMNS;
    private static final String OWN = "UPDATE customer.connector SET owner_id = $2 WHERE id = $1 AND owner_id <> $2";
    private static final String KEY = "SELECT epoch, wrapped FROM kehu.data_key WHERE subject_id = $1";
    private static final String RENEW = """
            UPDATE customer.connector c SET former = c.secret, former_until = kehu.now() + interval '1 day', secret = $2, owner_id = $3
            WHERE c.id = $1 RETURNING\s""" + COLUMNS;
    private static final String OPEN = "SELECT " + COLUMNS + """
            , c.secret, CASE WHEN c.former_until > kehu.now() THEN c.former END AS former, k.epoch, k.wrapped,
            floor(extract(epoch FROM kehu.now()))::bigint AS now
            FROM customer.connector c JOIN kehu.data_key k ON k.subject_id = c.id WHERE c.id = $1 AND c.enabled""";
    private static final String ADD = """
            INSERT INTO customer.delivery (connector_id, id, rows, created, changed, unchanged, refused, kept)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING at""";
    private static final String ADD_ERRORS = """
            INSERT INTO customer.delivery_error (connector_id, delivery_id, place, row, field, code, args)
            SELECT $1, $2, e.place, e.row, e.field, e.code, string_to_array(e.args, chr(31))
            FROM unnest($3::int[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY AS e(row, field, code, args, place)""";

    private final Database database;
    private final Vault vault;

    public ConnectorStore(Database database, Vault vault) {
        this.database = database;
        this.vault = vault;
    }

    /** One that is on, with the secrets that are good now and the second it is. */
    record Open(Connector connector, List<String> secrets, long now) {}

    /** A row that was refused, or a field that stayed. */
    record Fault(int row, String field, String code, List<String> args) {}

    /** What became of a delivery. */
    public record Counts(int rows, int created, int changed, int unchanged, int refused, int kept) {}

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = Where.ofAll();
        if (!page.after().isEmpty()) {
            where.and("c.name > ?", page.after().get(0));
        }
        return database.query(
                call, READ + where.sql() + " ORDER BY c.name LIMIT " + where.bind(page.fetch()), where.values());
    }

    /** Fails with {@code connector.notFound}. */
    Future<Connector> find(Call call) {
        return database.row(call, READ + "WHERE c.id = $1", Tuple.of(call.id("connectorId")), "connector.notFound")
                .map(Connector::from);
    }

    /** Fails with {@code connector.notFound}. */
    public Future<Connector> held(Tx tx) {
        return tx.row(
                        READ + "WHERE c.id = $1 FOR NO KEY UPDATE",
                        Tuple.of(tx.call().id("connectorId")),
                        "connector.notFound")
                .map(Connector::from);
    }

    Future<Connector> insert(Tx tx, Connector draft, String secret) {
        Vault.NewKey key = vault.newKey(draft.id());
        Buffer sealed = seal(vault.key(key), secret);
        return tx.query(INSERT_KEY, Tuple.of(draft.id(), key.epoch(), Buffer.buffer(key.wrapped())))
                .compose(v -> tx.row(
                        INSERT,
                        Tuple.of(
                                        draft.id(),
                                        draft.name(),
                                        draft.owner(),
                                        draft.source(),
                                        draft.mapping().toString(),
                                        sealed)
                                .addString(draft.duplicates()),
                        "server.failure"))
                .map(Connector::from);
    }

    /** From here on it works with the rights of this one. */
    public Future<?> own(Tx tx, UUID id, UUID owner) {
        return tx.query(OWN, Tuple.of(id, owner));
    }

    Future<Connector> update(Tx tx, Connector after) {
        return tx.row(
                        UPDATE,
                        Tuple.of(
                                        after.id(),
                                        after.name(),
                                        after.enabled(),
                                        after.source(),
                                        after.mapping().toString())
                                .addUUID(after.owner())
                                .addString(after.duplicates()),
                        "connector.notFound")
                .map(Connector::from);
    }

    Future<Connector> renew(Tx tx, UUID id, UUID owner, String secret) {
        return tx.row(KEY, Tuple.of(id), "connector.notFound")
                .compose(row -> tx.row(
                        RENEW,
                        Tuple.of(
                                id,
                                seal(
                                        vault.key(
                                                id,
                                                row.getInteger("epoch"),
                                                row.getBuffer("wrapped").getBytes()),
                                        secret),
                                owner),
                        "connector.notFound"))
                .map(Connector::from);
    }

    private Buffer seal(Vault.Key key, String secret) {
        return Buffer.buffer(vault.seal(key, TABLE, CLASS, secret.getBytes(StandardCharsets.US_ASCII)));
    }

    /** Fails with {@code connector.refused}, where there is none and where it is off. */
    Future<Open> open(Call call) {
        return database.row(call, OPEN, Tuple.of(call.id("connectorId")), "connector.refused")
                .map(row -> {
                    Vault.Key key = vault.key(
                            row.getUUID("id"),
                            row.getInteger("epoch"),
                            row.getBuffer("wrapped").getBytes());
                    List<String> secrets = new ArrayList<>();
                    for (String column : List.of("secret", "former")) {
                        Buffer sealed = row.getBuffer(column);
                        if (sealed != null) {
                            secrets.add(new String(
                                    vault.open(key, TABLE, CLASS, sealed.getBytes()), StandardCharsets.US_ASCII));
                        }
                    }
                    return new Open(Connector.from(row), secrets, row.getLong("now"));
                });
    }

    /** What the owner may do now. Fails with {@code connector.refused} where he has left. */
    Future<Principal> owner(Call call, Connector connector) {
        return database.row(call, Standing.STANDING, Tuple.of(connector.owner()), "connector.refused")
                .map(row -> Standing.ofStaff(connector.owner(), row));
    }

    /** Fails with {@code connector.replayed} where it has arrived before. */
    Future<Row> add(Tx tx, UUID connector, UUID delivery, Counts counts) {
        return tx.row(
                ADD,
                Tuple.of(connector, delivery, counts.rows, counts.created, counts.changed, counts.unchanged)
                        .addInteger(counts.refused)
                        .addInteger(counts.kept),
                "server.failure");
    }

    Future<?> addErrors(Tx tx, UUID connector, UUID delivery, List<Fault> faults) {
        if (faults.isEmpty()) {
            return Future.succeededFuture();
        }
        return tx.query(
                ADD_ERRORS,
                Tuple.of(connector, delivery)
                        .addArrayOfInteger(faults.stream().map(Fault::row).toArray(Integer[]::new))
                        .addArrayOfString(faults.stream().map(Fault::field).toArray(String[]::new))
                        .addArrayOfString(faults.stream().map(Fault::code).toArray(String[]::new))
                        .addArrayOfString(faults.stream()
                                .map(fault -> String.join("\u001f", fault.args))
                                .toArray(String[]::new)));
    }

    Future<RowSet<Row>> deliveries(Call call, Page page) {
        Where where = Where.ofAll().and("d.connector_id = ?", call.id("connectorId"));
        if (!page.after().isEmpty()) {
            where.and(
                    "(d.at, d.id) < (?, ?)",
                    java.time.OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        return database.query(
                call,
                "SELECT d.id, d.at, d.rows, d.created, d.changed, d.unchanged, d.refused, d.kept FROM customer.delivery d "
                        + where.sql() + " ORDER BY d.at DESC, d.id DESC LIMIT " + where.bind(page.fetch()),
                where.values());
    }

    Future<RowSet<Row>> errors(Call call, Page page) {
        Where where = Where.ofAll().and("e.connector_id = ?", call.id("connectorId"));
        if (!page.after().isEmpty()) {
            where.and(
                    "(e.at, e.delivery_id, e.place) < (?, ?, ?)",
                    java.time.OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)),
                    Integer.valueOf(page.after().get(2)));
        }
        return database.query(
                call,
                "SELECT e.delivery_id, e.at, e.place, e.row, e.field, e.code, e.args FROM customer.delivery_error e "
                        + where.sql() + " ORDER BY e.at DESC, e.delivery_id DESC, e.place DESC LIMIT "
                        + where.bind(page.fetch()),
                where.values());
    }

    static Problem refused() {
        return Problem.of("connector.refused");
    }
}
