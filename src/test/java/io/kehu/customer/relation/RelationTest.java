package io.kehu.customer.relation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.contract.Contract;
import java.time.Duration;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class RelationTest {
    private static TestKehu kehu;
    private static Caller managerNorth;
    private static Caller managerSouth;
    /** Sees both branches, and all others. */
    private static Caller head;

    private static Caller analyst;
    private static Caller marketing;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        UUID north = kehu.branch(kehu.headOffice(), "NORTH");
        UUID south = kehu.branch(kehu.headOffice(), "SOUTH");
        managerNorth = kehu.signIn(kehu.staff(north, "customer-manager"));
        managerSouth = kehu.signIn(kehu.staff(south, "customer-manager"));
        head = kehu.caller("branch-head");
        analyst = kehu.caller("analyst");
        marketing = kehu.caller("marketing");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String aPersonOf(Caller who, String name) {
        return id(who.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"" + name + "\"}")
                .is(201));
    }

    private static String aCompanyOf(Caller who, String name, String more) {
        return id(who.post("/v1/customers", "{\"kind\": \"organisation\", \"name\": \"" + name + "\"" + more + "}")
                .is(201));
    }

    private static String id(Answer answer) {
        return answer.at("/id").asText();
    }

    private static Answer relate(Caller who, String customer, String role, String other, String more) {
        return who.post(
                "/v1/customers/" + customer + "/relations",
                "{\"role\": \"" + role + "\", \"customerId\": \"" + other + "\"" + more + "}");
    }

    private static List<String> listed(Caller who, String customer, String query) {
        List<String> ids = new ArrayList<>();
        who.get("/v1/customers/" + customer + "/relations" + query)
                .is(200)
                .at("/items")
                .forEach(item -> ids.add(item.get("id").asText()));
        return ids;
    }

    private static String path(Answer made) {
        return "/v1/relations/" + id(made);
    }

    private static String ago(int seconds) {
        return kehu.value(
                "SELECT to_char((kehu.now() - ? * interval '1 second') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
                seconds);
    }

    /** As if it had been entered an hour before. */
    private static void age(Answer made) {
        kehu.sql(
                "UPDATE customer.relation SET valid_from = valid_from - interval '1 hour' WHERE id = ?",
                UUID.fromString(id(made)));
    }

    // ---- entering and reading

    @Test
    void aRelationIsReadFromBothEndsEachWithWhatTheOtherIs() {
        String mother = aPersonOf(managerNorth, "李母亲");
        String son = aPersonOf(managerNorth, "王儿子");
        Answer made = relate(
                        managerNorth, son, "parent", mother, ", \"startsOn\": \"1990-03-07\", \"note\": \" 常一起来行 \"")
                .is(201);
        assertThat(made.header("Location")).isEqualTo(path(made));
        assertThat(managerNorth.get(path(made)).is(200).json()).isEqualTo(made.json());
        assertThat(made.etag()).isEqualTo("\"1\"");
        assertThat(made.at("/kind").asText()).isEqualTo("parent");
        assertThat(made.at("/note").asText()).isEqualTo("常一起来行");
        assertThat(made.at("/ends/0/role").asText()).isEqualTo("parent");
        assertThat(made.at("/ends/0/customer/id").asText()).isEqualTo(mother);
        assertThat(made.at("/ends/1/role").asText()).isEqualTo("child");
        assertThat(made.at("/ends/1/customer/name").asText()).isEqualTo("王儿子");

        JsonNode ofSon =
                managerNorth.get("/v1/customers/" + son + "/relations").is(200).at("/items/0");
        assertThat(ofSon.at("/role").asText()).isEqualTo("parent");
        assertThat(ofSon.at("/customer/name").asText()).isEqualTo("李母亲");
        assertThat(ofSon.at("/startsOn").asText()).isEqualTo("1990-03-07");
        JsonNode ofMother = managerNorth
                .get("/v1/customers/" + mother + "/relations")
                .is(200)
                .at("/items/0");
        assertThat(ofMother.at("/role").asText()).isEqualTo("child");
        assertThat(ofMother.at("/customer/id").asText()).isEqualTo(son);
        managerNorth.get(path(made), "If-None-Match", made.etag()).is(304);
    }

    @Test
    void everyRoleOfTheContractCanBeEnteredAndKindsAreThoseOfTheTable() {
        JsonNode schemas = Contract.load(3000).document().at("/components/schemas");
        Set<String> roles = new HashSet<>();
        Set<String> kinds = new HashSet<>();
        for (Map<String, Object> row : kehu.sql(
                "SELECT code, role, inverse, from_kinds::text AS f, to_kinds::text AS t FROM customer.relation_kind")) {
            kinds.add(row.get("code").toString());
            for (String way : List.of("role", "inverse")) {
                String word = row.get(way).toString();
                roles.add(word);
                boolean outward = way.equals("role");
                String one = one(row.get(outward ? "t" : "f").toString());
                String other = one(row.get(outward ? "f" : "t").toString());
                Answer made = relate(managerNorth, one, word, other, "").is(201);
                assertThat(made.at("/kind").asText()).isEqualTo(row.get("code"));
                assertThat(managerNorth
                                .get("/v1/customers/" + one + "/relations")
                                .at("/items/0/role")
                                .asText())
                        .isEqualTo(word);
            }
        }
        assertThat(words(schemas.at("/RelationRole/enum"))).isEqualTo(roles);
        assertThat(words(schemas.at("/RelationKind/enum"))).isEqualTo(kinds);
    }

    private static String one(String kinds) {
        return kinds.contains("organisation") ? aCompanyOf(managerNorth, "某公司", "") : aPersonOf(managerNorth, "某人");
    }

    private static Set<String> words(JsonNode list) {
        Set<String> words = new HashSet<>();
        list.forEach(word -> words.add(word.asText()));
        return words;
    }

    @Test
    void nobodyIsRelatedToHimselfAndTheSameHoldsOnceAtATime() {
        String one = aPersonOf(managerNorth, "甲");
        String other = aPersonOf(managerNorth, "乙");
        relate(managerNorth, one, "spouse", one, "").is(422, "relation.withItself");
        relate(managerNorth, one, "spouse", other, ", \"startsOn\": \"2001-01-01\", \"endsOn\": \"2010-01-01\"")
                .is(201);
        relate(managerNorth, one, "spouse", other, ", \"startsOn\": \"2009-12-31\"")
                .is(409, "relation.exists");
        relate(managerNorth, other, "spouse", one, "").is(409, "relation.exists");
        relate(managerNorth, other, "spouse", one, ", \"startsOn\": \"2010-01-01\"")
                .is(201);
        relate(managerNorth, one, "guarantor", other, "").is(201);
        relate(managerNorth, other, "guarantor", one, "").is(201);
        relate(managerNorth, one, "sibling", other, ", \"startsOn\": \"2010-01-01\", \"endsOn\": \"2010-01-01\"")
                .is(422, "relation.periodInvalid");
    }

    @Test
    void ofManyAtOnceOneMakesTheRelation() {
        String one = aPersonOf(managerNorth, "并发甲");
        String other = aPersonOf(managerNorth, "并发乙");
        List<Integer> statuses = IntStream.range(0, 12)
                .parallel()
                .mapToObj(i -> i % 2 == 0
                        ? relate(managerNorth, one, "spouse", other, "").status()
                        : relate(managerNorth, other, "spouse", one, "").status())
                .toList();
        assertThat(statuses).containsOnly(201, 409).containsOnlyOnce(201);
        assertThat(listed(managerNorth, one, "")).hasSize(1);
    }

    @Test
    void personsAndOrganisationsAreRelatedOnlyAsTheyCanBe() {
        String person = aPersonOf(managerNorth, "个人");
        String company = aCompanyOf(managerNorth, "公司", "");
        String other = aCompanyOf(managerNorth, "另一公司", "");
        relate(managerNorth, person, "spouse", company, "").is(422, "relation.endsUnfit");
        relate(managerNorth, person, "subsidiary", company, "").is(422, "relation.endsUnfit");
        relate(managerNorth, person, "shareholder", company, "").is(422, "relation.endsUnfit");
        relate(managerNorth, company, "shareholder", person, ", \"share\": \"33.3333\"")
                .is(201);
        relate(managerNorth, company, "shareholder", other, ", \"share\": \"100.0001\"")
                .is(422, "relation.valueUnfit");
        relate(managerNorth, company, "shareholder", other, ", \"share\": \"0\"")
                .is(422, "relation.valueUnfit");
        relate(managerNorth, company, "guarantor", other, ", \"share\": \"50\"").is(422, "relation.valueUnfit");
        relate(managerNorth, company, "shareholder", other, ", \"amount\": \"5\"")
                .is(422, "relation.valueUnfit");
        for (String wrong : List.of("\"50%\"", "\"-1\"", "\"1e1\"", "50", "\"0.12345\"")) {
            relate(managerNorth, company, "shareholder", other, ", \"share\": " + wrong)
                    .is(400, "request.invalid");
        }
        Answer guarantee = relate(managerNorth, company, "guarantor", person, ", \"amount\": \"500000.5\"")
                .is(201);
        assertThat(guarantee.at("/amount").asText()).isEqualTo("500000.50");
        for (String more : List.of(", \"fromId\": \"" + person + "\"", ", \"version\": 7", ", \"kind\": \"spouse\"")) {
            relate(managerNorth, company, "guarantor", other, more).is(400, "request.invalid");
        }
    }

    @Test
    void aRelationIsChangedEndedAndTakenAwayAndWhatWasKnownBeforeIsStillTold() {
        String one = aPersonOf(managerNorth, "过去甲");
        String other = aPersonOf(managerNorth, "过去乙");
        Answer made = relate(managerNorth, one, "spouse", other, ", \"startsOn\": \"2020-05-01\", \"note\": \"婚礼\"")
                .is(201);
        age(made);
        String before = "?asOf=" + ago(30);
        Answer ended = managerNorth
                .patch(path(made), made.etag(), "{\"endsOn\": \"2024-02-29\", \"note\": null}")
                .is(200);
        assertThat(ended.at("/note").isMissingNode()).isTrue();
        managerNorth
                .patch(path(made), made.etag(), "{\"endsOn\": \"2024-03-01\"}")
                .is(412, "request.stale");
        managerNorth.send("PATCH", path(made), "{\"note\": \"x\"}").is(428);
        managerNorth
                .patch(path(made), ended.etag(), "{\"endsOn\": \"2020-04-01\"}")
                .is(422, "relation.periodInvalid");
        managerNorth.patch(path(made), ended.etag(), "{\"kind\": \"sibling\"}").is(400, "request.invalid");

        assertThat(listed(managerNorth, one, "?on=2024-02-28")).containsExactly(id(made));
        assertThat(listed(managerNorth, one, "?on=2024-02-29")).isEmpty();
        assertThat(listed(managerNorth, one, "?on=2020-04-30")).isEmpty();
        assertThat(listed(managerNorth, one, "?kind=spouse,sibling")).containsExactly(id(made));
        assertThat(listed(managerNorth, one, "?kind=sibling")).isEmpty();
        managerNorth.get("/v1/customers/" + one + "/relations?on=2024-02-30").is(400);

        managerNorth
                .send("DELETE", path(made), (String) null, "If-Match", made.etag())
                .is(412, "request.stale");
        managerNorth
                .send("DELETE", path(made), (String) null, "If-Match", ended.etag())
                .is(204);
        managerNorth.get(path(made)).is(404, "relation.notFound");
        assertThat(listed(managerNorth, one, "")).isEmpty();
        JsonNode then = managerNorth
                .get("/v1/customers/" + other + "/relations" + before)
                .is(200)
                .at("/items");
        assertThat(then).hasSize(1);
        assertThat(then.at("/0/endsOn").isMissingNode()).isTrue();
        assertThat(then.at("/0/note").asText()).isEqualTo("婚礼");
        assertThat(listed(managerNorth, one, "?asOf=" + ago(7200))).isEmpty();
        managerNorth.get("/v1/customers/" + one + "/relations?asOf=" + ago(-60)).is(400, "request.asOfTooLate");
    }

    @Test
    void aDryRunLeavesNothingAndAKeyMakesOne() {
        String one = aPersonOf(managerNorth, "键甲");
        String other = aPersonOf(managerNorth, "键乙");
        String path = "/v1/customers/" + one + "/relations";
        String body = "{\"role\": \"referrer\", \"customerId\": \"" + other + "\", \"note\": \"介绍\"}";
        managerNorth.post(path, body, "Dry-Run", "true").is(201);
        assertThat(listed(managerNorth, one, "")).isEmpty();
        Answer first =
                managerNorth.post(path, body, "Idempotency-Key", "relate").is(201);
        Answer again =
                managerNorth.post(path, body, "Idempotency-Key", "relate").is(201);
        assertThat(again.json()).isEqualTo(first.json());
        assertThat(listed(managerNorth, one, "")).hasSize(1);
    }

    @Test
    void manyRelationsArePagedNewestFirst() {
        String hub = aPersonOf(managerNorth, "中心");
        List<String> made = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            made.add(
                    0,
                    id(relate(managerNorth, hub, "referred", aPersonOf(managerNorth, "客" + i), "")
                            .is(201)));
        }
        List<String> walked = new ArrayList<>();
        String cursor = "";
        do {
            Answer page = managerNorth
                    .get("/v1/customers/" + hub + "/relations?limit=2" + cursor)
                    .is(200);
            page.at("/items").forEach(item -> walked.add(item.get("id").asText()));
            cursor = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!cursor.isEmpty());
        assertThat(walked).isEqualTo(made);
    }

    @Test
    void aNoteIsUnreadableAsSoonAsTheKeyOfEitherEndIsGone() {
        for (int which = 0; which < 2; which++) {
            String one = aPersonOf(managerNorth, "密甲");
            String other = aPersonOf(managerNorth, "密乙");
            Answer made = relate(managerNorth, one, "guarantor", other, ", \"note\": \"只有我们知道\"")
                    .is(201);
            assertThat(managerNorth.get(path(made)).at("/note").asText()).isEqualTo("只有我们知道");
            kehu.sql("DELETE FROM kehu.data_key WHERE subject_id = ?", UUID.fromString(which == 0 ? one : other));
            assertThat(managerNorth.get(path(made)).is(200).at("/note").isMissingNode())
                    .isTrue();
            assertThat(managerNorth
                            .get("/v1/customers/" + one + "/relations")
                            .is(200)
                            .text())
                    .doesNotContain("只有我们知道");
        }
    }

    // ---- out of scope

    @Test
    void aRelationToACustomerOutOfScopeLeaksNothingAnywhere() {
        String mine = aCompanyOf(managerNorth, "北方公司", ", \"assets\": \"100\"");
        String theirs = aCompanyOf(managerSouth, "南方公司", ", \"assets\": \"9000\"");
        String beyond = aCompanyOf(managerNorth, "北方孙公司", ", \"assets\": \"7\"");
        relate(managerNorth, mine, "subsidiary", theirs, "").is(404, "customer.notFound");
        relate(managerNorth, theirs, "subsidiary", mine, "").is(404, "customer.notFound");
        Answer before = around(managerNorth, mine);
        Answer made =
                relate(head, mine, "subsidiary", theirs, ", \"note\": \"机密\"").is(201);
        Answer further = relate(head, theirs, "subsidiary", beyond, "").is(201);
        age(made);

        assertThat(around(managerNorth, mine).json()).isEqualTo(before.json());
        assertThat(listed(managerNorth, mine, "")).isEmpty();
        assertThat(listed(managerNorth, mine, "?asOf=" + ago(30))).isEmpty();
        assertThat(listed(head, mine, "?asOf=" + ago(30))).containsExactly(id(made));
        for (Answer hidden : List.of(made, further)) {
            managerNorth.get(path(hidden)).is(404, "relation.notFound");
            managerSouth.get(path(hidden)).is(404, "relation.notFound");
            managerNorth.patch(path(hidden), "\"1\"", "{\"note\": \"x\"}").is(404, "relation.notFound");
            managerNorth
                    .send("DELETE", path(hidden), (String) null, "If-Match", "\"1\"")
                    .is(404, "relation.notFound");
        }
        // Nobody is reached through who is not seen, and no sum holds what is not seen.
        JsonNode group =
                managerNorth.get("/v1/customers/" + mine + "/group").is(200).json();
        assertThat(group.at("/members")).hasSize(1);
        assertThat(group.at("/totals/assets").asText()).isEqualTo("100.00");
        assertThat(group.at("/totals/complete").asBoolean()).isFalse();
        assertThat(group.toString()).doesNotContain(theirs, beyond, "南方");
        JsonNode whole = analyst.get("/v1/customers/" + mine + "/group").is(200).json();
        assertThat(whole.at("/totals/assets").asText()).isEqualTo("9107.00");
        assertThat(whole.at("/totals/customers").asInt()).isEqualTo(3);
        assertThat(whole.at("/totals/complete").asBoolean()).isTrue();
        marketing.get("/v1/customers/" + mine + "/group").is(403, "customer.fieldForbidden");

        String told = await().atMost(Duration.ofSeconds(10))
                .until(() -> analyst.get("/v1/events?limit=1000").text(), text -> text.contains(id(further)));
        assertThat(told).contains(id(made));
        assertThat(managerNorth.get("/v1/events?limit=1000").is(200).text())
                .doesNotContain(id(made), id(further), theirs);
        assertThat(managerSouth.get("/v1/events?limit=1000").is(200).text())
                .doesNotContain(id(made), id(further), mine);
    }

    private static Answer around(Caller who, String customer) {
        Answer graph = who.get("/v1/customers/" + customer + "/graph?steps=4").is(200);
        assertThat(graph.at("/nodes")).hasSize(1);
        return graph;
    }

    @Test
    void whoSeesBothIsToldOfTheirRelation() {
        String one = aPersonOf(managerNorth, "事件甲");
        String other = aPersonOf(managerNorth, "事件乙");
        Answer made = relate(managerNorth, one, "sibling", other, ", \"note\": \"不可外传\"")
                .is(201);
        String told = await().atMost(Duration.ofSeconds(10))
                .until(() -> managerNorth.get("/v1/events?limit=1000").text(), text -> text.contains(id(made)));
        assertThat(told).contains("relation.created").doesNotContain("不可外传");
    }

    // ---- the graph

    @Test
    void theGraphGoesAsManySteps() {
        List<String> chain = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            chain.add(aPersonOf(managerNorth, "链" + i));
            if (i > 0) {
                relate(managerNorth, chain.get(i - 1), "child", chain.get(i), "")
                        .is(201);
            }
        }
        // A circle, which ends.
        relate(managerNorth, chain.get(5), "guarantor", chain.get(0), "").is(201);
        for (int steps = 1; steps <= 4; steps++) {
            Answer graph = managerNorth
                    .get("/v1/customers/" + chain.get(0) + "/graph?steps=" + steps)
                    .is(200);
            assertThat(graph.at("/nodes")).hasSize(Math.min(6, 1 + 2 * steps));
            assertThat(graph.at("/nodes/0/step").asInt()).isZero();
            assertThat(graph.at("/truncated").asBoolean()).isFalse();
        }
        assertThat(managerNorth
                        .get("/v1/customers/" + chain.get(0) + "/graph?steps=3")
                        .at("/edges"))
                .hasSize(6);
        assertThat(managerNorth
                        .get("/v1/customers/" + chain.get(0) + "/graph?steps=4&kind=parent")
                        .at("/nodes"))
                .hasSize(5);
        assertThat(managerNorth.get("/v1/customers/" + chain.get(2) + "/graph").at("/nodes"))
                .as("two steps unless said otherwise")
                .hasSize(5);
        managerNorth.get("/v1/customers/" + chain.get(0) + "/graph?steps=5").is(400);
        managerNorth.get("/v1/customers/" + chain.get(0) + "/graph?steps=0").is(400);
        managerSouth.get("/v1/customers/" + chain.get(0) + "/graph").is(404, "customer.notFound");
    }

    @Test
    void aGraphOfMoreThanTwoHundredSaysSo() {
        String hub = aCompanyOf(managerNorth, "大雇主", "");
        kehu.sql("""
                WITH made AS (
                    INSERT INTO customer.customer (id, kind, branch_id, manager_id, lifecycle, tier)
                    SELECT uuidv7(), 'person', c.branch_id, c.manager_id, 'active', 'mass'
                    FROM customer.customer c, generate_series(1, 230) WHERE c.id = ? RETURNING id)
                SELECT count(*) FROM made""", UUID.fromString(hub));
        kehu.sql("""
                INSERT INTO customer.relation (id, kind, from_id, to_id)
                SELECT uuidv7(), 'employer', h.id, e.id FROM customer.customer h
                JOIN customer.customer e ON e.manager_id = h.manager_id AND e.kind = 'person'
                    AND NOT EXISTS (SELECT FROM customer.sealed s WHERE s.id = e.id)
                WHERE h.id = ?""", UUID.fromString(hub));
        Answer graph =
                managerNorth.get("/v1/customers/" + hub + "/graph?steps=3").is(200);
        assertThat(graph.at("/nodes")).hasSize(200);
        assertThat(graph.at("/edges")).hasSize(199);
        assertThat(graph.at("/truncated").asBoolean()).isTrue();
        kehu.sql("DELETE FROM customer.relation WHERE from_id = ?", UUID.fromString(hub));
        kehu.sql("DELETE FROM customer.customer c WHERE NOT EXISTS (SELECT FROM customer.sealed s WHERE s.id = c.id)");
    }

    @Test
    void aGroupIsWhatHangsTogetherByGroupControlAndMajority() {
        String top = aCompanyOf(managerNorth, "总公司", ", \"assets\": \"1000.50\", \"annualIncome\": \"10\"");
        String daughter = aCompanyOf(managerNorth, "子公司", ", \"liabilities\": \"300\"");
        String held = aCompanyOf(managerNorth, "控股公司", ", \"assets\": \"1\"");
        String partly = aCompanyOf(managerNorth, "参股公司", ", \"assets\": \"5000\"");
        String owner = aPersonOf(managerNorth, "老板");
        relate(managerNorth, top, "subsidiary", daughter, "").is(201);
        relate(managerNorth, daughter, "held-company", held, ", \"share\": \"50.0001\"")
                .is(201);
        relate(managerNorth, daughter, "held-company", partly, ", \"share\": \"50\"")
                .is(201);
        relate(managerNorth, top, "actual-controller", owner, "").is(201);
        for (String start : List.of(top, daughter, held, owner)) {
            JsonNode group = managerNorth
                    .get("/v1/customers/" + start + "/group")
                    .is(200)
                    .json();
            assertThat(group.at("/members")).as(start).hasSize(3);
            assertThat(group.at("/totals/customers").asInt()).isEqualTo(3);
            assertThat(group.at("/totals/assets").asText()).isEqualTo("1001.50");
            assertThat(group.at("/totals/liabilities").asText()).isEqualTo("300.00");
            assertThat(group.at("/totals/annualIncome").asText()).isEqualTo("10.00");
            assertThat(group.at("/truncated").asBoolean()).isFalse();
        }
        assertThat(managerNorth.get("/v1/customers/" + partly + "/group").at("/members"))
                .hasSize(1);
    }

    // ---- merged records

    @Test
    void theRelationsOfTwoRecordsAreThoseOfOneAsLongAsTheyAreMerged() {
        String survivor = aPersonOf(managerNorth, "留存");
        String merged = aPersonOf(managerNorth, "并入");
        String friend = aPersonOf(managerNorth, "友人");
        Answer ofSurvivor =
                relate(managerNorth, survivor, "guarantor", friend, "").is(201);
        Answer ofMerged = relate(managerNorth, merged, "referrer", friend, ", \"note\": \"原记录\"")
                .is(201);
        Answer between = relate(managerNorth, survivor, "sibling", merged, "").is(201);
        kehu.sql(
                "INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)",
                UUID.fromString(merged),
                UUID.fromString(survivor));
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", UUID.fromString(merged));
        for (String id : List.of(survivor, merged)) {
            assertThat(listed(managerNorth, id, "")).containsExactly(id(ofMerged), id(ofSurvivor));
        }
        JsonNode ofFriend =
                managerNorth.get("/v1/customers/" + friend + "/relations").at("/items");
        assertThat(ofFriend).hasSize(2);
        ofFriend.forEach(item -> assertThat(item.at("/customer/name").asText()).isEqualTo("留存"));
        assertThat(managerNorth.get(path(ofMerged)).is(200).at("/note").asText())
                .isEqualTo("原记录");
        assertThat(managerNorth.get("/v1/customers/" + friend + "/graph").at("/nodes"))
                .hasSize(2);
        assertThat(managerNorth.get("/v1/customers/" + friend + "/graph").at("/edges"))
                .hasSize(2);
        relate(managerNorth, survivor, "spouse", merged, "").is(422, "relation.withItself");
        Answer later =
                relate(managerNorth, merged, "emergency-contact", friend, "").is(201);

        kehu.sql("DELETE FROM customer.merged WHERE id = ?", UUID.fromString(merged));
        kehu.sql("UPDATE customer.customer SET deleted_at = NULL WHERE id = ?", UUID.fromString(merged));
        assertThat(listed(managerNorth, survivor, "")).containsExactly(id(between), id(ofSurvivor));
        assertThat(listed(managerNorth, merged, ""))
                .as("what arrived for it is its own again")
                .containsExactly(id(later), id(between), id(ofMerged));
    }

    @Test
    void daysAreThoseOfTheBank() {
        String one = aPersonOf(managerNorth, "日甲");
        String other = aPersonOf(managerNorth, "日乙");
        LocalDate today =
                ((java.sql.Date) kehu.value("SELECT (kehu.now() AT TIME ZONE 'Asia/Shanghai')::date")).toLocalDate();
        relate(
                        managerNorth,
                        one,
                        "employee",
                        other,
                        ", \"startsOn\": \"" + today + "\", \"endsOn\": \"" + today.plusDays(1) + "\"")
                .is(201);
        Answer graph = managerNorth.get("/v1/customers/" + one + "/graph").is(200);
        assertThat(graph.at("/on").asText()).isEqualTo(today.toString());
        assertThat(graph.at("/nodes")).hasSize(2);
        assertThat(managerNorth
                        .get("/v1/customers/" + one + "/graph?on=" + today.plusDays(1))
                        .at("/nodes"))
                .hasSize(1);
    }
}
