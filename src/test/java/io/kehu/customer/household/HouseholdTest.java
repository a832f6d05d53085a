package io.kehu.customer.household;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class HouseholdTest {
    private static TestKehu kehu;
    private static Caller managerNorth;
    private static Caller managerSouth;
    /** Sees both branches. */
    private static Caller head;

    private static Caller analyst;
    private static Caller deskAgent;
    private static LocalDate today;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        managerNorth = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "NORTH"), "customer-manager"));
        managerSouth = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SOUTH"), "customer-manager"));
        head = kehu.caller("branch-head");
        analyst = kehu.caller("analyst");
        deskAgent = kehu.caller("desk-agent");
        today = ((java.sql.Date) kehu.value("SELECT (kehu.now() AT TIME ZONE 'Asia/Shanghai')::date")).toLocalDate();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String aPersonOf(Caller who, String more) {
        return id(who.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"家人\"" + more + "}")
                .is(201));
    }

    private static String id(Answer answer) {
        return answer.at("/id").asText();
    }

    private static Answer found(Caller who, String head, String more) {
        return who.post("/v1/households", "{\"headId\": \"" + head + "\", \"name\": \"张家\"" + more + "}");
    }

    private static Answer add(Caller who, String household, String customer, String role, String more) {
        return who.post(
                "/v1/households/" + household + "/members",
                "{\"customerId\": \"" + customer + "\", \"role\": \"" + role + "\"" + more + "}");
    }

    private static Answer remove(Caller who, String household, String customer, String query) {
        return who.send("DELETE", "/v1/households/" + household + "/members/" + customer + query, (String) null);
    }

    private static List<String> members(Answer household) {
        List<String> ids = new ArrayList<>();
        household
                .is(200)
                .at("/members")
                .forEach(member -> ids.add(member.at("/role").asText() + " "
                        + member.at("/customer/id").asText()));
        return ids;
    }

    private static List<String> listed(Caller who, String query) {
        List<String> ids = new ArrayList<>();
        who.get("/v1/households?limit=200" + query)
                .is(200)
                .at("/items")
                .forEach(item -> ids.add(item.get("id").asText()));
        return ids;
    }

    @Test
    void aHouseholdIsFoundedJoinedLeftAndEnded() {
        String father = aPersonOf(managerNorth, "");
        String mother = aPersonOf(managerNorth, "");
        String child = aPersonOf(managerNorth, "");
        Answer made =
                found(managerNorth, father, ", \"startsOn\": \"2020-01-01\"").is(201);
        String path = "/v1/households/" + id(made);
        assertThat(made.header("Location")).isEqualTo(path);
        assertThat(made.at("/name").asText()).isEqualTo("张家");
        assertThat(managerNorth.get(path).is(200).json()).isEqualTo(made.json());
        managerNorth.get(path, "If-None-Match", made.etag()).is(304);

        Answer two = add(managerNorth, id(made), mother, "spouse", ", \"startsOn\": \"2021-05-01\"");
        assertThat(members(two)).containsExactly("head " + father, "spouse " + mother);
        assertThat(two.etag()).as("a change of members is one of the household").isNotEqualTo(made.etag());
        assertThat(members(add(managerNorth, id(made), child, "child", ""))).hasSize(3);
        assertThat(members(managerNorth.get(path + "?on=2021-04-30"))).containsExactly("head " + father);
        assertThat(listed(managerNorth, "&customerId=" + mother)).containsExactly(id(made));

        assertThat(members(remove(managerNorth, id(made), child, ""))).hasSize(2);
        remove(managerNorth, id(made), child, "").is(404, "household.notMember");
        remove(managerNorth, id(made), father, "").is(409, "household.headStays");
        remove(managerNorth, id(made), mother, "?on=2021-04-01").is(422, "household.periodInvalid");

        Answer now = managerNorth.get(path);
        managerNorth.patch(path, made.etag(), "{\"name\": \"新家\"}").is(412, "request.stale");
        managerNorth.patch(path, now.etag(), "{\"headId\": \"" + child + "\"}").is(404, "household.notMember");
        Answer hers = managerNorth
                .patch(path, now.etag(), "{\"headId\": \"" + mother + "\"}")
                .is(200);
        assertThat(members(hers)).containsExactly("head " + mother, "other " + father);
        assertThat(hers.at("/headId").asText()).isEqualTo(mother);
        assertThat(hers.at("/name").asText()).isEqualTo("张家");
        assertThat(members(remove(managerNorth, id(made), father, ""))).containsExactly("head " + mother);

        managerNorth
                .patch(
                        path,
                        managerNorth.get(path).etag(),
                        "{\"endsOn\": \"1960-05-05\", \"headId\": \"" + mother + "\"}")
                .is(422, "household.periodInvalid");
        Answer ended = managerNorth
                .patch(path, managerNorth.get(path).etag(), "{\"endsOn\": \"" + today + "\", \"name\": \"旧家\"}")
                .is(200);
        assertThat(members(ended)).isEmpty();
        assertThat(ended.at("/endsOn").asText()).isEqualTo(today.toString());
        assertThat(ended.at("/name").asText()).isEqualTo("旧家");
        add(managerNorth, id(made), father, "other", "").is(409, "household.ended");
        managerNorth
                .patch(path, ended.etag(), "{\"endsOn\": \"" + today + "\"}")
                .is(409, "household.ended");
        assertThat(members(managerNorth.get(path + "?on=2021-06-01"))).hasSize(2);
    }

    @Test
    void aCustomerBelongsToOneHouseholdAtATime() {
        String one = aPersonOf(managerNorth, "");
        String other = aPersonOf(managerNorth, "");
        String child = aPersonOf(managerNorth, "");
        String first = id(found(managerNorth, one, "").is(201));
        String second = id(found(managerNorth, other, "").is(201));
        found(managerNorth, one, "").is(409, "household.memberTaken");
        add(managerNorth, second, one, "other", "").is(409, "household.memberTaken");
        List<Integer> statuses = IntStream.range(0, 10)
                .parallel()
                .mapToObj(i -> add(managerNorth, i % 2 == 0 ? first : second, child, "child", "")
                        .status())
                .toList();
        assertThat(statuses).containsOnly(200, 409).containsOnlyOnce(200);
        String his = listed(managerNorth, "&customerId=" + child).get(0);
        String next = his.equals(first) ? second : first;
        assertThat(members(remove(managerNorth, his, child, "?on=" + today.plusDays(3))))
                .hasSize(2);
        add(managerNorth, next, child, "child", ", \"startsOn\": \"" + today.plusDays(2) + "\"")
                .is(409, "household.memberTaken");
        add(managerNorth, next, child, "child", ", \"startsOn\": \"" + today.plusDays(3) + "\"")
                .is(200);
        assertThat(members(managerNorth.get("/v1/households/" + his))).hasSize(2);
        assertThat(members(managerNorth.get("/v1/households/" + his + "?on=" + today.plusDays(3))))
                .hasSize(1);
        assertThat(members(managerNorth.get("/v1/households/" + next + "?on=" + today.plusDays(3))))
                .hasSize(2);
    }

    @Test
    void onlyPersonsAndNotMoreThanFiftyLiveTogether() {
        String company = id(managerNorth
                .post("/v1/customers", "{\"kind\": \"organisation\", \"name\": \"公司\"}")
                .is(201));
        found(managerNorth, company, "").is(422, "household.personsOnly");
        String household =
                id(found(managerNorth, aPersonOf(managerNorth, ""), "").is(201));
        add(managerNorth, household, company, "other", "").is(422, "household.personsOnly");
        add(managerNorth, household, aPersonOf(managerNorth, ""), "head", "").is(400, "request.invalid");
        kehu.sql("""
                WITH many AS (
                    INSERT INTO customer.customer (id, kind, branch_id, lifecycle, tier)
                    SELECT uuidv7(), 'person', branch_id, 'active', 'mass' FROM iam.staff, generate_series(1, 49)
                    WHERE id = ? RETURNING id)
                INSERT INTO customer.household_member (id, household_id, customer_id, role, starts_on)
                SELECT uuidv7(), ?, id, 'other', '2020-01-01' FROM many""", managerNorth.id, UUID.fromString(household));
        add(managerNorth, household, aPersonOf(managerNorth, ""), "child", "").is(409, "household.full");
    }

    @Test
    void whatIsOutOfScopeIsNeitherShownNorSummed() {
        String mine = aPersonOf(managerNorth, ", \"assets\": \"100\", \"annualIncome\": \"12.34\"");
        String second = aPersonOf(managerNorth, ", \"liabilities\": \"5\", \"assets\": \"1\"");
        String theirs = aPersonOf(managerSouth, ", \"assets\": \"900000\", \"liabilities\": \"800000\"");
        String household = id(found(managerNorth, mine, "").is(201));
        String path = "/v1/households/" + household;
        add(managerNorth, household, second, "spouse", "").is(200);
        JsonNode before = managerNorth.get(path + "/finances").is(200).json();
        assertThat(before.toString())
                .isEqualTo("{\"customers\":2,\"assets\":\"101.00\",\"liabilities\":\"5.00\",\"annualIncome\":\"12.34\","
                        + "\"currency\":\"CNY\",\"complete\":false}");
        add(managerNorth, household, theirs, "child", "").is(404, "customer.notFound");
        add(head, household, theirs, "child", "").is(200);

        assertThat(managerNorth.get(path).is(200).text()).doesNotContain(theirs);
        assertThat(managerNorth.get(path + "/finances").is(200).json()).isEqualTo(before);
        remove(managerNorth, household, theirs, "").is(404, "customer.notFound");
        managerNorth.get("/v1/households?customerId=" + theirs).is(404, "customer.notFound");
        assertThat(analyst.get(path + "/finances").is(200).at("/assets").asText())
                .isEqualTo("900101.00");
        assertThat(analyst.get(path + "/finances").at("/complete").asBoolean()).isTrue();
        deskAgent.get(path + "/finances").is(403, "customer.fieldForbidden");

        // A household is its head's: who sees a member only sees none.
        managerSouth.get(path).is(404, "household.notFound");
        managerSouth.get(path + "/finances").is(404, "household.notFound");
        managerSouth.patch(path, "\"1\"", "{\"name\": \"x\"}").is(404, "household.notFound");
        remove(managerSouth, household, theirs, "").is(404, "household.notFound");
        add(managerSouth, household, aPersonOf(managerSouth, ""), "child", "").is(404, "household.notFound");
        assertThat(listed(managerSouth, "&customerId=" + theirs)).isEmpty();
        assertThat(listed(managerSouth, "")).doesNotContain(household);
        assertThat(listed(managerNorth, "")).contains(household);
        assertThat(listed(head, "&customerId=" + theirs)).containsExactly(household);
    }

    @Test
    void householdsArePagedNewestFirst() {
        List<String> made = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            made.add(0, id(found(managerNorth, aPersonOf(managerNorth, ""), "").is(201)));
        }
        Answer first = managerNorth.get("/v1/households?limit=2").is(200);
        assertThat(first.at("/items/0/id").asText()).isEqualTo(made.get(0));
        assertThat(first.at("/items/0/name").asText()).isEqualTo("张家");
        assertThat(first.at("/items/1/id").asText()).isEqualTo(made.get(1));
        Answer next = managerNorth
                .get("/v1/households?limit=2&cursor=" + first.at("/next").asText())
                .is(200);
        assertThat(next.at("/items/0/id").asText()).isEqualTo(made.get(2));
    }

    @Test
    void anErasedHeadTakesTheNameAlong() {
        String person = aPersonOf(managerNorth, "");
        String path = "/v1/households/" + id(found(managerNorth, person, "").is(201));
        kehu.sql("DELETE FROM kehu.data_key WHERE subject_id = ?", UUID.fromString(person));
        assertThat(managerNorth.get(path).is(200).text()).doesNotContain("张家", "家人");
    }

    /** As the erasure of a customer does it, in a transaction that came through a door. */
    private static void erase(String customer) {
        kehu.sql("""
                DO $$ BEGIN
                    PERFORM set_config('kehu.audit_id', uuidv7()::text, true), set_config('kehu.bulk', 'on', true);
                    PERFORM customer.erase_relations(ARRAY['%1$s'::uuid]), customer.erase_households(ARRAY['%1$s'::uuid]);
                END $$""".formatted(customer));
    }

    @Test
    void whoIsErasedLeavesNoTraceInHouseholdsAndRelations() {
        String headOf = aPersonOf(managerNorth, "");
        String wife = aPersonOf(managerNorth, "");
        String child = aPersonOf(managerNorth, "");
        String household = id(found(managerNorth, headOf, "").is(201));
        add(managerNorth, household, wife, "spouse", "").is(200);
        add(managerNorth, household, child, "child", "").is(200);
        String relation = "/v1/customers/" + wife + "/relations";
        Answer married = managerNorth
                .post(relation, "{\"role\": \"spouse\", \"customerId\": \"" + headOf + "\"}")
                .is(201);
        managerNorth
                .patch("/v1/relations/" + id(married), married.etag(), "{\"startsOn\": \"2001-02-03\"}")
                .is(200);

        erase(child);
        assertThat(members(managerNorth.get("/v1/households/" + household))).hasSize(2);
        erase(headOf);
        assertThat(managerNorth.get(relation).is(200).at("/items")).isEmpty();
        for (String table : List.of("relation", "relation_past", "household_member", "household_member_past")) {
            assertThat(kehu.<Long>value(
                            "SELECT count(*) FROM customer." + table + " t WHERE t::text LIKE ? OR t::text LIKE ?",
                            "%" + headOf + "%",
                            "%" + child + "%"))
                    .as(table)
                    .isZero();
        }
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM customer.household WHERE id = ? AND (ends_on IS NULL OR name <> '')",
                        UUID.fromString(household)))
                .isZero();
        found(managerNorth, wife, ", \"startsOn\": \"" + today.plusDays(1) + "\"")
                .is(201);
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.audit WHERE changes::text LIKE '%2001-02-03%'"))
                .as("the audit says that the day changed, and not to what")
                .isZero();
    }
}
