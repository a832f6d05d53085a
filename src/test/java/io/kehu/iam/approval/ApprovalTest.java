package io.kehu.iam.approval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import io.kehu.bus.Call;
import io.kehu.iam.staff.DemoStaff;
import io.kehu.sql.Database;
import io.vertx.core.Vertx;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Changes that wait for a second person, in a bank where entering customers and changing parameters needs one. */
class ApprovalTest {
    private static final UUID BRANCH = DemoStaff.id("SH-PD");
    private static final String PARAMETER = "/v1/parameters/admission.users";

    private static TestKehu kehu;
    /** Of a second node that serves everything too, and sweeps. */
    private static int otherPort;

    private static Caller maker;
    private static Caller head;
    private static Caller otherHead;
    private static Caller administrator;
    private static Caller otherAdministrator;
    private static Caller auditor;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        otherPort = kehu.addNode(kehu.settings()).httpPort();
        maker = kehu.signIn(kehu.staff(BRANCH, "customer-manager"));
        head = kehu.signIn(kehu.staff(BRANCH, "branch-head"));
        otherHead = kehu.signIn(kehu.staff(BRANCH, "branch-head"));
        administrator = kehu.caller("administrator");
        otherAdministrator = kehu.caller("administrator");
        auditor = kehu.caller("auditor");
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code IN ('customer-entry', 'parameter')");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String name() {
        return "客户" + UUID.randomUUID().toString().substring(0, 8);
    }

    /** One of his own, so that nobody takes him for another. */
    private static String phone(String name) {
        return "138%08d".formatted(Math.floorMod(name.hashCode(), 100_000_000));
    }

    private static String person(String name) {
        return """
                {"kind": "person", "name": "%s", "phones": [{"number": "%s"}], "lifecycle": "new"}""".formatted(name, phone(name));
    }

    private static Answer enter(Caller caller, String... headers) {
        return caller.post("/v1/customers", person(name()), headers);
    }

    /** The path of an approval that a customer's entry by the maker waits for. */
    private static String waiting() {
        return enter(maker).is(202).header("Location");
    }

    private static long customers() {
        return kehu.<Long>value("SELECT count(*) FROM customer.customer");
    }

    private static String state(String path) {
        return auditor.get(path).is(200).at("/state").asText();
    }

    private static UUID id(String path) {
        return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
    }

    /** A customer of the maker's who is there already. */
    private static String customer() {
        return head.post(waiting() + "/approve", "{}").is(200).at("/location").asText();
    }

    private static <T> List<T> together(List<Callable<T>> calls) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(calls.size());
        CyclicBarrier barrier = new CyclicBarrier(calls.size());
        try {
            List<Future<T>> running = new ArrayList<>();
            for (Callable<T> call : calls) {
                running.add(threads.submit(() -> {
                    barrier.await();
                    return call.call();
                }));
            }
            List<T> results = new ArrayList<>();
            for (Future<T> one : running) {
                results.add(one.get());
            }
            return results;
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        } finally {
            threads.shutdownNow();
        }
    }

    // ---- waiting

    @Test
    void anEntryWaitsAndRunsOnceWhenASecondPersonAgrees() {
        long before = customers();
        Answer made = enter(maker).is(202);
        String path = made.header("Location");
        assertThat(path).isEqualTo("/v1/approvals/" + made.at("/approvalId").asText());
        assertThat(customers()).isEqualTo(before);

        Answer agreed = head.post(path + "/approve", "{\"reason\": \"与证件一致\"}").is(200);
        assertThat(agreed.at("/state").asText()).isEqualTo("executed");
        assertThat(agreed.at("/status").asInt()).isEqualTo(201);
        assertThat(customers()).isEqualTo(before + 1);
        maker.get(agreed.at("/location").asText()).is(200);

        JsonNode decision = agreed.at("/decisions/0");
        assertThat(decision.at("/by").asText()).isEqualTo(head.id.toString());
        assertThat(decision.at("/reason").asText()).isEqualTo("与证件一致");
        head.post(path + "/approve", "{}").is(409, "approval.ended");
        assertThat(customers()).isEqualTo(before + 1);
    }

    @Test
    void theAuditNamesTheApprovalOfWhatWasAskedDecidedAndDone() {
        String path = waiting();
        head.post(path + "/approve", "{}").is(200);
        List<Map<String, Object>> rows = kehu.sql(
                "SELECT operation, actor, object_type FROM kehu.audit WHERE approval_id = ? ORDER BY at", id(path));
        assertThat(rows).hasSize(2).allSatisfy(row -> {
            assertThat(row).containsEntry("operation", "createCustomer").containsEntry("actor", maker.id);
        });
        assertThat(rows).extracting(row -> row.get("object_type")).containsExactly("approval", "customer");
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE operation = 'approveApproval' AND object_id = ?",
                        id(path)))
                .isEqualTo(1);
    }

    @Test
    void whatTheRulesRefuseIsRefusedNowAndNothingWaits() {
        long before = kehu.<Long>value("SELECT count(*) FROM iam.approval");
        String elsewhere = """
                {"kind": "person", "name": "某人", "branchId": "%s"}""".formatted(DemoStaff.id("BJ-CY"));
        maker.post("/v1/customers", elsewhere).is(422, "customer.branchUnknown");
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.approval")).isEqualTo(before);
    }

    @Test
    void aDryRunShowsWhatWouldHappenAndThatItWouldWait() {
        long before = kehu.<Long>value("SELECT count(*) FROM iam.approval");
        Answer dry = enter(maker, "Dry-Run", "true").is(201);
        assertThat(dry.header("Kehu-Approval")).isEqualTo("customer-entry");
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.approval")).isEqualTo(before);
        Answer free =
                administrator.post("/v1/parameters", """
                {"name": "free.of", "kind": "number", "value": "1", "aboutEn": "x", "aboutZh": "x"}""", "Dry-Run", "true").is(201);
        assertThat(free.header("Kehu-Approval")).isEmpty();
    }

    @Test
    void theSameKeyThirtyTwoTimesMakesOneChangeThatWaits() throws Exception {
        String key = UUID.randomUUID().toString();
        String body = person(name());
        List<Callable<Answer>> calls = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            Caller caller = i % 2 == 0 ? maker : maker.at(otherPort);
            calls.add(() -> caller.post("/v1/customers", body, "Idempotency-Key", key));
        }
        List<Answer> answers = together(calls);
        assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isIn(202, 409));
        assertThat(answers.stream()
                        .filter(answer -> answer.status() == 202)
                        .map(answer -> answer.at("/approvalId").asText())
                        .distinct())
                .hasSize(1);
        Answer again = maker.post("/v1/customers", body, "Idempotency-Key", key).is(202);
        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        maker.post("/v1/customers", person(name()), "Idempotency-Key", key).is(409, "request.keyReused");
    }

    @Test
    void aResourceShowsWhatWaitsOnIt() {
        String path = customer();
        Answer before = maker.get(path).is(200);
        assertThat(before.json().has("pendingChanges")).isFalse();
        String approval = maker.patch(path, before.etag(), "{\"tier\": \"private\"}")
                .is(202)
                .header("Location");
        Answer during = maker.get(path, "If-None-Match", before.etag()).is(200);
        assertThat(during.at("/pendingChanges/0/approvalId").asText())
                .isEqualTo(id(approval).toString());
        assertThat(during.at("/pendingChanges/0/operationId").asText()).isEqualTo("changeCustomer");
        maker.get(path, "If-None-Match", during.etag()).is(304);
        head.post(approval + "/approve", "{}").is(200);
        Answer after = maker.get(path).is(200);
        assertThat(after.json().has("pendingChanges")).isFalse();
        assertThat(after.at("/tier").asText()).isEqualTo("private");
        // The tag of a reading that showed what waited is as good for an update as any other of that version.
        maker.patch(path, during.etag(), "{\"tier\": \"mass\"}").is(412, "request.stale");
    }

    @Test
    void parametersAndStaffShowWhatWaitsToo() {
        Answer parameter = administrator.get(PARAMETER).is(200);
        String waits = administrator
                .patch(PARAMETER, parameter.etag(), "{\"value\": \"5100\"}")
                .is(202)
                .header("Location");
        assertThat(administrator
                        .get(PARAMETER)
                        .at("/pendingChanges/0/approvalId")
                        .asText())
                .isEqualTo(id(waits).toString());
        administrator.post(waits + "/withdraw", null).is(200);
        String colleague = "/v1/staff/" + kehu.staff(BRANCH, "operator");
        String change = administrator
                .patch(colleague, administrator.get(colleague).etag(), "{\"roles\": [\"branch-head\"]}")
                .is(202)
                .header("Location");
        assertThat(administrator
                        .get(colleague)
                        .at("/pendingChanges/0/approvalId")
                        .asText())
                .isEqualTo(id(change).toString());
    }

    @Test
    void aBranchShowsWhatWaitsToo() {
        String path = "/v1/branches/" + DemoStaff.id("GZ-HZ");
        Answer before = administrator.get(path).is(200);
        String waits = waiting();
        kehu.sql("UPDATE iam.approval SET object_id = ? WHERE id = ?", DemoStaff.id("GZ-HZ"), id(waits));
        Answer during = administrator.get(path, "If-None-Match", before.etag()).is(200);
        assertThat(during.at("/pendingChanges/0/approvalId").asText())
                .isEqualTo(id(waits).toString());
        maker.post(waits + "/withdraw", null).is(200);
        assertThat(administrator.get(path).json()).isEqualTo(before.json());
    }

    @Test
    void theCommandIsUnreadableAtRestAndMaskedForReaders() {
        String name = "欧阳" + UUID.randomUUID();
        String path = maker.post("/v1/customers", person(name)).is(202).header("Location");
        byte[] command = kehu.value("SELECT command FROM iam.approval_content WHERE approval_id = ?", id(path));
        assertThat(new String(command, StandardCharsets.UTF_8)).doesNotContain(name, phone(name));
        Answer read = head.get(path).is(200);
        assertThat(read.text()).doesNotContain(name, phone(name));
        assertThat(read.at("/command").toString())
                .contains(
                        "{\"pointer\":\"/kind\",\"value\":\"person\"}",
                        "\"/phones/0/number\"",
                        "13***" + phone(name).substring(9));
        assertThat(auditor.get(path).text()).doesNotContain(name, phone(name));
    }

    @Test
    void theAnswerIsForTheMakerAlone() {
        String path = waiting();
        head.post(path + "/approve", "{}").is(200);
        assertThat(head.get(path).json().has("answer")).isFalse();
        assertThat(auditor.get(path).json().has("answer")).isFalse();
        assertThat(maker.get(path).at("/answer/id").asText())
                .isEqualTo(id(maker.get(path).at("/location").asText()).toString());
    }

    @Test
    void nobodyLetsMoreThanTwoHundredChangesWait() {
        UUID busy = kehu.staff(BRANCH, "customer-manager");
        kehu.sql("""
                INSERT INTO iam.approval (id, policy, policy_version, branch_rule, levels, permissions, asks, operation, maker_id,
                    maker_name, branch_id, scope, command_hash, made_at, expires_at)
                SELECT uuidv7(), 'customer-entry', 1, 'any', '[{"approvers": 1, "permission": "nobody:has"}]', '{nobody:has}',
                    'nobody:has', 'createCustomer', ?, 'busy', ?, 'OWN', '', kehu.now(), kehu.now() + interval '1 day'
                FROM generate_series(1, 200)""", busy, BRANCH);
        enter(kehu.signIn(busy)).is(409, "approval.tooMany");
    }

    // ---- deciding

    @Test
    void nobodyDecidesTheOwnChange() {
        String path = enter(head).is(202).header("Location");
        head.post(path + "/approve", "{}").is(409, "approval.ownChange");
        head.post(path + "/reject", "{\"reason\": \"own\"}").is(409, "approval.ownChange");
        assertThatThrownBy(() -> kehu.sql("""
                        INSERT INTO iam.approval_decision (id, approval_id, maker_id, decider_id, decider_name, level, verdict)
                        SELECT uuidv7(), id, maker_id, maker_id, 'x', 0, 'approve' FROM iam.approval WHERE id = ?""", id(path)))
                .rootCause()
                .hasMessageMatching("(?s).*(approval_decision_maker|one hand).*");
        assertThatThrownBy(() -> kehu.sql("""
                        INSERT INTO iam.approval_decision (id, approval_id, maker_id, decider_id, decider_name, level, verdict)
                        SELECT uuidv7(), id, ?, maker_id, 'x', 0, 'approve' FROM iam.approval WHERE id = ?""", auditor.id, id(path)))
                .rootCause()
                .hasMessageContaining("approval_decision_of");
        otherHead.post(path + "/approve", "{}").is(200);
    }

    @Test
    void onlyWhoMayDecideItSeesIt() {
        String path = waiting();
        Caller elsewhere = kehu.signIn(DemoStaff.id("head.bj-cy"));
        elsewhere.get(path).is(404, "approval.notFound");
        elsewhere.post(path + "/approve", "{}").is(404, "approval.notFound");
        kehu.signIn(kehu.staff(BRANCH, "customer-manager")).get(path).is(404, "approval.notFound");
        administrator.post(path + "/approve", "{}").is(404, "approval.notFound");
        auditor.get(path).is(200);
        auditor.post(path + "/approve", "{}").is(403, "auth.forbidden");
        kehu.signIn(DemoStaff.id("head.sh")).post(path + "/approve", "{}").is(200);
    }

    @Test
    void listsShowWhatIsMineToDecideAndWhatIMade() {
        String path = waiting();
        String mine = "\"id\":\"" + id(path) + "\"";
        assertThat(head.get("/v1/approvals?whose=decide&limit=200").is(200).text())
                .contains(mine);
        assertThat(head.get("/v1/approvals?whose=made&limit=200").is(200).text())
                .doesNotContain(mine);
        assertThat(maker.get("/v1/approvals?whose=made&state=pending&limit=200")
                        .is(200)
                        .text())
                .contains(mine);
        assertThat(maker.get("/v1/approvals?whose=decide&limit=200").is(200).text())
                .doesNotContain(mine);
        head.post(path + "/approve", "{}").is(200);
        assertThat(head.get("/v1/approvals?whose=decide&limit=200").is(200).text())
                .doesNotContain(mine);
        assertThat(head.get("/v1/approvals?state=executed&limit=200").is(200).text())
                .contains(mine);
        Answer first = auditor.get("/v1/approvals?limit=1").is(200);
        Answer second = auditor.get(
                        "/v1/approvals?limit=1&cursor=" + first.at("/next").asText())
                .is(200);
        assertThat(second.at("/items/0/id").asText())
                .isLessThan(first.at("/items/0/id").asText());
    }

    @Test
    void twoHaveToAgreeWhereThePolicySaysSoAndOnePersonCountsOnce() {
        String path = waiting();
        kehu.sql("""
                UPDATE iam.approval SET levels = '[{"approvers": 2, "permission": "customer:approve"}]' WHERE id = ?""", id(path));
        assertThat(head.post(path + "/approve", "{}").is(200).at("/state").asText())
                .isEqualTo("pending");
        head.post(path + "/approve", "{}").is(409, "approval.alreadyDecided");
        assertThat(otherHead.post(path + "/approve", "{}").is(200).at("/state").asText())
                .isEqualTo("executed");
    }

    @Test
    void levelsDecideOneAfterTheOther() {
        String path = waiting();
        kehu.sql("""
                UPDATE iam.approval SET branch_rule = 'any', permissions = '{customer:approve,staff:approve}', levels =
                    '[{"approvers": 1, "permission": "customer:approve"}, {"approvers": 1, "permission": "staff:approve"}]'
                WHERE id = ?""", id(path));
        administrator.get(path).is(200);
        administrator.post(path + "/approve", "{}").is(403, "approval.notYours");
        assertThat(head.post(path + "/approve", "{}").is(200).at("/level").asInt())
                .isEqualTo(1);
        otherHead.post(path + "/approve", "{}").is(403, "approval.notYours");
        assertThat(administrator
                        .post(path + "/approve", "{}")
                        .is(200)
                        .at("/state")
                        .asText())
                .isEqualTo("executed");
    }

    @Test
    void measuresChooseTheLevelsAndWhatIsNotMeasuredNeedsThemAll() {
        String rule = """
                {"levels": [{"approvers": 1, "permission": "a:b", "fromAmount": "1000.00"},
                            {"approvers": 1, "permission": "c:d", "fromAmount": "50000.00", "fromCount": 10}]}""";
        String demand =
                "SELECT coalesce(jsonb_array_length(iam.approval_demand('" + rule + "', ?::numeric, ?::bigint)), 0)";
        assertThat(kehu.<Integer>value(demand, "999.99", "1")).isZero();
        assertThat(kehu.<Integer>value(demand, "1000.00", "1")).isEqualTo(1);
        assertThat(kehu.<Integer>value(demand, "50000", "1")).isEqualTo(2);
        assertThat(kehu.<Integer>value(demand, "1", "10")).isEqualTo(1);
        assertThat(kehu.<Integer>value(demand, "1", null)).isEqualTo(1);
        assertThat(kehu.<Integer>value(demand, null, null)).isEqualTo(2);
    }

    @Test
    void whoLostThePermissionDecidesNoMoreAlthoughTheTokenStillIsGood() {
        UUID person = kehu.staff(BRANCH, "branch-head");
        Caller caller = kehu.signIn(person);
        String path = waiting();
        caller.get(path).is(200);
        kehu.sql("UPDATE iam.staff SET roles = '{analyst}' WHERE id = ?", person);
        caller.post(path + "/approve", "{}").is(403, "approval.notYours");
        assertThat(state(path)).isEqualTo("pending");
    }

    @Test
    void decidingNeedsAFreshFactor() {
        Caller caller = kehu.signIn(kehu.staff(BRANCH, "branch-head"));
        kehu.sql("UPDATE iam.session SET factor_at = factor_at - interval '6 minutes' WHERE subject_id = ?", caller.id);
        String path = waiting();
        caller.post(path + "/approve", "{}").is(401, "auth.stepUp");
        caller.post(path + "/reject", "{\"reason\": \"no\"}").is(401, "auth.stepUp");
        caller.get(path).is(200);
    }

    @Test
    void oneRejectionWithAReasonEndsIt() {
        String path = waiting();
        head.post(path + "/reject", "{}").is(400, "request.invalid");
        Answer rejected = head.post(path + "/reject", "{\"reason\": \"证件过期\"}").is(200);
        assertThat(rejected.at("/state").asText()).isEqualTo("rejected");
        otherHead.post(path + "/approve", "{}").is(409, "approval.ended");
        maker.post(path + "/withdraw", null).is(409, "approval.ended");
    }

    @Test
    void theMakerTakesTheChangeBackAndNobodyElseDoes() {
        String path = waiting();
        otherHead.post(path + "/withdraw", null).is(404, "approval.notFound");
        assertThat(maker.post(path + "/withdraw", null).is(200).at("/state").asText())
                .isEqualTo("withdrawn");
        head.post(path + "/approve", "{}").is(409, "approval.ended");
    }

    @Test
    void whatWasNotDecidedInTimeCannotBeAnyMore() {
        String path = waiting();
        kehu.sql("UPDATE iam.approval SET expires_at = kehu.now() WHERE id = ?", id(path));
        assertThat(state(path)).isEqualTo("expired");
        head.post(path + "/approve", "{}").is(409);
        await().untilAsserted(
                        () -> assertThat(kehu.<String>value("SELECT state FROM iam.approval WHERE id = ?", id(path)))
                                .isEqualTo("expired"));
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.event WHERE type = 'approval.expired' AND aggregate_id = ?",
                        id(path)))
                .isEqualTo(2);
    }

    @Test
    void whatHappensToAnApprovalIsToldToItsMakerAndToThoseWhoDecide() {
        String path = waiting();
        head.post(path + "/approve", "{}").is(200);
        for (Caller caller : List.of(maker, head)) {
            String told = eventsOf(caller);
            assertThat(told).contains(id(path).toString());
        }
        assertThat(eventsOf(kehu.signIn(DemoStaff.id("head.bj-cy")))).doesNotContain(id(path).toString());
        assertThat(kehu.sql("SELECT DISTINCT type FROM kehu.event WHERE aggregate_id = ? ORDER BY type", id(path)))
                .extracting(row -> row.get("type"))
                .containsExactly("approval.decided", "approval.executed", "approval.requested");
    }

    /** All closed events that this caller sees. */
    private static String eventsOf(Caller caller) {
        await().until(() -> kehu.<Boolean>value("""
                SELECT coalesce((SELECT max(xid) FROM kehu.event) < (SELECT max(to_xid) FROM kehu.event_range), false)"""));
        StringBuilder all = new StringBuilder();
        String after = "";
        for (int page = 0; page < 50; page++) {
            Answer answer = caller.get("/v1/events?limit=200" + after).is(200);
            all.append(answer.text());
            if (answer.at("/items").isEmpty()) {
                break;
            }
            after = "&after=" + answer.at("/next").asText();
        }
        return all.toString();
    }

    // ---- carrying out

    @Test
    void anEditOfTheObjectVoidsWhatWaited() {
        String path = customer();
        String etag = maker.get(path).etag();
        String first =
                maker.patch(path, etag, "{\"tier\": \"private\"}").is(202).header("Location");
        String second =
                maker.patch(path, etag, "{\"tier\": \"affluent\"}").is(202).header("Location");
        assertThat(head.post(first + "/approve", "{}").is(200).at("/state").asText())
                .isEqualTo("executed");
        Answer stale = head.post(second + "/approve", "{}").is(200);
        assertThat(stale.at("/state").asText()).isEqualTo("refused");
        assertThat(stale.at("/code").asText()).isEqualTo("request.stale");
        assertThat(maker.get(path).at("/tier").asText()).isEqualTo("private");
    }

    @Test
    void theRightsOfTheMakerAreThoseOfTheMomentItRuns() {
        record Case(String change, String code) {}
        for (Case one : List.of(
                new Case("roles = '{analyst}'", "auth.forbidden"),
                new Case("state = 'suspended'", "approval.makerGone"),
                new Case("branch_id = '" + DemoStaff.id("BJ-CY") + "'", "approval.makerMoved"),
                new Case("roles = '{marketing}'", "approval.makerMoved"))) {
            UUID person = kehu.staff(BRANCH, "customer-manager");
            String path = enter(kehu.signIn(person)).is(202).header("Location");
            kehu.sql("UPDATE iam.staff SET " + one.change + " WHERE id = ?", person);
            long before = customers();
            Answer ended = head.post(path + "/approve", "{}").is(200);
            assertThat(ended.at("/state").asText()).as(one.change).isEqualTo("refused");
            assertThat(ended.at("/code").asText()).isEqualTo(one.code);
            assertThat(customers()).isEqualTo(before);
        }
    }

    @Test
    void whatTheRulesRefuseWhenItRunsIsShownAsRefused() {
        String body = """
                {"kind": "person", "name": "%s", "externalIds": [{"source": "core", "id": "%s"}]}""".formatted(name(), UUID.randomUUID());
        String first = maker.post("/v1/customers", body).is(202).header("Location");
        String second = maker.post("/v1/customers", body).is(202).header("Location");
        head.post(first + "/approve", "{}").is(200);
        Answer ended = head.post(second + "/approve", "{}").is(200);
        assertThat(ended.at("/state").asText()).isEqualTo("refused");
        assertThat(ended.at("/code").asText()).isEqualTo("customer.externalIdTaken");
    }

    @Test
    void whatCouldNotRunAtOnceIsRunByTheSweepAndOnce() throws SQLException {
        Answer before = administrator.get("/v1/parameters/alert.cpu").is(200);
        String path = administrator
                .patch("/v1/parameters/alert.cpu", before.etag(), "{\"value\": \"86\"}")
                .is(202)
                .header("Location");
        try (Connection other = Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000);
                Statement sql = other.createStatement()) {
            other.setAutoCommit(false);
            sql.execute("SELECT 1 FROM ops.parameter WHERE name = 'alert.cpu' FOR UPDATE");
            Answer agreed = otherAdministrator.post(path + "/approve", "{}").is(200);
            assertThat(agreed.at("/state").asText()).isEqualTo("approved");
            assertThat(administrator
                            .get("/v1/parameters/alert.cpu")
                            .at("/value")
                            .asText())
                    .isEqualTo("85");
            other.rollback();
        }
        await().until(() -> state(path).equals("executed"));
        Answer after = administrator.get("/v1/parameters/alert.cpu").is(200);
        assertThat(after.at("/value").asText()).isEqualTo("86");
        assertThat(after.at("/version").asLong())
                .isEqualTo(before.at("/version").asLong() + 1);
    }

    @Test
    void anApprovalThatNobodyCarriedOutIsFoundByTheSweep() {
        long before = customers();
        String path = waiting();
        // As a node leaves it that dies between the decision and the command.
        kehu.sql("UPDATE iam.approval SET state = 'approved', level = 1 WHERE id = ?", id(path));
        await().until(() -> state(path).equals("executed"));
        assertThat(customers()).isEqualTo(before + 1);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE approval_id = ? AND object_type = 'customer'", id(path)))
                .isEqualTo(1);
    }

    @Test
    void onlyTheVersionAndTheMeasureThatWereApprovedAreChanged() {
        for (String other : List.of("object_version = object_version + 1", "amount = 1000", "count = 7")) {
            Answer before = administrator.get("/v1/parameters/alert.memory").is(200);
            String path = administrator
                    .patch("/v1/parameters/alert.memory", before.etag(), "{\"value\": \"66\"}")
                    .is(202)
                    .header("Location");
            kehu.sql("UPDATE iam.approval SET " + other + " WHERE id = ?", id(path));
            Answer ended = otherAdministrator.post(path + "/approve", "{}").is(200);
            assertThat(ended.at("/code").asText()).as(other).isEqualTo("approval.objectChanged");
            assertThat(administrator.get("/v1/parameters/alert.memory").at("/version"))
                    .isEqualTo(before.at("/version"));
        }
    }

    @Test
    void whatEndedIsForgottenAfterAWhileAndItsHashStays() {
        String path = waiting();
        head.post(path + "/approve", "{}").is(200);
        kehu.sql("UPDATE iam.approval SET ended_at = kehu.now() - interval '25 hours' WHERE id = ?", id(path));
        forget();
        assertThat(maker.get(path).is(200).json().has("answer")).isFalse();
        assertThat(maker.get(path).at("/command").size()).isPositive();
        kehu.sql("UPDATE iam.approval SET ended_at = kehu.now() - interval '31 days' WHERE id = ?", id(path));
        forget();
        Answer left = maker.get(path).is(200);
        assertThat(left.at("/command").size()).isZero();
        assertThat(left.at("/commandHash").asText()).hasSize(64);
    }

    /** As the sweep does every ten minutes. */
    private static void forget() {
        Vertx vertx = Vertx.vertx();
        try {
            Database.Options options = new Database.Options(
                    kehu.settings().postgresql().uri(),
                    Map.of(Call.Lane.JOB, new Database.Lane(1, 1, 5_000, 5_000)),
                    2_000,
                    5_000,
                    8);
            Database database = new Database(vertx, options, new Database.Answers(b -> b, b -> b));
            TestKehu.await(new ApprovalStore(database).forget());
        } finally {
            TestKehu.await(vertx.close());
        }
    }

    @Test
    void anApprovedCommandThatWasAlteredDoesNotRun() {
        String path = waiting();
        String other = waiting();
        kehu.sql("""
                UPDATE iam.approval_content c SET command = o.command FROM iam.approval_content o
                WHERE c.approval_id = ? AND o.approval_id = ?""", id(path), id(other));
        long before = customers();
        Answer ended = head.post(path + "/approve", "{}").is(200);
        assertThat(ended.at("/code").asText()).isEqualTo("approval.notApproved");
        assertThat(customers()).isEqualTo(before);
    }

    @Test
    void ofApprovingWithdrawingAndExpiringAtOnceExactlyOneWins() throws Exception {
        for (int round = 0; round < 12; round++) {
            long before = customers();
            String path = waiting();
            List<Answer> answers = together(List.of(
                    () -> head.post(path + "/approve", "{}"),
                    () -> maker.at(otherPort).post(path + "/withdraw", null),
                    () -> {
                        kehu.sql(
                                "UPDATE iam.approval SET expires_at = kehu.now() WHERE id = ? AND state = 'pending'",
                                id(path));
                        return otherHead.post(path + "/reject", "{\"reason\": \"race\"}");
                    }));
            await().until(() -> !List.of("pending", "approved").contains(state(path)));
            String state = state(path);
            assertThat(customers() - before).as(state).isEqualTo(state.equals("executed") ? 1 : 0);
            assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isIn(200, 409, 412));
            assertThat(state).isIn("executed", "withdrawn", "rejected", "expired");
        }
    }

    @Test
    void ofTwoLastApprovalsAtOnceOneDecidesAndTheCommandRunsOnce() throws Exception {
        for (int round = 0; round < 12; round++) {
            long before = customers();
            String path = waiting();
            List<Answer> answers = together(List.of(
                    () -> head.post(path + "/approve", "{}"),
                    () -> otherHead.at(otherPort).post(path + "/approve", "{}")));
            assertThat(answers.stream().map(Answer::status).sorted().toList()).containsExactly(200, 409);
            await().until(() -> state(path).equals("executed"));
            assertThat(customers()).isEqualTo(before + 1);
        }
    }

    @Test
    void anImportWaitsToo() {
        UUID branch = DemoStaff.id("SH");
        Caller operator = kehu.signIn(kehu.staff(branch, "operator"));
        String upload = operator.upload("姓名\n甲\n".getBytes(StandardCharsets.UTF_8));
        String path =
                operator.post("/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", "fields": [{"field": "name", "column": "姓名"}]}}""".formatted(upload)).is(202).header("Location");
        assertThat(path).startsWith("/v1/approvals/");
        Answer agreed = kehu.signIn(kehu.staff(branch, "branch-head"))
                .post(path + "/approve", "{}")
                .is(200);
        assertThat(agreed.at("/state").asText()).isEqualTo("executed");
        operator.get(agreed.at("/location").asText()).is(200);
    }
}
