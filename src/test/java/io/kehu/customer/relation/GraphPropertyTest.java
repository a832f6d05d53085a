package io.kehu.customer.relation;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Collectors;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** The graph as the server answers it, against a walk in memory: whatever the relations, the days, the merges and the scope. */
class GraphPropertyTest {
    private static final List<String> KINDS = List.of("spouse", "parent", "guarantor", "referrer");
    private static final LocalDate DAY = LocalDate.of(2020, 6, 15);

    private static TestKehu kehu;
    private static Caller manager;
    private static Caller analyst;
    /** The first eight are the manager's, the others somebody else's. */
    private static final List<UUID> PEOPLE = new ArrayList<>();

    private static final int HIS = 8;

    @BeforeContainer
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_RATE_PER_ADDRESS_PER_SECOND", "100000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND", "100000"));
        UUID branch = kehu.branch(kehu.headOffice(), "GRAPH");
        manager = kehu.signIn(kehu.staff(branch, "customer-manager"));
        Caller other = kehu.signIn(kehu.staff(branch, "customer-manager"));
        analyst = kehu.caller("analyst");
        for (int i = 0; i < HIS + 4; i++) {
            PEOPLE.add(UUID.fromString((i < HIS ? manager : other)
                    .post("/v1/customers", "{\"kind\": \"person\", \"name\": \"图" + i + "\"}")
                    .is(201)
                    .at("/id")
                    .asText()));
        }
    }

    @AfterContainer
    static void stop() {
        kehu.close();
    }

    private record Edge(UUID id, String kind, UUID from, UUID to, boolean holds) {}

    private record Model(Map<UUID, Integer> steps, Set<UUID> edges) {}

    /** The walk of a few lines: customers in scope by their distance, and the relations among them. */
    private static Model model(
            UUID start, int steps, List<Edge> edges, Set<String> kinds, Set<UUID> seen, Map<UUID, UUID> merged) {
        Map<UUID, Integer> met = new HashMap<>(Map.of(start, 0));
        List<Edge> usable = edges.stream()
                .filter(edge -> edge.holds && (kinds.isEmpty() || kinds.contains(edge.kind)))
                .map(edge -> new Edge(
                        edge.id,
                        edge.kind,
                        merged.getOrDefault(edge.from, edge.from),
                        merged.getOrDefault(edge.to, edge.to),
                        true))
                .filter(edge -> !edge.from.equals(edge.to))
                .toList();
        for (int step = 1; step <= steps; step++) {
            Map<UUID, Integer> before = Map.copyOf(met);
            for (Edge edge : usable) {
                for (UUID[] way : new UUID[][] {{edge.from, edge.to}, {edge.to, edge.from}}) {
                    if (before.containsKey(way[0]) && seen.contains(way[1])) {
                        met.putIfAbsent(way[1], step);
                    }
                }
            }
        }
        return new Model(
                new TreeMap<>(met),
                usable.stream()
                        .filter(edge -> met.containsKey(edge.from) && met.containsKey(edge.to))
                        .map(Edge::id)
                        .collect(Collectors.toCollection(TreeSet::new)));
    }

    @Property(tries = 60, shrinking = ShrinkingMode.OFF)
    void theGraphIsThatOfTheModel(@ForAll long seed) {
        Random random = new Random(seed);
        Map<UUID, UUID> merged = new HashMap<>();
        if (random.nextInt(3) == 0) {
            merged.put(PEOPLE.get(1), PEOPLE.get(random.nextBoolean() ? 0 : 2));
        }
        List<Edge> edges = new ArrayList<>();
        for (int i = random.nextInt(24); i > 0; i--) {
            UUID from = PEOPLE.get(random.nextInt(PEOPLE.size()));
            UUID to = PEOPLE.get(random.nextInt(PEOPLE.size()));
            if (from.equals(to)) {
                continue;
            }
            // Each of a time of its own, so that the same may hold again.
            boolean holds = random.nextInt(4) != 0;
            Edge edge = new Edge(UUID.randomUUID(), KINDS.get(random.nextInt(KINDS.size())), from, to, holds);
            boolean twice = edges.stream()
                    .anyMatch(e ->
                            e.kind.equals(edge.kind) && (Set.of(e.from, e.to).equals(Set.of(from, to))));
            if (!twice) {
                edges.add(edge);
            }
        }
        try {
            merged.forEach((id, survivor) -> {
                kehu.sql("INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)", id, survivor);
                kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", id);
            });
            edges.forEach(edge -> kehu.sql(
                    "INSERT INTO customer.relation (id, kind, from_id, to_id, starts_on, ends_on) VALUES (?, ?, ?, ?, ?::date, ?::date)",
                    edge.id,
                    edge.kind,
                    edge.from,
                    edge.to,
                    edge.holds ? DAY.toString() : DAY.plusDays(1).toString(),
                    random.nextBoolean()
                            ? null
                            : DAY.plusDays(1 + (edge.holds ? 0 : 1)).toString()));
            int steps = 1 + random.nextInt(4);
            Set<String> kinds = new TreeSet<>();
            KINDS.stream().filter(kind -> random.nextInt(4) == 0).forEach(kinds::add);
            UUID start = PEOPLE.get(random.nextInt(HIS));
            UUID root = merged.getOrDefault(start, start);
            String path = "/v1/customers/" + start + "/graph?steps=" + steps + "&on=" + DAY
                    + (kinds.isEmpty() ? "" : "&kind=" + String.join(",", kinds));
            check(
                    seed,
                    manager.get(path),
                    model(root, steps, edges, kinds, Set.copyOf(PEOPLE.subList(0, HIS)), merged));
            check(seed, analyst.get(path), model(root, steps, edges, kinds, Set.copyOf(PEOPLE), merged));
        } finally {
            kehu.sql("DELETE FROM customer.relation");
            kehu.sql("DELETE FROM customer.merged");
            kehu.sql("UPDATE customer.customer SET deleted_at = NULL WHERE deleted_at IS NOT NULL");
        }
    }

    private static void check(long seed, Answer answer, Model model) {
        answer.is(200);
        Map<UUID, Integer> steps = new TreeMap<>();
        answer.at("/nodes")
                .forEach(node -> steps.put(
                        UUID.fromString(node.at("/customer/id").asText()),
                        node.at("/step").asInt()));
        Set<UUID> edges = new TreeSet<>();
        answer.at("/edges")
                .forEach(edge -> edges.add(UUID.fromString(edge.at("/id").asText())));
        assertThat(new Model(steps, edges)).as("seed " + seed).isEqualTo(model);
        assertThat(answer.at("/truncated").asBoolean()).isFalse();
    }
}
