package io.kehu.customer.interaction;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class InteractionTest {
    private static TestKehu kehu;
    private static Caller manager;
    private static Caller elsewhere;
    private static String customer;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        manager = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "TALK"), "customer-manager"));
        elsewhere = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "ELSE"), "customer-manager"));
        customer = aCustomer();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String aCustomer() {
        return manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"接触客户\"}")
                .is(201)
                .header("Location");
    }

    private static UUID id(String path) {
        return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
    }

    private static Answer add(String customer, String json) {
        return manager.post(customer + "/interactions", json);
    }

    private static List<String> ids(Caller who, String path) {
        List<String> ids = new ArrayList<>();
        who.get(path)
                .is(200)
                .at("/items")
                .forEach(item -> ids.add(item.get("id").asText()));
        return ids;
    }

    @Test
    void aContactIsKeptWithItsTextEncryptedAndToldWithoutIt() {
        UUID lead = Ids.next();
        Answer made = add(customer, """
                {"channel": "call", "direction": "inbound", "outcome": "interested", "text": "想了解房贷利率，下周再联系",
                 "subject": {"kind": "lead", "id": "%s"}}""".formatted(lead)).is(201);
        assertThat(made.at("/text").asText()).isEqualTo("想了解房贷利率，下周再联系");
        assertThat(made.at("/staffId").asText()).isEqualTo(manager.id.toString());
        Answer read = manager.get(made.header("Location")).is(200);
        assertThat(read.json()).isEqualTo(made.json());
        manager.get(made.header("Location"), "If-None-Match", read.etag()).is(304);
        UUID id = id(made.header("Location"));
        assertThat(kehu.<byte[]>value("SELECT sealed FROM customer.interaction WHERE id = ?", id))
                .hasSizeGreaterThan(30);
        assertThat(kehu.<String>value("SELECT payload::text FROM kehu.event WHERE aggregate_id = ?", id))
                .contains("\"outcome\": \"interested\"", "customerId")
                .doesNotContain("房贷");
        assertThat(kehu.<String>value("SELECT changes::text FROM kehu.audit WHERE object_id = ?", id))
                .contains("customer.interaction\"", "\"change\": \"insert\"")
                .doesNotContain("房贷");
        assertThat(ids(manager, customer + "/interactions?subjectId=" + lead)).containsExactly(id.toString());
        assertThat(kehu.<String>value(
                        "SELECT item::text FROM customer.overview_interactions WHERE id = ? AND customer_id = ?",
                        id,
                        id(customer)))
                .contains("interested");
    }

    @Test
    void aTextWithACardOrIdNumberIsRefusedWithAPointerAndNothingOfItStays() {
        String someone = aCustomer();
        for (String text : List.of("卡号 6222 0212 3456 7890 128", "证件 11010519491231002X")) {
            Answer refused = manager.post(
                            someone + "/interactions",
                            "{\"channel\": \"chat\", \"direction\": \"inbound\", \"text\": \"" + text + "\"}",
                            "Idempotency-Key",
                            "screened-" + text.length())
                    .is(400, "request.invalid");
            JsonNode error = refused.at("/errors/0");
            assertThat(error.at("/pointer").asText()).isEqualTo("/text");
            assertThat(error.at("/code").asText()).isIn("field.cardNumber", "field.identityNumber");
            assertThat(refused.text()).doesNotContain("7890", "194912");
        }
        assertThat(ids(manager, someone + "/interactions")).isEmpty();
        Answer made = add(someone, "{\"channel\": \"visit\", \"direction\": \"outbound\"}")
                .is(201);
        manager.patch(made.header("Location"), made.etag(), "{\"text\": \"4111111111111111\"}")
                .is(400, "request.invalid");
    }

    @Test
    void whatIsCorrectedKeepsItsPast() {
        Answer made = add(customer, "{\"channel\": \"mail\", \"direction\": \"outbound\", \"text\": \"旧文\"}")
                .is(201);
        String path = made.header("Location");
        Answer first = manager.patch(path, made.etag(), "{\"outcome\": \"call-back\", \"text\": \"新文\"}")
                .is(200);
        assertThat(first.at("/version").asInt()).isEqualTo(2);
        manager.patch(path, made.etag(), "{\"outcome\": \"declined\"}").is(412, "request.stale");
        manager.send("PATCH", path, "{\"outcome\": \"declined\"}").is(428, "request.ifMatchMissing");
        Answer second = manager.patch(path, first.etag(), "{\"outcome\": null}").is(200);
        assertThat(second.json().has("outcome")).isFalse();
        assertThat(second.at("/text").asText()).isEqualTo("新文");
        assertThat(second.etag()).isEqualTo("\"3\"");
        // A minute passes for all of it.
        kehu.sql(
                "UPDATE customer.interaction SET made_at = made_at - interval '3 min', at = at - interval '3 min' WHERE id = ?",
                id(path));
        kehu.sql("""
                UPDATE customer.interaction_revision_past SET valid_from = valid_from - interval '2 min',
                    valid_to = valid_to - interval '1 min' WHERE id = ?""", id(path));
        Answer between = manager.get(path + "?asOf=" + ago("90 s")).is(200);
        assertThat(between.at("/outcome").asText()).isEqualTo("call-back");
        Answer before = manager.get(path + "?asOf=" + ago("150 s")).is(200);
        assertThat(before.at("/text").asText()).isEqualTo("旧文");
        assertThat(before.at("/version").asInt()).isEqualTo(1);
        manager.get(path + "?asOf=" + ago("10 min")).is(404, "interaction.notFound");
    }

    private static String ago(String interval) {
        return kehu.value("SELECT to_char(kehu.now() - ?::interval, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", interval);
    }

    @Test
    void theListIsFilteredAndPagedNewestFirst() {
        String someone = aCustomer();
        List<String> made = new ArrayList<>();
        for (int day = 1; day <= 4; day++) {
            String channel = day % 2 == 0 ? "sms" : "visit";
            made.add(
                    0,
                    add(someone, """
                    {"channel": "%s", "direction": "outbound", "at": "2026-01-0%dT10:00:00Z", "text": "%s"}""".formatted(channel, day, "长".repeat(300)))
                            .is(201)
                            .at("/id")
                            .asText());
        }
        String list = someone + "/interactions";
        assertThat(ids(manager, list)).isEqualTo(made);
        assertThat(manager.get(list).at("/items/0/text").asText()).hasSize(200);
        Answer page = manager.get(list + "?limit=3").is(200);
        assertThat(ids(manager, list + "?limit=3&cursor=" + page.at("/next").asText()))
                .containsExactly(made.get(3));
        assertThat(ids(manager, list + "?channel=sms,call")).containsExactly(made.get(0), made.get(2));
        assertThat(ids(manager, list + "?from=2026-01-02T00:00:00Z&to=2026-01-04T00:00:00Z"))
                .containsExactly(made.get(1), made.get(2));
        assertThat(ids(manager, list + "?direction=inbound")).isEmpty();
        assertThat(ids(manager, list + "?staffId=" + manager.id)).hasSize(4);
        assertThat(ids(manager, list + "?staffId=" + elsewhere.id)).isEmpty();
        manager.get(list + "?channel=fax").is(400);
        manager.get(list + "?limit=0").is(400);
    }

    @Test
    void whoDoesNotReachTheCustomerReachesNoContactOfHis() {
        Answer made = add(customer, "{\"channel\": \"app\", \"direction\": \"inbound\"}")
                .is(201);
        elsewhere.get(customer + "/interactions").is(404, "customer.notFound");
        elsewhere
                .post(customer + "/interactions", "{\"channel\": \"app\", \"direction\": \"inbound\"}")
                .is(404, "customer.notFound");
        elsewhere.get(made.header("Location")).is(404, "interaction.notFound");
        elsewhere
                .patch(made.header("Location"), made.etag(), "{\"outcome\": \"reached\"}")
                .is(404, "interaction.notFound");
        elsewhere.get(customer + "/contact-preference").is(404, "customer.notFound");
        kehu.caller("auditor").get(made.header("Location")).is(200);
    }

    @Test
    void theContactsOfAMergedRecordAreReadTogetherAndStayOnTheirSide() {
        String survivor = aCustomer();
        String other = aCustomer();
        String first = add(other, "{\"channel\": \"call\", \"direction\": \"inbound\", \"text\": \"一\"}")
                .is(201)
                .at("/id")
                .asText();
        kehu.sql("INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)", id(other), id(survivor));
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", id(other));
        Answer second = add(other, "{\"channel\": \"chat\", \"direction\": \"inbound\", \"text\": \"二\"}")
                .is(201);
        assertThat(ids(manager, survivor + "/interactions"))
                .containsExactlyInAnyOrder(first, second.at("/id").asText());
        assertThat(ids(manager, other + "/interactions")).hasSize(2);
        assertThat(second.at("/customerId").asText()).isEqualTo(id(other).toString());
        assertThat(manager.get("/v1/interactions/" + first).is(200).at("/text").asText())
                .isEqualTo("一");
        kehu.sql("UPDATE customer.customer SET deleted_at = NULL WHERE id = ?", id(other));
        kehu.sql("DELETE FROM customer.merged WHERE id = ?", id(other));
        assertThat(ids(manager, survivor + "/interactions")).isEmpty();
        assertThat(ids(manager, other + "/interactions")).hasSize(2);
    }

    @Test
    void timeStaffAndFieldsThatCannotBeAreRefused() {
        add(customer, "{\"channel\": \"call\", \"direction\": \"inbound\", \"at\": \"2090-01-01T00:00:00Z\"}")
                .is(422, "interaction.timeImpossible");
        add(customer, "{\"channel\": \"call\", \"direction\": \"inbound\", \"staffId\": \"" + UUID.randomUUID() + "\"}")
                .is(422, "interaction.staffUnknown");
        add(
                        customer,
                        "{\"channel\": \"call\", \"direction\": \"inbound\", \"subject\": {\"kind\": \"loan\", \"id\": \""
                                + UUID.randomUUID() + "\"}}")
                .is(400);
        add(customer, "{\"channel\": \"call\", \"direction\": \"inbound\", \"version\": 3}")
                .is(400);
    }

    @Test
    void thePreferenceIsWhatWasStatedElseWhatContactsShow() {
        String someone = aCustomer();
        assertThat(manager.get(someone + "/contact-preference").is(200).text()).isEqualTo("{\"contacts\":0}");
        String today = kehu.value("SELECT to_char(kehu.now() - interval '2 days', 'YYYY-MM-DD')");
        for (String hour : List.of("02", "03", "12")) {
            add(someone, """
                    {"channel": "%s", "direction": "inbound", "at": "%sT%s:10:00Z"}""".formatted(hour.equals("12") ? "visit" : "wechat", today, hour))
                    .is(201);
        }
        add(someone, """
                {"channel": "call", "direction": "outbound", "outcome": "no-answer", "at": "%sT12:10:00Z"}""".formatted(today)).is(201);
        Answer derived = manager.get(someone + "/contact-preference").is(200);
        assertThat(derived.text())
                .isEqualTo(
                        "{\"channel\":\"wechat\",\"channelFrom\":\"contacts\",\"hourFrom\":9,\"hourTo\":12,\"contacts\":3}");
        manager.patch(someone, manager.get(someone).etag(), "{\"channel\": \"sms\"}")
                .is(200);
        assertThat(manager.get(someone + "/contact-preference")
                        .at("/channelFrom")
                        .asText())
                .isEqualTo("stated");
    }

    // ---- the function for other domains

    private static UUID added(
            @Nullable Object staff, String channel, OffsetDateTime at, @Nullable String kind, byte @Nullable [] text) {
        return kehu.value(
                "SELECT customer.add_interaction(?, ?, 'outbound', ?, ?::uuid, ?, ?::uuid, 'delivered', ?)",
                id(customer),
                channel,
                at,
                staff,
                kind,
                kind == null ? null : UUID.randomUUID(),
                text);
    }

    @Test
    void otherDomainsAddTheirsAndFailByNames() {
        OffsetDateTime now = OffsetDateTime.parse("2026-02-02T02:02:02Z");
        UUID made = added(null, "sms", now, "campaign", null);
        assertThat(ids(manager, customer + "/interactions")).contains(made.toString());
        assertThatThrownBy(() -> added(null, "fax", now, null, null))
                .rootCause()
                .hasMessageContaining("interaction_channel_known");
        assertThatThrownBy(() -> added(UUID.randomUUID(), "sms", now, null, null))
                .rootCause()
                .hasMessageContaining("interaction_staff_known");
        assertThatThrownBy(() -> added(null, "sms", now.plusYears(50), null, null))
                .rootCause()
                .hasMessageContaining("interaction_time_past");
        assertThatThrownBy(() -> added(null, "sms", now, "loan", null))
                .rootCause()
                .hasMessageContaining("interaction_subject_known");
        assertThatThrownBy(() -> added(null, "sms", now, null, "plain text, which nobody sealed before".getBytes()))
                .rootCause()
                .hasMessageContaining("interaction_text_sealed");
        assertThatThrownBy(() -> kehu.sql(
                        "SELECT customer.add_interaction(?, 'sms', 'inbound', kehu.now(), NULL, NULL, NULL, NULL, NULL)",
                        UUID.randomUUID()))
                .rootCause()
                .hasMessageContaining("no such customer");
    }

    @Test
    void theMonthsOfContactsAreMadeAheadAndIdsFindTheirMonth() {
        UUID made = id(add(customer, "{\"channel\": \"branch\", \"direction\": \"inbound\"}")
                .is(201)
                .header("Location"));
        assertThat(kehu.<String>value("SELECT tableoid::regclass::text FROM customer.interaction WHERE id = ?", made))
                .matches("customer\\.interaction_20[0-9]{4}");
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'customer.interaction'::regclass"))
                .isGreaterThanOrEqualTo(5);
        assertThat(kehu.<Integer>value("SELECT kehu.add_months(3)")).isZero();
        assertThat(kehu.<Boolean>value("SELECT kehu.first_id(t) <= id AND kehu.first_id(t + interval '1 ms') > id"
                        + " FROM (SELECT id, uuid_extract_timestamp(id) AS t FROM (SELECT uuidv7() AS id) made) u"))
                .isTrue();
    }
}
