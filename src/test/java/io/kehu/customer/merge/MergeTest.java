package io.kehu.customer.merge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class MergeTest {
    private static final AtomicInteger NEXT = new AtomicInteger(1000);

    private static TestKehu kehu;
    private static Caller head;
    private static Caller manager;
    private static Caller otherManager;
    private static Caller elsewhere;
    private static Caller operator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_JOBS_POLL_MILLIS", "100"));
        UUID north = kehu.branch(kehu.headOffice(), "NORTH");
        UUID south = kehu.branch(kehu.headOffice(), "SOUTH");
        head = kehu.signIn(kehu.staff(north, "branch-head"));
        manager = kehu.signIn(kehu.staff(north, "customer-manager"));
        otherManager = kehu.signIn(kehu.staff(north, "customer-manager"));
        elsewhere = kehu.signIn(kehu.staff(south, "branch-head"));
        operator = kehu.signIn(kehu.staff(north, "operator"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    // ---- how

    private static int number() {
        return NEXT.incrementAndGet();
    }

    private static String phone() {
        return "+861390000" + number();
    }

    private static String customer(Caller who, String more) {
        return who.post("/v1/customers", "{\"kind\": \"person\"" + more + "}")
                .is(201)
                .at("/id")
                .asText();
    }

    private static String path(String customer) {
        return "/v1/customers/" + customer;
    }

    private static Answer merge(Caller who, String survivor, String duplicate, String more, String... headers) {
        return who.post("/v1/merges", """
                {"survivorId": "%s", "duplicateId": "%s"%s}""".formatted(survivor, duplicate, more), headers);
    }

    private static Answer undo(Caller who, Answer merge) {
        return who.send("POST", "/v1/merges/" + merge.at("/id").asText() + "/undo", (String) null);
    }

    private static Answer patch(Caller who, String customer, String json) {
        return who.patch(path(customer), who.get(path(customer)).is(200).etag(), json);
    }

    private static ObjectNode full(String customer) {
        ObjectNode all = head.get(path(customer) + "?unmask=phone,idNumber,email,externalId", "Kehu-Purpose", "contact")
                .is(200)
                .json();
        all.remove(List.of("version", "since"));
        return all;
    }

    private static List<String> found(Caller who, String terms) {
        List<String> ids = new ArrayList<>();
        who.post("/v1/customers/search", terms)
                .is(200)
                .at("/items")
                .forEach(item -> ids.add(item.get("id").asText()));
        return ids;
    }

    // ---- one record

    @Test
    void twoRecordsBecomeOneThatEveryIdAndNumberLeadsTo() {
        String one = phone();
        String other = phone();
        String paper = "P" + number();
        String source = "core-" + number();
        String survivor = customer(manager, """
                , "name": "赵合并", "phones": [{"number": "%s"}], "risk": "C2\"""".formatted(one));
        String duplicate = customer(manager, """
                , "name": "赵合併", "phones": [{"number": "%s"}], "maritalStatus": "single",
                "documents": [{"type": "other", "number": "%s"}], "externalIds": [{"source": "%s", "id": "7"}]""".formatted(other, paper, source));
        ObjectNode before = full(survivor);
        ObjectNode gone = full(duplicate);
        String choice = ", \"rule\": \"fullest\", \"choice\": {\"name\": \"duplicate\"}";

        Answer trial =
                merge(manager, survivor, duplicate, choice, "Dry-Run", "true").is(201);
        assertThat(trial.at("/customer/name").asText()).isEqualTo("赵合併");
        assertThat(trial.at("/differences").findValuesAsText("field"))
                .contains("name", "phones", "risk", "maritalStatus", "documents");
        assertThat(trial.text()).doesNotContain(one, other, paper);
        assertThat(full(duplicate)).isEqualTo(gone);

        Answer merge = merge(manager, survivor, duplicate, choice).is(201);
        for (String id : List.of(survivor, duplicate)) {
            ObjectNode merged = full(id);
            assertThat(merged.at("/id").asText()).isEqualTo(survivor);
            assertThat(merged.at("/name").asText()).isEqualTo("赵合併");
            assertThat(merged.at("/phones").findValuesAsText("number")).containsExactly(one, other);
            assertThat(merged.at("/documents/0/number").asText()).isEqualTo(paper);
            assertThat(merged.at("/risk").asText()).isEqualTo("C2");
            assertThat(merged.at("/maritalStatus").asText()).isEqualTo("single");
            manager.get(path(id) + "/tags").is(200);
        }
        for (String terms : List.of(
                "{\"phone\": \"" + other + "\"}",
                "{\"phone\": \"" + one + "\"}",
                "{\"idNumber\": \"" + paper + "\"}",
                "{\"externalId\": {\"source\": \"" + source + "\", \"id\": \"7\"}}",
                "{\"name\": \"赵合併\", \"exact\": true}")) {
            assertThat(found(manager, terms)).as(terms).containsExactly(survivor);
        }
        assertThat(manager.get("/v1/customers?limit=200").text()).doesNotContain(duplicate);
        Answer since = manager.get("/v1/customers?limit=200&updatedSince=2020-01-01T00:00:00Z")
                .is(200);
        for (JsonNode item : since.at("/items")) {
            if (item.get("id").asText().equals(duplicate)) {
                assertThat(item.path("deleted").asBoolean()).isTrue();
            }
        }
        assertThat(since.text()).contains(duplicate);
        // What is claimed stays claimed.
        manager.post("/v1/customers", """
                {"kind": "person", "name": "钱", "documents": [{"type": "other", "number": "%s"}]}""".formatted(paper)).is(409, "customer.idTaken");
        assertThat(manager.get("/v1/merges?inForce=true&customerId=" + duplicate)
                        .is(200)
                        .at("/items/0/id"))
                .isEqualTo(merge.at("/id"));

        Answer undone = undo(manager, merge).is(200);
        assertThat(undone.at("/undoneBy").asText()).isEqualTo(manager.id.toString());
        assertThat(full(survivor)).isEqualTo(before);
        assertThat(full(duplicate)).isEqualTo(gone);
        assertThat(found(manager, "{\"idNumber\": \"" + paper + "\"}")).containsExactly(duplicate);
        assertThat(found(manager, "{\"phone\": \"" + one + "\"}")).containsExactly(survivor);
        assertThat(found(manager, "{\"phone\": \"" + other + "\"}")).containsExactly(duplicate);
        undo(manager, merge).is(409, "merge.undone");
    }

    @Test
    void whatWasKnownOfAMergedIdIsThatOfTheRecordThatStoodForItThen() {
        String survivor = customer(manager, ", \"name\": \"冯今\"");
        String duplicate = customer(manager, ", \"name\": \"冯昔\"");
        String early = instant("- interval '40 seconds'");
        kehu.sql(
                "UPDATE customer.customer SET valid_from = valid_from - interval '1 minute' WHERE id IN (?, ?)",
                UUID.fromString(survivor),
                UUID.fromString(duplicate));
        kehu.sql(
                "UPDATE customer.sealed SET valid_from = valid_from - interval '1 minute' WHERE id IN (?, ?)",
                UUID.fromString(survivor),
                UUID.fromString(duplicate));
        merge(manager, survivor, duplicate, "").is(201);
        Answer then = manager.get(path(duplicate) + "?asOf=" + early).is(200);
        assertThat(then.at("/id").asText()).isEqualTo(duplicate);
        assertThat(then.at("/name").asText()).isEqualTo("冯昔");
        elsewhere.get(path(duplicate) + "?asOf=" + early).is(404, "customer.notFound");
    }

    private static String instant(String shift) {
        return kehu.value(
                "SELECT to_char((kehu.now() " + shift + ") AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    }

    @Test
    void twoMergesOfTheSameRecordAtOnceLeaveOneSurvivor() throws Exception {
        String one = customer(manager, ", \"name\": \"陈甲\"");
        String other = customer(manager, ", \"name\": \"陈乙\"");
        java.util.concurrent.ExecutorService both = java.util.concurrent.Executors.newFixedThreadPool(2);
        try {
            var there = both.submit(() -> merge(manager, one, other, "").status());
            var back = both.submit(() -> merge(manager, other, one, "").status());
            assertThat(List.of(there.get(), back.get())).containsExactlyInAnyOrder(201, 409);
        } finally {
            both.shutdown();
        }
        assertThat(full(one).at("/id")).isEqualTo(full(other).at("/id"));
    }

    @Test
    void aMergeUnderFourEyesWaitsForTheSecondPair() {
        String survivor = customer(manager, ", \"name\": \"褚甲\"");
        String duplicate = customer(manager, ", \"name\": \"褚乙\"");
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'customer-merge'");
        try {
            String waits = merge(manager, survivor, duplicate, "").is(202).header("Location");
            assertThat(full(duplicate).at("/id").asText()).isEqualTo(duplicate);
            assertThat(manager.get(waits).is(200).at("/policy").asText()).isEqualTo("customer-merge");
        } finally {
            kehu.sql("UPDATE iam.approval_policy SET enabled = false WHERE code = 'customer-merge'");
        }
    }

    @Test
    void whatArrivesForEitherIdGoesBackWithItWhenTheMergeIsUndone() {
        String shared = phone();
        String survivor = customer(manager, ", \"name\": \"孙一\", \"phones\": [{\"number\": \"" + shared + "\"}]");
        String duplicate = customer(manager, ", \"name\": \"孙二\", \"phones\": [{\"number\": \"" + shared + "\"}]");
        Answer merge =
                merge(manager, survivor, duplicate, ", \"rule\": \"fullest\"").is(201);
        String forDuplicate = phone();
        String forSurvivor = phone();
        patch(manager, duplicate, """
                {"risk": "C4", "phones": [{"number": "%s"}, {"number": "%s"}]}""".formatted(shared, forDuplicate)).is(200);
        patch(manager, survivor, """
                {"maritalStatus": "married", "phones": [{"number": "%s"}, {"number": "%s"}, {"number": "%s"}]}""".formatted(shared, forDuplicate, forSurvivor))
                .is(200);
        ObjectNode both = full(duplicate);
        assertThat(both.at("/risk").asText()).isEqualTo("C4");
        assertThat(both.at("/maritalStatus").asText()).isEqualTo("married");
        undo(manager, merge).is(200);
        ObjectNode one = full(survivor);
        ObjectNode other = full(duplicate);
        assertThat(one.has("risk")).isFalse();
        assertThat(one.at("/maritalStatus").asText()).isEqualTo("married");
        assertThat(one.at("/phones").findValuesAsText("number")).containsExactly(shared, forSurvivor);
        assertThat(other.at("/risk").asText()).isEqualTo("C4");
        assertThat(other.has("maritalStatus")).isFalse();
        assertThat(other.at("/phones").findValuesAsText("number")).containsExactly(shared, forDuplicate);
        assertThat(found(manager, "{\"phone\": \"" + shared + "\"}")).containsExactlyInAnyOrder(survivor, duplicate);
        assertThat(found(manager, "{\"phone\": \"" + forDuplicate + "\"}")).containsExactly(duplicate);
    }

    @Test
    void aMergeBelowAnotherIsUndoneAfterIt() {
        String low = customer(manager, ", \"name\": \"李低\"");
        String middle = customer(manager, ", \"name\": \"李中\"");
        String high = customer(manager, ", \"name\": \"李高\"");
        Answer first = merge(manager, middle, low, "").is(201);
        Answer second = merge(manager, high, middle, "").is(201);
        assertThat(full(low).at("/name").asText()).isEqualTo("李高");
        merge(manager, high, low, "").is(409, "merge.same");
        patch(manager, low, "{\"risk\": \"C5\"}").is(200);
        assertThat(full(high).at("/risk").asText()).isEqualTo("C5");
        undo(manager, first).is(409, "merge.underAnother");
        undo(manager, second).is(200);
        assertThat(full(high).has("risk")).isFalse();
        assertThat(full(low).at("/id").asText()).isEqualTo(middle);
        assertThat(full(low).at("/risk").asText()).isEqualTo("C5");
        undo(manager, first).is(200);
        assertThat(full(middle).has("risk")).isFalse();
        assertThat(full(low).at("/risk").asText()).isEqualTo("C5");
        assertThat(full(low).at("/name").asText()).isEqualTo("李低");
    }

    @Test
    void onlyRecordsOfOneKindInTheCallersScopeBecomeOne() {
        String mine = customer(manager, ", \"name\": \"周我\"");
        String hers = customer(otherManager, ", \"name\": \"周她\"");
        String firm = manager.post("/v1/customers", "{\"kind\": \"organisation\", \"name\": \"周记\"}")
                .is(201)
                .at("/id")
                .asText();
        merge(manager, mine, hers, "").is(404, "customer.notFound");
        merge(manager, hers, mine, "").is(404, "customer.notFound");
        merge(manager, mine, mine, "").is(409, "merge.same");
        merge(manager, mine, firm, "").is(409, "merge.kindsDiffer");
        merge(operator, mine, hers, ", \"choice\": {\"assets\": \"duplicate\"}").is(201);
        Answer merge = head.get("/v1/merges?customerId=" + hers).is(200);
        String id = merge.at("/items/0/id").asText();
        otherManager.get(path(hers)).is(404, "customer.notFound");
        otherManager.get("/v1/merges/" + id).is(404, "merge.notFound");
        elsewhere.send("POST", "/v1/merges/" + id + "/undo", (String) null).is(404, "merge.notFound");
        assertThat(elsewhere.get("/v1/merges").is(200).text()).doesNotContain(id);
        manager.send("POST", "/v1/merges/" + id + "/undo", (String) null).is(200);
        otherManager.get(path(hers)).is(200);
    }

    @Test
    void anImportByTheExternalIdOfAMergedRecordChangesTheSurvivorAndComesBackWithIt() {
        String source = "file-" + number();
        String survivor = customer(
                operator, ", \"name\": \"吴存\", \"externalIds\": [{\"source\": \"" + source + "\", \"id\": \"1\"}]");
        String duplicate = customer(
                operator, ", \"name\": \"吴重\", \"externalIds\": [{\"source\": \"" + source + "\", \"id\": \"2\"}]");
        Answer merge = merge(operator, survivor, duplicate, "").is(201);
        imported(source, "id,name\n2,吴新重\n");
        assertThat(full(duplicate).at("/name").asText()).isEqualTo("吴新重");
        imported(source, "id,risk\n1,C3\n2,C4\n");
        assertThat(full(survivor).at("/risk").asText()).isEqualTo("C4");
        undo(operator, merge).is(200);
        assertThat(full(survivor).at("/name").asText()).isEqualTo("吴存");
        assertThat(full(survivor).at("/risk").asText()).isEqualTo("C3");
        assertThat(full(survivor).at("/externalIds/0/id").asText()).isEqualTo("1");
        assertThat(full(duplicate).at("/name").asText()).isEqualTo("吴新重");
        assertThat(full(duplicate).at("/risk").asText()).isEqualTo("C4");
        assertThat(full(duplicate).at("/externalIds/0/id").asText()).isEqualTo("2");
    }

    private static void imported(String source, String file) {
        String column = file.substring(file.indexOf(',') + 1, file.indexOf('\n'));
        String begun = operator.post("/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", "externalId": {"source": "%s", "column": "id"},
                 "fields": [{"field": "%s", "column": "%s"}]}}""".formatted(
                                operator.upload(file.getBytes(StandardCharsets.UTF_8)), source, column, column))
                .is(202)
                .header("Location");
        await().atMost(Duration.ofSeconds(20))
                .until(() -> operator.get(begun).at("/state").asText().equals("done"));
        assertThat(operator.get(begun).at("/rejected").asInt()).isZero();
    }

    // ---- any order

    /** Fields as the model of {@link MergeRulesTest} has them. */
    private static ObjectNode fields(String customer) {
        ObjectNode all = full(customer);
        ObjectNode fields = Json.object();
        for (String field : List.of("name", "risk", "maritalStatus", "phones")) {
            MergeRules.put(fields, field, MergeRules.value(all, field));
        }
        return fields;
    }

    @Test
    void mergesChangesAndUndosInAnyOrderGiveBackEachRecordWithItsChanges() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        List<String> ids = new ArrayList<>();
        Map<String, ObjectNode> alone = new HashMap<>();
        for (int i = 0; i < 3; i++) {
            String id = customer(head, ", \"name\": \"郑" + i + "\", \"phones\": [{\"number\": \"" + phone() + "\"}]");
            ids.add(id);
            alone.put(id, fields(id));
        }
        List<Answer> merges = new ArrayList<>();
        for (int step = 0; step < 25; step++) {
            String id = ids.get(random.nextInt(3));
            switch (random.nextInt(5)) {
                case 0, 1 -> {
                    String rule = List.of("survivor", "newest", "fullest").get(random.nextInt(3));
                    Answer merge = merge(head, id, ids.get(random.nextInt(3)), ", \"rule\": \"" + rule + "\"");
                    if (merge.status() == 201) {
                        merges.add(merge);
                    } else {
                        merge.is(409, "merge.same");
                    }
                }
                case 2 -> {
                    if (!merges.isEmpty()) {
                        undo(head, merges.remove(merges.size() - 1)).is(200);
                    }
                }
                default -> {
                    ObjectNode before = fields(id);
                    patch(head, id, change(random, before).toString()).is(200);
                    alone.computeIfPresent(id, (i, own) -> MergeRules.changed(own, before, fields(id)));
                }
            }
        }
        for (int i = merges.size() - 1; i >= 0; i--) {
            undo(head, merges.get(i)).is(200);
        }
        for (String id : ids) {
            assertThat(fields(id)).as("seed " + seed).isEqualTo(alone.get(id));
        }
    }

    private static ObjectNode change(Random random, ObjectNode shown) {
        ObjectNode patch = Json.object();
        switch (random.nextInt(4)) {
            case 0 -> patch.put("name", "郑改" + "甲乙丙丁戊".charAt(random.nextInt(5)));
            case 1 -> patch.put("risk", random.nextInt(3) == 0 ? null : "C" + (1 + random.nextInt(5)));
            case 2 -> patch.put("maritalStatus", random.nextBoolean() ? "married" : "divorced");
            default -> {
                ArrayNode phones = patch.putArray("phones");
                for (JsonNode phone : shown.path("phones")) {
                    if (random.nextInt(3) > 0 && phones.size() < 4) {
                        phones.add(phone);
                    }
                }
                phones.addObject().put("number", phone());
            }
        }
        return patch;
    }
}
