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

    /** The month in which the first customer of all was entered, by the bank's clocks. */
    private static final String FIRST_MONTH =
            "date_trunc('month', (SELECT min(f.created_at) FROM customer.customer f) AT TIME ZONE @zone::text)";

    /** Which month it is that somebody was entered in, the first being 1. */
    private static final String MONTH = "width_bucket(c.created_at, ARRAY(SELECT m AT TIME ZONE @zone::text FROM"
            + " generate_series(" + FIRST_MONTH + ", @today::date::timestamp, interval '1 month') AS m))";

    private static final String WEALTH = "width_bucket(c.assets, ARRAY[50000, 500000, 6000000]::numeric[])";

    /**
     * By what is counted, in lists of those that are grouped together first, by several processes where there are many customers:
     * few enough at a time that their combinations are few as well. Each list costs one pass, and most of a pass is reading; the
     * place in a sorted array costs a fifth of a CASE of intervals or of a date_trunc.
     */
    private static final List<List<Dimension>> DIMENSIONS = List.of(
            List.of(
                    Dimension.of("kind", "c.kind"),
                    Dimension.of("tier", "c.tier"),
                    Dimension.of("lifecycle", "c.lifecycle"),
                    Dimension.of("risk", "c.risk"),
                    Dimension.of("gender", "c.gender"),
                    ages(18, 25, 35, 45, 55, 65),
                    new Dimension(
                            "value",
                            List.of(WEALTH),
                            "(ARRAY['0-50000', '50000-500000', '500000-6000000', '6000000-'])[" + WEALTH + " + 1]")),
            List.of(
                    Dimension.of("province", "left(c.region_code, 2)"),
                    Dimension.of("industry", "left(c.industry, 1)"),
                    Dimension.of("branch", "c.branch_id"),
                    Dimension.of("manager", "c.manager_id"),
                    new Dimension(
                            "entered",
                            List.of(MONTH),
                            "to_char(" + FIRST_MONTH + " + (" + MONTH + " - 1) * interval '1 month', 'YYYY-MM')")));

    /** Of those who are lost: when they went, and why. Apart, because only they have a row to join. */
    private static final String CHURN = """
            SELECT %1$s x.dimension, x.value, sum(l.customers)::bigint AS customers, sum(l.assets) AS assets
            FROM (
                SELECT %2$s to_char(g.valid_from AT TIME ZONE @zone::text, 'YYYY-MM') AS month,
                    CASE WHEN g.id IS NULL THEN 'entered so' WHEN g.rule_id IS NULL THEN 'by hand' ELSE r.name END AS because,
                    count(*) AS customers, coalesce(sum(c.assets), 0) AS assets
                FROM customer.customer c
                LEFT JOIN customer.grade g ON g.customer_id = c.id AND g.kind = 'lifecycle' AND g.value = 'lost'
                LEFT JOIN customer.grading_rule r ON r.id = g.rule_id
                %3$s AND c.lifecycle = 'lost' GROUP BY %1$s month, because) l
            CROSS JOIN LATERAL (VALUES ('lost', l.month), ('lostBecause', l.because)) AS x(dimension, value)
            GROUP BY %1$s x.dimension, x.value""";

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

    /**
     * Of counts those that are told: of each dimension the greatest one by one, what is not known for itself, and the rest
     * together, so that the sum is still that of all.
     */
    private static final String TOLD = """
            , ranked AS (
                SELECT c.*, least(%1$d + 1, CASE WHEN c.value IS NULL THEN 0 ELSE
                    row_number() OVER (PARTITION BY c.dimension, c.value IS NULL ORDER BY c.customers DESC, c.value) END) AS place
                FROM counts c),
            told AS (
                SELECT dimension, place, CASE WHEN place <= %1$d THEN min(value) END AS value,
                    CASE WHEN place > %1$d THEN count(*) END AS others,
                    sum(customers)::bigint AS customers, sum(assets) AS assets
                FROM ranked GROUP BY dimension, place)""";

    private static final String ORDER = " ORDER BY dimension, others IS NOT NULL, customers DESC, value";

    /** One read, so that the numbers and their time are of one run; of a run without customers only the time. */
    private static final String KEPT = """
            WITH counts AS (
                SELECT t.dimension, t.value, sum(t.customers)::bigint AS customers, sum(t.assets) AS assets
                FROM customer.tally_state s JOIN customer.tally t ON t.run = s.run%s
                GROUP BY t.dimension, t.value)
            %s SELECT s.run, s.at, told.* FROM customer.tally_state s LEFT JOIN told ON true""";

    private final Database database;
    private final String told;

    /** @param values of a dimension that are told one by one, at most */
    StatisticsStore(Database database, int values) {
        this.database = database;
        this.told = TOLD.formatted(values);
    }

    /**
     * How many have this in common.
     *
     * @param value null where it is not known, and of many together
     * @param others how many values these are together; null where it is one
     * @param assets of all of them together, in CNY
     */
    record Count(@Nullable String value, @Nullable Long others, long customers, BigDecimal assets) {}

    /**
     * One thing to count by.
     *
     * @param groups expressions over customer.customer c, with the placeholders @today and @zone of the bank
     * @param value what a group is called, an expression over these expressions
     */
    private record Dimension(String name, List<String> groups, String value) {
        static Dimension of(String name, String column) {
            return new Dimension(name, List.of(column), column + "::text");
        }
    }

    /** Counts by dimension, the largest first, and of when they are. */
    record Counts(OffsetDateTime at, Map<String, List<Count>> by) {}

    /** By age, as booleans, because the planner knows how few groups these make; of dates it would expect thousands. */
    private static Dimension ages(int... bounds) {
        List<String> groups = new ArrayList<>();
        StringBuilder value = new StringBuilder("CASE");
        int from = 0;
        for (int bound : bounds) {
            String younger = "(c.birth_date > (@today::date - interval '" + bound + " years')::date)";
            groups.add(younger);
            value.append(" WHEN ").append(younger).append(" THEN '" + from + "-" + (bound - 1) + "'");
            from = bound;
        }
        String oldest = groups.get(groups.size() - 1);
        value.append(" WHEN NOT ").append(oldest).append(" THEN '" + from + "-' END");
        return new Dimension("age", groups, value.toString());
    }

    /**
     * A count of customers: rows of (branch), dimension, value, customers, assets. MATERIALIZED makes the planner share out each
     * pass among processes, and not the passes.
     */
    private static String pass(String where, boolean byBranch, String today, String zone) {
        List<String> passes = new ArrayList<>();
        List<String> parts = new ArrayList<>();
        for (List<Dimension> dimensions : DIMENSIONS) {
            String name = "p" + passes.size();
            passes.add(name + " AS MATERIALIZED (" + grouped(dimensions, where, byBranch) + ")");
            parts.add(part(name, dimensions, byBranch, parts.isEmpty()));
        }
        parts.add(CHURN.formatted(byBranch ? "own_branch," : "", byBranch ? "c.branch_id AS own_branch," : "", where));
        return ("WITH " + String.join(", ", passes) + " " + String.join(" UNION ALL ", parts))
                .replace("@today", today)
                .replace("@zone", zone);
    }

    private static String grouped(List<Dimension> dimensions, String where, boolean byBranch) {
        List<String> columns = new ArrayList<>();
        List<String> groups = new ArrayList<>();
        if (byBranch) {
            columns.add("c.branch_id AS own_branch");
            groups.add("c.branch_id");
        }
        for (Dimension dimension : dimensions) {
            columns.add(dimension.value + " AS " + dimension.name);
            groups.addAll(dimension.groups);
        }
        return "SELECT " + String.join(", ", columns) + ", count(*) AS customers, coalesce(sum(c.assets), 0) AS assets"
                + " FROM customer.customer c " + where + " GROUP BY " + String.join(", ", groups);
    }

    /** @param all whether to count all together too */
    private static String part(String name, List<Dimension> dimensions, boolean byBranch, boolean all) {
        List<String> sets = new ArrayList<>();
        StringBuilder dimensionNow = new StringBuilder("CASE");
        StringBuilder value = new StringBuilder("CASE");
        if (all) {
            sets.add(byBranch ? "(p.own_branch)" : "()");
        }
        for (Dimension dimension : dimensions) {
            sets.add("(" + (byBranch ? "p.own_branch, " : "") + "p." + dimension.name + ")");
            String counted = " WHEN grouping(p." + dimension.name + ") = 0 THEN ";
            dimensionNow.append(counted).append("'" + dimension.name + "'");
            value.append(counted).append("p." + dimension.name);
        }
        return "SELECT " + (byBranch ? "p.own_branch, " : "") + dimensionNow + " ELSE '" + ALL + "' END AS dimension, "
                + value + " END AS value,"
                + " coalesce(sum(p.customers), 0)::bigint AS customers, coalesce(sum(p.assets), 0) AS assets FROM "
                + name
                + " p GROUP BY GROUPING SETS (" + String.join(", ", sets) + ")";
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
        return database.query(
                        call, String.format(KEPT, all ? "" : " AND t.branch_id = ANY ($1)", told) + ORDER, branches)
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
        return database.query(
                        call, "WITH counts AS (" + sql + ")" + told + " SELECT * FROM told" + ORDER, where.values())
                .map(rows -> counts(moment.now(), rows));
    }

    private static Counts counts(OffsetDateTime at, RowSet<Row> rows) {
        Map<String, List<Count>> by = new LinkedHashMap<>();
        for (Row row : rows) {
            if (row.getString("dimension") == null) {
                continue;
            }
            by.computeIfAbsent(row.getString("dimension"), name -> new ArrayList<>())
                    .add(new Count(
                            row.getString("value"),
                            row.getLong("others"),
                            row.getLong("customers"),
                            row.getBigDecimal("assets")));
        }
        return new Counts(at, by);
    }
}
