package io.kehu.iam.approval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Deployment;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.iam.staff.DemoStaff;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The rules of what has to be approved: who changes them, and what follows from them. */
class ApprovalPolicyTest {
    private static final String POLICIES = "/v1/approval-policies/";
    private static final String PARAMETER = "/v1/parameters/admission.users";

    private static TestKehu kehu;
    private Caller first;
    private Caller second;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    /** Nothing is in force, and two administrators work here. */
    @BeforeEach
    void twoAdministrators() {
        kehu.sql("UPDATE iam.approval_policy SET enabled = false");
        kehu.sql("UPDATE iam.staff SET state = 'suspended' WHERE 'administrator' = ANY (roles)");
        first = kehu.caller("administrator");
        second = kehu.caller("administrator");
    }

    private static Answer change(Caller caller, String code, String patch) {
        return caller.patch(POLICIES + code, caller.get(POLICIES + code).etag(), patch);
    }

    private static Answer changeParameter(Caller caller) {
        return caller.patch(PARAMETER, caller.get(PARAMETER).etag(), "{\"value\": \"5200\"}");
    }

    private static Answer takeOn(Caller caller) {
        return caller.post(
                "/v1/staff", """
                {"username": "n%s", "name": "新人", "branchId": "%s", "roles": ["administrator"]}""".formatted(UUID.randomUUID().toString().substring(0, 12), kehu.headOffice()));
    }

    /** Somebody whom this administrator takes on alone, and who has changed the first password. */
    private static UUID takenOn(Caller caller) {
        UUID made = UUID.fromString(takeOn(caller).is(201).at("/id").asText());
        kehu.sql("UPDATE iam.staff SET must_change = false WHERE id = ?", made);
        return made;
    }

    @Test
    void theDemoBankHasTheTwoWhomFourEyesNeed() {
        kehu.sql("UPDATE iam.staff SET state = 'suspended' WHERE id IN (?, ?)", first.id, second.id);
        kehu.sql(
                "UPDATE iam.staff SET state = 'active' WHERE id IN (?, ?)",
                DemoStaff.id("admin"),
                DemoStaff.id("admin2"));
        Caller admin = kehu.signIn(DemoStaff.id("admin"));
        Caller other = kehu.signIn(DemoStaff.id("admin2"));
        change(admin, "staff-rights", "{\"enabled\": true}").is(200);
        String waits =
                change(admin, "customer-entry", "{\"enabled\": true}").is(202).header("Location");
        admin.post(waits + "/approve", "{}").is(409, "approval.ownChange");
        assertThat(admin.get(POLICIES + "customer-entry").at("/enabled").asBoolean())
                .isFalse();
        other.post(waits + "/approve", "{}").is(200);
        assertThat(admin.get(POLICIES + "customer-entry").at("/enabled").asBoolean())
                .isTrue();
    }

    @Test
    void everyPolicyOfTheContractIsThere() {
        assertThat(kehu.sql("SELECT code FROM iam.approval_policy"))
                .extracting(row -> row.get("code").toString())
                .containsAll(Contract.load(3000).operations().stream()
                        .map(Operation::approval)
                        .filter(Objects::nonNull)
                        .toList());
    }

    @Test
    void aContractWithAPolicyThatIsNotThereStopsTheStart() {
        try (TestKehu lost = TestKehu.prepare(Map.of())) {
            lost.sql("DELETE FROM iam.approval_policy WHERE code = 'parameter'");
            assertThatThrownBy(() -> TestKehu.await(Deployment.start(lost.settings())))
                    .hasMessageContaining("approval policies that the database does not have: parameter");
        }
    }

    @Test
    void theFirstIsEnabledAtOnceAndFromThenOnEveryChangeWaits() {
        changeParameter(first).is(200);
        assertThat(change(first, "parameter", "{\"enabled\": true}")
                        .is(200)
                        .at("/inForce")
                        .asBoolean())
                .isTrue();
        changeParameter(first).is(202);
        takeOn(first).is(202);
        change(first, "approval-policy", "{\"levels\": [{\"approvers\": 1, \"permission\": \"parameter:manage\"}]}")
                .is(202);
        String off = change(first, "parameter", "{\"enabled\": false}").is(202).header("Location");
        assertThat(first.get(POLICIES + "parameter").at("/enabled").asBoolean()).isTrue();
        first.post(off + "/approve", "{}").is(409, "approval.ownChange");
        assertThat(second.post(off + "/approve", "{}").is(200).at("/state").asText())
                .isEqualTo("executed");
        changeParameter(first).is(200);
        takeOn(first).is(201);
    }

    @Test
    void aPolicyIsNotEnabledWhereTooFewCouldDecide() {
        kehu.sql("UPDATE iam.staff SET state = 'suspended' WHERE id = ?", second.id);
        change(first, "parameter", "{\"enabled\": true}").is(422, "policy.tooFewPeople");
        takenOn(first);
        change(first, "parameter", "{\"enabled\": true}").is(422, "policy.tooFewPeople");
        change(first, "customer-entry", "{\"levels\": [{\"approvers\": 1, \"permission\": \"nobody:has\"}]}")
                .is(200);
        kehu.sql("UPDATE iam.staff SET state = 'active' WHERE id = ?", second.id);
        change(first, "customer-entry", "{\"enabled\": true}").is(422, "policy.tooFewPeople");
        change(first, "customer-entry", "{\"levels\": [{\"approvers\": 1, \"permission\": \"customer:approve\"}]}")
                .is(200);
    }

    @Test
    void whatWaitedUnderAnOlderVersionEnds() {
        change(first, "parameter", "{\"enabled\": true}").is(200);
        String waits = changeParameter(first).is(202).header("Location");
        String policy =
                change(second, "parameter", "{\"expiryMinutes\": 90}").is(202).header("Location");
        first.post(policy + "/approve", "{}").is(200);
        Answer ended = first.get(waits).is(200);
        assertThat(ended.at("/state").asText()).isEqualTo("refused");
        assertThat(ended.at("/code").asText()).isEqualTo("approval.policyChanged");
        second.post(waits + "/approve", "{}").is(409, "approval.ended");
    }

    @Test
    void anImportIsNoWayRoundTheEntryOfCustomers() {
        assertThat(first.get(POLICIES + "customer-import").at("/inForce").asBoolean())
                .isFalse();
        change(first, "customer-entry", "{\"enabled\": true}").is(200);
        Answer imports = first.get(POLICIES + "customer-import").is(200);
        assertThat(imports.at("/enabled").asBoolean()).isFalse();
        assertThat(imports.at("/inForce").asBoolean()).isTrue();
    }

    @Test
    void accountsThatOnePersonMadeAloneAreOneHand() {
        Caller made = kehu.signIn(takenOn(first));
        Caller sibling = kehu.signIn(takenOn(made));
        change(first, "parameter", "{\"enabled\": true}").is(200);
        String ofFirst = changeParameter(first).is(202).header("Location");
        made.post(ofFirst + "/approve", "{}").is(409, "approval.sameHand");
        sibling.post(ofFirst + "/approve", "{}").is(409, "approval.sameHand");
        String ofSibling = changeParameter(sibling).is(202).header("Location");
        first.post(ofSibling + "/approve", "{}").is(409, "approval.sameHand");
        made.post(ofSibling + "/approve", "{}").is(409, "approval.sameHand");

        String path = "/v1/staff/" + made.id;
        String rights = first.patch(path, first.get(path).etag(), "{\"roles\": [\"administrator\"]}")
                .is(202)
                .header("Location");
        sibling.post(rights + "/approve", "{}").is(409, "approval.sameHand");
        second.post(rights + "/approve", "{}").is(200);
        Caller vouched = kehu.signIn(made.id);
        assertThat(vouched.post(ofFirst + "/approve", "{}").is(200).at("/state").asText())
                .isEqualTo("executed");
    }

    @Test
    void anAccountThatASecondPersonApprovedIsItsOwn() {
        change(first, "parameter", "{\"enabled\": true}").is(200);
        String account = takeOn(first).is(202).header("Location");
        Answer made = second.post(account + "/approve", "{}").is(200);
        assertThat(made.text()).doesNotContain("initialPassword");
        assertThat(first.get(account).at("/answer/initialPassword").asText()).hasSize(23);
        UUID person = UUID.fromString(made.at("/location").asText().substring("/v1/staff/".length()));
        kehu.sql("UPDATE iam.staff SET must_change = false WHERE id = ?", person);
        String change = changeParameter(first).is(202).header("Location");
        kehu.signIn(person).post(change + "/approve", "{}").is(200);
    }

    @Test
    void whoMayDoLessIsNotLongWaitedForWherePolicyMeasuresRights() {
        change(first, "staff-rights", """
                {"enabled": true, "levels": [{"approvers": 1, "permission": "staff:approve", "fromCount": 1}]}""").is(200);
        String path = "/v1/staff/" + kehu.staff(kehu.headOffice(), "operator", "marketing");
        Answer less = first.patch(path, first.get(path).etag(), "{\"roles\": [\"operator\"]}")
                .is(200);
        assertThat(less.header("Kehu-Approval")).isEmpty();
        first.patch(path, less.etag(), "{\"state\": \"suspended\"}").is(200);
        first.patch(path, first.get(path).etag(), "{\"state\": \"active\"}").is(202);
        String more = first.patch(path, first.get(path).etag(), "{\"roles\": [\"operator\", \"risk\"]}")
                .is(202)
                .header("Location");
        assertThat(first.get(more).at("/count").asInt()).isEqualTo(1);
        assertThat(second.post(more + "/approve", "{}").is(200).at("/state").asText())
                .isEqualTo("executed");
        takeOn(first).is(202);
        kehu.sql("""
                UPDATE iam.approval_policy SET levels = '[{"approvers": 1, "permission": "staff:approve"}]' WHERE code = 'staff-rights'""");
    }

    @Test
    void aPolicyShowsWhatItWas() {
        Answer now = first.get(POLICIES + "parameter").is(200);
        first.get(POLICIES + "parameter", "If-None-Match", now.etag()).is(304);
        first.get(POLICIES + "nothing-such").is(404, "policy.notFound");
        first.get(POLICIES + "parameter?asOf=2999-01-01T00:00:00Z").is(400, "request.asOfTooLate");
        assertThat(first.get("/v1/approval-policies").is(200).at("/items").size())
                .isEqualTo(kehu.sql("SELECT FROM iam.approval_policy").size());
        change(first, "parameter", "{\"levels\": []}").is(400, "request.invalid");
        change(first, "parameter", "{\"branchRule\": \"anywhere\"}").is(400, "request.invalid");
    }
}
