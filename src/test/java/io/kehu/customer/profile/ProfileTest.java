package io.kehu.customer.profile;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ProfileTest {
    private static TestKehu kehu;
    private static Caller head;
    private static Caller manager;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        UUID branch = kehu.branch(kehu.headOffice(), "PROF");
        head = kehu.signIn(kehu.staff(branch, "branch-head"));
        manager = kehu.signIn(kehu.staff(branch, "customer-manager"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String customer(String kind) {
        return manager.post("/v1/customers", "{\"kind\": \"" + kind + "\", \"name\": \"画像客户\"}")
                .is(201)
                .header("Location");
    }

    private static Answer enter(String customer, String patch) {
        String path = customer + "/profile";
        return manager.patch(path, manager.get(path).is(200).etag(), patch);
    }

    @Test
    void whatSomebodyEarnsAndWantsIsEnteredPieceByPiece() {
        String customer = customer("person");
        Answer nothing = manager.get(customer + "/profile").is(200);
        assertThat(nothing.etag()).isEqualTo("\"0\"");
        assertThat(nothing.json().has("cashFlow")).isFalse();

        Answer first = enter(customer, """
                {"cashFlow": {"monthlyIncome": "20000.00", "monthlyExpenses": "9000", "monthlyDebtService": "5000.50"},
                 "investment": {"goals": [{"kind": "education", "amount": "300000", "year": 2035}], "horizon": "long",
                                "lossTolerance": 10, "holdings": [{"kind": "fund", "amount": "80000", "institution": "他行"}]}}""").is(200);
        assertThat(first.etag()).isEqualTo("\"1\"");
        assertThat(first.at("/cashFlow/savingsRate").asText()).isEqualTo("0.3000");
        assertThat(first.at("/cashFlow/debtServiceRatio").asText()).isEqualTo("0.2500");

        Answer second = enter(customer, """
                {"cashFlow": {"monthlyExpenses": null}, "investment": {"experience": "basic", "holdings": null}}""").is(200);
        assertThat(second.at("/cashFlow/monthlyIncome").asText()).isEqualTo("20000.00");
        assertThat(second.at("/cashFlow").has("monthlyExpenses")).isFalse();
        assertThat(second.at("/cashFlow").has("savingsRate")).isFalse();
        assertThat(second.at("/investment/goals/0/kind").asText()).isEqualTo("education");
        assertThat(second.at("/investment").has("holdings")).isFalse();
        assertThat(manager.get(customer + "/profile").is(200).json()).isEqualTo(second.json());

        enter(customer, "{\"investment\": {\"lossTolerance\": 1e400}}").is(400, "request.malformed");
        enter(customer, "{\"investment\": {\"lossTolerance\": 1e3}}").is(400, "request.invalid");

        Answer third = enter(customer, "{\"investment\": null}").is(200);
        assertThat(third.json().has("investment")).isFalse();
    }

    @Test
    void theStatementOfACompanyGivesItsRatios() {
        Answer company = enter(customer("organisation"), """
                {"statement": {"year": 2025, "revenue": "8000000", "netProfit": "-400000.00", "totalAssets": "5000000",
                  "totalLiabilities": "3000000", "currentAssets": "1500000", "currentLiabilities": "1000000", "inventory": "600000"}}""").is(200);
        assertThat(company.at("/statement/debtRatio").asText()).isEqualTo("0.6000");
        assertThat(company.at("/statement/currentRatio").asText()).isEqualTo("1.5000");
        assertThat(company.at("/statement/quickRatio").asText()).isEqualTo("0.9000");
        assertThat(company.at("/statement/netMargin").asText()).isEqualTo("-0.0500");
        assertThat(company.at("/statement/returnOnAssets").asText()).isEqualTo("-0.0800");
        assertThat(company.at("/statement/returnOnEquity").asText()).isEqualTo("-0.2000");
        Answer broke = enter(customer("organisation"), """
                {"statement": {"totalAssets": "10", "totalLiabilities": "20", "netProfit": "1"}}""").is(200);
        assertThat(broke.at("/statement").has("returnOnEquity"))
                .as("no equity, no return on it")
                .isFalse();
    }

    @Test
    void aPersonHasNoStatement() {
        Answer refused = enter(customer("person"), "{\"statement\": {\"revenue\": \"1\"}}")
                .is(400, "request.invalid");
        assertThat(refused.text()).contains("/statement");
    }

    @Test
    void whoHasNotSeenTheLastVersionChangesNothing() {
        String path = customer("person") + "/profile";
        manager.patch(path, "\"0\"", "{\"cashFlow\": {\"monthlyIncome\": \"1\"}}")
                .is(200);
        manager.patch(path, "\"0\"", "{\"cashFlow\": {\"monthlyIncome\": \"2\"}}")
                .is(412, "request.stale");
        manager.send("PATCH", path, "{\"cashFlow\": null}").is(428);
        assertThat(manager.get(path).at("/cashFlow/monthlyIncome").asText()).isEqualTo("1");
    }

    @Test
    void whatWasKnownThenIsStillThere() {
        String path = customer("person") + "/profile";
        manager.patch(path, "\"0\"", "{\"cashFlow\": {\"monthlyIncome\": \"1000\"}}")
                .is(200);
        manager.patch(path, "\"1\"", "{\"cashFlow\": {\"monthlyIncome\": \"3000\"}}")
                .is(200);
        // Minutes pass for both versions.
        kehu.sql("""
                UPDATE customer.profile_past SET valid_from = valid_from - interval '2 min', valid_to = valid_to - interval '1 min'
                WHERE customer_id = ?""", UUID.fromString(id(path.replace("/profile", ""))));
        String asOf = path + "?asOf=" + OffsetDateTime.now(ZoneOffset.UTC).minusSeconds(90);
        assertThat(manager.get(asOf).is(200).at("/cashFlow/monthlyIncome").asText())
                .isEqualTo("1000");
    }

    @Test
    void aMergedRecordShowsItsSurvivorsOwnAndUndoingGivesEachItsOwnBack() {
        String one = customer("person");
        String other = customer("person");
        enter(other, "{\"cashFlow\": {\"monthlyIncome\": \"7\"}}").is(200);
        Answer merge =
                head.post("/v1/merges", """
                {"survivorId": "%s", "duplicateId": "%s"}""".formatted(id(one), id(other))).is(201);
        assertThat(manager.get(one + "/profile").at("/cashFlow/monthlyIncome").asText())
                .isEqualTo("7");
        head.send("POST", "/v1/merges/" + merge.at("/id").asText() + "/undo", (String) null)
                .is(200);
        assertThat(manager.get(one + "/profile").is(200).etag()).isEqualTo("\"0\"");
        assertThat(manager.get(other + "/profile").at("/cashFlow/monthlyIncome").asText())
                .isEqualTo("7");
    }

    @Test
    void nothingOfItStandsOpenInTheDatabaseAndThePersonHasItInHisFile() {
        String customer = customer("person");
        enter(customer, """
                {"cashFlow": {"monthlyIncome": "41173.29"}, "investment": {"holdings": [{"kind": "gold", "amount": "5", "institution": "无人知晓银行"}]}}""").is(200);
        assertThat((Long) kehu.value("""
                SELECT (SELECT count(*) FROM customer.profile p WHERE p::text ~ '41173|无人知晓')
                     + (SELECT count(*) FROM kehu.audit_readable a WHERE a::text ~ '41173|无人知晓')
                     + (SELECT count(*) FROM kehu.event e WHERE e.payload::text ~ '41173|无人知晓')""")).isZero();
        Answer file = head.get(customer + "/personal-data", "Kehu-Purpose", "customer-request")
                .is(200);
        assertThat(file.at("/sections/profile/0/cashFlow/monthlyIncome").asText())
                .isEqualTo("41173.29");
    }

    private static String id(String path) {
        return path.substring(path.lastIndexOf('/') + 1);
    }
}
