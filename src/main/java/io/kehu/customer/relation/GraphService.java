package io.kehu.customer.relation;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerBrief;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.CustomerTotals;
import io.kehu.customer.relation.Graph.Edge;
import io.kehu.customer.relation.Graph.Node;
import io.kehu.customer.relation.Graph.Walk;
import io.kehu.customer.relation.Graph.Way;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import java.io.IOException;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/** The rules of graphs and groups: how far they go, and what they show. The bounds are those of the contract. */
final class GraphService {
    private static final int MAX_NODES = 200;
    private static final int MAX_EDGES = 1_000;
    private static final int DEFAULT_STEPS = 2;
    /** Deeper than any group that fits into the bound of its members is likely to be. */
    private static final int GROUP_STEPS = 10;

    private final GraphStore store;
    private final CustomerReach reach;
    private final Clock clock;
    private final ZoneId zone;

    GraphService(Database database, GraphStore store, Clock clock, ZoneId zone) {
        this.store = store;
        this.reach = new CustomerReach(database);
        this.clock = clock;
        this.zone = zone;
    }

    private record Found(Walk walk, Map<UUID, CustomerBrief> briefs) {
        /** In the order of the walk; who has left the scope meanwhile is out. */
        List<Node> nodes() {
            List<Node> nodes = new ArrayList<>();
            walk.steps().forEach((id, step) -> {
                CustomerBrief brief = briefs.get(id);
                if (brief != null) {
                    nodes.add(new Node(step, brief));
                }
            });
            return nodes;
        }
    }

    /** Who is related to whom around a customer. Problems: customer.notFound. */
    Future<Reply> graph(Call call) {
        Way way = new Way(on(call), call.list("kind"), false);
        int steps = call.integer("steps", DEFAULT_STEPS);
        return reach.of(call, call.id("customerId"))
                .compose(start -> walk(call, Walk.from(start.id()), way, steps)
                        .compose(walk -> show(call, start.id(), walk, way, steps)));
    }

    private Future<Walk> walk(Call call, Walk walk, Way way, int steps) {
        if (walk.isOver(steps)) {
            return Future.succeededFuture(walk);
        }
        int room = MAX_NODES - walk.steps().size();
        return store.next(call, walk.edge(), walk.steps().keySet(), way, room + 1)
                .compose(found -> walk(call, walk.on(found, room), way, steps));
    }

    private Future<Reply> show(Call call, UUID start, Walk walk, Way way, int steps) {
        Set<UUID> ids = walk.steps().keySet();
        Future<Map<UUID, CustomerBrief>> briefs = store.briefs(call, ids);
        Future<List<Edge>> edges = store.among(call, ids, way, MAX_EDGES + 1);
        return briefs.compose(known -> edges.map(all -> {
            List<Node> nodes = new Found(walk, known).nodes();
            List<Edge> shown = all.stream()
                    .filter(edge -> known.containsKey(edge.fromId()) && known.containsKey(edge.toId()))
                    .limit(MAX_EDGES)
                    .toList();
            boolean truncated = walk.truncated() || all.size() > MAX_EDGES;
            return Reply.ok(json -> {
                json.writeStartObject();
                json.writeStringField("customerId", start.toString());
                json.writeNumberField("steps", steps);
                json.writeStringField("on", way.on().toString());
                nodes(json, nodes);
                edges(json, shown);
                json.writeBooleanField("truncated", truncated);
                json.writeEndObject();
            });
        }));
    }

    private static void nodes(JsonGenerator json, List<Node> nodes) throws IOException {
        json.writeArrayFieldStart("nodes");
        for (Node node : nodes) {
            json.writeStartObject();
            json.writeNumberField("step", node.step());
            json.writeFieldName("customer");
            node.customer().toJson(json);
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static void edges(JsonGenerator json, List<Edge> edges) throws IOException {
        json.writeArrayFieldStart("edges");
        for (Edge edge : edges) {
            json.writeStartObject();
            json.writeStringField("id", edge.id().toString());
            json.writeStringField("kind", edge.kind());
            json.writeStringField("fromId", edge.fromId().toString());
            json.writeStringField("fromRole", edge.fromRole());
            json.writeStringField("toId", edge.toId().toString());
            json.writeStringField("toRole", edge.toRole());
            edge.terms().write(json);
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    /** The corporate group around a customer, with its finances. Problems: customer.notFound, customer.fieldForbidden. */
    Future<Reply> group(Call call) {
        CustomerTotals.mustSee(call.principal());
        Way way = new Way(on(call), List.of(), true);
        return reach.of(call, call.id("customerId"))
                .compose(start -> walk(call, Walk.from(start.id()), way, GROUP_STEPS)
                        .compose(walk -> together(call, start.id(), walk, way)));
    }

    private Future<Reply> together(Call call, UUID start, Walk walk, Way way) {
        Set<UUID> ids = walk.steps().keySet();
        Future<CustomerTotals> totals = store.totals(call, ids);
        return store.briefs(call, ids)
                .compose(known -> totals.map(sums -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeStringField("customerId", start.toString());
                    json.writeStringField("on", way.on().toString());
                    json.writeArrayFieldStart("members");
                    for (Node node : new Found(walk, known).nodes()) {
                        if (node.customer().kind().equals("organisation")) {
                            node.customer().toJson(json);
                        }
                    }
                    json.writeEndArray();
                    json.writeFieldName("totals");
                    boolean truncated = walk.truncated() || !walk.edge().isEmpty();
                    sums.toJson(json, !truncated && call.principal().scope() == Principal.Scope.ALL);
                    json.writeBooleanField("truncated", truncated);
                    json.writeEndObject();
                })));
    }

    private LocalDate on(Call call) {
        String day = call.text("on");
        return day == null ? clock.now().atZoneSameInstant(zone).toLocalDate() : LocalDate.parse(day);
    }
}
