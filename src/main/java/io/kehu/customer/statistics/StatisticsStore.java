package io.kehu.customer.statistics;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.sql.Database;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * SQL of counting customers. They are grouped by a few dimensions together and these small groups then by each of them
 * (GROUPING SETS over the customers themselves would sort a million rows three times, in one process).
 */
@SuppressWarnings("InlineFormatString") // a statement reads better in one piece
final class StatisticsStore {
    /** The dimension of all together. */
    static final String ALL = "all";

    /**
     * By what is counted: the name and an expression over customer.customer c; @today and @zone stand for those of the bank.
     * Those in one map are grouped together first, by several processes where there are many customers: few enough at a time
     * that their combinations are few as well.
     */
    private static final List<Map<String, String>> DIMENSIONS = List.of(
            dimensions(
                    "kind",
                    "c.kind",
                    "tier",
                    "c.tier",
                    "lifecycle",
                    "c.lifecycle",
                    "risk",
                    "c.risk",
                    "gender",
                    "c.gender"),
            dimensions(
                    "age", """
                    CASE WHEN c.birth_date > @today::date - interval '18 years' THEN '0-17'
                         WHEN c.birth_date > @today::date - interval '25 years' THEN '18-24'
                         WHEN c.birth_date > @today::date - interval '35 years' THEN '25-34'
                         WHEN c.birth_date > @today::date - interval '45 years' THEN '35-44'
                         WHEN c.birth_date > @today::date - interval '55 years' THEN '45-54'
                         WHEN c.birth_date > @today::date - interval '65 years' THEN '55-64'
                         WHEN c.birth_date IS NOT NULL THEN '65-' END""", "value", """
                    CASE WHEN c.assets < 50000 THEN '0-50000' WHEN c.assets < 500000 THEN '50000-500000'
                         WHEN c.assets < 6000000 THEN '500000-6000000' WHEN c.assets IS NOT NULL THEN '6000000-' END""", "entered", "date_trunc('month', c.created_at AT TIME ZONE @zone::text)"),
            dimensions("province", "left(c.region_code, 2)", "industry", "left(c.industry, 1)"),
            dimensions("branch", "c.branch_id", "manager", "c.manager_id"));

    /** Of those who are lost: when they went, and why. Apart, because only they have a row to join. */
    private static final String CHURN = """
            SELECT %s x.dimension, x.value, count(*) AS customers, coalesce(sum(c.assets), 0) AS assets
            FROM customer.customer c
            LEFT JOIN customer.grade g ON g.customer_id = c.id AND g.kind = 'lifecycle' AND g.value = 'lost'
            LEFT JOIN customer.grading_rule r ON r.id = g.rule_id
            CROSS JOIN LATERAL (VALUES ('lost', to_char(g.valid_from AT TIME ZONE @zone::text, 'YYYY-MM')),
                ('lostBecause', CASE WHEN g.id IS NULL THEN 'entered so' WHEN g.rule_id IS NULL THEN 'by hand' ELSE r.name END))
                AS x(dimension, value)
            %s AND c.lifecycle = 'lost' GROUP BY %s x.dimension, x.value""";

    /**
     * Whether to count again. Not before fifty times the time the last pass took, so that counting is at most a fiftieth of what
     * the database does; and a change is looked for two minutes back, longer than a transaction that was under way may last.
     */
    private static final String CHANGED = """
            SELECT EXISTS (SELECT FROM customer.tally_state s
                WHERE s.made_at + 50 * s.took <= clock_timestamp() AND (s.day <> $1
                    OR (SELECT max(c.valid_from) FROM customer.customer c) > s.at - interval '2 minutes')) AS changed""";

    private static final String TOOK =
            "UPDATE customer.tally_state SET took = $2::bigint * interval '1 microsecond', made_at = clock_timestamp() WHERE run = $1";

    private static final String STATE = "SELECT run, at FROM customer.tally_state";

    /** One read, so that the numbers and their time are of one run; of a run without customers only the time. */
    private static final String KEPT = """
            SELECT s.run, s.at, t.dimension, t.value, sum(t.customers)::bigint AS customers, sum(t.assets) AS assets
            FROM customer.tally_state s LEFT JOIN customer.tally t ON t.run = s.run%s
            GROUP BY s.run, s.at, t.dimension, t.value ORDER BY t.dimension, customers DESC, t.value""";

    private final Database database;

    StatisticsStore(Database database) {
        this.database = database;
    }

    /**
     * How many have this in common.
     *
     * @param value null where it is not known
     * @param assets of all of them together, in CNY
     */
    record Count(@Nullable String value, long customers, BigDecimal assets) {}

    /** Counts by dimension, the largest first, and of when they are. */
    record Counts(OffsetDateTime at, Map<String, List<Count>> by) {}

    private static Map<String, String> dimensions(String... namesAndExpressions) {
        Map<String, String> dimensions = new LinkedHashMap<>();
        for (int i = 0; i < namesAndExpressions.length; i += 2) {
            dimensions.put(namesAndExpressions[i], namesAndExpressions[i + 1]);
        }
        return dimensions;
    }

    /** A count of customers: rows of (branch), dimension, value, customers, assets. */
    private static String pass(String where, boolean byBranch, String today, String zone) {
        List<String> parts = new ArrayList<>();
        for (Map<String, String> dimensions : DIMENSIONS) {
            parts.add(part(dimensions, where, byBranch));
        }
        parts.add("SELECT " + (byBranch ? "c.branch_id AS own_branch, " : "") + "'" + ALL
                + "' AS dimension, NULL AS value,"
                + " count(*) AS customers, coalesce(sum(c.assets), 0) AS assets FROM customer.customer c " + where
                + (byBranch ? " GROUP BY c.branch_id" : ""));
        parts.add(CHURN.formatted(byBranch ? "c.branch_id AS own_branch," : "", where, byBranch ? "c.branch_id," : ""));
        return String.join(" UNION ALL ", parts).replace("@today", today).replace("@zone", zone);
    }

    private static String part(Map<String, String> dimensions, String where, boolean byBranch) {
        List<String> columns = new ArrayList<>();
        List<String> groups = new ArrayList<>();
        List<String> sets = new ArrayList<>();
        StringBuilder name = new StringBuilder("CASE");
        StringBuilder value = new StringBuilder("CASE");
        String branch = byBranch ? "p.own_branch, " : "";
        dimensions.forEach((dimension, expression) -> {
            columns.add(expression + " AS " + dimension);
            groups.add(Integer.toString(columns.size() + (byBranch ? 1 : 0)));
            sets.add("(" + branch + "p." + dimension + ")");
            String counted = " WHEN grouping(p." + dimension + ") = 0 THEN ";
            name.append(counted).append("'").append(dimension).append("'");
            value.append(counted)
                    .append(
                            dimension.equals("entered")
                                    ? "to_char(p.entered, 'YYYY-MM')"
                                    : "p." + dimension + "::text");
        });
        return "SELECT " + branch + name + " END AS dimension, " + value + " END AS value,"
                + " sum(p.customers)::bigint AS customers, sum(p.assets) AS assets FROM (SELECT "
                + (byBranch ? "c.branch_id AS own_branch, " : "") + String.join(", ", columns)
                + ", count(*) AS customers, coalesce(sum(c.assets), 0) AS assets FROM customer.customer c " + where
                + " GROUP BY "
                + (byBranch ? "1, " : "") + String.join(", ", groups) + ") p GROUP BY GROUPING SETS ("
                + String.join(", ", sets) + ")";
    }

    /** Makes the numbers of branches anew where customers have changed since; of two nodes one does it. */
    Future<?> keep(Moment moment) {
        return database.query(Call.Lane.JOB, CHANGED, Tuple.of(moment.today()))
                .compose(rows -> rows.iterator().next().getBoolean("changed")
                        ? database.query(Call.Lane.JOB, STATE, Tuple.tuple())
                                .compose(state -> timed(state.iterator().next().getLong("run"), moment))
                        : Future.succeededFuture());
    }

    private Future<?> timed(long run, Moment moment) {
        long from = System.nanoTime();
        return renew(run, moment)
                .compose(done -> database.query(
                        Call.Lane.JOB,
                        TOOK,
                        Tuple.of(run + 1, TimeUnit.NANOSECONDS.toMicros(System.nanoTime() - from))));
    }

    /** In one statement: whoever reads meanwhile reads the run before. */
    private Future<?> renew(long run, Moment moment) {
        String sql = """
                WITH mine AS (
                    UPDATE customer.tally_state SET run = run + 1, at = $3, day = $1 WHERE run = $4 RETURNING run),
                fresh AS (%s),
                gone AS (DELETE FROM customer.tally WHERE run <= $4 AND EXISTS (SELECT FROM mine))
                INSERT INTO customer.tally (run, branch_id, dimension, value, customers, assets)
                SELECT mine.run, f.own_branch, f.dimension, f.value, f.customers, f.assets FROM fresh f CROSS JOIN mine""".formatted(pass("WHERE c.deleted_at IS NULL", true, "$1", "$2"));
        return database.query(Call.Lane.JOB, sql, Tuple.of(moment.today(), zone(moment), moment.now(), run));
    }

    private static String zone(Moment moment) {
        return moment.zone().getId();
    }

    /** From the kept numbers, for scopes that are made of branches; empty before they were first made. */
    Future<Optional<Counts>> kept(Call call) {
        Principal who = call.principal();
        boolean all = who.scope() == Principal.Scope.ALL;
        Tuple branches = all ? Tuple.tuple() : Tuple.of((Object) who.branchIds().toArray(UUID[]::new));
        return database.query(call, String.format(KEPT, all ? "" : " AND t.branch_id = ANY ($1)"), branches)
                .map(rows -> {
                    Row first = rows.iterator().next();
                    return first.getLong("run") == 0
                            ? Optional.empty()
                            : Optional.of(counts(first.getOffsetDateTime("at"), rows));
                });
    }

    /** Counted now, within the caller's scope. */
    Future<Counts> live(Call call, Filter filter, Moment moment) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
        filter.into(where, moment);
        String sql = pass(where.sql(), false, where.bind(moment.today()), where.bind(zone(moment)));
        return database.query(call, sql + " ORDER BY dimension, customers DESC, value", where.values())
                .map(rows -> counts(moment.now(), rows));
    }

    private static Counts counts(OffsetDateTime at, RowSet<Row> rows) {
        Map<String, List<Count>> by = new LinkedHashMap<>();
        for (Row row : rows) {
            if (row.getString("dimension") == null) {
                continue;
            }
            by.computeIfAbsent(row.getString("dimension"), name -> new ArrayList<>())
                    .add(new Count(row.getString("value"), row.getLong("customers"), row.getBigDecimal("assets")));
        }
        return new Counts(at, by);
    }
}
