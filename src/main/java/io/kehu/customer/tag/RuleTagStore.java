package io.kehu.customer.tag;

import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.List;
import java.util.UUID;

/** SQL of the tags that rules give: what a person gave stays his. */
public final class RuleTagStore {
    /** Which of these customers have which tags by which rules. */
    public static final String HELD = """
            SELECT customer_id, tag_id, rule_id FROM customer.customer_tag
            WHERE customer_id = ANY ($1) AND rule_id IS NOT NULL AND (ends_at IS NULL OR ends_at > kehu.now())""";

    private static final String TAKE = """
            DELETE FROM customer.customer_tag h USING unnest($1::uuid[], $2::uuid[]) AS g(customer_id, tag_id)
            WHERE h.customer_id = g.customer_id AND h.tag_id = g.tag_id AND h.rule_id IS NOT NULL
            RETURNING h.id, h.customer_id, h.tag_id, h.version + 1 AS version""";
    private static final String GIVE = """
            INSERT INTO customer.customer_tag AS h (id, customer_id, tag_id, slot, starts_at, rule_id)
            SELECT uuidv7(), g.customer_id, t.id, t.slot, kehu.now(), g.rule_id
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS g(customer_id, tag_id, rule_id) JOIN customer.tag t ON t.id = g.tag_id
            ORDER BY g.customer_id
            ON CONFLICT (customer_id, slot) DO UPDATE SET
                tag_id = EXCLUDED.tag_id, starts_at = CASE WHEN h.tag_id = EXCLUDED.tag_id AND h.rule_id IS NOT NULL
                    THEN h.starts_at ELSE EXCLUDED.starts_at END,
                ends_at = NULL, rule_id = EXCLUDED.rule_id, given_by = NULL, reason = NULL
            WHERE h.rule_id IS NOT NULL OR h.ends_at <= kehu.now()
            RETURNING h.id, h.customer_id, h.tag_id, h.version""";

    /** One tag of one customer, and the rule that says so. */
    public record Given(UUID customer, UUID tag, UUID rule) {}

    /** Takes those that rules gave; yields id, customer_id, tag_id and version of each. */
    public Future<RowSet<Row>> take(Tx tx, List<Given> tags) {
        return tx.query(
                TAKE,
                Tuple.tuple()
                        .addArrayOfUUID(tags.stream().map(Given::customer).toArray(UUID[]::new))
                        .addArrayOfUUID(tags.stream().map(Given::tag).toArray(UUID[]::new)));
    }

    /** Gives them, but where somebody gave one of the same group; yields id, customer_id, tag_id and version of each. */
    public Future<RowSet<Row>> give(Tx tx, List<Given> tags) {
        return tx.query(
                GIVE,
                Tuple.tuple()
                        .addArrayOfUUID(tags.stream().map(Given::customer).toArray(UUID[]::new))
                        .addArrayOfUUID(tags.stream().map(Given::tag).toArray(UUID[]::new))
                        .addArrayOfUUID(tags.stream().map(Given::rule).toArray(UUID[]::new)));
    }
}
