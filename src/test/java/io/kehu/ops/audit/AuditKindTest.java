package io.kehu.ops.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.staff.DemoStaff;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Whoever looks for what was done to rights, keys, settings or approvals finds all of it under its kind. */
class AuditKindTest {
    private static final AtomicInteger NUMBERS = new AtomicInteger();
    private static TestKehu kehu;
    private static Caller auditor;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        auditor = kehu.caller("auditor");
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @BeforeEach
    void nothingWaitsForApproval() {
        kehu.sql("UPDATE iam.approval_policy SET enabled = false");
    }

    /** The answer has left one entry, and whoever asks for that kind of that operation finds it. */
    private static Answer left(String kind, String operation, Answer answer) {
        assertThat(found(kind, operation))
                .as(operation + " answered " + answer.status() + " " + answer.text())
                .containsOnlyOnce(answer.header("Kehu-Request-Id"));
        return answer;
    }

    private static List<String> found(String kind, String operation) {
        return auditor.get("/v1/audit?limit=200&kind=" + kind + "&operation=" + operation)
                .is(200)
                .at("/items")
                .findValuesAsText("requestId");
    }

    private static Answer send(Caller caller, String method, String path) {
        return caller.send(method, path, (byte[]) null);
    }

    private static Answer delete(String path) {
        return administrator.send(
                "DELETE",
                path,
                (byte[]) null,
                "If-Match",
                administrator.get(path).etag());
    }

    private static Answer patch(String path, String patch) {
        return administrator.patch(path, administrator.get(path).etag(), patch);
    }

    private static String tomorrow() {
        return kehu.value("SELECT to_char(kehu.now() + interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    }

    private static String unique(String prefix) {
        return prefix + NUMBERS.incrementAndGet();
    }

    @Test
    void rolesDutiesAndMappingsAreChangesOfRights() {
        String role = "/v1/roles/kinds";
        left("grant", "createRole", administrator.post("/v1/roles", """
                {"code": "kinds", "nameEn": "Kinds", "nameZh": "类别", "scope": "own", "permissions": ["branch:read"]}""").is(201));
        left(
                "grant",
                "changeRole",
                patch(role, "{\"permissions\": [\"branch:read\", \"staff:read\"]}")
                        .is(200));
        left("grant", "deleteRole", delete(role).is(204));
        Answer duty = left(
                "grant",
                "createDutyConflict",
                administrator.post("/v1/duty-conflicts", """
                {"first": "clock:manage", "second": "customer:read", "reason": "分离"}""").is(201));
        left(
                "grant",
                "deleteDutyConflict",
                send(administrator, "DELETE", duty.header("Location")).is(204));
        String mappings = "/v1/group-mappings";
        left(
                "grant",
                "replaceGroupMappings",
                administrator
                        .send(
                                "PUT",
                                mappings,
                                "{\"items\": []}",
                                "If-Match",
                                administrator.get(mappings).etag())
                        .is(200));
        left("refusal", "createRole", administrator.post("/v1/roles", """
                {"code": "risk", "nameEn": "Risk", "nameZh": "风险", "scope": "own", "permissions": ["branch:read"]}""").is(409));
    }

    @Test
    void grantsAndRequestsForThemAreChangesOfRights() {
        UUID staff = kehu.staff(DemoStaff.id("SH-PD"), "operator");
        String gift = "\"permissions\": [\"branch:read\"], \"endsAt\": \"" + tomorrow() + "\", \"reason\": \"代班\"}";
        Answer grant = left(
                "grant",
                "createGrant",
                administrator
                        .post("/v1/grants", "{\"staffId\": \"" + staff + "\", " + gift)
                        .is(201));
        left(
                "grant",
                "endGrant",
                send(administrator, "POST", grant.header("Location") + "/end").is(200));
        Caller asking = kehu.signIn(staff);
        List<String> requests = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            requests.add(left(
                            "grant",
                            "createPermissionRequest",
                            asking.post("/v1/permission-requests", "{" + gift).is(201))
                    .header("Location"));
        }
        Caller head = kehu.signIn(kehu.staff(DemoStaff.id("SH-PD"), "branch-head"));
        left(
                "grant",
                "approvePermissionRequest",
                send(head, "POST", requests.get(0) + "/approve").is(200));
        left(
                "grant",
                "rejectPermissionRequest",
                head.post(requests.get(1) + "/reject", "{\"reason\": \"不需要\"}").is(200));
        left(
                "grant",
                "withdrawPermissionRequest",
                send(asking, "POST", requests.get(2) + "/withdraw").is(200));
    }

    @Test
    void whatStaffAndPartnersMayDoIsAChangeOfRightsAndTheirNamesAreNot() {
        Answer made = left(
                "grant",
                "createStaff",
                administrator
                        .post("/v1/staff", """
                {"username": "%s", "name": "类别", "branchId": "%s", "roles": ["analyst"]}""".formatted(unique("kinds."), kehu.headOffice()))
                        .is(201));
        String staff = made.header("Location");
        left("grant", "changeStaff", patch(staff, "{\"roles\": [\"operator\"]}").is(200));
        left("grant", "changeStaff", patch(staff, "{\"state\": \"suspended\"}").is(200));
        left("write", "changeStaff", patch(staff, "{\"name\": \"新名\"}").is(200));
        String partner = left(
                        "grant",
                        "createPartner",
                        administrator.post("/v1/partners", """
                {"name": "kinds", "purpose": "订单", "permissions": ["event:read"]}""").is(201))
                .header("Location");
        left(
                "grant",
                "changePartner",
                patch(partner, "{\"permissions\": [\"event:read\", \"branch:read\"]}")
                        .is(200));
        left("write", "changePartner", patch(partner, "{\"purpose\": \"别的\"}").is(200));
        Answer key = left(
                "key",
                "createPartnerKey",
                administrator.post(partner + "/keys", "{\"days\": 1}").is(201));
        left(
                "key",
                "deletePartnerKey",
                send(administrator, "DELETE", partner + "/keys/" + key.at("/id").asText())
                        .is(204));
    }

    @Test
    void parametersPoliciesAndTheClockAreSettings() {
        left(
                "setting",
                "createParameter",
                administrator.post("/v1/parameters", """
                {"name": "kinds.limit", "kind": "number", "value": "5", "aboutEn": "x", "aboutZh": "x"}""").is(201));
        left(
                "setting",
                "changeParameter",
                patch("/v1/parameters/kinds.limit", "{\"value\": \"6\"}").is(200));
        left(
                "setting",
                "changeApprovalPolicy",
                patch("/v1/approval-policies/parameter", "{\"expiryMinutes\": 60}")
                        .is(200));
        left(
                "setting",
                "moveClock",
                administrator.send("PUT", "/v1/clock", "{\"aheadSeconds\": 0}").is(200));
    }

    @Test
    void whatBecomesOfAnApprovalIsOfItsKindAndTheChangeItselfKeepsItsOwn() {
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'parameter'");
        Caller other = kehu.caller("administrator");
        String parameter = "/v1/parameters/admission.users";
        List<String> waiting = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            waiting.add(left(
                            "approval",
                            "changeParameter",
                            patch(parameter, "{\"value\": \"" + (5_200 + i) + "\"}")
                                    .is(202))
                    .header("Location"));
        }
        long before = found("setting", "changeParameter").size();
        left(
                "approval",
                "withdrawApproval",
                send(administrator, "POST", waiting.get(0) + "/withdraw").is(200));
        left(
                "approval",
                "rejectApproval",
                other.post(waiting.get(1) + "/reject", "{\"reason\": \"不妥\"}").is(200));
        left(
                "approval",
                "approveApproval",
                other.post(waiting.get(2) + "/approve", "{}").is(200));
        assertThat(found("setting", "changeParameter")).hasSize((int) before + 1);
        // What it was meant for has changed meanwhile: the last approval stands, and the command is refused.
        left(
                "approval",
                "approveApproval",
                other.post(waiting.get(3) + "/approve", "{}").is(200));
        await().untilAsserted(
                        () -> assertThat(found("approval", "refuseApproval")).hasSize(1));
        String late = patch(parameter, "{\"value\": \"5300\"}").is(202).header("Location");
        kehu.sql(
                "UPDATE iam.approval SET expires_at = kehu.now() WHERE id = ?::uuid",
                late.substring(late.lastIndexOf('/') + 1));
        await().untilAsserted(
                        () -> assertThat(found("approval", "expireApproval")).hasSize(1));
    }

    @Test
    void signingInUnmaskingAndReadingTheAuditHaveTheirKinds() {
        Answer tokens = left(
                "sign-in",
                "login",
                kehu.anonymous().login("desk", DemoStaff.PASSWORD).is(200));
        left(
                "sign-in",
                "login",
                kehu.anonymous().login("desk", "wrong-but-long-enough").is(401));
        Answer next = left(
                "sign-in",
                "refreshSession",
                kehu.anonymous()
                        .post(
                                "/v1/auth/refresh",
                                Json.object()
                                        .put(
                                                "refreshToken",
                                                tokens.at("/refreshToken").asText())
                                        .toString())
                        .is(200));
        left(
                "sign-in",
                "logout",
                send(kehu.with(next.at("/accessToken").asText()), "POST", "/v1/auth/logout")
                        .is(204));
        Caller head = kehu.signIn(kehu.staff(DemoStaff.id("SH-PD"), "branch-head"));
        Answer customer = left(
                "write",
                "createCustomer",
                head.post(
                                "/v1/customers",
                                "{\"kind\": \"person\", \"name\": \"类别\", \"phones\": [{\"number\": \"13812345678\"}]}")
                        .is(201));
        left(
                "unmask",
                "getCustomer",
                head.get(customer.header("Location") + "?unmask=phone", "Kehu-Purpose", "identity-check")
                        .is(200));
        left(
                "audit-read",
                "getAuditEntry",
                auditor.get("/v1/audit/" + customer.header("Kehu-Receipt").substring(0, 36))
                        .is(200));
    }

    @Test
    void theRowsOfAnImportAreOfAKindOfTheirOwn() {
        Caller operator = kehu.caller("operator");
        Answer begun = operator.post(
                        "/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", "fields": [{"field": "name", "column": "name"}]}}""".formatted(operator.upload("name\n甲\n乙\n".getBytes(StandardCharsets.UTF_8))))
                .is(202);
        String request = begun.header("Kehu-Request-Id");
        await().until(() ->
                operator.get(begun.header("Location")).at("/state").asText().equals("done"));
        // By the one who asked, and by the job's end.
        assertThat(found("write", "createImport")).contains(request);
        assertThat(found("bulk", "createImport")).contains(request);
    }
}
