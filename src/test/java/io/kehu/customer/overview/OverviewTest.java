package io.kehu.customer.overview;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class OverviewTest {
    private static final AtomicInteger NEXT = new AtomicInteger(5000);

    private static final String ALERTS = """
            CREATE OR REPLACE VIEW customer.overview_alerts AS
            SELECT r.from_id AS customer_id, r.made_at AS at, r.id, jsonb_build_object('level', 'high') AS item
            FROM customer.relation r WHERE r.kind = 'guarantor'""";

    private static TestKehu kehu;
    private static Caller managerNorth;
    private static Caller managerSouth;
    /** Sees both branches. */
    private static Caller head;

    private static Caller watcher;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        // What the owner of alerts would do in a migration of its own.
        kehu.sql(ALERTS);
        kehu.sql("GRANT SELECT ON customer.overview_alerts TO kehu_app");
        kehu.sql("""
                INSERT INTO iam.role (code, name_en, name_zh, scope, permissions)
                VALUES ('watcher', 'w', 'w', 'ALL', '{customer:read,alert:read}')""");
        managerNorth = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "NORTH"), "customer-manager"));
        managerSouth = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SOUTH"), "customer-manager"));
        head = kehu.caller("branch-head");
        watcher = kehu.caller("watcher");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String aPersonOf(Caller who, String name) {
        return id(who.post(
                        "/v1/customers",
                        "{\"kind\": \"person\", \"name\": \"" + name
                                + "\", \"phones\": [{\"number\": \"138" + NEXT.getAndIncrement()
                                + "5678\"}], \"assets\": \"77\"}")
                .is(201));
    }

    private static String id(Answer answer) {
        return answer.at("/id").asText();
    }

    private static String relate(Caller who, String customer, String role, String other) {
        return id(who.post(
                        "/v1/customers/" + customer + "/relations",
                        "{\"role\": \"" + role + "\", \"customerId\": \"" + other + "\"}")
                .is(201));
    }

    private static Answer overview(Caller who, String customer) {
        return who.get("/v1/customers/" + customer + "/overview").is(200);
    }

    private static List<String> ids(JsonNode section) {
        List<String> ids = new ArrayList<>();
        section.at("/items").forEach(item -> ids.add(item.at("/id").asText()));
        return ids;
    }

    @Test
    void anOverviewShowsTheCustomerAsHeIsReadAndTheNewestFiveOfEachSection() {
        String customer = aPersonOf(managerNorth, "总览");
        List<String> newest = new ArrayList<>();
        for (int i = 0; i < 7; i++) {
            newest.add(0, relate(managerNorth, customer, "referred", aPersonOf(managerNorth, "被荐" + i)));
        }
        String household = id(managerNorth
                .post("/v1/households", "{\"headId\": \"" + customer + "\", \"name\": \"总览家\"}")
                .is(201));
        Answer seen = overview(managerNorth, customer);
        assertThat(seen.at("/customer"))
                .isEqualTo(managerNorth.get("/v1/customers/" + customer).json());
        assertThat(seen.at("/customer/phones/0/number").asText()).isEqualTo("+86138****5678");
        JsonNode relations = seen.at("/sections/relations");
        assertThat(relations.at("/count").asText()).isEqualTo("7");
        assertThat(ids(relations)).isEqualTo(newest.subList(0, 5));
        assertThat(relations.at("/items/0/item/customer/name").asText()).isEqualTo("被荐6");
        assertThat(relations.at("/items/0/item/role").asText()).isEqualTo("referred");
        assertThat(ids(seen.at("/sections/household"))).containsExactly(household);
        assertThat(seen.at("/sections/household/items/0/item/role").asText()).isEqualTo("head");
        assertThat(seen.at("/sections/tags/count").asText()).isEqualTo("0");
        assertThat(seen.at("/sections").has("scores"))
                .as("empty, as nobody keeps any")
                .isTrue();
        assertThat(seen.at("/sections/scores/items")).isEmpty();
        managerSouth.get("/v1/customers/" + customer + "/overview").is(404, "customer.notFound");
        kehu.caller("administrator")
                .get("/v1/customers/" + customer + "/overview")
                .is(403);
    }

    @Test
    void aSectionIsShownToWhoMayReadIt() {
        String customer = aPersonOf(managerNorth, "分区");
        String guarantee = relate(managerNorth, aPersonOf(managerNorth, "担保"), "guaranteed", customer);
        String guarantor = kehu.value("SELECT from_id::text FROM customer.relation WHERE id = ?::uuid", guarantee);
        JsonNode sections = overview(managerNorth, guarantor).at("/sections");
        assertThat(sections.has("relations")).isTrue();
        assertThat(sections.has("alerts")).as("needs alert:read").isFalse();
        JsonNode watched = overview(watcher, guarantor).at("/sections");
        assertThat(watched.has("relations")).as("needs relation:read").isFalse();
        assertThat(watched.has("household")).isFalse();
        assertThat(watched.has("tags")).isFalse();
        assertThat(ids(watched.at("/alerts"))).containsExactly(guarantee);
        assertThat(watched.at("/alerts/items/0/item").toString()).isEqualTo("{\"level\":\"high\"}");
        assertThat(overview(watcher, guarantor).at("/customer").has("assets"))
                .as("needs customer:finance")
                .isFalse();
        assertThat(overview(managerNorth, guarantor).at("/customer/assets").asText())
                .isEqualTo("77.00");
    }

    @Test
    void whatConcernsACustomerOutOfScopeIsNeitherShownNorCounted() {
        String mine = aPersonOf(managerNorth, "我的");
        String theirs = aPersonOf(managerSouth, "他们的");
        Answer before = overview(managerNorth, mine);
        String relation = relate(head, mine, "spouse", theirs);
        String household = id(head.post("/v1/households", "{\"headId\": \"" + theirs + "\", \"name\": \"秘密家\"}")
                .is(201));
        head.post(
                        "/v1/households/" + household + "/members",
                        "{\"customerId\": \"" + mine + "\", \"role\": \"spouse\"}")
                .is(200);
        assertThat(overview(managerNorth, mine).json()).isEqualTo(before.json());
        Answer whole = overview(head, mine);
        assertThat(ids(whole.at("/sections/relations"))).containsExactly(relation);
        assertThat(ids(whole.at("/sections/household"))).containsExactly(household);
        assertThat(whole.at("/sections/household/items/0/item/customer/name").asText())
                .isEqualTo("他们的");
    }

    @Test
    void manyAreCountedUpToAHundred() {
        String one = aPersonOf(managerNorth, "多甲");
        String other = aPersonOf(managerNorth, "多乙");
        kehu.sql("""
                INSERT INTO customer.relation (id, kind, from_id, to_id, starts_on, ends_on)
                SELECT uuidv7(), 'referrer', ?, ?, current_date + n, current_date + n + 1 FROM generate_series(10, 109) n""", UUID.fromString(one), UUID.fromString(other));
        assertThat(overview(managerNorth, one).at("/sections/relations/count").asText())
                .isEqualTo("100");
        relate(managerNorth, one, "sibling", other);
        JsonNode relations = overview(managerNorth, one).at("/sections/relations");
        assertThat(relations.at("/count").asText()).isEqualTo("100+");
        assertThat(relations.at("/items")).hasSize(5);
        assertThat(relations.at("/items/0/item/kind").asText()).isEqualTo("sibling");
    }

    @Test
    void theOverviewOfAMergedRecordIsThatOfTheOneItStandsFor() {
        String survivor = aPersonOf(managerNorth, "留存");
        String merged = aPersonOf(managerNorth, "并入");
        String friend = aPersonOf(managerNorth, "友人");
        String first = relate(managerNorth, survivor, "guarantor", friend);
        String second = relate(managerNorth, merged, "referrer", friend);
        relate(managerNorth, survivor, "sibling", merged);
        kehu.sql(
                "INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)",
                UUID.fromString(merged),
                UUID.fromString(survivor));
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", UUID.fromString(merged));
        for (String asked : List.of(survivor, merged)) {
            Answer seen = overview(managerNorth, asked);
            assertThat(seen.at("/customer/id").asText()).isEqualTo(survivor);
            assertThat(ids(seen.at("/sections/relations"))).containsExactly(second, first);
            assertThat(seen.at("/sections/relations/count").asText()).isEqualTo("2");
        }
    }
}
