package io.kehu.customer.filter;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.Period;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Filters asked over HTTP: random ones against the same question asked of a list in memory, and faulty ones. */
class FilterTest {
    private static final int CUSTOMERS = 60;
    private static final int QUESTIONS = 150;
    private static final List<String> TIERS = List.of("mass", "affluent", "private");
    private static final List<String> LIFECYCLES = List.of("prospect", "new", "active", "mature", "dormant", "lost");
    private static final List<String> REGIONS = List.of("330106", "330203", "310115", "110101");
    private static final Random RANDOM = new Random();

    private static TestKehu kehu;
    private static UUID north;
    private static UUID below;
    private static Caller head;
    private static Caller manager;
    private static LocalDate today;
    private static final List<Known> KNOWN = new ArrayList<>();

    private record Known(String id, ObjectNode facts, UUID branch, String managerId) {}

    @BeforeAll
    static void aBankOfRandomCustomers() {
        long seed = System.nanoTime();
        RANDOM.setSeed(seed);
        System.out.println("FilterTest: seed " + seed);
        kehu = TestKehu.start();
        north = kehu.branch(kehu.headOffice(), "FILTN");
        below = kehu.branch(north, "FILTB");
        UUID south = kehu.branch(kehu.headOffice(), "FILTS");
        head = kehu.signIn(kehu.staff(kehu.headOffice(), "branch-head"));
        List<Caller> managers = List.of(
                kehu.signIn(kehu.staff(north, "customer-manager")),
                kehu.signIn(kehu.staff(below, "customer-manager")),
                kehu.signIn(kehu.staff(south, "customer-manager")));
        manager = managers.get(0);
        List<UUID> branches = List.of(north, below, south);
        today = LocalDate.parse(kehu.value("SELECT (kehu.now() AT TIME ZONE 'Asia/Shanghai')::date::text"));
        for (int i = 0; i < CUSTOMERS; i++) {
            int at = RANDOM.nextInt(3);
            ObjectNode facts = somebody(i);
            Answer made =
                    managers.get(at).post("/v1/customers", facts.toString()).is(201);
            KNOWN.add(new Known(
                    made.at("/id").asText(),
                    facts,
                    branches.get(at),
                    managers.get(at).id.toString()));
        }
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static <T> T one(List<T> of) {
        return of.get(RANDOM.nextInt(of.size()));
    }

    private static boolean perhaps() {
        return RANDOM.nextInt(3) > 0;
    }

    private static ObjectNode somebody(int i) {
        ObjectNode facts = Json.object()
                .put("kind", "person")
                .put("name", "滤" + (char) ('一' + i))
                .put("lifecycle", one(LIFECYCLES))
                .put("tier", one(TIERS));
        if (perhaps()) {
            facts.put("regionCode", one(REGIONS));
        }
        if (perhaps()) {
            facts.put("birthDate", today.minusDays(RANDOM.nextInt(30_000)).toString());
        }
        if (perhaps()) {
            facts.put("customerSince", today.minusDays(RANDOM.nextInt(900)).toString());
        }
        if (perhaps()) {
            facts.put("assets", RANDOM.nextInt(1_000_000) + ".50");
        }
        return facts;
    }

    // The question in memory

    private static boolean holds(JsonNode filter, Known who) {
        if (filter.has("all")) {
            return filter.get("all").valueStream().allMatch(part -> holds(part, who));
        }
        if (filter.has("any")) {
            return filter.get("any").valueStream().anyMatch(part -> holds(part, who));
        }
        if (filter.has("not")) {
            return !holds(filter.get("not"), who);
        }
        String field = filter.get("field").asText();
        String value = switch (field) {
            case "age" -> age(who);
            case "branchId" -> who.branch.toString();
            case "managerId" -> who.managerId;
            default -> who.facts.path(field).textValue();
        };
        if (filter.has("known")) {
            return filter.get("known").asBoolean() == (value != null);
        }
        if (value == null) {
            return false;
        }
        if (filter.has("within")) {
            return value.equals(filter.get("within").asText())
                    || (filter.get("within").asText().equals(north.toString()) && value.equals(below.toString()));
        }
        if (filter.has("is") || filter.has("in")) {
            List<String> words = new ArrayList<>();
            filter.path("in").forEach(word -> words.add(word.asText()));
            if (filter.has("is")) {
                words.add(filter.get("is").asText());
            }
            return words.stream()
                    .anyMatch(word -> field.equals("regionCode") ? value.startsWith(word) : value.equals(word));
        }
        return (!filter.has("from") || compare(field, value, filter.get("from")) >= 0)
                && (!filter.has("to") || compare(field, value, filter.get("to")) <= 0);
    }

    private static String age(Known who) {
        String born = who.facts.path("birthDate").textValue();
        return born == null
                ? null
                : Integer.toString(Period.between(LocalDate.parse(born), today).getYears());
    }

    private static int compare(String field, String value, JsonNode bound) {
        return switch (field) {
            case "age" -> Integer.compare(Integer.parseInt(value), bound.asInt());
            case "assets" -> new BigDecimal(value).compareTo(new BigDecimal(bound.asText()));
            default ->
                LocalDate.parse(value)
                        .compareTo(
                                bound.isObject()
                                        ? today.minusDays(bound.get("daysAgo").asInt())
                                        : LocalDate.parse(bound.asText()));
        };
    }

    // Random questions

    private static ObjectNode question(int layers) {
        if (layers == 0 || RANDOM.nextInt(4) == 0) {
            return condition();
        }
        ObjectNode group = Json.object();
        switch (RANDOM.nextInt(3)) {
            case 0 -> group.set("not", question(layers - 1));
            case 1 -> parts(group.putArray("all"), layers);
            default -> parts(group.putArray("any"), layers);
        }
        return group;
    }

    private static void parts(ArrayNode parts, int layers) {
        int many = 1 + RANDOM.nextInt(3);
        for (int i = 0; i < many; i++) {
            parts.add(question(layers - 1));
        }
    }

    private static ObjectNode condition() {
        ObjectNode asked = Json.object();
        switch (RANDOM.nextInt(10)) {
            case 0 -> asked.put("field", "tier").put("is", one(TIERS));
            case 1 ->
                asked.put("field", "lifecycle")
                        .putArray("in")
                        .add("new")
                        .add("lost")
                        .add(one(List.of("active", "mature")));
            case 2 ->
                asked.put("field", "regionCode").put("is", one(REGIONS).substring(0, 2 * (1 + RANDOM.nextInt(3))));
            case 3 ->
                asked.put("field", "regionCode")
                        .putArray("in")
                        .add("33")
                        .add("310115")
                        .add("1101");
            case 4 -> asked.put("field", "age").put("from", RANDOM.nextInt(60)).put("to", 40 + RANDOM.nextInt(50));
            case 5 -> asked.put("field", "customerSince").putObject("from").put("daysAgo", RANDOM.nextInt(900));
            case 6 ->
                asked.put("field", "birthDate")
                        .put("to", today.minusDays(RANDOM.nextInt(30_000)).toString());
            case 7 -> asked.put("field", "assets").put("from", RANDOM.nextInt(900_000) + ".5");
            case 8 ->
                asked.put("field", one(List.of("birthDate", "assets", "regionCode", "managerId")))
                        .put("known", RANDOM.nextBoolean());
            default ->
                asked.put("field", "branchId")
                        .put("within", one(List.of(north, below)).toString());
        }
        return asked;
    }

    private static List<String> found(Caller caller, ObjectNode filter) {
        List<String> ids = new ArrayList<>();
        ObjectNode body = Json.object().put("limit", 25);
        // Nobody but the customers of this test.
        body.putObject("filter")
                .putArray("all")
                .add(Json.object()
                        .put("field", "branchId")
                        .put("within", kehu.headOffice().toString()))
                .add(filter);
        body.put("sort", "oldest");
        String next;
        do {
            Answer page = caller.post("/v1/customers/search", body.toString()).is(200);
            page.at("/items").forEach(item -> ids.add(item.get("id").asText()));
            next = page.at("/next").textValue();
            body.put("cursor", next);
        } while (next != null);
        return ids;
    }

    @Test
    void randomFiltersFindWhatTheyFindInMemory() {
        int hits = 0;
        for (int i = 0; i < QUESTIONS; i++) {
            ObjectNode filter = question(2);
            List<String> expected = KNOWN.stream()
                    .filter(who -> holds(filter, who))
                    .map(Known::id)
                    .toList();
            List<String> found = found(head, filter);
            found.retainAll(KNOWN.stream().map(Known::id).toList());
            assertThat(found).as(filter.toString()).isEqualTo(expected);
            hits += expected.size();
        }
        assertThat(hits).isGreaterThan(QUESTIONS);
    }

    @Test
    void nobodyOutOfScopeIsFound() {
        ObjectNode everybody = Json.object().put("field", "kind").put("is", "person");
        assertThat(found(manager, everybody))
                .containsExactlyElementsOf(KNOWN.stream()
                        .filter(who -> who.managerId.equals(manager.id.toString()))
                        .map(Known::id)
                        .toList());
    }

    @Test
    void whatOnlySomeMaySeeOnlyTheyMayAskFor() {
        String assets = "{\"filter\": {\"not\": {\"field\": \"assets\", \"from\": \"1\"}}}";
        kehu.caller("desk-agent").post("/v1/customers/search", assets).is(403, "customer.fieldForbidden");
        kehu.caller("analyst").post("/v1/customers/search", assets).is(200);
    }

    private static void faulty(String filter, String pointer, String code) {
        Answer refused = head.post("/v1/customers/search", "{\"filter\": " + filter + "}")
                .is(400, "request.invalid");
        assertThat(refused.at("/errors/0/pointer").asText()).isEqualTo(pointer);
        assertThat(refused.at("/errors/0/code").asText()).isEqualTo(code);
    }

    @Test
    void aFaultIsPointedAt() {
        faulty("{\"field\": \"password\", \"is\": \"x\"}", "/filter/field", "field.notInList");
        faulty("{\"field\": \"tier\", \"from\": \"x\"}", "/filter", "field.shape");
        faulty("{\"field\": \"tier\", \"is\": \"x\", \"in\": [\"y\"]}", "/filter", "field.shape");
        faulty("{\"field\": \"tier\"}", "/filter", "field.shape");
        faulty("{\"all\": [{\"field\": \"tier\", \"is\": \"mass\"}], \"any\": []}", "/filter/any", "field.tooFew");
        faulty("{\"all\": [{\"field\": \"birthDate\", \"from\": \"2026-02-29\"}]}", "/filter/all/0/from", "field.date");
        faulty("{\"not\": {\"field\": \"age\", \"from\": \"12\"}}", "/filter/not/from", "field.type");
        faulty("{\"field\": \"assets\", \"from\": \"1e9\"}", "/filter/from", "field.format");
        faulty("{\"field\": \"regionCode\", \"in\": [\"33\", \"331\"]}", "/filter/in/1", "field.format");
        faulty("{\"field\": \"branchId\", \"is\": \"x\"}", "/filter/is", "field.format");
        faulty("{\"field\": \"createdAt\", \"from\": \"2026-01-01\"}", "/filter/from", "field.format");
        faulty(
                "{\"field\": \"tier\", \"in\": [\"a'; DROP TABLE customer.customer; --\"], \"known\": true}",
                "/filter",
                "field.shape");
        head.post("/v1/customers/search", "{\"filter\": {\"field\": \"tier\", \"is\": \"'; DROP TABLE x; --\"}}")
                .is(200);
    }

    @Test
    void whatAFilterMayCostIsBounded() {
        ObjectNode wide = Json.object();
        ArrayNode groups = wide.putArray("any");
        for (int i = 0; i < 3; i++) {
            ArrayNode inner = groups.addObject().putArray("all");
            for (int j = 0; j < 14; j++) {
                inner.addObject().put("field", "tier").put("is", "mass");
            }
        }
        Answer refused = head.post(
                        "/v1/customers/search",
                        Json.object().set("filter", wide).toString())
                .is(400, "request.invalid");
        assertThat(refused.at("/errors/0/code").asText()).isEqualTo("field.tooMany");
        String deep = "{\"not\": ".repeat(4) + "{\"field\": \"tier\", \"is\": \"mass\"}" + "}".repeat(4);
        head.post("/v1/customers/search", "{\"filter\": " + deep + "}").is(400, "request.invalid");
    }
}
