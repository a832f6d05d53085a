package io.kehu.customer.tag;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.crypto.Vault;
import io.kehu.customer.CustomerReach.Reached;
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
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of the tags that customers have; what somebody said why is under the key of the customer. */
final class CustomerTagStore {

    private static final String COLUMNS = """
            h.id, h.customer_id, h.tag_id, h.starts_at, h.ends_at, h.rule_id, h.given_by, h.reason, h.version, h.valid_from,
            t.code, t.category_id, t.name_en, t.name_zh, t.exclusive_group, k.epoch, k.wrapped, s.username, r.name AS rule_name""";
    private static final String BESIDE = """

            LEFT JOIN kehu.data_key k ON k.subject_id = h.customer_id
            LEFT JOIN iam.staff_of_record s ON s.id = h.given_by
            LEFT JOIN customer.grading_rule r ON r.id = h.rule_id
            """;
    private static final String GIVEN = "SELECT " + COLUMNS
            + " FROM customer.customer_tag h JOIN customer.tag t ON t.id = h.tag_id" + BESIDE + "WHERE h.id = $1";

    /** Of a record of several sides the newest tag of a slot counts. */
    private static final String HOLDING = "SELECT DISTINCT ON (h.slot) " + COLUMNS + """

            FROM (SELECT %2$s AS at) n
            CROSS JOIN customer.customer_tag%1$s h
            JOIN customer.tag%1$s t ON t.id = h.tag_id""" + BESIDE + """
            WHERE h.customer_id IN (SELECT customer.sides($1)) AND (t.branch_id IS NULL OR iam.is_within($2, t.branch_id))
              AND (h.ends_at IS NULL OR h.ends_at > n.at) AND (t.usable_until IS NULL OR t.usable_until > n.at)
            """;

    private static final String NOW = HOLDING.formatted("", "kehu.now()");
    private static final String BEGUN = " AND h.starts_at <= n.at AND (t.usable_from IS NULL OR t.usable_from <= n.at)";
    private static final String THEN = HOLDING.formatted("_all", "$3::timestamptz")
            + " AND h.valid_from <= n.at AND h.valid_to > n.at AND t.valid_from <= n.at AND t.valid_to > n.at";
    private static final String NEWEST = " ORDER BY h.slot, h.starts_at DESC, h.id DESC";

    private static final String HELD = """
            SELECT g.id AS side, c.id, c.branch_id, c.manager_id, k.epoch, k.wrapped,
                   %s AS fits
            FROM unnest(%s::uuid[]) AS g(id)
            JOIN customer.customer c ON c.id = customer.root(g.id)
            JOIN kehu.data_key k ON k.subject_id = g.id
            """;

    /** The same tag, given again while it holds, has held from when it was given first unless the caller says otherwise. */
    private static final String GIVE = """
            INSERT INTO customer.customer_tag AS h (id, customer_id, tag_id, slot, starts_at, ends_at, given_by, reason)
            SELECT uuidv7(), g.customer_id, t.id, t.slot, $3, $4, $5, g.reason
            FROM unnest($6::uuid[], $7::bytea[]) AS g(customer_id, reason) CROSS JOIN customer.tag t
            WHERE t.id = $1 ORDER BY g.customer_id
            ON CONFLICT (customer_id, slot) DO UPDATE SET
                tag_id = EXCLUDED.tag_id, ends_at = EXCLUDED.ends_at, rule_id = NULL, given_by = EXCLUDED.given_by,
                reason = EXCLUDED.reason,
                starts_at = CASE WHEN NOT $2::boolean AND h.tag_id = EXCLUDED.tag_id AND (h.ends_at IS NULL OR h.ends_at > kehu.now())
                                 THEN least(h.starts_at, EXCLUDED.starts_at) ELSE EXCLUDED.starts_at END
            RETURNING h.id, h.customer_id, h.version""";

    private static final String TAKE = """
            DELETE FROM customer.customer_tag h
            WHERE h.customer_id IN (SELECT customer.sides($1)) AND h.tag_id = $2 AND (h.ends_at IS NULL OR h.ends_at > kehu.now())
            RETURNING h.id, h.rule_id, h.version + 1 AS version""";

    private final Database database;
    private final SealedTextStore texts;

    CustomerTagStore(Database database, Vault vault) {
        this.database = database;
        this.texts = new SealedTextStore(vault, "customer.customer_tag");
    }

    /**
     * A customer who may be given a tag.
     *
     * @param side the id that was asked for, under which the tag is kept
     * @param fits whether the tag is one for his branch
     */
    record Holder(
            UUID id, UUID side, UUID branchId, @Nullable UUID managerId, boolean fits, Vault.Key key) {}

    Future<RowSet<Row>> list(Call call, Reached customer, Page page, @Nullable OffsetDateTime asOf) {
        Where where = Where.ofAll();
        where.bind(customer.id());
        where.bind(customer.branchId());
        if (asOf != null) {
            where.bind(asOf);
        }
        if (!page.after().isEmpty()) {
            where.and(
                    "(x.starts_at, x.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        String sql = "SELECT * FROM (" + (asOf == null ? NOW : THEN) + BEGUN + NEWEST + ") x " + where.sql()
                + " ORDER BY x.starts_at DESC, x.id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    /** One that holds or will. Fails with {@code tag.notAssigned}. */
    Future<Row> find(Call call, Reached customer, UUID tag) {
        return database.row(
                call,
                "SELECT * FROM (" + NOW + NEWEST + ") x WHERE x.tag_id = $3",
                Tuple.of(customer.id(), customer.branchId(), tag),
                "tag.notAssigned");
    }

    Future<Row> given(Tx tx, UUID id) {
        return tx.row(GIVEN, Tuple.of(id), "tag.notAssigned");
    }

    /** Those of the customers who are in the caller's reach, and stay there until the transaction ends. */
    Future<List<Holder>> held(Tx tx, List<UUID> customers, @Nullable UUID branchOfTag) {
        Where where = Where.inScopeOf(tx.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
        String fits = branchOfTag == null ? "true" : "iam.is_within(c.branch_id, " + where.bind(branchOfTag) + ")";
        String sql = HELD.formatted(fits, where.bind(customers.toArray(UUID[]::new)));
        return tx.query(sql + where.sql() + " ORDER BY c.id FOR SHARE OF c", where.values())
                .map(rows -> {
                    List<Holder> holders = new ArrayList<>(rows.size());
                    rows.forEach(row -> holders.add(new Holder(
                            row.getUUID("id"),
                            row.getUUID("side"),
                            row.getUUID("branch_id"),
                            row.getUUID("manager_id"),
                            row.getBoolean("fits"),
                            texts.key(row.getUUID("side"), row))));
                    return holders;
                });
    }

    Future<RowSet<Row>> give(
            Tx tx,
            Tag tag,
            List<Holder> holders,
            String reason,
            @Nullable OffsetDateTime from,
            OffsetDateTime start,
            @Nullable OffsetDateTime end) {
        Tuple values =
                Tuple.of(tag.id(), from != null, start, end, tx.principal().subject());
        values.addArrayOfUUID(holders.stream().map(Holder::side).toArray(UUID[]::new));
        values.addArrayOfBuffer(
                holders.stream().map(holder -> texts.seal(holder.key, reason)).toArray(Buffer[]::new));
        return tx.query(GIVE, values);
    }

    /** From all sides of a record, or it would still be there. */
    Future<RowSet<Row>> take(Tx tx, UUID customer, UUID tag) {
        return tx.query(TAKE, Tuple.of(customer, tag));
    }

    void write(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        json.writeStringField("tagId", row.getUUID("tag_id").toString());
        json.writeStringField("code", row.getString("code"));
        json.writeStringField("categoryId", row.getUUID("category_id").toString());
        json.writeStringField("nameEn", row.getString("name_en"));
        json.writeStringField("nameZh", row.getString("name_zh"));
        text(json, "group", row.getString("exclusive_group"));
        UUID rule = row.getUUID("rule_id");
        json.writeStringField("madeBy", rule == null ? "hand" : "rule");
        Tag.instant(json, "from", row.getOffsetDateTime("starts_at"));
        Tag.instant(json, "until", row.getOffsetDateTime("ends_at"));
        json.writeStringField("customerId", row.getUUID("customer_id").toString());
        if (rule != null) {
            json.writeObjectFieldStart("rule");
            json.writeStringField("id", rule.toString());
            text(json, "name", row.getString("rule_name"));
            json.writeEndObject();
        } else {
            json.writeObjectFieldStart("givenBy");
            json.writeStringField("id", row.getUUID("given_by").toString());
            text(json, "username", row.getString("username"));
            json.writeEndObject();
        }
        text(json, "reason", texts.open(row.getUUID("customer_id"), row, "reason"));
        json.writeNumberField("version", row.getLong("version"));
        json.writeStringField("since", Json.instant(row.getOffsetDateTime("valid_from")));
        json.writeEndObject();
    }

    private static void text(JsonGenerator json, String field, @Nullable String value) throws IOException {
        if (value != null) {
            json.writeStringField(field, value);
        }
    }
}
