package io.kehu.customer.quality;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of rules, and of what they find. */
final class QualityStore {
    private static final String COLUMNS =
            "r.id, r.code, r.kind, r.applies_to, r.field, r.other, r.days, r.weight, r.enabled, r.version, r.valid_from";
    private static final String READ = "SELECT " + COLUMNS + " FROM customer.quality_rule r ";
    private static final String UPDATE =
            "UPDATE customer.quality_rule r SET weight = $2, enabled = $3, days = $4 WHERE r.id = $1 RETURNING "
                    + COLUMNS;

    private final Database database;

    QualityStore(Database database) {
        this.database = database;
    }

    /** All of them, by code: there are as many as migrations brought. */
    Future<List<QualityRule>> rules(Call call) {
        return database.query(call, READ + "ORDER BY r.code", Tuple.tuple()).map(rows -> {
            List<QualityRule> rules = new ArrayList<>(rows.size());
            rows.forEach(row -> rules.add(QualityRule.from(row)));
            return rules;
        });
    }

    /** Fails with {@code quality.ruleNotFound}. */
    Future<QualityRule> held(Tx tx, @Nullable String code) {
        return tx.row(READ + "WHERE r.code = $1 FOR UPDATE", Tuple.of(code), "quality.ruleNotFound")
                .map(QualityRule::from);
    }

    Future<QualityRule> update(Tx tx, UUID id, int weight, boolean enabled, @Nullable Integer days) {
        return tx.row(UPDATE, Tuple.of(id, weight, enabled, days), "quality.ruleNotFound")
                .map(QualityRule::from);
    }

    /** The codes of the rules that one customer fails. */
    Future<Row> of(Call call, UUID customer, List<QualityRule> rules) {
        Where where = Where.ofAll().and("c.id = ?", customer);
        return database.row(call, select(where, rules) + where.sql(), where.values(), "customer.notFound");
    }

    /** Customers in scope who fail a rule at least. */
    Future<RowSet<Row>> issues(Call call, List<QualityRule> rules, Page page) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
        if (!page.after().isEmpty()) {
            where.and("c.id > ?", UUID.fromString(page.after().get(0)));
        }
        List<String> failed = rules.stream().map(rule -> rule.failed(where)).toList();
        where.and("(" + (failed.isEmpty() ? "false" : String.join(" OR ", failed)) + ")");
        String sql = select(where, rules) + where.sql() + " ORDER BY c.id LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    private static String select(Where where, List<QualityRule> rules) {
        List<String> failed = rules.stream()
                .map(rule -> "CASE WHEN " + rule.failed(where) + " THEN " + where.bind(rule.code()) + "::text END")
                .toList();
        return "SELECT c.id, array_remove(ARRAY[" + String.join(", ", failed) + "]::text[], NULL) AS failed"
                + " FROM customer.customer c ";
    }
}
