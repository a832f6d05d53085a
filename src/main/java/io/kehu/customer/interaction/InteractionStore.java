package io.kehu.customer.interaction;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
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
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of contacts, and their texts under the keys of the customers they were recorded for. */
final class InteractionStore {

    private static final String READ = """
            SELECT i.id, i.customer_id, i.at, i.channel, i.direction, i.staff_id, i.subject_kind, i.subject_id,
                   CASE WHEN r.id IS NULL THEN i.outcome ELSE r.outcome END AS outcome,
                   CASE WHEN r.id IS NULL THEN i.sealed ELSE r.sealed END AS sealed,
                   i.made_at, 1 + coalesce(r.version, 0) AS version, coalesce(r.valid_from, i.made_at) AS since, k.epoch, k.wrapped
            FROM customer.interaction i
            LEFT JOIN kehu.data_key k ON k.subject_id = i.customer_id
            """;
    private static final String NOW = "LEFT JOIN customer.interaction_revision r ON r.id = i.id\n";
    /** A page of each side, in the order of the index: what lies behind it is not read, however much it is. */
    private static final String OF_SIDES = """
            FROM customer.sides(%s) side(id) CROSS JOIN LATERAL (SELECT i.* FROM customer.interaction i %s) i""";

    private static final String PLACE = "JOIN customer.customer c ON c.id = customer.root(i.customer_id)\n";

    private static final String ADD = "SELECT customer.add_interaction($1, $2, $3, $4, $5, $6, $7, $8, $9) AS id";
    /** The key of a side that was merged into another is there as long as the other's. */
    private static final String REVISE_FIRST =
            "INSERT INTO customer.interaction_revision (id, outcome, sealed) VALUES ($1, $2, $3) RETURNING valid_from";
    /** Guarded by the version that was read: of two corrections at once the second is refused. */
    private static final String REVISE = """
            UPDATE customer.interaction_revision SET outcome = $2, sealed = $3 WHERE id = $1 AND version = $4
            RETURNING valid_from""";

    private static final String PREFERENCE = """
            WITH contact AS (
                SELECT i.channel, extract(hour FROM i.at AT TIME ZONE $2)::int AS hour
                FROM customer.interaction i LEFT JOIN customer.interaction_revision r ON r.id = i.id
                WHERE i.customer_id IN (SELECT customer.sides($1)) AND i.at > kehu.now() - interval '180 days'
                  AND (i.direction = 'inbound' OR CASE WHEN r.id IS NULL THEN i.outcome ELSE r.outcome END
                       NOT IN ('no-answer', 'busy', 'wrong-contact', 'bounced', 'failed'))
                ORDER BY i.at DESC LIMIT 1000)
            SELECT coalesce(c.channel, most.channel) AS channel, CASE WHEN c.channel IS NULL THEN 'contacts' ELSE 'stated' END AS channel_from,
                   best.hour, (SELECT count(*) FROM contact) AS contacts
            FROM customer.customer c
            LEFT JOIN (SELECT channel FROM contact GROUP BY channel ORDER BY count(*) DESC, channel LIMIT 1) most ON true
            LEFT JOIN (SELECT h AS hour FROM generate_series(0, 21) h JOIN contact ON contact.hour BETWEEN h AND h + 2
                       GROUP BY h ORDER BY count(*) DESC, h LIMIT 1) best ON true
            WHERE c.id = $1""";

    private final Database database;
    private final SealedTextStore texts;
    private final String zone;

    InteractionStore(Database database, Vault vault, String zone) {
        this.database = database;
        this.texts = new SealedTextStore(vault, "customer.interaction");
        this.zone = zone;
    }

    Interaction opened(Row row) {
        return Interaction.from(row, texts.open(row.getUUID("customer_id"), row, "sealed"));
    }

    /** @param customer the record that stands for all its sides, in scope */
    Future<RowSet<Row>> list(Call call, UUID customer, Page page) {
        Where where = Where.ofAll().and("i.customer_id = side.id");
        List<String> channels = call.list("channel");
        if (!channels.isEmpty()) {
            where.and("i.channel = ANY(?)", (Object) channels.toArray(String[]::new));
        }
        where.andIf("i.direction = ?", call.text("direction"));
        where.andIf("i.at >= ?", instant(call, "from"));
        where.andIf("i.at < ?", instant(call, "to"));
        where.andIf("i.staff_id = ?", call.optionalId("staffId"));
        where.andIf("i.subject_id = ?", call.optionalId("subjectId"));
        if (!page.after().isEmpty()) {
            where.and(
                    "(i.at, i.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        String newest = " ORDER BY i.at DESC, i.id DESC LIMIT " + where.bind(page.fetch());
        String sql = READ.replace(
                "FROM customer.interaction i", OF_SIDES.formatted(where.bind(customer), where.sql() + newest));
        return database.query(call, sql + NOW + newest, where.values());
    }

    private static @Nullable OffsetDateTime instant(Call call, String name) {
        String text = call.text(name);
        return text == null ? null : OffsetDateTime.parse(text);
    }

    /** Fails with {@code interaction.notFound}, also out of scope. */
    Future<Interaction> find(Call call, @Nullable OffsetDateTime asOf) {
        Where where = within(call.principal(), call.id("interactionId"));
        if (asOf == null) {
            return database.row(call, READ + NOW + PLACE + where.sql(), where.values(), "interaction.notFound")
                    .map(this::opened);
        }
        where.and("i.made_at <= ?", asOf);
        String then = where.bind(asOf);
        String sql = READ + "LEFT JOIN customer.interaction_revision_all r ON r.id = i.id AND r.valid_from <= " + then
                + " AND r.valid_to > " + then + "\n" + PLACE + where.sql();
        return database.row(call, sql, where.values(), "interaction.notFound").map(this::opened);
    }

    Future<Interaction> found(Tx tx) {
        Where where = within(tx.principal(), tx.call().id("interactionId"));
        return tx.row(READ + NOW + PLACE + where.sql(), where.values(), "interaction.notFound")
                .map(this::opened);
    }

    private static Where within(Principal who, UUID id) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id")
                .and("i.id = ?", id)
                .and("c.deleted_at IS NULL");
    }

    Future<Interaction> insert(Tx tx, Interaction draft) {
        return seal(tx, draft)
                .compose(text -> tx.row(
                        ADD,
                        Tuple.of(draft.customerId(), draft.channel(), draft.direction(), draft.at(), draft.staffId())
                                .addString(draft.subjectKind())
                                .addUUID(draft.subjectId())
                                .addString(draft.outcome())
                                .addBuffer(text),
                        "server.failure"))
                .compose(row ->
                        tx.row(READ + NOW + "WHERE i.id = $1", Tuple.of(row.getUUID("id")), "interaction.notFound"))
                .map(this::opened);
    }

    Future<Interaction> revise(Tx tx, Interaction before, Interaction after) {
        return seal(tx, after)
                .compose(text -> {
                    Tuple values = Tuple.of(after.id(), after.outcome(), text);
                    return before.version() == 1
                            ? tx.query(REVISE_FIRST, values)
                            : tx.query(REVISE, values.addLong(before.version() - 1));
                })
                .compose(rows -> rows.size() == 0
                        ? Future.failedFuture(Problem.of("request.stale"))
                        : tx.row(READ + NOW + "WHERE i.id = $1", Tuple.of(after.id()), "interaction.notFound"))
                .map(this::opened);
    }

    private Future<@Nullable Buffer> seal(Tx tx, Interaction interaction) {
        String text = interaction.text();
        return text == null
                ? Future.<@Nullable Buffer>succeededFuture(null)
                : texts.seal(tx, interaction.customerId(), text).map(bytes -> bytes);
    }

    Future<Row> preference(Call call, UUID customer) {
        return database.row(call, PREFERENCE, Tuple.of(customer, zone), "customer.notFound");
    }
}
