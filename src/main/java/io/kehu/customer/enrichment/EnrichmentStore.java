package io.kehu.customer.enrichment;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.customer.SealedTextStore;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of sources and proposals. A proposal is in the scope of whoever has the customer it is about. */
final class EnrichmentStore {
    private static final String SOURCES =
            "SELECT id, code, name, host, path, fields::text AS fields, enabled, version, valid_from FROM customer.enrichment_source s ";
    private static final String RETURNING =
            " RETURNING id, code, name, host, path, fields::text AS fields, enabled, version, valid_from";
    private static final String ADD = """
            INSERT INTO customer.enrichment_source (id, code, name, host, path, fields, enabled)
            VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7)""" + RETURNING;
    private static final String UPDATE = """
            UPDATE customer.enrichment_source SET name = $2, host = $3, path = $4, fields = $5::text::jsonb, enabled = $6
            WHERE id = $1""" + RETURNING;

    private static final String READ = """
            SELECT p.id, p.customer_id AS side, c.id AS customer_id, c.branch_id, c.manager_id, p.source_id, s.code AS source, p.field,
                   p.value, p.state, p.fetched_at, p.decided_by, p.decided_at, p.why, p.version, p.valid_from, k.epoch, k.wrapped
            FROM customer.enrichment_proposal p
            JOIN customer.enrichment_source s ON s.id = p.source_id
            LEFT JOIN customer.merged m ON m.id = p.customer_id
            JOIN customer.customer c ON c.id = coalesce(m.survivor_id, p.customer_id)
            LEFT JOIN kehu.data_key k ON k.subject_id = p.customer_id
            """;
    /** The most that are held against a new answer. */
    private static final String SAID = """
            SELECT p.id, p.customer_id, p.field, p.value, p.state, k.epoch, k.wrapped
            FROM customer.enrichment_proposal p JOIN kehu.data_key k ON k.subject_id = p.customer_id
            WHERE p.customer_id IN (SELECT customer.sides($1)) AND p.source_id = $2 AND p.state IN ('open', 'rejected')
            ORDER BY p.state = 'rejected', p.fetched_at DESC LIMIT 500 FOR UPDATE OF p""";

    private static final String SUPERSEDE =
            "UPDATE customer.enrichment_proposal SET state = 'superseded' WHERE id = $1 AND state = 'open'";
    private static final String PROPOSE = """
            INSERT INTO customer.enrichment_proposal (id, customer_id, source_id, field, value) VALUES (uuidv7(), $1, $2, $3, $4)""";
    private static final String DECIDE = """
            UPDATE customer.enrichment_proposal SET state = $2, decided_by = $3, decided_at = kehu.now(), why = $4 WHERE id = $1""";

    private final Database database;
    private final SealedTextStore texts;

    EnrichmentStore(Database database, SealedTextStore texts) {
        this.database = database;
        this.texts = texts;
    }

    // ---- sources

    Future<RowSet<Row>> sources(Call call, Page page) {
        Where where = Where.ofAll();
        if (!page.after().isEmpty()) {
            where.and("s.code > ?", page.after().get(0));
        }
        return database.query(
                call, SOURCES + where.sql() + " ORDER BY s.code LIMIT " + where.bind(page.fetch()), where.values());
    }

    /** Fails with {@code enrichment.sourceNotFound}. */
    Future<EnrichmentSource> source(Call call, UUID id) {
        return database.row(call, SOURCES + "WHERE id = $1", Tuple.of(id), "enrichment.sourceNotFound")
                .map(EnrichmentSource::from);
    }

    Future<EnrichmentSource> heldSource(Tx tx, UUID id) {
        return tx.row(SOURCES + "WHERE id = $1 FOR UPDATE", Tuple.of(id), "enrichment.sourceNotFound")
                .map(EnrichmentSource::from);
    }

    Future<EnrichmentSource> source(Tx tx, UUID id) {
        return tx.row(SOURCES + "WHERE id = $1", Tuple.of(id), "enrichment.sourceNotFound")
                .map(EnrichmentSource::from);
    }

    Future<EnrichmentSource> add(Tx tx, EnrichmentSource source) {
        return tx.row(
                        ADD,
                        Tuple.of(
                                source.id(),
                                source.code(),
                                source.name(),
                                source.host(),
                                source.path(),
                                source.fields().toString(),
                                source.enabled()),
                        "server.failure")
                .map(EnrichmentSource::from);
    }

    Future<EnrichmentSource> update(Tx tx, EnrichmentSource source) {
        return tx.row(
                        UPDATE,
                        Tuple.of(
                                source.id(),
                                source.name(),
                                source.host(),
                                source.path(),
                                source.fields().toString(),
                                source.enabled()),
                        "enrichment.sourceNotFound")
                .map(EnrichmentSource::from);
    }

    // ---- proposals

    private static Where within(Principal who) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id").and("c.deleted_at IS NULL");
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        String state = call.text("state");
        Where where = within(call.principal()).and("p.state = ?", state == null ? "open" : state);
        UUID customer = call.optionalId("customerId");
        if (customer != null) {
            where.and("p.customer_id IN (SELECT customer.sides(customer.root(?)))", customer);
        }
        if (!page.after().isEmpty()) {
            where.and(
                    "(p.fetched_at, p.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        return database.query(
                call,
                READ + where.sql() + " ORDER BY p.fetched_at DESC, p.id DESC LIMIT " + where.bind(page.fetch()),
                where.values());
    }

    /** Fails with {@code enrichment.notFound}, also out of scope. */
    Future<Row> find(Call call, UUID id) {
        Where where = within(call.principal()).and("p.id = ?", id);
        return database.row(call, READ + where.sql(), where.values(), "enrichment.notFound");
    }

    Future<Row> locked(Tx tx, UUID id) {
        Where where = within(tx.principal()).and("p.id = ?", id);
        return tx.row(READ + where.sql() + " FOR UPDATE OF p", where.values(), "enrichment.notFound");
    }

    /** Null where it was not said, and where the key is gone. */
    @Nullable
    String text(Row row, String column) {
        return texts.open(row.getUUID("side"), row, column);
    }

    /** @param why null for an accepted one */
    Future<Row> decide(Tx tx, Row row, String state, @Nullable String why) {
        UUID id = row.getUUID("id");
        Buffer sealed = why == null ? null : texts.seal(texts.key(row.getUUID("side"), row), why);
        return tx.query(DECIDE, Tuple.of(id, state, tx.principal().subject(), sealed))
                .compose(v -> tx.row(READ + "WHERE p.id = $1", Tuple.of(id), "enrichment.notFound"));
    }

    /**
     * Keeps what is not waiting and was not rejected before; what waits of the same field is superseded. Yields how many were
     * kept.
     *
     * @param side the id it was asked for
     */
    Future<Integer> propose(Tx tx, UUID root, UUID side, UUID source, Map<String, String> news) {
        return tx.query(SAID, Tuple.of(root, source)).compose(rows -> {
            Set<String> known = new HashSet<>();
            Map<String, UUID> open = new HashMap<>();
            for (Row row : rows) {
                String field = row.getString("field");
                known.add(field + '=' + texts.open(row.getUUID("customer_id"), row, "value"));
                if (row.getString("state").equals("open")) {
                    open.put(field, row.getUUID("id"));
                }
            }
            Future<Integer> kept = Future.succeededFuture(0);
            for (Map.Entry<String, String> one : news.entrySet()) {
                if (known.contains(one.getKey() + '=' + one.getValue())) {
                    continue;
                }
                UUID former = open.get(one.getKey());
                kept = kept.compose(n -> (former == null
                                ? Future.succeededFuture()
                                : tx.query(SUPERSEDE, Tuple.of(former)))
                        .compose(v -> texts.seal(tx, side, one.getValue()))
                        .compose(cipher -> tx.query(PROPOSE, Tuple.of(side, source, one.getKey(), cipher)))
                        .map(n + 1));
            }
            return kept;
        });
    }
}
