package io.kehu.iam.right;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of the report. */
final class RightStore {
    private static final String STAFF = """
            SELECT s.id, s.username, s.state, iam.staff_held(s.id, NULL) AS held, r.scope, r.branch_ids, g.customer_ids
            FROM iam.staff s CROSS JOIN LATERAL iam.staff_rights(s.id) r CROSS JOIN LATERAL iam.granted(s.id) g\s""";

    /** One row per reason; of each whether it lets the object be seen. No object, and one that is not there, is not seen. */
    private static final String SOURCES = """
            SELECT o.role, o.grant_id, o.permissions, o.scope, upper(o.lasts) AS until,
                   o.branch_ids <> '{}' OR o.customer_ids <> '{}' AS places,
                   EXISTS (SELECT FROM (
                       SELECT c.id, c.branch_id, c.manager_id FROM customer.place c WHERE c.id = $2 AND NOT $3
                       UNION ALL SELECT t.id, t.branch_id, t.id FROM iam.staff t WHERE t.id = $2 AND $3) p
                       WHERE o.scope = 'ALL'
                          OR (o.scope = 'OWN' AND p.manager_id = s.id)
                          OR (o.scope = 'BRANCH' AND p.branch_id = ANY (iam.subtree(s.branch_id)))
                          OR EXISTS (SELECT FROM unnest(o.branch_ids) b WHERE p.branch_id = ANY (iam.subtree(b)))
                          OR p.id = ANY (o.customer_ids)) AS sees
            FROM iam.source o JOIN iam.staff s ON s.id = o.staff_id
            WHERE o.staff_id = $1 AND o.lasts @> kehu.now()
            ORDER BY o.grant_id NULLS FIRST, o.role""";

    private static final String CONFLICTS = """
            SELECT CASE WHEN first = $1 THEN second ELSE first END AS other FROM iam.duty_conflict WHERE $1 IN (first, second)""";

    private static final String HOLDERS = """
            SELECT s.id, s.username, s.branch_id, s.state, h.roles, h.grants, h.untils
            FROM iam.staff s CROSS JOIN LATERAL (
                SELECT array_agg(o.role ORDER BY o.grant_id NULLS FIRST, o.role) AS roles,
                       array_agg(o.grant_id ORDER BY o.grant_id NULLS FIRST, o.role) AS grants,
                       array_agg(upper(o.lasts) ORDER BY o.grant_id NULLS FIRST, o.role) AS untils
                FROM iam.source o WHERE o.staff_id = s.id AND o.lasts @> kehu.now() AND %s = ANY (o.permissions)) h
            %s AND h.roles IS NOT NULL AND s.state <> 'left' ORDER BY s.username LIMIT %s""";

    private final Database database;

    RightStore(Database database) {
        this.database = database;
    }

    /** Who manages staff sees all of it, others those of their scope. */
    private static Where visible(Principal principal) {
        return principal.may("staff:manage")
                ? Where.ofAll().and("true")
                : Where.inScopeOf(principal, "s.branch_id", "s.id").and("true");
    }

    Future<Row> staff(Call call) {
        Where where = visible(call.principal()).and("s.id = ?", call.id("staffId"));
        return database.row(call, STAFF + where.sql(), where.values(), "staff.notFound");
    }

    Future<List<Source>> sources(Call call, @Nullable UUID object, boolean isStaff) {
        return database.query(call, SOURCES, Tuple.of(call.id("staffId"), object, isStaff))
                .map(rows -> {
                    List<Source> sources = new ArrayList<>();
                    rows.forEach(row -> sources.add(Source.from(row)));
                    return sources;
                });
    }

    /** What must not be held together with a permission. */
    Future<List<String>> conflicts(Call call, String permission) {
        return database.query(call, CONFLICTS, Tuple.of(permission)).map(rows -> {
            List<String> others = new ArrayList<>();
            rows.forEach(row -> others.add(row.getString("other")));
            return others;
        });
    }

    Future<RowSet<Row>> holders(Call call, Page page) {
        Where where = visible(call.principal());
        if (!page.after().isEmpty()) {
            where.and("s.username > ?", page.after().get(0));
        }
        String permission = where.bind(call.text("permission", ""));
        String sql = HOLDERS.formatted(permission, where.sql(), where.bind(page.fetch()));
        return database.query(call, sql, where.values());
    }
}
