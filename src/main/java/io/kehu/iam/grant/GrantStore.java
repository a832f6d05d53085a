package io.kehu.iam.grant;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Principal.Scope;
import io.kehu.bus.Problem;
import io.kehu.iam.grant.GrantRules.RoleFacts;
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
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of grants, and of what has to be known to give them. */
final class GrantStore {
    private static final String STATE = """
            CASE WHEN least(g.ends_at, g.ended_at) <= kehu.now() THEN 'over'
                 WHEN g.starts_at > kehu.now() THEN 'planned' ELSE 'active' END""";
    private static final String COLUMNS = """
            g.id, g.staff_id, g.roles, g.permissions, g.branch_ids, g.customer_ids, g.reason, g.starts_at, g.ends_at,
            g.ended_at, g.given_by, g.made_at, g.request_id, g.version, g.valid_from,\s""" + STATE + " AS grant_state";
    private static final String SELECT = "SELECT " + COLUMNS + " FROM iam.grant g ";
    private static final String SELECT_PAST = "SELECT " + COLUMNS + " FROM iam.grant_all g ";
    private static final String LOCK_RIGHTS = "SELECT iam.lock_rights()";
    private static final String INSERT = """
            INSERT INTO iam.grant AS g (id, staff_id, roles, permissions, branch_ids, customer_ids, reason, starts_at, ends_at,
                                        given_by, request_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING\s""" + COLUMNS;
    private static final String END = """
            UPDATE iam.grant g SET ended_at = kehu.now() WHERE id = $1 AND coalesce(ended_at, ends_at) > kehu.now()
            RETURNING\s""" + COLUMNS;
    private static final String EXISTS = "SELECT 1 FROM iam.grant WHERE id = $1";
    private static final String LASTING = """
            SELECT permissions, scope, branch_ids, customer_ids FROM iam.rights_through($1, tstzrange(kehu.now(), $2))""";
    private static final String ROLES = "SELECT permissions, scope FROM iam.role WHERE code = ANY ($1)";

    private final Database database;

    GrantStore(Database database) {
        this.database = database;
    }

    /** Before any row: changes of rights stand in one line. */
    Future<Void> lock(Tx tx) {
        return tx.query(LOCK_RIGHTS, Tuple.tuple()).mapEmpty();
    }

    private static Where visible(Call call, boolean all) {
        return all
                ? Where.ofAll()
                : Where.ofAll().and("g.staff_id = ?", call.principal().subject());
    }

    Future<RowSet<Row>> list(Call call, Page page, boolean all) {
        Where where = visible(call, all).andIf("g.staff_id = ?", call.optionalId("staffId"));
        where.andIf(STATE + " = ?", call.text("state"));
        newestFirst(where, page, "g");
        String sql = SELECT + where.sql() + " ORDER BY g.made_at DESC, g.id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    static void newestFirst(Where where, Page page, String alias) {
        if (!page.after().isEmpty()) {
            where.and(
                    "(" + alias + ".made_at, " + alias + ".id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
    }

    Future<Row> find(Call call, @Nullable OffsetDateTime asOf, boolean all) {
        Where where = visible(call, all).and("g.id = ?", call.id("grantId"));
        if (asOf != null) {
            where.and("g.valid_from <= ?", asOf).and("g.valid_to > ?", asOf);
        }
        return database.row(
                call, (asOf == null ? SELECT : SELECT_PAST) + where.sql(), where.values(), "grant.notFound");
    }

    /**
     * Gives in the name of the caller.
     *
     * @param request whose effect it is, or null
     */
    Future<Row> insert(Tx tx, UUID id, UUID staff, Gift gift, OffsetDateTime from, @Nullable UUID request) {
        return tx.row(
                INSERT,
                Tuple.of(
                        id,
                        staff,
                        gift.roleArray(),
                        gift.permissionArray(),
                        gift.branchArray(),
                        gift.customerArray(),
                        gift.reason(),
                        from,
                        gift.endsAt(),
                        tx.principal().subject(),
                        request),
                "server.failure");
    }

    Future<Row> end(Tx tx) {
        UUID id = tx.call().id("grantId");
        return tx.query(END, Tuple.of(id))
                .compose(rows -> rows.size() > 0
                        ? Future.succeededFuture(rows.iterator().next())
                        : tx.row(EXISTS, Tuple.of(id), "grant.notFound")
                                .compose(there -> Future.failedFuture(Problem.of("grant.over"))));
    }

    Future<List<RoleFacts>> roles(Tx tx, Gift gift) {
        return tx.query(ROLES, Tuple.of((Object) gift.roleArray())).map(rows -> {
            List<RoleFacts> facts = new ArrayList<>();
            rows.forEach(row -> facts.add(new RoleFacts(
                    List.of(row.getArrayOfStrings("permissions")), Scope.valueOf(row.getString("scope")))));
            return facts;
        });
    }

    /** The caller with what he may do all the time until an instant, as it stands in the database now. */
    Future<Principal> lasting(Tx tx, OffsetDateTime until) {
        Principal who = tx.principal();
        return tx.row(LASTING, Tuple.of(who.subject(), until), "server.failure")
                .map(row -> new Principal(
                        who.subject(),
                        who.audience(),
                        who.session(),
                        who.version(),
                        who.name(),
                        who.branchId(),
                        Set.of(row.getArrayOfStrings("permissions")),
                        Scope.valueOf(row.getString("scope")),
                        List.of(row.getArrayOfUUIDs("branch_ids")),
                        List.of(row.getArrayOfUUIDs("customer_ids")),
                        who.networks(),
                        who.factorAt(),
                        who.goodUntil()));
    }

    /** How many of the customers somebody sees. */
    Future<Long> seen(Tx tx, Principal who, Gift gift) {
        Where where = Where.inScopeOf(who, "p.branch_id", "p.manager_id", "p.id")
                .and("p.id = ANY(?)", (Object) gift.customerArray());
        return tx.query("SELECT count(*) AS seen FROM customer.place p " + where.sql(), where.values())
                .map(rows -> rows.iterator().next().getLong("seen"));
    }
}
