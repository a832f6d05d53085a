package io.kehu.customer.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import java.time.Duration;
import java.time.LocalDate;
import java.time.YearMonth;
import java.time.ZoneId;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class StatisticsTest {
    private static final String PATH = "/v1/customers/statistics";

    /** That are told one by one; more than any other test needs. */
    private static final int VALUES = 4;

    private static TestKehu kehu;
    private static UUID branch;
    private static Caller head;
    private static Caller manager;
    private static Caller stranger;

    @BeforeAll
    static void aBranchOfFive() {
        kehu = TestKehu.start(
                Map.of("KEHU_STATISTICS_POLL_MILLIS", "20", "KEHU_STATISTICS_VALUES", Integer.toString(VALUES)));
        branch = kehu.branch(kehu.headOffice(), "STAT");
        head = kehu.signIn(kehu.staff(branch, "branch-head"));
        manager = kehu.signIn(kehu.staff(branch, "customer-manager"));
        stranger = kehu.signIn(kehu.staff(branch, "customer-manager"));
        customer(
                manager,
                "\"tier\": \"mass\", \"gender\": \"male\", \"birthDate\": \"1990-01-01\", \"assets\": \"100.50\"");
        customer(manager, "\"tier\": \"mass\", \"gender\": \"female\", \"regionCode\": \"310115\"");
        customer(manager, "\"tier\": \"private\", \"lifecycle\": \"active\", \"assets\": \"7000000\"");
        customer(stranger, "\"tier\": \"private\", \"lifecycle\": \"lost\"");
        String lost = customer(stranger, "\"tier\": \"affluent\", \"lifecycle\": \"active\"");
        stranger.patch(lost, stranger.get(lost).etag(), "{\"lifecycle\": \"lost\"}")
                .is(200);
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String customer(Caller who, String facts) {
        return who.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"统计\", " + facts + "}")
                .is(201)
                .header("Location");
    }

    private static Map<String, Integer> by(Answer answer, String dimension) {
        Map<String, Integer> counts = new TreeMap<>();
        for (JsonNode count : answer.at("/by/" + dimension)) {
            counts.put(
                    count.path("value").asText("unknown"),
                    count.get("customers").asInt());
        }
        return counts;
    }

    /** Numbers wait in proportion to how long they took, which on a busy machine is long; not what is tested here. */
    private static ConditionFactory soon() {
        return await().atMost(Duration.ofSeconds(30))
                .conditionEvaluationListener(looked -> kehu.sql("UPDATE customer.tally_state SET took = '0'"));
    }

    @Test
    void theHeadOfABranchSeesItsNumbersAMomentLater() {
        soon().until(() -> head.get(PATH).is(200).at("/customers").asInt() == 5
                && by(head.get(PATH), "lifecycle").getOrDefault("lost", 0) == 2);
        Answer numbers = head.get(PATH).is(200);
        assertThat(by(numbers, "tier")).isEqualTo(Map.of("mass", 2, "private", 2, "affluent", 1));
        assertThat(by(numbers, "gender")).isEqualTo(Map.of("male", 1, "female", 1, "unknown", 3));
        assertThat(by(numbers, "province")).isEqualTo(Map.of("31", 1, "unknown", 4));
        assertThat(by(numbers, "age").get("unknown")).isEqualTo(4);
        assertThat(by(numbers, "branch")).isEqualTo(Map.of(branch.toString(), 5));
        assertThat(by(numbers, "manager")).isEqualTo(Map.of(manager.id.toString(), 3, stranger.id.toString(), 2));
        assertThat(by(numbers, "value")).isEqualTo(Map.of("0-50000", 1, "6000000-", 1, "unknown", 3));
        assertThat(by(numbers, "lostBecause")).isEqualTo(Map.of("entered so", 1, "by hand", 1));
        assertThat(numbers.at("/assets").asText()).isEqualTo("7000100.50");
    }

    @Test
    void aManagerSeesThoseOfHisOwn() {
        Answer numbers = manager.get(PATH).is(200);
        assertThat(numbers.at("/customers").asInt()).isEqualTo(3);
        assertThat(by(numbers, "manager")).isEqualTo(Map.of(manager.id.toString(), 3));
        assertThat(by(stranger.get(PATH), "tier")).isEqualTo(Map.of("private", 1, "affluent", 1));
    }

    @Test
    void aFilterIsCountedNow() {
        String filter =
                "{\"filter\": {\"any\": [{\"field\": \"lifecycle\", \"is\": \"lost\"}, {\"field\": \"assets\", \"from\": \"1000\"}]}}";
        Answer numbers = head.post(PATH, filter).is(200);
        assertThat(numbers.at("/customers").asInt()).isEqualTo(3);
        assertThat(by(numbers, "tier")).isEqualTo(Map.of("private", 2, "affluent", 1));
        assertThat(by(numbers, "entered").values()).containsExactly(3);
        assertThat(by(numbers, "lost").values().stream().mapToInt(n -> n).sum()).isEqualTo(2);
        assertThat(manager.post(PATH, filter).is(200).at("/customers").asInt()).isEqualTo(1);
    }

    @Test
    void anAgeBeginsOnTheBirthday() {
        LocalDate today = LocalDate.now(ZoneId.of("Asia/Shanghai"));
        UUID apart = kehu.branch(kehu.headOffice(), "AGES");
        Caller clerk = kehu.signIn(kehu.staff(apart, "branch-head"));
        for (LocalDate born : List.of(
                today.minusYears(18),
                today.minusYears(18).plusDays(1),
                today.minusYears(65),
                today.minusYears(65).plusDays(1))) {
            customer(clerk, "\"birthDate\": \"" + born + "\"");
        }
        Answer numbers = clerk.post(PATH, "{\"filter\": {\"field\": \"kind\", \"is\": \"person\"}}")
                .is(200);
        assertThat(by(numbers, "age")).isEqualTo(Map.of("18-24", 1, "0-17", 1, "65-", 1, "55-64", 1));
        assertThat(by(numbers, "entered"))
                .as("counted by the bank's months")
                .isEqualTo(Map.of(YearMonth.from(today).toString(), 4));
    }

    @Test
    void ofManyValuesTheGreatestAreToldOneByOneAndTheRestTogether() {
        UUID crowded = kehu.branch(kehu.headOffice(), "MANY");
        Caller clerk = kehu.signIn(kehu.staff(crowded, "branch-head"));
        customer(clerk, "\"assets\": \"0.25\"");
        Map<String, Integer> all = new TreeMap<>();
        int customers = 1;
        for (int has : List.of(5, 1, 4, 2, 1, 3, 1)) {
            UUID staff = kehu.staff(crowded, "customer-manager");
            all.put(staff.toString(), has);
            for (int i = 0; i < has; i++) {
                customer(clerk, "\"managerId\": \"" + staff + "\", \"assets\": \"10.50\"");
                customers++;
            }
        }
        int whole = customers;
        soon().until(() -> clerk.get(PATH).is(200).at("/customers").asInt() == whole);
        String everybody = "{\"filter\": {\"field\": \"kind\", \"is\": \"person\"}}";
        for (Answer numbers :
                List.of(clerk.get(PATH).is(200), clerk.post(PATH, everybody).is(200))) {
            JsonNode managers = numbers.at("/by/manager");
            assertThat(managers).hasSize(VALUES + 2);
            for (int i = 0; i < VALUES; i++) {
                assertThat(managers.get(i).path("customers").asInt())
                        .isEqualTo(5 - i)
                        .isEqualTo(all.get(managers.get(i).path("value").asText()));
            }
            assertThat(managers.get(VALUES))
                    .as("what is not known is not among the rest")
                    .isEqualTo(Json.read("{\"customers\": 1, \"assets\": \"0.25\"}"));
            assertThat(managers.get(VALUES + 1))
                    .isEqualTo(Json.read("{\"others\": 3, \"customers\": 3, \"assets\": \"31.50\"}"));
            int sum = 0;
            for (JsonNode count : managers) {
                sum += count.get("customers").asInt();
            }
            assertThat(sum).isEqualTo(numbers.at("/customers").asInt()).isEqualTo(whole);
        }
    }

    @Test
    void nobodyIsCountedWhereNobodyFits() {
        Answer none = head.post(PATH, "{\"filter\": {\"field\": \"assets\", \"from\": \"99999999999\"}}")
                .is(200);
        assertThat(none.at("/customers").asInt(-1)).isZero();
        assertThat(none.at("/assets").asText()).isEqualTo("0");
        assertThat(by(none, "tier")).isEmpty();
    }

    @Test
    void keptNumbersAreThoseThatAreCounted() {
        String everybody = "{\"filter\": {\"field\": \"branchId\", \"is\": \"" + branch + "\"}}";
        soon().untilAsserted(() -> {
            Answer kept = head.get(PATH).is(200);
            assertThat(kept.at("/by"))
                    .isEqualTo(head.post(PATH, everybody).is(200).at("/by"));
        });
    }

    @Test
    void whoMaySeeNoFinancesSeesNoSums() {
        Caller marketing = kehu.caller("marketing");
        Answer numbers = marketing.get(PATH).is(200);
        assertThat(numbers.json().has("assets")).isFalse();
        assertThat(numbers.at("/by").has("value")).isFalse();
        assertThat(numbers.at("/by/tier/0").has("assets")).isFalse();
        marketing
                .post(PATH, "{\"filter\": {\"field\": \"assets\", \"from\": \"1\"}}")
                .is(403, "customer.fieldForbidden");
        kehu.caller("desk-agent").get(PATH).is(403);
    }
}
