package io.kehu.iam.grant;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of requests for more rights. */
final class RequestStore {
    private static final String STATE =
            "CASE WHEN r.state = 'pending' AND r.lapses_at <= kehu.now() THEN 'lapsed' ELSE r.state END";
    private static final String SELECT = """
            SELECT r.id, r.staff_id, s.branch_id, r.roles, r.permissions, r.branch_ids, r.customer_ids, r.reason, r.starts_at,
                   r.ends_at, r.made_at, r.lapses_at, r.decided_by, r.decided_at, r.decision_reason, r.version, r.valid_from,
                   g.id AS grant_id,\s""" + STATE + """
             AS request_state
            FROM iam.permission_request r
            JOIN iam.staff s ON s.id = r.staff_id
            LEFT JOIN iam.grant g ON g.request_id = r.id\s""";
    private static final String INSERT = """
            INSERT INTO iam.permission_request (id, staff_id, roles, permissions, branch_ids, customer_ids, reason, starts_at,
                                                ends_at, lapses_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, least($9, kehu.now() + interval '30 days'))""";
    private static final String DECIDE = """
            UPDATE iam.permission_request SET state = $2, decided_by = $3, decided_at = kehu.now(), decision_reason = $4
            WHERE id = $1 AND state = 'pending' RETURNING id""";
    private static final String LOCK_RIGHTS = "SELECT iam.lock_rights()";

    private final Database database;

    RequestStore(Database database) {
        this.database = database;
    }

    /** Who manages staff reviews all of it, others those of their scope. */
    private static Where reviewable(Principal principal) {
        return principal.may("staff:manage") ? Where.ofAll() : Where.inScopeOf(principal, "s.branch_id", "s.id");
    }

    Future<RowSet<Row>> list(Call call, Page page, boolean review) {
        UUID self = call.principal().subject();
        Where where = review
                ? reviewable(call.principal()).and("r.staff_id <> ?", self)
                : Where.ofAll().and("r.staff_id = ?", self);
        where.andIf(STATE + " = ?", call.text("state"));
        GrantStore.newestFirst(where, page, "r");
        String sql = SELECT + where.sql() + " ORDER BY r.made_at DESC, r.id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    /** One's own, or one of those that {@code any} or {@code reviews} opens. */
    Future<Row> find(Call call, boolean any, boolean reviews) {
        UUID id = call.id("permissionRequestId");
        Where own =
                Where.ofAll().and("r.staff_id = ?", call.principal().subject()).and("r.id = ?", id);
        Where wider = any ? Where.ofAll() : reviewable(call.principal());
        Where where = any || reviews ? wider.and("r.id = ?", id) : own;
        return database.query(call, SELECT + where.sql(), where.values())
                .compose(rows -> rows.size() > 0
                        ? Future.succeededFuture(rows.iterator().next())
                        : database.row(call, SELECT + own.sql(), own.values(), "permission.requestNotFound"));
    }

    /** Held until the end of the transaction; only where the caller may review it. */
    Future<Row> locked(Tx tx) {
        return lock(tx, reviewable(tx.principal()));
    }

    Future<Row> lockedOwn(Tx tx) {
        return lock(tx, Where.ofAll().and("r.staff_id = ?", tx.principal().subject()));
    }

    private static Future<Row> lock(Tx tx, Where where) {
        where.and("r.id = ?", tx.call().id("permissionRequestId"));
        return tx.row(SELECT + where.sql() + " FOR UPDATE OF r", where.values(), "permission.requestNotFound");
    }

    Future<Row> insert(Tx tx, UUID id, Gift gift) {
        Tuple values = Tuple.of(
                id,
                tx.principal().subject(),
                gift.roleArray(),
                gift.permissionArray(),
                gift.branchArray(),
                gift.customerArray(),
                gift.reason(),
                gift.startsAt(),
                gift.endsAt());
        return tx.query(LOCK_RIGHTS, Tuple.tuple())
                .compose(v -> tx.query(INSERT, values))
                .compose(v -> read(tx, id));
    }

    Future<Void> decide(Tx tx, String state, @Nullable String reason) {
        return tx.row(
                        DECIDE,
                        Tuple.of(
                                tx.call().id("permissionRequestId"),
                                state,
                                tx.principal().subject(),
                                reason),
                        "permission.requestDecided")
                .mapEmpty();
    }

    /** A request as it is within the transaction. */
    Future<Row> read(Tx tx, UUID id) {
        return tx.row(SELECT + "WHERE r.id = $1", Tuple.of(id), "permission.requestNotFound");
    }
}
