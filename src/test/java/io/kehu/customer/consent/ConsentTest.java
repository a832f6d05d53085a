package io.kehu.customer.consent;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ConsentTest {
    private static final String PROOF = "\"proof\": {\"textHash\": \"" + "ab".repeat(32) + "\"}";

    private static TestKehu kehu;
    private static Caller manager;
    private static Caller elsewhere;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        manager = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "ASK"), "customer-manager"));
        elsewhere = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "ELSE"), "customer-manager"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String aCustomer() {
        return manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"同意客户\"}")
                .is(201)
                .header("Location");
    }

    private static UUID id(String path) {
        return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
    }

    private static Answer decide(String customer, String state, String purpose, String channel, String more) {
        return manager.post(
                customer + "/consents", """
                {"purpose": "%s", "channel": "%s", "state": "%s", "source": "branch"%s}""".formatted(purpose, channel, state, more.isEmpty() ? "" : ", " + more));
    }

    private static Answer give(String customer, String purpose, String channel) {
        return decide(customer, "given", purpose, channel, PROOF).is(201);
    }

    private static Answer withdraw(String customer, String purpose, String channel) {
        return decide(customer, "withdrawn", purpose, channel, "").is(201);
    }

    private static String answer(String customer, String purpose, String channel) {
        Answer answer = manager.get(customer + "/consents/check?purpose=" + purpose + "&channel=" + channel)
                .is(200);
        String reason = answer.at("/reason").asText();
        assertThat(answer.at("/allowed").asBoolean())
                .as(reason)
                .isEqualTo(List.of("given", "notNeeded", "always").contains(reason));
        assertThat(kehu.<Boolean>value(
                        "SELECT customer.may_contact(?, ?, ?, kehu.now())", id(customer), purpose, channel))
                .isEqualTo(answer.at("/allowed").asBoolean());
        return reason;
    }

    @Test
    void withoutADecisionOnlyServiceAndDutiesAreAllowed() {
        String someone = aCustomer();
        assertThat(answer(someone, "marketing", "sms")).isEqualTo("none");
        assertThat(answer(someone, "profiling", "any")).isEqualTo("none");
        assertThat(answer(someone, "service", "phone")).isEqualTo("notNeeded");
        assertThat(answer(someone, "legal", "email")).isEqualTo("always");
        manager.get(someone + "/consents/check?purpose=no-such&channel=sms").is(422, "consent.purposeUnknown");
        manager.get(someone + "/consents/check?purpose=marketing").is(400);
        assertThat(kehu.<String>value(
                        "SELECT reason FROM customer.contact_answers(ARRAY[?::uuid], 'no-such', 'sms', kehu.now())",
                        id(someone)))
                .isEqualTo("purposeUnknown");
        List<String> codes = new ArrayList<>();
        manager.get("/v1/consent-purposes")
                .is(200)
                .at("/items")
                .forEach(item -> codes.add(item.get("code").asText()));
        assertThat(codes).contains("contact", "legal", "marketing", "service").isSorted();
    }

    @Test
    void theLatestDecisionCountsForOneChannelAsForAny() {
        String someone = aCustomer();
        Answer given = give(someone, "marketing", "sms");
        assertThat(answer(someone, "marketing", "sms")).isEqualTo("given");
        assertThat(answer(someone, "marketing", "email")).isEqualTo("none");
        assertThat(manager.get(someone + "/consents/check?purpose=marketing&channel=sms")
                        .at("/consentId"))
                .isEqualTo(given.at("/id"));
        withdraw(someone, "marketing", "any");
        assertThat(answer(someone, "marketing", "sms")).isEqualTo("withdrawn");
        give(someone, "marketing", "email");
        assertThat(answer(someone, "marketing", "email")).isEqualTo("given");
        assertThat(answer(someone, "marketing", "sms")).isEqualTo("withdrawn");
        decide(someone, "denied", "survey", "phone", "").is(201);
        assertThat(answer(someone, "survey", "phone")).isEqualTo("denied");
        withdraw(someone, "service", "sms");
        assertThat(answer(someone, "service", "sms")).isEqualTo("withdrawn");
        assertThat(answer(someone, "service", "phone")).isEqualTo("notNeeded");
    }

    /** By when the customer decided, not by when somebody wrote it down. */
    @Test
    void anOlderPaperThatComesLaterBringsNothingBack() {
        String someone = aCustomer();
        withdraw(someone, "marketing", "sms");
        decide(someone, "given", "marketing", "sms", PROOF + ", \"at\": \"2026-01-05T08:00:00Z\"")
                .is(201);
        assertThat(answer(someone, "marketing", "sms")).isEqualTo("withdrawn");
        assertThat(kehu.<Boolean>value("SELECT customer.may_contact(?, 'marketing', 'sms', '2026-01-06')", id(someone)))
                .as("what was allowed then")
                .isTrue();
    }

    @Test
    void aConsentEndsWithItsTime() {
        String someone = aCustomer();
        decide(
                        someone,
                        "given",
                        "marketing",
                        "app",
                        PROOF + ", \"at\": \"2026-01-05T08:00:00Z\", \"expiresAt\": \"2026-02-05T08:00:00Z\"")
                .is(201);
        assertThat(answer(someone, "marketing", "app")).isEqualTo("expired");
        assertThat(kehu.<Boolean>value(
                        "SELECT customer.may_contact(?, 'marketing', 'app', '2026-02-05T07:59:59Z')", id(someone)))
                .isTrue();
        assertThat(kehu.<Boolean>value(
                        "SELECT customer.may_contact(?, 'marketing', 'app', '2026-02-05T08:00:00Z')", id(someone)))
                .isFalse();
    }

    @Test
    void whoWantsToBeLeftAloneIsToldOnlyWhatTheLawAsksFor() {
        String someone = aCustomer();
        give(someone, "marketing", "sms");
        withdraw(someone, "contact", "any");
        assertThat(answer(someone, "marketing", "sms")).isEqualTo("doNotContact");
        assertThat(answer(someone, "service", "sms")).isEqualTo("doNotContact");
        assertThat(answer(someone, "legal", "sms")).isEqualTo("always");
        give(someone, "contact", "any");
        assertThat(answer(someone, "marketing", "sms")).isEqualTo("given");
        decide(someone, "denied", "contact", "phone", "").is(201);
        assertThat(answer(someone, "service", "phone")).isEqualTo("doNotContact");
        assertThat(answer(someone, "service", "sms")).isEqualTo("notNeeded");
    }

    @Test
    void whoWithdrewOnOneSideOfAMergedRecordHasWithdrawnUntilHeDecidesAnew() {
        String survivor = aCustomer();
        String other = aCustomer();
        withdraw(other, "marketing", "sms");
        give(survivor, "marketing", "sms");
        assertThat(answer(survivor, "marketing", "sms")).isEqualTo("given");
        kehu.sql("INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)", id(other), id(survivor));
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", id(other));
        assertThat(answer(survivor, "marketing", "sms")).isEqualTo("withdrawn");
        assertThat(answer(other, "marketing", "sms")).isEqualTo("withdrawn");
        give(survivor, "marketing", "sms");
        assertThat(answer(other, "marketing", "sms")).as("decided anew").isEqualTo("given");
        assertThat(manager.get(survivor + "/consents").at("/items")).hasSize(3);
        kehu.sql("UPDATE customer.customer SET deleted_at = NULL WHERE id = ?", id(other));
        kehu.sql("DELETE FROM customer.merged WHERE id = ?", id(other));
        assertThat(answer(other, "marketing", "sms")).as("apart again").isEqualTo("withdrawn");
        assertThat(answer(survivor, "marketing", "sms")).isEqualTo("given");
    }

    @Test
    void aWholeAudienceIsAskedAtOnceByIndex() {
        String yes = aCustomer();
        String no = aCustomer();
        String gone = aCustomer();
        give(yes, "marketing", "sms");
        give(gone, "marketing", "sms");
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", id(gone));
        List<Map<String, Object>> answers = kehu.sql(
                "SELECT customer_id::text AS id, allowed, reason FROM customer.contact_answers(?::uuid[], 'marketing', 'sms', kehu.now())",
                "{" + id(yes) + "," + id(no) + "," + id(gone) + "," + UUID.randomUUID() + "}");
        assertThat(answers).hasSize(4);
        assertThat(answers)
                .filteredOn(row -> row.get("allowed").equals(true))
                .extracting(row -> row.get("id"))
                .containsExactly(id(yes).toString());
        assertThat(answers)
                .extracting(row -> row.get("reason"))
                .containsExactlyInAnyOrder("given", "none", "customerGone", "customerGone");
    }

    @Test
    void whatCannotBeIsRefusedByItsName() {
        String someone = aCustomer();
        decide(someone, "given", "marketing", "sms", "").is(422, "consent.proofMissing");
        decide(someone, "withdrawn", "legal", "any", "").is(422, "consent.notAsked");
        decide(someone, "withdrawn", "no-such", "any", "").is(422, "consent.purposeUnknown");
        decide(someone, "withdrawn", "marketing", "sms", "\"expiresAt\": \"2030-01-01T00:00:00Z\"")
                .is(422, "consent.expiryImpossible");
        decide(someone, "withdrawn", "marketing", "sms", "\"at\": \"2090-01-01T00:00:00Z\"")
                .is(422, "consent.timeImpossible");
        decide(someone, "withdrawn", "marketing", "fax", "").is(400);
        String contact = manager.post(
                        aCustomer() + "/interactions", "{\"channel\": \"call\", \"direction\": \"inbound\"}")
                .is(201)
                .at("/id")
                .asText();
        decide(someone, "given", "marketing", "sms", "\"proof\": {\"interactionId\": \"" + contact + "\"}")
                .is(422, "consent.proofForeign");
        decide(someone, "given", "marketing", "sms", "\"proof\": {}").is(400);
    }

    @Test
    void decisionsAreOnlyAddedToldAndReadAsTheyWereKnown() {
        String someone = aCustomer();
        String first = give(someone, "marketing", "sms").at("/id").asText();
        String second = withdraw(someone, "marketing", "sms").at("/id").asText();
        assertThat(kehu.<String>value(
                        "SELECT string_agg(type, ',' ORDER BY at, ord) FROM kehu.event WHERE aggregate_id IN (?, ?)",
                        UUID.fromString(first),
                        UUID.fromString(second)))
                .isEqualTo("consent.given,consent.withdrawn");
        assertThat(kehu.<Boolean>value("SELECT has_table_privilege('kehu_app', 'customer.consent', 'UPDATE, DELETE')"))
                .isFalse();
        assertThat(manager.get(someone + "/consents").at("/items").findValuesAsText("id"))
                .containsExactly(second, first);
        kehu.sql(
                "UPDATE customer.consent SET valid_from = valid_from - interval '2 min', at = at - interval '2 min' WHERE id = ?",
                UUID.fromString(first));
        String then = kehu.value("SELECT to_char(kehu.now() - interval '1 min', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
        assertThat(manager.get(someone + "/consents?asOf=" + then)
                        .is(200)
                        .at("/items")
                        .findValuesAsText("id"))
                .containsExactly(first);
        Answer page = manager.get(someone + "/consents?limit=1").is(200);
        assertThat(manager.get(someone + "/consents?limit=1&cursor="
                                + page.at("/next").asText())
                        .at("/items/0/id")
                        .asText())
                .isEqualTo(first);
        assertThat(manager.get(someone + "/consents?channel=email").at("/items"))
                .isEmpty();
        assertThat(kehu.<String>value(
                        "SELECT item ->> 'state' FROM customer.overview_consents WHERE customer_id = ?", id(someone)))
                .isEqualTo("withdrawn");
        elsewhere.get(someone + "/consents").is(404, "customer.notFound");
        elsewhere.get(someone + "/consents/check?purpose=marketing&channel=sms").is(404, "customer.notFound");
        elsewhere
                .post(
                        someone + "/consents",
                        "{\"purpose\": \"marketing\", \"channel\": \"sms\", \"state\": \"withdrawn\", \"source\": \"call\"}")
                .is(404, "customer.notFound");
    }
}
