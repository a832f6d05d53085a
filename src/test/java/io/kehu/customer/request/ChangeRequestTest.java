package io.kehu.customer.request;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.member.TestMembers;
import io.kehu.iam.staff.DemoStaff;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChangeRequestTest {
    private static final String OWN = "/v1/members/me/change-requests";
    private static final String STAFF = "/v1/change-requests";
    private static final String IDENTITY = "{\"identity\": {\"method\": \"call-back\", \"note\": \"回拨旧号码，本人确认\"}}";
    private static final int PER_DAY = 4;
    private static final AtomicInteger NEXT = new AtomicInteger(10);

    private static TestKehu kehu;
    /** Of the branch where customers who come themselves are kept in these tests. */
    private static Caller head;

    private static Caller agent;
    private static Caller elsewhere;
    /** Whose requests are all refused. */
    private static Member strict;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_CHANGE_REQUESTS_PER_DAY", Integer.toString(PER_DAY)));
        head = kehu.signIn(kehu.staff(DemoStaff.id("SH-PD"), "branch-head"));
        agent = kehu.caller("desk-agent");
        elsewhere = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SOUTH"), "branch-head"));
        strict = aMember();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private record Member(UUID id, Caller caller, String oldPhone, String document) {
        String path() {
            return "/v1/customers/" + id;
        }

        String etag() {
            return head.get(path()).is(200).etag();
        }

        Answer asks(String change) {
            return caller.post(OWN, "{\"change\": " + change + "}");
        }
    }

    private static Member aMember() {
        TestMembers.Person person = TestMembers.aPerson(kehu);
        String token = TestMembers.login(kehu, TestMembers.account(kehu, person.customer()), TestMembers.PASSWORD)
                .is(200)
                .at("/accessToken")
                .asText();
        return new Member(person.customer(), kehu.with(token), person.phone(), person.idNumber());
    }

    private static String aPhone() {
        return "139770000" + NEXT.getAndIncrement();
    }

    private static String phones(String... numbers) {
        return "{\"phones\": [{\"number\": \"" + String.join("\"}, {\"number\": \"", numbers) + "\"}]}";
    }

    private static String idOf(Answer made) {
        return made.is(201).at("/id").asText();
    }

    private static Answer accept(Caller who, String id, String customerEtag) {
        return who.post(STAFF + "/" + id + "/accept", IDENTITY, "If-Match", customerEtag);
    }

    private static JsonNode own(Member member, String id) {
        for (JsonNode item : member.caller.get(OWN).is(200).at("/items")) {
            if (item.path("id").asText().equals(id)) {
                return item;
            }
        }
        throw new AssertionError(id + " is not among his own");
    }

    @Test
    void whatACustomerAsksForChangesHisRecordOnceStaffHaveVerifiedWhoHeIs() {
        Member member = aMember();
        String phone = aPhone();
        String before = member.etag();
        Answer made = member.caller.post(OWN, """
                {"change": {"phones": [{"number": "%s"}, {"number": "%s", "label": "mobile"}],
                            "addresses": [{"line": "静安区南京西路 1266 号"}], "channel": "app"},
                 "note": "搬家了，请更新"}""".formatted(member.oldPhone, phone));
        String id = idOf(made);
        assertThat(made.at("/state").asText()).isEqualTo("open");
        assertThat(made.at("/note").asText()).isEqualTo("搬家了，请更新");
        assertThat(member.etag()).isEqualTo(before);

        JsonNode listed =
                head.get(STAFF + "?limit=200&customerId=" + member.id).is(200).at("/items/0");
        assertThat(listed.at("/id").asText()).isEqualTo(id);
        assertThat(listed.at("/fields").toString()).isEqualTo("[\"phones\",\"addresses\",\"channel\"]");
        Answer seen = head.get(STAFF + "/" + id).is(200);
        assertThat(seen.at("/change/phones/0/number").asText())
                .as("what is there stays masked")
                .contains("*");
        assertThat(seen.at("/change/phones/1/number").asText()).endsWith(phone);
        assertThat(seen.at("/change/addresses/0/line").asText()).isEqualTo("静安区南京西路 1266 号");
        assertThat(seen.at("/current/phones/0/number").asText()).contains("*");
        assertThat(seen.at("/customerVersion").asLong()).isEqualTo(1);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE operation = 'getChangeRequest' AND kind = 'unmask' AND object_id = ? AND actor = ?",
                        member.id,
                        head.id))
                .isEqualTo(1);
        Answer masked = agent.get(STAFF + "/" + id).is(200);
        assertThat(masked.text()).doesNotContain(phone, "南京西路 1266");
        elsewhere.get(STAFF + "/" + id).is(404, "change.notFound");
        assertThat(elsewhere.get(STAFF + "?customerId=" + member.id).is(200).at("/items"))
                .isEmpty();

        accept(agent, id, before).is(403);
        accept(elsewhere, id, before).is(404, "change.notFound");
        head.post(STAFF + "/" + id + "/accept", IDENTITY).is(428);
        head.post(STAFF + "/" + id + "/accept", "{}", "If-Match", before).is(400);
        accept(head, id, "\"99\"").is(412, "request.stale");
        Answer accepted = accept(head, id, before).is(200);
        assertThat(accepted.at("/state").asText()).isEqualTo("accepted");
        assertThat(accepted.at("/identity").asText()).isEqualTo("call-back");
        assertThat(accepted.at("/decidedBy").asText()).isEqualTo(head.id.toString());
        accept(head, id, member.etag()).is(409, "change.decided");

        Answer now = head.get(member.path() + "?unmask=phone", "Kehu-Purpose", "contact")
                .is(200);
        assertThat(now.at("/phones/1/number").asText()).endsWith(phone);
        assertThat(now.at("/channel").asText()).isEqualTo("app");
        JsonNode version = head.get(member.path() + "/versions").is(200).at("/items/0");
        assertThat(version.at("/operation").asText()).isEqualTo("acceptChangeRequest");
        assertThat(version.at("/by/id").asText()).isEqualTo(head.id.toString());
        assertThat(version.at("/reason").asText())
                .contains("Asked for by the customer", id, "verified by call-back", "回拨旧号码");
        assertThat(own(member, id).path("state").asText()).isEqualTo("accepted");
        assertThat(own(member, id).has("decidedAt")).isTrue();
        assertThat(head.get(STAFF + "/" + id).is(200).text())
                .as("nothing is left to be verified")
                .doesNotContain(phone, "南京西路 1266");
    }

    @Test
    void whatIsShownInFullCountsInTheDaysReadingsOfWhoReviews() {
        Member member = aMember();
        Caller reviewer = kehu.signIn(kehu.staff(DemoStaff.id("SH-PD"), "branch-head"));
        String request = STAFF + "/" + idOf(member.asks(phones(aPhone())));
        reviewer.get(request).is(200);
        reviewer.get(member.path() + "?unmask=phone", "Kehu-Purpose", "contact").is(200);
        assertThat(kehu.<Integer>value("SELECT used FROM customer.unmasking WHERE staff_id = ?", reviewer.id))
                .isEqualTo(2);
        kehu.sql("UPDATE customer.unmasking SET used = 199 WHERE staff_id = ?", reviewer.id);
        reviewer.get(request).is(200);
        String phone = aPhone();
        String other = STAFF + "/" + idOf(member.asks(phones(phone)));
        assertThat(reviewer.get(other).is(429, "customer.unmaskQuota").text()).doesNotContain(phone);
        reviewer.get(member.path() + "?unmask=phone", "Kehu-Purpose", "contact").is(429, "customer.unmaskQuota");
        String plain = STAFF + "/" + idOf(member.asks("{\"channel\": \"sms\"}"));
        reviewer.get(plain).is(200);
    }

    @Test
    void nothingPersonalStandsInPlainColumnsEventsOrAudit() {
        Member member = aMember();
        String phone = aPhone();
        String made = idOf(member.caller.post(OWN, """
                {"change": {"phones": [{"number": "%s"}], "addresses": [{"line": "长宁区延安西路 900 号"}]},
                 "note": "家母代收"}""".formatted(phone)));
        head.post(STAFF + "/" + made + "/reject", "{\"why\": \"请携带证件到网点\"}").is(200);
        String rows = (String) kehu.value("SELECT string_agg(r::text, ' ') FROM customer.change_request_all r")
                + kehu.value(
                        "SELECT string_agg(a::text, ' ') FROM kehu.audit a WHERE a.operation LIKE '%hangeRequest%'")
                + kehu.value("SELECT string_agg(e::text, ' ') FROM kehu.event e");
        assertThat(rows)
                .contains(made, "createOwnChangeRequest", "change-request.made", "change-request.rejected")
                .doesNotContain(phone, "延安西路", "家母", "携带证件");
    }

    @Test
    void theReasonOfARejectionReachesTheCustomerAndWhatHeMayTakeOut() {
        Member member = aMember();
        String id = idOf(member.asks("{\"name\": \"新姓名\"}"));
        String before = member.etag();
        head.post(STAFF + "/" + id + "/reject", "{\"why\": \"证号 " + member.document + "\"}")
                .is(400, "request.invalid");
        Answer rejected =
                head.post(STAFF + "/" + id + "/reject", "{\"why\": \"改名需户口簿\"}").is(200);
        assertThat(rejected.at("/state").asText()).isEqualTo("rejected");
        assertThat(own(member, id).path("why").asText()).isEqualTo("改名需户口簿");
        assertThat(own(member, id).path("state").asText()).isEqualTo("rejected");
        assertThat(own(member, id).has("decidedBy")).isFalse();
        accept(head, id, before).is(409, "change.decided");
        assertThat(member.etag()).isEqualTo(before);
        JsonNode section =
                member.caller.get("/v1/members/me/personal-data").is(200).at("/sections/changeRequests");
        assertThat(section).hasSize(2);
        assertThat(section.at("/0/change/name").asText()).isEqualTo("新姓名");
        assertThat(section.at("/1/text").asText()).isEqualTo("改名需户口簿");
    }

    @Test
    void aNewRequestTakesThePlaceOfTheOpenOneAndAWithdrawnOneCannotBeAccepted() {
        Member member = aMember();
        String first = idOf(member.asks("{\"channel\": \"sms\"}"));
        String second = idOf(member.asks("{\"channel\": \"app\"}"));
        assertThat(own(member, first).path("state").asText()).isEqualTo("superseded");
        assertThat(own(member, second).path("state").asText()).isEqualTo("open");
        accept(head, first, member.etag()).is(409, "change.decided");
        member.caller.send("DELETE", OWN + "/" + second, (byte[]) null).is(204);
        member.caller.send("DELETE", OWN + "/" + second, (byte[]) null).is(409, "change.decided");
        accept(head, second, member.etag()).is(409, "change.decided");
        head.post(STAFF + "/" + second + "/reject", "{\"why\": \"不\"}").is(409, "change.decided");
        assertThat(head.get(STAFF + "?customerId=" + member.id).is(200).at("/items"))
                .isEmpty();
        assertThat(head.get(STAFF + "?state=withdrawn&customerId=" + member.id)
                        .is(200)
                        .at("/items"))
                .hasSize(1);
    }

    @Test
    void theRequestOfAnotherCustomerIsNotThere() {
        Member mine = aMember();
        Member other = aMember();
        String id = idOf(mine.asks("{\"channel\": \"sms\"}"));
        assertThat(other.caller.get(OWN).is(200).at("/items")).isEmpty();
        other.caller.send("DELETE", OWN + "/" + id, (byte[]) null).is(404, "change.notFound");
        assertThat(own(mine, id).path("state").asText()).isEqualTo("open");
        head.post(OWN, "{\"change\": {\"channel\": \"sms\"}}").is(403, "auth.audience");
        mine.caller.get(STAFF).is(403, "auth.audience");
        kehu.anonymous().get(OWN).is(401);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"phones\": [{\"number\": \"12345\"}]} | /change/phones/0/number",
                "{\"documents\": [{\"type\": \"resident_id\", \"number\": \"110101199003070012\"}]} | /change/documents/0/number",
                "{\"emails\": [\"a@b.example\", \"nobody\"]} | /change/emails/1",
                "{\"regionCode\": \"999999\"} | /change/regionCode",
                "{\"tier\": \"private\"} | /change/tier",
                "{\"branchId\": \"0190a0e4-0000-7000-8000-000000000000\"} | /change/branchId",
            })
    void whatCouldNotBeWrittenIsRefusedAtOnceWithAPointer(String change, String pointer) {
        Answer refused = strict.asks(change).is(400, "request.invalid");
        assertThat(refused.at("/errors").findValuesAsText("pointer")).contains(pointer);
        assertThat(strict.caller.get(OWN).is(200).at("/items")).isEmpty();
    }

    @Test
    void aNumberOfACardInTheNoteIsRefusedAndSoIsWhatIsNotNew() {
        Member member = aMember();
        Answer refused = member.caller
                .post(OWN, "{\"change\": {\"channel\": \"app\"}, \"note\": \"卡号 4111 1111 1111 1111\"}")
                .is(400, "request.invalid");
        assertThat(refused.at("/errors/0/pointer").asText()).isEqualTo("/note");
        member.asks(phones(member.oldPhone)).is(409, "change.notNew");
        assertThat(member.caller.get(OWN).is(200).at("/items")).isEmpty();
    }

    @Test
    void theDayHasAQuotaThatWithdrawnRequestsCountIn() {
        Member member = aMember();
        for (int i = 0; i < PER_DAY; i++) {
            String id = idOf(member.asks(phones(aPhone())));
            if (i > 0) {
                member.caller.send("DELETE", OWN + "/" + id, (byte[]) null).is(204);
            }
        }
        member.asks(phones(aPhone())).is(429, "change.quota");
        aMember().asks(phones(aPhone())).is(201);
    }

    @Test
    void aDocumentThatAnotherCustomerHasIsRefusedWhenItIsAcceptedAndTheRequestStaysOpen() {
        Member other = aMember();
        Member member = aMember();
        String id = idOf(
                member.asks("{\"documents\": [{\"type\": \"resident_id\", \"number\": \"" + other.document + "\"}]}"));
        accept(head, id, member.etag()).is(409, "customer.idTaken");
        assertThat(own(member, id).path("state").asText()).isEqualTo("open");
    }

    @Test
    void whatWasAskedForIsUnreadableOnceTheCustomerIsForgotten() {
        Member member = aMember();
        String id = idOf(member.asks(phones(aPhone())));
        head.post(STAFF + "/" + id + "/reject", "{\"why\": \"无法核实\"}").is(200);
        kehu.sql("SELECT customer.erase_change_requests(ARRAY[?::uuid])", member.id);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM customer.change_request_all WHERE customer_id = ? AND (asked IS NOT NULL OR why IS NOT NULL)",
                        member.id))
                .isZero();
        assertThat(own(member, id).has("why")).isFalse();
        assertThat(head.get(STAFF + "/" + id).is(200).at("/change")).isEmpty();
    }

    /** He signs in with the id that is merged; the record that stands for him is another. */
    @Test
    void theRequestOfAMergedRecordChangesTheOneThatStandsForHim() {
        Member member = aMember();
        Member survivor = aMember();
        String open = idOf(survivor.asks("{\"channel\": \"sms\"}"));
        head.post("/v1/merges", """
                {"survivorId": "%s", "duplicateId": "%s"}""".formatted(survivor.id, member.id)).is(201);
        String id = idOf(member.asks("{\"channel\": \"branch\"}"));
        assertThat(own(member, open).path("state").asText())
                .as("one person has one open request")
                .isEqualTo("superseded");
        JsonNode listed = head.get(STAFF + "?customerId=" + survivor.id).is(200).at("/items");
        assertThat(listed.findValuesAsText("id")).containsExactly(id);
        assertThat(listed.at("/0/customerId").asText()).isEqualTo(survivor.id.toString());
        accept(head, id, survivor.etag()).is(200);
        assertThat(head.get(survivor.path()).is(200).at("/channel").asText()).isEqualTo("branch");
        assertThat(head.get(survivor.path() + "/versions")
                        .is(200)
                        .at("/items/0/reason")
                        .asText())
                .contains(id);
        assertThat(own(survivor, id).path("state").asText()).isEqualTo("accepted");
    }

    @Test
    void ofAcceptanceAndWithdrawalAtOnceExactlyOneHolds() {
        Member member = aMember();
        String id = idOf(member.asks("{\"channel\": \"sms\"}"));
        String etag = member.etag();
        CompletableFuture<Integer> accepting =
                CompletableFuture.supplyAsync(() -> accept(head, id, etag).status());
        int withdrawn =
                member.caller.send("DELETE", OWN + "/" + id, (byte[]) null).status();
        int accepted = accepting.join();
        assertThat(List.of(accepted, withdrawn)).isIn(List.of(200, 409), List.of(409, 204));
        assertThat(own(member, id).path("state").asText()).isEqualTo(accepted == 200 ? "accepted" : "withdrawn");
        assertThat(member.etag().equals(etag)).isEqualTo(accepted != 200);
    }
}
