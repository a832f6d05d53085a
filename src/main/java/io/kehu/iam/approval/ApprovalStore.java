package io.kehu.iam.approval;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.sql.Database;
import io.kehu.sql.FourEyes;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of policies, approvals and decisions. */
final class ApprovalStore {
    private static final String POLICY_COLUMNS =
            "p.id, p.code, p.about_en, p.about_zh, p.enabled, p.follows, p.levels::text AS"
                    + " levels, p.branch_rule, p.expiry_minutes, p.version, p.valid_from";
    private static final String POLICIES =
            "SELECT " + POLICY_COLUMNS + ", iam.approval_in_force(p.code) AS in_force FROM iam.approval_policy p ";
    private static final String POLICY = POLICIES + "WHERE p.code = $1";
    private static final String LOCK_POLICY = POLICY + " FOR UPDATE OF p";
    /** Whether it was in force then is told by the policies of then. */
    private static final String POLICY_AS_OF = "SELECT " + POLICY_COLUMNS + """
            , p.follows IS NOT DISTINCT FROM 'always' OR EXISTS (
                SELECT FROM iam.approval_policy_all o
                WHERE o.enabled AND o.valid_from <= $2 AND o.valid_to > $2
                  AND (o.code = p.code OR p.follows IN (o.code, '*'))) AS in_force
            FROM iam.approval_policy_all p WHERE p.code = $1 AND p.valid_from <= $2 AND p.valid_to > $2""";

    private static final String UPDATE_POLICY = """
            UPDATE iam.approval_policy SET enabled = $2, levels = $3::text::jsonb, branch_rule = $4, expiry_minutes = $5 WHERE id = $1""";
    private static final String CODES = "SELECT code FROM iam.approval_policy";
    /**
     * A level of a policy in force that fewer hands can decide than it takes, and one more for their own changes: accounts that one
     * person made alone are one. Not of one that is always in force: it came with no decision of anybody.
     */
    private static final String SHORT_OF_PEOPLE = """
            WITH able AS MATERIALIZED (
                SELECT iam.hand(s.id) AS hand, r.permissions
                FROM iam.staff s CROSS JOIN LATERAL iam.staff_rights(s.id) r
                WHERE s.state = 'active' AND 'approval:decide' = ANY (r.permissions))
            SELECT p.code, l.level ->> 'permission' AS permission
            FROM iam.approval_policy p, jsonb_array_elements(p.levels) AS l(level)
            WHERE iam.approval_in_force(p.code) AND p.follows IS DISTINCT FROM 'always'
              AND (SELECT count(DISTINCT a.hand) FROM able a WHERE l.level ->> 'permission' = ANY (a.permissions))
                  <= (l.level ->> 'approvers')::int
            ORDER BY p.code LIMIT 1""";

    private static final String ASKED = """
            a.id, a.policy, a.policy_version, a.levels::text AS levels, a.level, a.operation, a.object_type, a.object_id, a.amount,
            a.count, a.maker_id, a.maker_name, a.session_id, a.branch_id, a.scope, a.command_hash,
            iam.approval_state(a.state, a.expires_at) AS state, a.made_at, a.expires_at, a.ended_at, a.status, a.location, a.code,
            a.args, a.version,
            (SELECT count(*)::int FROM iam.approval_decision d
             WHERE d.approval_id = a.id AND d.level = a.level AND d.verdict = 'approve') AS agreed,
            """;
    /** Where a branch (the reader's) may decide. */
    private static final String WITHIN = """
            (a.branch_rule = 'any'
             OR a.branch_rule = 'sameOrAbove' AND a.branch_id = ANY ((SELECT iam.subtree(%1$s))::uuid[])
             OR a.branch_rule = 'headOffice' AND %1$s = (SELECT b.id FROM iam.branch b WHERE b.parent_id IS NULL))""";

    private static final String FIND =
            "SELECT " + ASKED + WITHIN.formatted("$2::uuid") + " AS within FROM iam.approval a" + " WHERE a.id = $1";
    private static final String LOCK = FIND + " FOR UPDATE OF a";
    private static final String DECIDER = """
            SELECT s.state = 'active' AS active, s.branch_id, r.permissions
            FROM iam.staff s CROSS JOIN LATERAL iam.staff_rights(s.id) r WHERE s.id = $1 FOR SHARE OF s""";
    private static final String DECISIONS = """
            SELECT decider_id, decider_name, level, verdict, reason, valid_from FROM iam.approval_decision
            WHERE approval_id = $1 ORDER BY valid_from, id""";
    private static final String INSERT_DECISION = """
            INSERT INTO iam.approval_decision (id, approval_id, maker_id, decider_id, decider_name, level, verdict, reason)
            VALUES (uuidv7(), $1, $2, $3, $4, $5, $6, $7)""";
    private static final String STEP =
            "UPDATE iam.approval SET level = $2, state = $3, asks = $4 WHERE id = $1 RETURNING *";
    private static final String END = """
            UPDATE iam.approval SET state = $2, code = $3, args = $4, ended_at = kehu.now()
            WHERE id = $1 AND state IN ('pending', 'approved') RETURNING *""";
    private static final String END_OF_POLICY = """
            UPDATE iam.approval SET state = 'refused', code = 'approval.policyChanged', ended_at = kehu.now()
            WHERE policy = $1 AND policy_version < $2 AND state = 'pending' RETURNING *""";
    private static final String EXPIRE = """
            UPDATE iam.approval SET state = 'expired', ended_at = kehu.now()
            WHERE id = $1 AND state IN ('pending', 'approved') AND expires_at <= kehu.now() RETURNING *""";

    private static final String CONTENT = "SELECT command, answer FROM iam.approval_content WHERE approval_id = $1";
    private static final String EXPIRED = """
            SELECT id FROM iam.approval WHERE state IN ('pending', 'approved') AND expires_at <= kehu.now()
            ORDER BY expires_at LIMIT 100""";
    /** The node of the last decision begins at once; what nobody has begun after a moment is for others. */
    private static final String APPROVED = """
            SELECT a.id FROM iam.approval a LEFT JOIN iam.approval_run r ON r.approval_id = a.id
            WHERE a.state = 'approved' AND a.expires_at > kehu.now()
              AND (r.lease_until <= kehu.now()
                   OR r.lease_until IS NULL AND a.valid_from < kehu.now() - interval '2 seconds')
            ORDER BY a.expires_at LIMIT 20""";

    private static final String LEASE = """
            INSERT INTO iam.approval_run AS r (approval_id, lease_until, attempts)
            SELECT a.id, kehu.now() + $2::int * interval '1 millisecond', 1 FROM iam.approval a
            WHERE a.id = $1 AND a.state = 'approved' AND a.expires_at > kehu.now()
            ON CONFLICT (approval_id) DO UPDATE SET lease_until = excluded.lease_until, attempts = r.attempts + 1
            WHERE r.lease_until <= kehu.now()
            RETURNING attempts""";
    private static final String PUT_OFF =
            "UPDATE iam.approval_run SET lease_until = kehu.now() + $2::int * interval '1 millisecond' WHERE approval_id = $1";
    private static final String MAKER = """
            SELECT s.rights, s.username, s.branch_id, r.permissions, r.scope, r.branch_ids, g.customer_ids
            FROM iam.staff s CROSS JOIN LATERAL iam.staff_rights(s.id) r CROSS JOIN LATERAL iam.granted(s.id) g WHERE s.id = $1 AND s.state = 'active'""";
    private static final String POLICY_VERSION = "SELECT version FROM iam.approval_policy WHERE code = $1";
    /** Answers may hold a first password; commands hold what people entered. */
    private static final String FORGET = """
            WITH answers AS (
                UPDATE iam.approval_content c SET answer = NULL FROM iam.approval a
                WHERE a.id = c.approval_id AND c.answer IS NOT NULL AND a.ended_at < kehu.now() - interval '1 day')
            DELETE FROM iam.approval_content c USING iam.approval a
            WHERE a.id = c.approval_id AND a.ended_at < kehu.now() - interval '30 days'""";

    private final Database database;

    ApprovalStore(Database database) {
        this.database = database;
    }

    // ---- policies

    Future<RowSet<Row>> policies(Call call) {
        return database.query(call, POLICIES + "ORDER BY p.code", Tuple.tuple());
    }

    Future<Policy> policy(Call call, @Nullable OffsetDateTime asOf) {
        String code = call.text("code");
        return (asOf == null
                        ? database.row(call, POLICY, Tuple.of(code), "policy.notFound")
                        : database.row(call, POLICY_AS_OF, Tuple.of(code, asOf), "policy.notFound"))
                .map(Policy::from);
    }

    Future<Policy> lockedPolicy(Tx tx) {
        return tx.row(LOCK_POLICY, Tuple.of(tx.call().text("code")), "policy.notFound")
                .map(Policy::from);
    }

    Future<Policy> update(Tx tx, Policy policy) {
        Tuple values = Tuple.of(
                policy.id(),
                policy.enabled(),
                Policy.Level.json(policy.levels()),
                policy.branchRule(),
                policy.expiryMinutes());
        return tx.query(UPDATE_POLICY, values)
                .compose(v -> tx.row(POLICY, Tuple.of(policy.code()), "policy.notFound"))
                .map(Policy::from);
    }

    Future<Void> mustHavePeople(Tx tx) {
        return tx.query(SHORT_OF_PEOPLE, Tuple.tuple())
                .compose(rows -> rows.size() == 0
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of(
                                "policy.tooFewPeople",
                                rows.iterator().next().getString("code"),
                                rows.iterator().next().getString("permission"))));
    }

    /** What was weighed by an older version of the policy. */
    Future<RowSet<Row>> endOfPolicy(Tx tx, Policy policy) {
        return tx.query(END_OF_POLICY, Tuple.of(policy.code(), policy.version()));
    }

    Future<Set<String>> codes() {
        return database.query(Call.Lane.JOB, CODES, Tuple.tuple()).map(rows -> {
            List<String> codes = new ArrayList<>();
            rows.forEach(row -> codes.add(row.getString("code")));
            return Set.copyOf(codes);
        });
    }

    // ---- approvals

    Future<RowSet<Row>> list(Call call, Page page) {
        Principal reader = call.principal();
        Where where = Where.ofAll();
        String within = WITHIN.formatted(where.bind(branch(reader)) + "::uuid");
        String[] permissions = reader.permissions().toArray(String[]::new);
        String whose = call.text("whose", "seen");
        switch (whose) {
            case "made" -> where.and("a.maker_id = ?", reader.subject());
            case "decide" ->
                where.and(
                        "a.state = 'pending' AND a.asks = ANY (?) AND a.maker_id <> ? AND " + within
                                + " AND NOT EXISTS (SELECT FROM iam.approval_decision d WHERE d.approval_id = a.id AND"
                                + " d.decider_id = ?)",
                        permissions,
                        reader.subject(),
                        reader.subject());
            default -> {
                if (!reader.may("approval:oversee")) {
                    where.and(
                            "(a.maker_id = ? OR a.permissions && ? AND " + within + ")", reader.subject(), permissions);
                }
            }
        }
        String state = whose.equals("decide") && call.text("state") == null ? "pending" : call.text("state");
        where.andIf("iam.approval_state(a.state, a.expires_at) = ?", state);
        if (!page.after().isEmpty()) {
            where.and("a.id < ?", UUID.fromString(page.after().get(0)));
        }
        String sql = "SELECT " + ASKED + within + " AS within FROM iam.approval a " + where.sql()
                + " ORDER BY a.id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    private static UUID branch(Principal reader) {
        UUID branch = reader.branchId();
        return branch == null ? Principal.NOBODY : branch;
    }

    Future<Approval> find(Call call, UUID id) {
        return database.row(call, FIND, Tuple.of(id, branch(call.principal())), "approval.notFound")
                .map(Approval::from);
    }

    Future<Approval> locked(Tx tx, UUID branch) {
        return tx.row(LOCK, Tuple.of(tx.call().id("approvalId"), branch), "approval.notFound")
                .map(Approval::from);
    }

    /** The caller's place and rights as they are in this transaction, held until its end; a change of them waits. */
    Future<Row> decider(Tx tx) {
        return tx.row(DECIDER, Tuple.of(tx.principal().subject()), "approval.notFound");
    }

    static ApprovalRules.Decider decider(Row row) {
        return new ApprovalRules.Decider(row.getBoolean("active"), permissions(row));
    }

    private static Set<String> permissions(Row row) {
        String[] permissions = row.getArrayOfStrings("permissions");
        return permissions == null ? Set.of() : Set.of(permissions);
    }

    /** Whoever sends a reading statement: a call, or a transaction that is to see what it did. */
    @FunctionalInterface
    interface Reader {
        Future<RowSet<Row>> query(String sql, Tuple values);
    }

    Reader reader(Call call) {
        return (sql, values) -> database.query(call, sql, values);
    }

    static Future<List<Approval.Decision>> decisions(Reader reader, UUID approval) {
        return reader.query(DECISIONS, Tuple.of(approval)).map(rows -> {
            List<Approval.Decision> decisions = new ArrayList<>();
            rows.forEach(row -> decisions.add(Approval.Decision.from(row)));
            return decisions;
        });
    }

    Future<Void> decide(Tx tx, Approval approval, String verdict, @Nullable String reason) {
        Principal who = tx.principal();
        Tuple values =
                Tuple.of(approval.id(), approval.makerId(), who.subject(), who.name(), approval.level(), verdict);
        return tx.query(INSERT_DECISION, values.addString(reason)).mapEmpty();
    }

    /** Moves to the step and tells of it. */
    Future<Void> step(Tx tx, Approval approval, ApprovalRules.Step step) {
        return told(tx, "approval.decided", STEP, Tuple.of(approval.id(), step.level(), step.state(), step.asks()));
    }

    /**
     * Ends what has not ended yet, and tells of it. Fails with approval.ended.
     *
     * @param why for a refusal; null otherwise
     */
    Future<Void> end(Tx tx, UUID id, String state, @Nullable Problem why) {
        String event = switch (state) {
            case "refused" -> "approval.refused";
            case "withdrawn" -> "approval.withdrawn";
            default -> "approval.decided";
        };
        String code = why == null ? null : why.code();
        String[] args = why == null ? null : why.args().toArray(String[]::new);
        return told(tx, event, END, Tuple.of(id, state, code).addArrayOfString(args));
    }

    Future<Void> expire(Tx tx, UUID id) {
        return told(tx, "approval.expired", EXPIRE, Tuple.of(id));
    }

    /** Nothing was changed where somebody else was faster; that is no refusal of the caller's own. */
    private static Future<Void> told(Tx tx, String event, String sql, Tuple values) {
        return tx.row(sql, values, "request.stale").map(row -> {
            FourEyes.events(event, row).forEach(tx::event);
            return null;
        });
    }

    // ---- carrying out

    /** The command and the answer as they are kept; null where they were forgotten. */
    static Future<@Nullable Row> content(Reader reader, UUID id) {
        return reader.query(CONTENT, Tuple.of(id))
                .map(rows -> rows.size() == 0 ? null : rows.iterator().next());
    }

    static Buffer bytes(Row row, String column) {
        return row.getBuffer(column);
    }

    Future<List<UUID>> expired() {
        return ids(EXPIRED);
    }

    /** Approved, and nobody is at it. */
    Future<List<UUID>> approved() {
        return ids(APPROVED);
    }

    private Future<List<UUID>> ids(String sql) {
        return database.query(Call.Lane.JOB, sql, Tuple.tuple()).map(rows -> {
            List<UUID> ids = new ArrayList<>();
            rows.forEach(row -> ids.add(row.getUUID("id")));
            return ids;
        });
    }

    /** How often it was tried, this time included; 0 where it is not for this node. */
    Future<Integer> lease(UUID id, int millis) {
        return database.query(Call.Lane.JOB, LEASE, Tuple.of(id, millis))
                .map(rows -> rows.size() == 0 ? 0 : rows.iterator().next().getInteger("attempts"));
    }

    Future<Void> putOff(UUID id, int millis) {
        return database.query(Call.Lane.JOB, PUT_OFF, Tuple.of(id, millis)).mapEmpty();
    }

    static Future<Long> policyVersion(Reader reader, String code) {
        return reader.query(POLICY_VERSION, Tuple.of(code))
                .map(rows -> rows.size() == 0 ? 0L : rows.iterator().next().getLong("version"));
    }

    /** The maker with the rights of now; null for somebody who works here no more. */
    Future<@Nullable Principal> maker(Approval approval) {
        return database.query(Call.Lane.JOB, MAKER, Tuple.of(approval.makerId()))
                .map(rows -> rows.size() == 0
                        ? null
                        : principal(approval, rows.iterator().next()));
    }

    private static Principal principal(Approval approval, Row row) {
        UUID[] branches = row.getArrayOfUUIDs("branch_ids");
        String scope = row.getString("scope");
        return new Principal(
                approval.makerId(),
                Principal.Audience.STAFF,
                approval.sessionId(),
                row.getLong("rights"),
                row.getString("username"),
                row.getUUID("branch_id"),
                permissions(row),
                scope == null ? Principal.Scope.NONE : Principal.Scope.valueOf(scope),
                branches == null ? List.of() : List.of(branches),
                List.of(row.getArrayOfUUIDs("customer_ids")),
                List.of(),
                0,
                Long.MAX_VALUE);
    }

    Future<Void> forget() {
        return database.query(Call.Lane.JOB, FORGET, Tuple.tuple()).mapEmpty();
    }
}
