package io.kehu.customer.quality;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.filter.Moment;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of rules, and of what they find. */
final class QualityStore {
    private static final String COLUMNS =
            "r.id, r.code, r.kind, r.applies_to, r.field, r.other, r.days, r.condition::text AS condition, r.patterns, r.weight, r.enabled, r.version, r.valid_from";
    private static final String READ = "SELECT " + COLUMNS + " FROM customer.quality_rule r ";
    private static final String UPDATE =
            "UPDATE customer.quality_rule r SET weight = $2, enabled = $3, days = $4 WHERE r.id = $1 RETURNING "
                    + COLUMNS;

    private static final String INSERT = """
            INSERT INTO customer.quality_rule AS r (id, code, kind, applies_to, field, other, condition, patterns, weight)
            VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9) RETURNING\s""" + COLUMNS;
    private static final String COUNT_RULES =
            "SELECT count(*) AS n, count(*) FILTER (WHERE kind = 'format') AS formats FROM customer.quality_rule";
    /** One who makes rules waits for the other, so that there are never too many. */
    private static final String ALONE = "SELECT one FROM customer.quality_counted FOR UPDATE";

    private static final String SEALED = """
            SELECT c.id, c.kind, s.personal, k.epoch, k.wrapped
            FROM customer.customer c JOIN customer.sealed s ON s.id = c.id LEFT JOIN kehu.data_key k ON k.subject_id = c.id
            WHERE c.id = $1""";

    private static final String FORGET = "UPDATE customer.quality_counted SET at = '-infinity'";
    private static final String CLAIM = """
            UPDATE customer.quality_counted SET claimed_until = kehu.now() + interval '1 minute'
            WHERE at < kehu.now() - $1::int * interval '1 second' AND claimed_until < kehu.now() RETURNING one""";
    private static final String KEEP = """
            WITH now AS MATERIALIZED (%s),
            done AS (
                UPDATE customer.quality_counted SET at = kehu.now(), codes = %s, claimed_until = '-infinity'),
            gone AS (DELETE FROM customer.quality_count q WHERE NOT EXISTS (SELECT FROM now WHERE now.branch_id = q.branch_id))
            INSERT INTO customer.quality_count AS q (branch_id, customers, failing)
            SELECT branch_id, customers, failing FROM now
            ON CONFLICT (branch_id) DO UPDATE SET customers = EXCLUDED.customers, failing = EXCLUDED.failing""";
    private static final String KEPT = """
            SELECT t.at, t.codes, q.branch_id, q.customers, q.failing
            FROM customer.quality_counted t LEFT JOIN customer.quality_count q ON ($1 OR q.branch_id = ANY ($2))
            WHERE t.at > '-infinity'""";

    private final Database database;
    private final Clock clock;
    private final ZoneId zone;

    QualityStore(Database database, Clock clock, ZoneId zone) {
        this.database = database;
        this.clock = clock;
        this.zone = zone;
    }

    private Moment now() {
        return Moment.at(clock.now(), zone);
    }

    /**
     * How many records there are, and how many fail each rule.
     *
     * @param failing in the order of the rules
     */
    @SuppressWarnings("ArrayRecordComponent") // added up, never compared
    record Counts(OffsetDateTime at, long customers, long[] failing) {}

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

    /**
     * Fails with {@code quality.tooManyRules}.
     *
     * @param formats how many of them may be formats: the database keeps 32 regular expressions ready, and would else make each
     *     anew for each record
     */
    Future<QualityRule> insert(Tx tx, QualityRule draft, int most, int formats) {
        return tx.query(ALONE, Tuple.tuple())
                .compose(v -> tx.row(COUNT_RULES, Tuple.tuple(), "server.failure"))
                .compose(row -> {
                    if (row.getLong("n") >= most) {
                        return Future.<Row>failedFuture(Problem.of("quality.tooManyRules", Integer.toString(most)));
                    }
                    if (draft.kind().equals("format") && row.getLong("formats") >= formats) {
                        return Future.<Row>failedFuture(Problem.of("quality.tooManyRules", Integer.toString(formats)));
                    }
                    return tx.row(INSERT, values(draft), "server.failure");
                })
                .map(QualityRule::from);
    }

    /** What is kept counts by other rules from here on. */
    Future<?> forget(Tx tx) {
        return tx.query(FORGET, Tuple.tuple());
    }

    /** The kept numbers of the caller's branches, if any were made by these very rules. */
    Future<Optional<Counts>> kept(Call call, List<QualityRule> rules) {
        Principal who = call.principal();
        Tuple values = Tuple.of(who.scope() == Principal.Scope.ALL)
                .addArrayOfUUID(who.branchIds().toArray(UUID[]::new));
        return database.query(call, KEPT, values).map(rows -> {
            List<String> codes = rules.stream().map(QualityRule::code).toList();
            Counts sum = null;
            for (Row row : rows) {
                if (!codes.equals(List.of(row.getArrayOfStrings("codes")))) {
                    return Optional.empty();
                }
                sum = sum == null ? new Counts(row.getOffsetDateTime("at"), 0, new long[codes.size()]) : sum;
                sum = row.getUUID("branch_id") == null ? sum : plus(sum, row);
            }
            return Optional.ofNullable(sum);
        });
    }

    private static Counts plus(Counts sum, Row row) {
        Long[] more = row.getArrayOfLongs("failing");
        long[] failing = sum.failing.clone();
        for (int i = 0; i < failing.length; i++) {
            failing[i] += more[i];
        }
        return new Counts(sum.at, sum.customers + row.getLong("customers"), failing);
    }

    /** Whether it is this caller who makes the numbers anew: they are old, and nobody else does. */
    Future<Boolean> claim(Call call, int keptSeconds) {
        return database.query(call, CLAIM, Tuple.of(keptSeconds)).map(rows -> rows.size() == 1);
    }

    /** Counts everybody by branch and keeps that, all at once. */
    Future<Void> keep(Call call, List<QualityRule> rules) {
        Where where = Where.ofAll().and("c.deleted_at IS NULL");
        String counted = counted(where, rules);
        String codes = where.bind(rules.stream().map(QualityRule::code).toArray(String[]::new));
        return database.query(call, KEEP.formatted(counted, codes), where.values())
                .mapEmpty();
    }

    /** Counted now, of those in scope. */
    Future<Counts> live(Call call, List<QualityRule> rules) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
        String counted = counted(where, rules);
        return database.query(call, counted, where.values()).map(rows -> {
            Counts sum = new Counts(clock.now(), 0, new long[rules.size()]);
            for (Row row : rows) {
                sum = plus(sum, row);
            }
            return sum;
        });
    }

    private static Tuple values(QualityRule draft) {
        return Tuple.tuple()
                .addUUID(draft.id())
                .addString(draft.code())
                .addString(draft.kind())
                .addString(draft.appliesTo())
                .addString(draft.field())
                .addString(draft.other())
                .addString(draft.condition() == null ? null : draft.condition().toString())
                .addArrayOfString(
                        draft.patterns() == null ? null : draft.patterns().toArray(String[]::new))
                .addInteger(draft.weight());
    }

    /** What is sealed of one customer; empty where his key is erased. */
    Future<Row> sealed(Call call, UUID customer) {
        return database.row(call, SEALED, Tuple.of(customer), "customer.notFound");
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
        Moment moment = now();
        List<String> failed =
                rules.stream().map(rule -> rule.failed(where, moment)).toList();
        where.and("(" + (failed.isEmpty() ? "false" : String.join(" OR ", failed)) + ")");
        String sql = select(where, rules) + where.sql() + " ORDER BY c.id LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    private String counted(Where where, List<QualityRule> rules) {
        Moment moment = now();
        List<String> failing = rules.stream()
                .map(rule -> "count(*) FILTER (WHERE " + rule.failed(where, moment) + ")")
                .toList();
        return "SELECT c.branch_id, count(*) AS customers, ARRAY[" + String.join(", ", failing)
                + "]::bigint[] AS failing FROM customer.customer c " + where.sql() + " GROUP BY c.branch_id";
    }

    private String select(Where where, List<QualityRule> rules) {
        Moment moment = now();
        List<String> failed = rules.stream()
                .map(rule ->
                        "CASE WHEN " + rule.failed(where, moment) + " THEN " + where.bind(rule.code()) + "::text END")
                .toList();
        return "SELECT c.id, array_remove(ARRAY[" + String.join(", ", failed) + "]::text[], NULL) AS failed"
                + " FROM customer.customer c ";
    }
}
