package io.kehu.customer.grading;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.customer.grading.GradingRule.Kind;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of holding customers against rules, of what they have come to, and of how they came to it. */
final class GradeStore {
    /** Counts go no further than this. */
    static final int COUNT_LIMIT = 10_000;

    /** One at a time: the planner does not know that it looks up a chunk among millions, and would read all for a join. */
    private static final String GRADES = """

            FROM customer.customer c
            LEFT JOIN LATERAL (SELECT * FROM customer.grade g WHERE g.customer_id = c.id AND g.kind = 'tier' LIMIT 1) gt ON true
            LEFT JOIN LATERAL (SELECT * FROM customer.grade g WHERE g.customer_id = c.id AND g.kind = 'lifecycle' LIMIT 1) gl ON true
            LEFT JOIN LATERAL (SELECT * FROM customer.grade g WHERE g.customer_id = c.id AND g.kind = 'class' LIMIT 1) gc ON true
            """;

    private static final String SAID =
            "CASE WHEN %1$s.rule_id IS NULL THEN %1$s.valid_from END AS %2$s_said, %3$s AS %2$s, %4$s AS %2$s_rule, ";

    /**
     * A customer who has changed since he was looked at is left to the look that follows his change. Whoever stands for merged
     * records is changed one by one: what he lends and borrows is kept in step then.
     */
    private static final String MOVE = """
            UPDATE customer.customer c SET tier = coalesce(g.tier, c.tier), lifecycle = coalesce(g.lifecycle, c.lifecycle)
            FROM unnest($1::uuid[], $2::int8[], $3::text[], $4::text[]) AS g(id, version, tier, lifecycle)
            WHERE c.id = g.id AND c.version = g.version AND c.deleted_at IS NULL
                AND NOT EXISTS (SELECT FROM customer.merged m WHERE m.survivor_id = c.id)
            RETURNING c.id, c.version, c.branch_id, c.manager_id""";

    private static final String UNITED =
            "SELECT DISTINCT m.survivor_id FROM customer.merged m WHERE m.survivor_id = ANY ($1)";

    private static final String NOTE = """
            INSERT INTO customer.grade AS h (id, customer_id, kind, value, rule_id, cause_id)
            SELECT uuidv7(), g.customer_id, g.kind, g.value, g.rule_id, $5
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) AS g(customer_id, kind, value, rule_id)
            ORDER BY g.customer_id, g.kind
            ON CONFLICT (customer_id, kind) DO UPDATE SET value = EXCLUDED.value, rule_id = EXCLUDED.rule_id, cause_id = EXCLUDED.cause_id
            RETURNING h.customer_id""";
    /** The trigger that notes what people say keeps still, and the planner looks up one at a time. */
    private static final String BY_RULE = """
            SELECT set_config('kehu.grading', 'on', true), set_config('enable_hashjoin', 'off', true),
                   set_config('enable_mergejoin', 'off', true)""";

    private static final String SAY = """
            INSERT INTO customer.grade AS h (id, customer_id, kind, value, cause_id) VALUES (uuidv7(), $1, 'class', $2, $3)
            ON CONFLICT (customer_id, kind) DO UPDATE SET value = EXCLUDED.value, rule_id = NULL, cause_id = EXCLUDED.cause_id
            RETURNING h.id, h.version""";

    private static final String HAS = """
            SELECT v.kind, coalesce(g.value, v.value) AS value, coalesce(g.valid_from, c.created_at) AS since, g.rule_id, r.name AS rule_name,
                   g.cause_id, a.actor, a.actor_name
            FROM customer.customer c
            CROSS JOIN LATERAL (VALUES ('tier', c.tier), ('lifecycle', c.lifecycle), ('class', NULL)) AS v(kind, value)
            LEFT JOIN customer.grade g ON g.customer_id = c.id AND g.kind = v.kind AND (v.kind = 'class' OR g.value = v.value)
            LEFT JOIN customer.grading_rule r ON r.id = g.rule_id
            LEFT JOIN LATERAL (SELECT a.id, a.actor, a.actor_name FROM kehu.audit_readable a WHERE a.id = g.cause_id LIMIT 1) a ON true
            WHERE c.id = $1 AND coalesce(g.value, v.value) IS NOT NULL
            ORDER BY v.kind""";

    private final Database database;
    private final CustomerStore customers;
    private final Clock clock;
    private final ZoneId zone;

    GradeStore(Database database, CustomerStore customers, Clock clock, ZoneId zone) {
        this.database = database;
        this.customers = customers;
        this.clock = clock;
        this.zone = zone;
    }

    /** Fails with the problems of {@code customer.filter} where the caller may not say this. */
    void check(Principal who, GradingRule rule) {
        Filter.parse(rule.condition(), "/condition").mustBeOpenTo(who);
    }

    /** Reads, in a transaction or outside. */
    @FunctionalInterface
    interface Ask {
        Future<RowSet<Row>> query(String sql, Tuple values);
    }

    static Future<OffsetDateTime> now(Ask ask) {
        return ask.query("SELECT kehu.now()", Tuple.tuple())
                .map(rows -> rows.iterator().next().getOffsetDateTime(0));
    }

    Future<RowSet<Row>> verdictsOf(Ask ask, List<GradingRule> rules, List<UUID> ids) {
        Where where = Where.ofAll().and("c.id = ANY (?)", (Object) ids.toArray(UUID[]::new));
        return verdicts(ask, rules, where, "");
    }

    /** Those whose last change lies in a time, from behind a place in the order of changes. */
    Future<RowSet<Row>> verdictsSince(
            Ask ask, List<GradingRule> rules, OffsetDateTime at, long seq, OffsetDateTime until, int limit) {
        Where where =
                Where.ofAll().and("(c.valid_from, c.seq) > (?, ?)", at, seq).and("c.valid_from <= ?", until);
        return verdicts(ask, rules, where, " ORDER BY c.valid_from, c.seq LIMIT " + limit);
    }

    Future<RowSet<Row>> verdictsAfter(Ask ask, List<GradingRule> rules, long seq, int limit) {
        return verdicts(ask, rules, Where.ofAll().and("c.seq > ?", seq), " ORDER BY c.seq LIMIT " + limit);
    }

    /** What each has, when somebody said it, and which rule (by its place in the list) is the first that fits. */
    private Future<RowSet<Row>> verdicts(Ask ask, List<GradingRule> rules, Where where, String order) {
        StringBuilder sql = new StringBuilder(
                "SELECT c.id, c.seq, c.branch_id, c.manager_id, c.version, c.valid_from, kehu.now() AS now, ");
        sql.append(SAID.formatted("gt", "tier", "c.tier", first(rules, Kind.TIER, where)));
        sql.append(SAID.formatted("gl", "lifecycle", "c.lifecycle", first(rules, Kind.LIFECYCLE, where)));
        sql.append(SAID.formatted("gc", "class", "gc.value", first(rules, Kind.CLASS, where)));
        sql.append("ARRAY[");
        String comma = "";
        for (GradingRule rule : rules) {
            if (rule.kind() == Kind.TAG) {
                sql.append(comma).append('(').append(fits(rule, where)).append(") IS TRUE");
                comma = ", ";
            }
        }
        sql.append("]::boolean[] AS tags").append(GRADES);
        where.and("c.deleted_at IS NULL");
        return ask.query(sql + where.sql() + order, where.values());
    }

    private String first(List<GradingRule> rules, Kind kind, Where where) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < rules.size(); i++) {
            if (rules.get(i).kind() == kind) {
                text.append(" WHEN ")
                        .append(fits(rules.get(i), where))
                        .append(" THEN ")
                        .append(i);
            }
        }
        return text.isEmpty() ? "NULL::int" : "CASE" + text + " END";
    }

    /** Whether a rule speaks of a customer: its condition, the kind of customers a tier is for, the branch a tag is for. */
    private String fits(GradingRule rule, Where where) {
        List<Object> values = new ArrayList<>();
        String condition = Filter.parse(rule.condition(), "/condition").sql(Moment.at(clock.now(), zone), values);
        StringBuilder bound = new StringBuilder("(");
        Iterator<Object> next = values.iterator();
        condition.chars().forEach(c -> bound.append(c == '?' ? where.bind(next.next()) : Character.toString(c)));
        String text = bound.append(')').toString();
        String customers = rule.customers();
        if (customers != null) {
            text += " AND c.kind = '" + customers + "'";
        }
        UUID branch = rule.tagBranch();
        return branch == null
                ? text
                : text + " AND c.branch_id = ANY ((SELECT iam.subtree(" + where.bind(branch) + "))::uuid[])";
    }

    /**
     * How many customers in the caller's scope a rule speaks of, and how many of them would change, if it were enabled beside
     * the others; each counted to {@link #COUNT_LIMIT} and one more.
     *
     * @param before the enabled rules that come before it
     */
    Future<Row> trial(Call call, GradingRule rule, List<GradingRule> before) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id");
        String matches = limited(fits(rule, where), where);
        StringBuilder moving = new StringBuilder(fits(rule, where));
        before.forEach(
                other -> moving.append(" AND (").append(fits(other, where)).append(") IS NOT TRUE"));
        moving.append(" AND ").append(differs(rule, where));
        String sql = "SELECT (" + matches + ") AS matches, (" + limited(moving.toString(), where) + ") AS moves";
        return database.query(call, sql, where.values())
                .map(rows -> rows.iterator().next());
    }

    private static String limited(String condition, Where scope) {
        String within = scope.sql().isEmpty() ? "WHERE " : scope.sql() + " AND ";
        return "SELECT count(*) FROM (SELECT 1" + GRADES + within + "c.deleted_at IS NULL AND " + condition + " LIMIT "
                + (COUNT_LIMIT + 1) + ") hits";
    }

    private static String differs(GradingRule rule, Where where) {
        if (rule.kind() == Kind.TAG) {
            return "NOT EXISTS (SELECT FROM customer.customer_tag h WHERE h.customer_id = c.id AND h.slot = "
                    + where.bind(rule.slot())
                    + " AND (h.ends_at IS NULL OR h.ends_at > kehu.now()) AND (h.rule_id IS NULL OR h.tag_id = "
                    + where.bind(rule.tagId() == null ? rule.id() : rule.tagId()) + "))";
        }
        String grade = rule.kind() == Kind.TIER ? "gt" : rule.kind() == Kind.LIFECYCLE ? "gl" : "gc";
        String value =
                rule.kind() == Kind.CLASS ? "gc.value" : "c." + rule.kind().word();
        return value + " IS DISTINCT FROM " + where.bind(rule.result() == null ? "" : rule.result()) + "::text AND ("
                + grade
                + ".id IS NULL OR " + grade + ".rule_id IS NOT NULL OR " + grade
                + ".valid_from <= kehu.now() - interval '"
                + rule.handDays() + " days')";
    }

    /** Whom a rule has moved. */
    record Moved(
            UUID customer,
            long version,
            UUID branch,
            @Nullable UUID manager) {}

    /** Tiers and stages, of those who have the version that was looked at. */
    Future<List<Moved>> moveFacts(Tx tx, Moves moves) {
        List<Moves.Fact> facts = moves.facts;
        UUID[] ids = facts.stream().map(Moves.Fact::customer).toArray(UUID[]::new);
        Tuple values = Tuple.tuple()
                .addArrayOfUUID(ids)
                .addArrayOfLong(facts.stream().map(Moves.Fact::version).toArray(Long[]::new))
                .addArrayOfString(facts.stream().map(Moves.Fact::tier).toArray(String[]::new))
                .addArrayOfString(facts.stream().map(Moves.Fact::lifecycle).toArray(String[]::new));
        List<Moved> moved = new ArrayList<>();
        return tx.query(BY_RULE, Tuple.tuple())
                .compose(v -> tx.query(MOVE, values))
                .compose(rows -> {
                    rows.forEach(row -> moved.add(new Moved(
                            row.getUUID("id"),
                            row.getLong("version"),
                            row.getUUID("branch_id"),
                            row.getUUID("manager_id"))));
                    return tx.query(UNITED, Tuple.tuple().addArrayOfUUID(ids));
                })
                .compose(rows -> {
                    Set<UUID> united = new HashSet<>();
                    rows.forEach(row -> united.add(row.getUUID("survivor_id")));
                    Future<?> done = Future.succeededFuture();
                    for (Moves.Fact fact : facts) {
                        if (united.contains(fact.customer())) {
                            done = done.compose(v -> moveUnited(tx, fact, moved));
                        }
                    }
                    return done;
                })
                .map(v -> moved);
    }

    private Future<?> moveUnited(Tx tx, Moves.Fact fact, List<Moved> moved) {
        return customers
                .locked(tx, fact.customer())
                .compose(row -> {
                    Customer before = customers.opened(row);
                    if (!before.id().equals(fact.customer()) || before.version() != fact.version()) {
                        return Future.succeededFuture();
                    }
                    ObjectNode draft = before.toDraft();
                    if (fact.tier() != null) {
                        draft.put("tier", fact.tier());
                    }
                    if (fact.lifecycle() != null) {
                        draft.put("lifecycle", fact.lifecycle());
                    }
                    Customer after = before.with(draft, before.branchId(), before.managerId());
                    return customers
                            .update(tx, row, before, after, before.id(), null)
                            .onSuccess(made ->
                                    moved.add(new Moved(made.id(), made.version(), made.branchId(), made.managerId())));
                })
                .recover(failure -> {
                    Problem problem = Problem.in(failure);
                    return problem != null && problem.code().equals("customer.notFound")
                            ? Future.succeededFuture() // gone meanwhile
                            : Future.failedFuture(failure);
                });
    }

    /** Which rule said so: of classes, and of the tiers and stages of those who were moved. */
    Future<RowSet<Row>> noteGrades(Tx tx, Moves moves, Set<UUID> moved) {
        List<Moves.Grade> grades = moves.grades.stream()
                .filter(grade -> grade.kind() == Kind.CLASS || moved.contains(grade.customer()))
                .toList();
        Tuple values = Tuple.tuple()
                .addArrayOfUUID(grades.stream().map(Moves.Grade::customer).toArray(UUID[]::new))
                .addArrayOfString(
                        grades.stream().map(grade -> grade.kind().word()).toArray(String[]::new))
                .addArrayOfString(grades.stream().map(Moves.Grade::value).toArray(String[]::new))
                .addArrayOfUUID(grades.stream().map(Moves.Grade::rule).toArray(UUID[]::new))
                .addUUID(tx.auditId());
        return tx.query(NOTE, values);
    }

    /** The class that somebody says. */
    Future<Row> say(Tx tx, UUID customer, @Nullable String value) {
        return tx.row(SAY, Tuple.of(customer, value, tx.auditId()), "server.failure");
    }

    /** What a customer has come to and how. */
    Future<RowSet<Row>> of(Ask ask, UUID customer) {
        return ask.query(HAS, Tuple.of(customer));
    }
}
