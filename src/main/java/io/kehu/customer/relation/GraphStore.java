package io.kehu.customer.relation;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.customer.CustomerBrief;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerTotals;
import io.kehu.customer.relation.Graph.Edge;
import io.kehu.customer.relation.Graph.Way;
import io.kehu.customer.relation.Relation.Terms;
import io.kehu.sql.Database;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** SQL of graphs: one step at a time, each within the caller's scope. */
final class GraphStore {
    private static final String NEXT = """
            SELECT DISTINCT c.id
            FROM unnest(%1$s::uuid[]) g(id)
            CROSS JOIN LATERAL customer.sides(g.id) side(id)
            CROSS JOIN LATERAL (
                SELECT r.to_id AS id FROM customer.relation r WHERE r.from_id = side.id AND %2$s
                UNION ALL
                SELECT r.from_id FROM customer.relation r WHERE r.to_id = side.id AND %2$s) o
            LEFT JOIN customer.merged m ON m.id = o.id
            JOIN customer.customer c ON c.id = coalesce(m.survivor_id, o.id)
            """;

    private static final String AMONG = """
            SELECT r.id, r.kind, g.id AS from_id, n.role, coalesce(m.survivor_id, r.to_id) AS to_id, n.inverse, r.starts_on, r.ends_on,
                   r.share, r.amount
            FROM unnest($1::uuid[]) g(id)
            CROSS JOIN LATERAL customer.sides(g.id) side(id)
            JOIN customer.relation r ON r.from_id = side.id AND %s
            JOIN customer.relation_kind n ON n.code = r.kind
            LEFT JOIN customer.merged m ON m.id = r.to_id
            WHERE coalesce(m.survivor_id, r.to_id) = ANY ($1) AND coalesce(m.survivor_id, r.to_id) <> g.id
            ORDER BY r.made_at, r.id LIMIT %s""";

    private static final String BRIEFS =
            "SELECT " + CustomerBrief.COLUMNS + " FROM customer.customer c" + CustomerBrief.JOINS;
    private static final String TOTALS = "SELECT " + CustomerTotals.COLUMNS + " FROM customer.customer c ";

    private final Database database;
    private final CustomerSeals seals;

    GraphStore(Database database, CustomerSeals seals) {
        this.database = database;
        this.seals = seals;
    }

    private static Where within(Principal who) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id").and("c.deleted_at IS NULL");
    }

    private static String leads(Where where, Way way) {
        StringBuilder condition = new StringBuilder("r.lasts @> " + where.bind(way.on()) + "::date");
        if (!way.kinds().isEmpty()) {
            condition
                    .append(" AND r.kind = ANY (")
                    .append(where.bind(way.kinds().toArray(String[]::new)))
                    .append(')');
        }
        if (way.group()) {
            condition.append(" AND (r.kind IN ('group', 'controller') OR r.share > 50)");
        }
        return condition.toString();
    }

    /** Customers one step beyond some, none of them among those met before; in the order of their ids, so that a cut is always the same. */
    Future<List<UUID>> next(Call call, List<UUID> from, Collection<UUID> met, Way way, int limit) {
        Where where = within(call.principal()).and("c.id <> ALL (?)", (Object) met.toArray(UUID[]::new));
        if (way.group()) {
            where.and("c.kind = 'organisation'");
        }
        String next = NEXT.formatted(where.bind(from.toArray(UUID[]::new)), leads(where, way));
        String sql = next + where.sql() + " ORDER BY c.id LIMIT " + where.bind(limit);
        return database.query(call, sql, where.values()).map(rows -> {
            List<UUID> ids = new ArrayList<>(rows.size());
            rows.forEach(row -> ids.add(row.getUUID(0)));
            return ids;
        });
    }

    /** The relations among these customers, oldest first. */
    Future<List<Edge>> among(Call call, Collection<UUID> nodes, Way way, int limit) {
        Where where = Where.ofAll();
        where.bind(nodes.toArray(UUID[]::new));
        String sql = AMONG.formatted(leads(where, way), where.bind(limit));
        return database.query(call, sql, where.values()).map(rows -> {
            List<Edge> edges = new ArrayList<>(rows.size());
            for (Row row : rows) {
                edges.add(new Edge(
                        row.getUUID("id"),
                        row.getString("kind"),
                        row.getUUID("from_id"),
                        row.getString("role"),
                        row.getUUID("to_id"),
                        row.getString("inverse"),
                        Terms.from(row, null)));
            }
            return edges;
        });
    }

    /** Those of the customers who are still in scope. */
    Future<Map<UUID, CustomerBrief>> briefs(Call call, Collection<UUID> ids) {
        Where where = within(call.principal()).and("c.id = ANY (?)", (Object) ids.toArray(UUID[]::new));
        return database.query(call, BRIEFS + where.sql(), where.values()).map(rows -> {
            Map<UUID, CustomerBrief> briefs = new HashMap<>();
            rows.forEach(row -> briefs.put(row.getUUID("customer_id"), CustomerBrief.from(row, seals)));
            return briefs;
        });
    }

    /** Of the organisations among the customers. */
    Future<CustomerTotals> totals(Call call, Collection<UUID> ids) {
        Where where = within(call.principal())
                .and("c.id = ANY (?)", (Object) ids.toArray(UUID[]::new))
                .and("c.kind = 'organisation'");
        return database.row(call, TOTALS + where.sql(), where.values(), "server.failure")
                .map(CustomerTotals::from);
    }
}
