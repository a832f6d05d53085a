package io.kehu.customer.grading;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of the rules. */
final class GradingRuleStore {
    private static final String COLUMNS = """
            r.id, r.kind, r.name, r.condition::text AS condition, r.priority, r.result, r.tag_id, r.hand_days, r.enabled, r.version,
            r.valid_from, t.branch_id AS tag_branch, coalesce(t.slot, '') AS slot,
            ((t.usable_from IS NULL OR t.usable_from <= kehu.now()) AND (t.usable_until IS NULL OR t.usable_until > kehu.now()))
                AS tag_usable""";
    private static final String TAGS = " LEFT JOIN customer.tag t ON t.id = r.tag_id ";
    private static final String READ = "SELECT " + COLUMNS + " FROM customer.grading_rule r" + TAGS;
    private static final String READ_PAST = "SELECT " + COLUMNS + " FROM customer.grading_rule_all r" + TAGS;
    static final String ENABLED = READ + "WHERE r.enabled ORDER BY r.kind, r.priority, r.id";
    private static final String INSERT = """
            WITH r AS (
                INSERT INTO customer.grading_rule (id, kind, name, condition, priority, result, tag_id, hand_days, enabled)
                VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9) RETURNING *)
            SELECT\s""" + COLUMNS + " FROM r" + TAGS;
    private static final String UPDATE = """
            WITH r AS (
                UPDATE customer.grading_rule SET name = $2, condition = $3::text::jsonb, priority = $4, result = $5, hand_days = $6,
                    enabled = $7
                WHERE id = $1 RETURNING *)
            SELECT\s""" + COLUMNS + " FROM r" + TAGS;
    /** A night that is there already is somebody else's. */
    private static final String NIGHT = """
            INSERT INTO customer.grading_night (day, job_id)
            SELECT (kehu.now() AT TIME ZONE $1)::date, $2 ON CONFLICT DO NOTHING RETURNING day""";

    /** A job that has not begun and will look at everything that has happened since then. */
    static final String WAITING = """
            SELECT id FROM kehu.job WHERE kind = $1 AND state = 'waiting' AND started_at IS NULL AND NOT cancel_asked
                AND (NOT params ? 'since' OR (params ->> 'since')::timestamptz <= $2) LIMIT 1""";

    private static final String NIGHT_DUE = """
            SELECT extract(hour FROM kehu.now() AT TIME ZONE $1) >= $2::int
                AND NOT EXISTS (SELECT FROM customer.grading_night WHERE day = (kehu.now() AT TIME ZONE $1)::date)
                AND (EXISTS (SELECT FROM customer.grading_rule WHERE enabled)
                     OR EXISTS (SELECT FROM customer.customer_tag WHERE rule_id IS NOT NULL)) AS due""";
    private static final String NIGHT_JOB =
            "UPDATE customer.grading_night SET job_id = $2 WHERE day = (kehu.now() AT TIME ZONE $1)::date";

    private final Database database;

    GradingRuleStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = Where.ofAll().andIf("r.kind = ?", call.text("kind"));
        if (call.params().has("enabled")) {
            where.and("r.enabled = ?", call.params().get("enabled").booleanValue());
        }
        if (!page.after().isEmpty()) {
            where.and(
                    "(r.kind, r.priority, r.id) > (?, ?, ?)",
                    page.after().get(0),
                    Integer.parseInt(page.after().get(1)),
                    UUID.fromString(page.after().get(2)));
        }
        return database.query(
                call,
                READ + where.sql() + " ORDER BY r.kind, r.priority, r.id LIMIT " + where.bind(page.fetch()),
                where.values());
    }

    Future<GradingRule> find(Call call, UUID id, @Nullable OffsetDateTime asOf) {
        Where where = Where.ofAll().and("r.id = ?", id);
        if (asOf != null) {
            where.and("r.valid_from <= ?", asOf).and("r.valid_to > ?", asOf);
        }
        return database.row(
                        call, (asOf == null ? READ : READ_PAST) + where.sql(), where.values(), "grading.ruleNotFound")
                .map(GradingRule::from);
    }

    Future<GradingRule> held(Tx tx, UUID id) {
        return tx.row(READ + "WHERE r.id = $1 FOR UPDATE OF r", Tuple.of(id), "grading.ruleNotFound")
                .map(GradingRule::from);
    }

    static List<GradingRule> rules(RowSet<Row> rows) {
        List<GradingRule> rules = new ArrayList<>(rows.size());
        rows.forEach(row -> rules.add(GradingRule.from(row)));
        return rules;
    }

    Future<GradingRule> insert(Tx tx, GradingRule rule) {
        Tuple values = Tuple.of(
                rule.id(),
                rule.kind().word(),
                rule.name(),
                rule.condition().toString(),
                rule.priority(),
                rule.result());
        values.addUUID(rule.tagId()).addInteger(rule.handDays()).addBoolean(rule.enabled());
        return tx.row(INSERT, values, "server.failure").map(GradingRule::from);
    }

    Future<GradingRule> update(Tx tx, GradingRule rule) {
        Tuple values = Tuple.of(
                rule.id(), rule.name(), rule.condition().toString(), rule.priority(), rule.result(), rule.handDays());
        return tx.row(UPDATE, values.addBoolean(rule.enabled()), "grading.ruleNotFound")
                .map(GradingRule::from);
    }

    /** Whether today's night has not begun, its hour has come and there is something to do. */
    Future<Boolean> nightDue(Call call, String zone, int hour) {
        return database.query(call, NIGHT_DUE, Tuple.of(zone, hour))
                .map(rows -> rows.iterator().next().getBoolean("due"));
    }

    /** Takes today's night; fails with {@code request.stale} where it was taken. */
    Future<Void> takeNight(Tx tx, String zone) {
        return tx.row(NIGHT, Tuple.of(zone, tx.auditId()), "request.stale").mapEmpty();
    }

    Future<Void> nightJob(Tx tx, String zone, UUID job) {
        return tx.query(NIGHT_JOB, Tuple.of(zone, job)).mapEmpty();
    }
}
