package io.kehu.customer.access;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.time.OffsetDateTime;
import java.util.UUID;

/** SQL of who looked at a customer's record, or took it out in a file of many. */
final class AccessStore {
    /**
     * A look in full stands in both logs, in the access log under the id that was asked for, in the audit under that of the
     * record that stood for it: the audit knows why, so it is shown from there.
     */
    private static final String LOOKS = """
            SELECT x.at, x.request_id, x.object_id, x.how, x.operation, x.purpose, x.subject, s.username, s.branch_code,
                   s.branch_name
            FROM (
                SELECT l.at, l.request_id, 'viewed' AS how, l.operation, NULL::text AS purpose, l.subject, l.object_id
                FROM kehu.access_log l
                WHERE l.status IN (200, 206, 304) AND l.operation <> 'listCustomerAccesses' AND NOT EXISTS (
                    SELECT FROM kehu.audit a
                    WHERE a.object_id = ANY($1) AND a.request_id = l.request_id AND a.kind IN ('unmask', 'export'))
                UNION ALL
                SELECT a.at, a.request_id, CASE a.kind WHEN 'unmask' THEN 'viewed-in-full' ELSE 'exported' END, a.operation,
                       a.purpose, a.actor, a.object_id
                FROM kehu.audit_readable a WHERE a.kind IN ('unmask', 'export') AND a.code IS NULL
                UNION ALL
                SELECT e.at, 'export ' || e.id, 'exported', 'createExport', e.purpose, e.maker_id, e.customer_id
                FROM customer.exported_customer e
            ) x LEFT JOIN iam.staff_of_record s ON s.id = x.subject
            """;

    private static final String SIDES = "SELECT ARRAY(SELECT customer.sides(c.id)) AS sides FROM customer.customer c ";

    private final Database database;

    AccessStore(Database database) {
        this.database = database;
    }

    /**
     * The ids whose looks are those at a customer: his own and all that are merged into it today, whichever of them is asked
     * for. Fails with {@code customer.notFound}, also out of scope. A deleted customer's record is still accounted for.
     */
    Future<UUID[]> sides(Call call) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id")
                .and("c.id = customer.root(?)", call.id("customerId"));
        return database.row(call, SIDES + where.sql(), where.values(), "customer.notFound")
                .map(row -> row.getArrayOfUUIDs("sides"));
    }

    Future<RowSet<Row>> list(Call call, UUID[] sides, Page page) {
        Where where = Where.ofAll().and("x.object_id = ANY(?)", (Object) sides); // $1, also above
        for (String bound : new String[] {"from", "to"}) {
            if (call.text(bound) != null) {
                where.and(bound.equals("from") ? "x.at >= ?" : "x.at < ?", OffsetDateTime.parse(call.text(bound)));
            }
        }
        if (!page.after().isEmpty()) {
            where.and(
                    "(x.at, x.request_id, x.object_id) < (?, ?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    page.after().get(1),
                    UUID.fromString(page.after().get(2)));
        }
        String sql = LOOKS + where.sql() + " ORDER BY x.at DESC, x.request_id DESC, x.object_id DESC LIMIT "
                + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }
}
