package io.kehu.customer.relation;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.customer.CustomerBrief;
import io.kehu.customer.CustomerReach.Reached;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.relation.Relation.End;
import io.kehu.customer.relation.Relation.Terms;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of relations. Every statement that shows one asks for the scope of each end that it shows. */
final class RelationStore {
    private static final String TABLE = "customer.relation";
    private static final String CLASS = "C2";

    private static final String COLUMNS = """
            r.id, r.kind, r.from_id, r.to_id, r.starts_on, r.ends_on, r.share, r.amount, r.note, r.made_at, r.version,
            r.valid_from, f.epoch AS from_epoch, f.wrapped AS from_wrapped, t.epoch AS to_epoch, t.wrapped AS to_wrapped,
            """ + CustomerBrief.COLUMNS;
    private static final String KEYS =
            "LEFT JOIN kehu.data_key f ON f.subject_id = r.from_id LEFT JOIN kehu.data_key t ON t.subject_id = r.to_id ";

    /** Of all sides of a record; what relates two of them is none for as long as they are one. */
    private static final String LIST = "SELECT " + COLUMNS + """
            , CASE WHEN r.outward THEN n.inverse ELSE n.role END AS role
            FROM customer.sides(%2$s) side(id)
            CROSS JOIN LATERAL (
                SELECT o.*, true AS outward, o.to_id AS other_id FROM customer.relation%1$s o WHERE o.from_id = side.id
                UNION ALL
                SELECT o.*, false, o.from_id FROM customer.relation%1$s o WHERE o.to_id = side.id) r
            JOIN customer.relation_kind n ON n.code = r.kind
            LEFT JOIN customer.merged m ON m.id = r.other_id
            JOIN customer.customer c ON c.id = coalesce(m.survivor_id, r.other_id)
            """ + CustomerBrief.JOINS + KEYS;

    /** One row for each end in scope, so two of a relation that may be seen. */
    private static final String READ = "SELECT " + COLUMNS + """
            , e.role
            FROM customer.relation r
            JOIN customer.relation_kind n ON n.code = r.kind
            CROSS JOIN LATERAL (VALUES (1, r.from_id, n.role), (2, r.to_id, n.inverse)) e(place, side, role)
            LEFT JOIN customer.merged m ON m.id = e.side
            JOIN customer.customer c ON c.id = coalesce(m.survivor_id, e.side)
            """ + CustomerBrief.JOINS + KEYS;

    private static final String LOCK = "SELECT from_id, to_id FROM customer.relation WHERE id = $1 FOR UPDATE";
    private static final String KEYS_OF =
            "SELECT subject_id, epoch, wrapped FROM kehu.data_key WHERE subject_id = ANY ($1) ORDER BY subject_id";

    /** The other one is what the role says to the one. */
    private static final String INSERT = """
            INSERT INTO customer.relation (id, kind, from_id, to_id, starts_on, ends_on, share, amount, note)
            SELECT $1, n.code, CASE WHEN n.role = $2 THEN $4::uuid ELSE $3 END, CASE WHEN n.role = $2 THEN $3::uuid ELSE $4 END,
                   $5, $6, $7, $8, $9
            FROM customer.relation_kind n WHERE $2 IN (n.role, n.inverse)
            RETURNING id""";

    private static final String UPDATE = """
            UPDATE customer.relation
            SET starts_on = $2, ends_on = $3, share = $4, amount = $5, note = CASE WHEN $6::boolean THEN $7 ELSE note END
            WHERE id = $1 RETURNING id""";
    private static final String DELETE = "DELETE FROM customer.relation WHERE id = $1 RETURNING version + 1 AS version";

    private final Database database;
    private final CustomerSeals seals;
    private final Vault vault;

    RelationStore(Database database, CustomerSeals seals, Vault vault) {
        this.database = database;
        this.seals = seals;
        this.vault = vault;
    }

    private static Where within(Principal who) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id").and("c.deleted_at IS NULL");
    }

    Future<RowSet<Row>> list(Call call, Reached customer, Page page, @Nullable OffsetDateTime asOf) {
        Where where = within(call.principal()).and("c.id <> ?", customer.id());
        if (asOf != null) {
            where.and("r.valid_from <= ? AND r.valid_to > ?", asOf, asOf);
        }
        if (call.text("on") != null) {
            where.and("r.lasts @> ?::date", LocalDate.parse(call.text("on")));
        }
        List<String> kinds = call.list("kind");
        if (!kinds.isEmpty()) {
            where.and("r.kind = ANY (?)", (Object) kinds.toArray(String[]::new));
        }
        if (!page.after().isEmpty()) {
            where.and(
                    "(r.made_at, r.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        String list = LIST.formatted(asOf == null ? "" : "_all", where.bind(customer.id()));
        String sql = list + where.sql() + " ORDER BY r.made_at DESC, r.id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    void writeItem(JsonGenerator json, Row row) throws IOException {
        Relation.from(row, note(row), List.of(end(row))).toItem(json);
    }

    /** Fails with {@code relation.notFound}, also where an end is out of scope. */
    Future<Relation> find(Call call, UUID id) {
        Where where = within(call.principal()).and("r.id = ?", id);
        return database.query(call, READ + where.sql() + " ORDER BY e.place", where.values())
                .compose(this::whole);
    }

    Future<Relation> find(Tx tx, UUID id) {
        Where where = within(tx.principal()).and("r.id = ?", id);
        return tx.query(READ + where.sql() + " ORDER BY e.place", where.values())
                .compose(this::whole);
    }

    private Future<Relation> whole(RowSet<Row> rows) {
        List<End> ends = new ArrayList<>(2);
        Row first = null;
        for (Row row : rows) {
            ends.add(end(row));
            first = first == null ? row : first;
        }
        return first == null || ends.size() != 2
                ? Future.failedFuture(Problem.of("relation.notFound"))
                : Future.succeededFuture(Relation.from(first, note(first), ends));
    }

    private End end(Row row) {
        return new End(row.getString("role"), CustomerBrief.from(row, seals));
    }

    /** The ids of the two ends as they were named; nobody changes the relation before the transaction ends. */
    Future<List<UUID>> locked(Tx tx, UUID id) {
        return tx.row(LOCK, Tuple.of(id), "relation.notFound")
                .map(row -> List.of(row.getUUID("from_id"), row.getUUID("to_id")));
    }

    Future<UUID> insert(Tx tx, UUID id, String role, UUID one, UUID other, Terms terms) {
        return underKeys(tx, List.of(one, other), terms.note())
                .compose(note -> tx.row(
                        INSERT,
                        Tuple.of(id, role, one, other, terms.startsOn(), terms.endsOn())
                                .addBigDecimal(terms.share())
                                .addBigDecimal(terms.amount())
                                .addBuffer(note),
                        "server.failure"))
                .map(row -> row.getUUID("id"));
    }

    Future<UUID> update(Tx tx, Relation before, Terms after, boolean noted) {
        Future<@Nullable Buffer> sealing = noted
                ? underKeys(tx, List.of(before.fromId(), before.toId()), after.note())
                : Future.succeededFuture(null);
        return sealing.compose(note -> tx.row(
                        UPDATE,
                        Tuple.of(before.id(), after.startsOn(), after.endsOn())
                                .addBigDecimal(after.share())
                                .addBigDecimal(after.amount())
                                .addBoolean(noted)
                                .addBuffer(note),
                        "relation.notFound"))
                .map(row -> row.getUUID("id"));
    }

    Future<Long> delete(Tx tx, UUID id) {
        return tx.row(DELETE, Tuple.of(id), "relation.notFound").map(row -> row.getLong("version"));
    }

    // ---- the note, under both keys: that of the smaller id inside

    private Future<@Nullable Buffer> underKeys(Tx tx, List<UUID> ends, @Nullable String note) {
        if (note == null) {
            return Future.succeededFuture(null);
        }
        return tx.query(KEYS_OF, Tuple.of(ends.toArray(UUID[]::new))).compose(rows -> {
            byte[] text = note.getBytes(StandardCharsets.UTF_8);
            for (Row row : rows) {
                Vault.Key key = vault.key(
                        row.getUUID("subject_id"),
                        row.getInteger("epoch"),
                        row.getBuffer("wrapped").getBytes());
                text = vault.seal(key, TABLE, CLASS, text);
            }
            return rows.size() == 2
                    ? Future.succeededFuture(Buffer.buffer(text))
                    : Future.failedFuture(Problem.of("customer.notFound"));
        });
    }

    private @Nullable String note(Row row) {
        Buffer note = row.getBuffer("note");
        Buffer from = row.getBuffer("from_wrapped");
        Buffer to = row.getBuffer("to_wrapped");
        if (note == null || from == null || to == null) {
            return null;
        }
        Vault.Key first = vault.key(row.getUUID("from_id"), row.getInteger("from_epoch"), from.getBytes());
        Vault.Key second = vault.key(row.getUUID("to_id"), row.getInteger("to_epoch"), to.getBytes());
        // As texts they are in the order in which the database has them.
        boolean ordered = first.subject().toString().compareTo(second.subject().toString()) < 0;
        byte[] inner = vault.open(ordered ? second : first, TABLE, CLASS, note.getBytes());
        return new String(vault.open(ordered ? first : second, TABLE, CLASS, inner), StandardCharsets.UTF_8);
    }
}
