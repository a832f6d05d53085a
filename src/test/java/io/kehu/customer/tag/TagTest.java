package io.kehu.customer.tag;

import static org.assertj.core.api.Assertions.assertThat;

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

class TagTest {
    private static final AtomicInteger NEXT = new AtomicInteger();

    private static TestKehu kehu;
    private static UUID north;
    private static UUID desk;
    private static UUID south;
    private static Caller managerNorth;
    private static Caller managerDesk;
    private static Caller managerSouth;
    private static Caller headNorth;
    private static Caller headSouth;
    private static Caller marketing;
    private static Caller analyst;
    private static String category;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        north = kehu.branch(kehu.headOffice(), "NORTH");
        desk = kehu.branch(north, "NORTH-DESK");
        south = kehu.branch(kehu.headOffice(), "SOUTH");
        managerNorth = kehu.signIn(kehu.staff(north, "customer-manager"));
        managerDesk = kehu.signIn(kehu.staff(desk, "customer-manager"));
        managerSouth = kehu.signIn(kehu.staff(south, "customer-manager"));
        headNorth = kehu.signIn(kehu.staff(north, "branch-head"));
        headSouth = kehu.signIn(kehu.staff(south, "branch-head"));
        marketing = kehu.caller("marketing");
        analyst = kehu.caller("analyst");
        category = aCategory("");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String code() {
        return "c" + NEXT.incrementAndGet();
    }

    private static String id(Answer answer) {
        return answer.at("/id").asText();
    }

    private static Answer category(String code, String parent) {
        return marketing.post(
                "/v1/tag-categories", """
                {"code": "%s", "nameEn": "Category", "nameZh": "分类"%s}""".formatted(code, parent.isEmpty() ? "" : ", \"parentId\": \"" + parent + '"'));
    }

    private static String aCategory(String parent) {
        return id(category(code(), parent).is(201));
    }

    private static Answer tag(Caller who, String more) {
        return who.post("/v1/tags", """
                {"code": "%s", "categoryId": "%s", "nameEn": "Tag", "nameZh": "标签"%s}""".formatted(code(), category, more));
    }

    private static String aTag(String more) {
        return id(tag(marketing, more).is(201));
    }

    private static String aCustomerOf(Caller who) {
        return id(who.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"赵标签\"}")
                .is(201));
    }

    private static Answer put(Caller who, String customer, String tag, String more) {
        return who.send("PUT", path(customer, tag), "{\"reason\": \"因为他说过\"" + more + "}");
    }

    private static String path(String customer, String tag) {
        return "/v1/customers/" + customer + "/tags/" + tag;
    }

    private static List<String> tagsOf(Caller who, String customer, String query) {
        List<String> ids = new ArrayList<>();
        who.get("/v1/customers/" + customer + "/tags" + query)
                .is(200)
                .at("/items")
                .forEach(item -> ids.add(item.get("tagId").asText()));
        return ids;
    }

    private static String in(int seconds) {
        return kehu.value(
                "SELECT to_char((kehu.now() + ? * interval '1 second') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
                seconds);
    }

    // ---- the tree

    @Test
    void categoriesStandInATreeOfFourLayersAndAreListedInItsOrder() {
        String code = code();
        Answer top = category(code, "").is(201);
        String second = aCategory(id(top));
        String third = aCategory(second);
        String fourth = aCategory(third);
        category(code(), fourth).is(422, "tag.tooDeep");
        category(code, "").is(409, "tag.codeTaken");
        category(code(), UUID.randomUUID().toString()).is(422, "tag.categoryUnknown");
        List<String> listed = new ArrayList<>();
        String next = "";
        do {
            Answer page = analyst.get("/v1/tag-categories?limit=2" + next).is(200);
            page.at("/items").forEach(item -> listed.add(item.get("id").asText()));
            next = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!next.isEmpty());
        assertThat(listed).containsSubsequence(id(top), second, third, fourth).doesNotHaveDuplicates();
        Answer renamed = marketing
                .patch("/v1/tag-categories/" + second, "\"1\"", "{\"nameZh\": \"新名\"}")
                .is(200);
        assertThat(renamed.at("/nameZh").asText()).isEqualTo("新名");
        marketing
                .patch("/v1/tag-categories/" + second, "\"1\"", "{\"nameZh\": \"旧名\"}")
                .is(412);
        assertThat(analyst.get("/v1/tag-categories/" + fourth)
                        .is(200)
                        .at("/depth")
                        .asInt())
                .isEqualTo(3);
        String below =
                id(marketing.post("/v1/tags", """
                {"code": "%s", "categoryId": "%s", "nameEn": "Deep", "nameZh": "深"}""".formatted(code(), fourth)).is(201));
        assertThat(analyst.get("/v1/tags?categoryId=" + second).is(200).text()).contains(below);
        assertThat(analyst.get("/v1/tags?categoryId=" + category).is(200).text())
                .doesNotContain(below);
    }

    // ---- whose tag it is

    @Test
    void aTagOfABranchIsSeenAndUsedThereAndBelowAndNowhereElse() {
        String ofNorth = id(tag(headNorth, ", \"branchId\": \"" + north + '"').is(201));
        tag(headNorth, "").is(422, "tag.branchUnknown");
        tag(headNorth, ", \"branchId\": \"" + south + '"').is(422, "tag.branchUnknown");
        headSouth.get("/v1/tags/" + ofNorth).is(404, "tag.notFound");
        managerSouth.get("/v1/tags/" + ofNorth).is(404, "tag.notFound");
        managerDesk.get("/v1/tags/" + ofNorth).is(200);
        assertThat(headSouth.get("/v1/tags?limit=200").text()).doesNotContain(ofNorth);
        assertThat(analyst.get("/v1/tags?limit=200").text()).contains(ofNorth);

        String here = aCustomerOf(managerDesk);
        String elsewhere = aCustomerOf(managerSouth);
        put(managerDesk, here, ofNorth, "").is(200);
        put(managerSouth, elsewhere, ofNorth, "").is(404, "tag.notFound");
        put(marketing, elsewhere, ofNorth, "").is(409, "tag.notForCustomer");
        headSouth.patch("/v1/tags/" + ofNorth, "\"1\"", "{\"nameZh\": \"抢\"}").is(404);
        String ofTheBank = aTag("");
        headNorth.patch("/v1/tags/" + ofTheBank, "\"1\"", "{\"nameZh\": \"抢\"}").is(403, "tag.ownerElsewhere");
        Answer changed = headNorth
                .patch("/v1/tags/" + ofNorth, "\"1\"", "{\"nameZh\": \"北区\", \"defaultDays\": 30}")
                .is(200);
        assertThat(changed.at("/defaultDays").asInt()).isEqualTo(30);

        // Who is handed over to another branch leaves the tags of the former one behind.
        marketing.patch("/v1/customers/" + here, "\"1\"", """
                {"branchId": "%s", "managerId": null}""".formatted(south)).is(200);
        assertThat(tagsOf(headSouth, here, "")).isEmpty();
    }

    // ---- giving and taking

    @Test
    void aTagIsGivenWithAReasonThatOnlyTheCustomersKeyOpens() {
        String tag = aTag("");
        String customer = aCustomerOf(managerNorth);
        Answer given = put(managerNorth, customer, tag, "").is(200);
        assertThat(given.at("/reason").asText()).isEqualTo("因为他说过");
        assertThat(given.at("/givenBy/id").asText()).isEqualTo(managerNorth.id.toString());
        assertThat(given.at("/madeBy").asText()).isEqualTo("hand");
        Answer read = managerNorth.get(path(customer, tag)).is(200);
        assertThat(read.json()).isEqualTo(given.json());
        assertThat(tagsOf(managerNorth, customer, "")).containsExactly(tag);
        // A second time only changes it.
        Answer again = managerNorth
                .send("PUT", path(customer, tag), "{\"reason\": \"又说了\"}")
                .is(200);
        assertThat(again.at("/from")).isEqualTo(given.at("/from"));
        assertThat(again.at("/reason").asText()).isEqualTo("又说了");
        assertThat(again.at("/version").asInt()).isEqualTo(2);
        managerSouth.get(path(customer, tag)).is(404, "customer.notFound");
        put(managerSouth, customer, tag, "").is(404, "customer.notFound");
        managerSouth.send("DELETE", path(customer, tag), (String) null).is(404, "customer.notFound");

        managerNorth.send("DELETE", path(customer, tag), (String) null).is(204);
        managerNorth.send("DELETE", path(customer, tag), (String) null).is(404, "tag.notAssigned");
        managerNorth.get(path(customer, tag)).is(404, "tag.notAssigned");
        assertThat(tagsOf(managerNorth, customer, "")).isEmpty();
        assertThat((String) kehu.value("SELECT string_agg(a::text, ' ') FROM kehu.audit a WHERE object_type = 'tag'"))
                .doesNotContain("因为他说过");
        List<String> events = new ArrayList<>();
        kehu.sql("SELECT type FROM kehu.event WHERE payload ->> 'customerId' = ? ORDER BY xid", customer)
                .forEach(row -> events.add(row.get("type").toString()));
        assertThat(events).containsExactly("tag.assigned", "tag.assigned", "tag.removed");
    }

    @Test
    void ofAGroupACustomerHasOneAtATime() {
        String group = ", \"group\": \"mood\"";
        String glad = aTag(group);
        String sad = aTag(group);
        String free = aTag("");
        String customer = aCustomerOf(managerNorth);
        put(managerNorth, customer, glad, "").is(200);
        put(managerNorth, customer, free, "").is(200);
        put(managerNorth, customer, sad, "").is(200);
        assertThat(tagsOf(managerNorth, customer, "")).containsExactlyInAnyOrder(sad, free);
        managerNorth.get(path(customer, glad)).is(404, "tag.notAssigned");
        assertThat(kehu.sql("SELECT code FROM customer.tag_current WHERE customer_id = ?", UUID.fromString(customer)))
                .hasSize(2);
        assertThat((String) kehu.value(
                        "SELECT string_agg(item::text, ' ') FROM customer.overview_tags WHERE customer_id = ?",
                        UUID.fromString(customer)))
                .contains(sad, free)
                .doesNotContain(glad, "因为他说过");
    }

    @Test
    void aTagEndsByTheClockAloneAndCannotBeGivenForWhatHasPassed() {
        String tag = aTag(", \"defaultDays\": 30");
        String customer = aCustomerOf(managerNorth);
        Answer given = put(managerNorth, customer, tag, "").is(200);
        assertThat(given.at("/until").asText()).isGreaterThan(in(29 * 86_400)).isLessThan(in(31 * 86_400));
        put(managerNorth, customer, tag, ", \"until\": \"" + in(-1) + '"').is(422, "tag.periodInvalid");
        put(managerNorth, customer, tag, ", \"from\": \"" + in(60) + "\", \"until\": \"" + in(50) + '"')
                .is(422, "tag.periodInvalid");
        put(managerNorth, customer, tag, ", \"from\": \"" + in(60) + '"').is(200);
        assertThat(tagsOf(managerNorth, customer, "")).isEmpty();
        managerNorth.get(path(customer, tag)).is(200);
        put(managerNorth, customer, tag, ", \"until\": \"" + in(3600) + '"').is(200);
        assertThat(tagsOf(managerNorth, customer, "")).containsExactly(tag);
        kehu.sql("""
                UPDATE customer.customer_tag SET starts_at = starts_at - interval '2 hours', ends_at = ends_at - interval '2 hours'
                WHERE customer_id = ?""", UUID.fromString(customer));
        assertThat(tagsOf(managerNorth, customer, "")).isEmpty();
        managerNorth.get(path(customer, tag)).is(404, "tag.notAssigned");
        assertThat(kehu.sql("SELECT 1 FROM customer.tag_current WHERE customer_id = ?", UUID.fromString(customer)))
                .isEmpty();

        // The tag itself ends at every customer.
        put(managerNorth, customer, tag, "").is(200);
        assertThat(tagsOf(managerNorth, customer, "")).containsExactly(tag);
        marketing
                .patch("/v1/tags/" + tag, "\"1\"", "{\"validUntil\": \"" + in(0) + "\"}")
                .is(200);
        assertThat(tagsOf(managerNorth, customer, "")).isEmpty();
        put(managerNorth, customer, tag, "").is(409, "tag.notUsable");
        assertThat(analyst.get("/v1/tags?usable=true&limit=200").text()).doesNotContain(tag);
        tag(marketing, ", \"validFrom\": \"" + in(60) + "\", \"validUntil\": \"" + in(30) + '"')
                .is(422, "tag.periodInvalid");
    }

    @Test
    void whatWasKnownThenIsToldFromThePast() {
        String tag = aTag("");
        String customer = aCustomerOf(managerNorth);
        put(managerNorth, customer, tag, "").is(200);
        managerNorth.send("DELETE", path(customer, tag), (String) null).is(204);
        // Given an hour ago and taken away half an hour ago.
        UUID id = UUID.fromString(customer);
        kehu.sql(
                "UPDATE customer.tag SET valid_from = valid_from - interval '2 hours' WHERE id = ?",
                UUID.fromString(tag));
        kehu.sql("""
                UPDATE customer.customer_tag_past SET starts_at = starts_at - interval '1 hour',
                    valid_from = valid_from - interval '1 hour', valid_to = valid_to - interval '30 minutes'
                WHERE customer_id = ?""", id);
        assertThat(tagsOf(managerNorth, customer, "")).isEmpty();
        assertThat(tagsOf(managerNorth, customer, "?asOf=" + in(-2_700))).containsExactly(tag);
        assertThat(tagsOf(managerNorth, customer, "?asOf=" + in(-900))).isEmpty();
        assertThat(tagsOf(managerNorth, customer, "?asOf=" + in(-7_000))).isEmpty();
        managerNorth.get("/v1/customers/" + customer + "/tags?asOf=" + in(0)).is(400, "request.asOfTooLate");
        managerSouth.get("/v1/customers/" + customer + "/tags?asOf=" + in(-900)).is(404, "customer.notFound");
    }

    @Test
    void manyGetATagAtOnceAndOneForeignCustomerRefusesAll() {
        String tag = aTag("");
        List<String> mine = List.of(aCustomerOf(managerNorth), aCustomerOf(managerNorth), aCustomerOf(managerNorth));
        String foreign = aCustomerOf(managerSouth);
        String path = "/v1/tags/" + tag + "/customers";
        String body = "{\"customerIds\": [\"%s\"], \"reason\": \"活动\"}";
        managerNorth
                .post(path, body.formatted(String.join("\", \"", mine) + "\", \"" + foreign))
                .is(404, "customer.notFound");
        mine.forEach(customer -> assertThat(tagsOf(managerNorth, customer, "")).isEmpty());
        Answer done = managerNorth
                .post(path, body.formatted(String.join("\", \"", mine)))
                .is(200);
        assertThat(done.at("/assigned").asInt()).isEqualTo(3);
        mine.forEach(customer -> assertThat(tagsOf(managerNorth, customer, "")).containsExactly(tag));
    }

    @Test
    void tagsOfRulesAreNotGivenByHand() {
        String tag = aTag(", \"madeBy\": \"rule\"");
        put(managerNorth, aCustomerOf(managerNorth), tag, "").is(409, "tag.byRule");
    }

    @Test
    void aMergedRecordShowsTheTagsOfItsSidesAndOfAGroupTheNewest() {
        String group = ", \"group\": \"size\"";
        String small = aTag(group);
        String large = aTag(group);
        String free = aTag("");
        String survivor = aCustomerOf(managerNorth);
        String merged = aCustomerOf(managerNorth);
        put(managerNorth, survivor, small, "").is(200);
        put(managerNorth, merged, large, "").is(200);
        put(managerNorth, merged, free, "").is(200);
        kehu.sql(
                "INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)",
                UUID.fromString(merged),
                UUID.fromString(survivor));
        assertThat(tagsOf(managerNorth, survivor, "")).containsExactlyInAnyOrder(large, free);
        assertThat(tagsOf(managerNorth, merged, "")).containsExactlyInAnyOrder(large, free);
        Answer given = put(managerNorth, merged, small, "").is(200);
        assertThat(given.at("/customerId").asText()).isEqualTo(merged);
        managerNorth.send("DELETE", path(survivor, free), (String) null).is(204);
        assertThat(tagsOf(managerNorth, survivor, "")).containsExactly(small);
    }
}
