package io.kehu.iam.right;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.TwoNodes;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class RightTest {
    private static TwoNodes bank;
    private static TestKehu kehu;
    private static Caller auditor;

    @BeforeAll
    static void start() {
        bank = new TwoNodes();
        kehu = bank.kehu;
        auditor = kehu.caller("auditor");
    }

    @AfterAll
    static void stop() {
        bank.close();
    }

    private static Answer rights(UUID staff, String query) {
        return auditor.get("/v1/staff/" + staff + "/rights" + query);
    }

    private static JsonNode explained(UUID staff, String operation, UUID object) {
        return rights(staff, "?operation=" + operation + (object == null ? "" : "&objectId=" + object))
                .is(200)
                .at("/explanation");
    }

    private static JsonNode by(Answer report, String permission) {
        for (JsonNode entry : report.at("/permissions")) {
            if (entry.get("permission").asText().equals(permission)) {
                return entry.get("by");
            }
        }
        throw new AssertionError(permission + " is not in " + report.text());
    }

    @Test
    void theReportNamesTheRoleOrGrantBehindEachPermission() {
        UUID manager = kehu.staff(bank.pudong, "customer-manager", "analyst");
        String grant = bank.give(
                manager,
                "\"roles\": [\"operator\"], \"permissions\": [\"parameter:manage\"], \"branchIds\": [\"" + bank.beijing
                        + "\"]");
        String id = grant.substring(grant.lastIndexOf('/') + 1);
        Answer report = rights(manager, "").is(200);
        assertThat(report.at("/scope").asText()).isEqualTo("all");
        assertThat(report.at("/explanation").isNull()).isTrue();
        List<String> readers = new ArrayList<>();
        by(report, "customer:read")
                .forEach(s -> readers.add(
                        s.get("role").asText() + ":" + s.get("grantId").asText("")));
        assertThat(readers).containsExactlyInAnyOrder("customer-manager:", "analyst:", "operator:" + id);
        JsonNode given = by(report, "parameter:manage");
        assertThat(given).hasSize(1);
        assertThat(given.at("/0/role").isNull()).isTrue();
        assertThat(given.at("/0/grantId").asText()).isEqualTo(id);
        assertThat(given.at("/0/until").asText()).isNotEmpty();
        List<String> scopes = new ArrayList<>();
        report.at("/scopeBy").forEach(s -> scopes.add(s.get("role").asText()));
        assertThat(scopes).containsExactlyInAnyOrder("customer-manager", "analyst", "null");
        // What has ended gives nothing.
        kehu.caller("administrator").post(grant + "/end", null).is(200);
        assertThat(rights(manager, "").text()).doesNotContain("parameter:manage");
    }

    @Test
    void theReportIsForThoseWhoReadRights() {
        UUID manager = kehu.staff(bank.pudong, "customer-manager");
        String path = "/v1/staff/" + manager + "/rights";
        kehu.caller("administrator").get(path).is(200);
        kehu.caller("branch-head").get(path).is(403, "auth.forbidden");
        auditor.get("/v1/staff/" + UUID.randomUUID() + "/rights").is(404, "staff.notFound");
        Answer unknown = auditor.get(path + "?operation=openVault").is(400, "request.invalid");
        assertThat(unknown.at("/errors/0/code").asText()).isEqualTo("field.operationUnknown");
        auditor.get(path + "?objectId=" + manager).is(400, "request.invalid");
        auditor.get(path + "?explain=true").is(400, "request.invalid");
        auditor.get(path + "?explain=maybe&operation=getStaff").is(400, "request.invalid");
        assertThat(auditor.get(path + "?explain=false&operation=getStaff")
                        .is(200)
                        .at("/explanation")
                        .isNull())
                .isTrue();
        assertThat(auditor.get(path + "?explain=true&operation=getStaff")
                        .is(200)
                        .at("/explanation/allowed")
                        .asBoolean())
                .isFalse();
        auditor.get(path + "?operation=listParameters&objectId=" + manager).is(400, "request.invalid");
        auditor.get(path + "?operation=" + "x".repeat(65)).is(400, "request.invalid");
    }

    /** Each answer is the one that the call itself gets. */
    @Test
    void theExplanationSaysWhatDecidesACallAndTheCallAgrees() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        UUID own = bank.customer(bank.pudong, manager.id);
        UUID others = bank.customer(bank.pudong, null);
        UUID far = bank.customer(bank.beijing, null);
        JsonNode allowed = explained(manager.id, "getCustomer", own);
        assertThat(allowed.get("allowed").asBoolean()).isTrue();
        assertThat(allowed.at("/permissionBy/0/role").asText()).isEqualTo("customer-manager");
        assertThat(allowed.at("/scopeBy/0/role").asText()).isEqualTo("customer-manager");
        manager.get("/v1/customers/" + own).is(200);
        for (UUID unseen : List.of(others, far, UUID.randomUUID())) {
            JsonNode refused = explained(manager.id, "getCustomer", unseen);
            assertThat(refused.get("allowed").asBoolean()).isFalse();
            assertThat(refused.get("refusedBy").asText()).isEqualTo("scope");
            assertThat(refused.get("scopeBy")).isEmpty();
            manager.get("/v1/customers/" + unseen).is(404);
        }
        JsonNode missing = explained(manager.id, "changeStaff", manager.id);
        assertThat(missing.get("refusedBy").asText()).isEqualTo("permission");
        assertThat(missing.get("permission").asText()).isEqualTo("staff:manage");
        List<String> conflicts = new ArrayList<>();
        missing.get("conflicts").forEach(c -> conflicts.add(c.asText()));
        assertThat(conflicts).contains("customer:read", "customer:update").doesNotContain("customer:import");
        String grant = bank.give(manager.id, "\"customerIds\": [\"" + far + "\"]");
        JsonNode lent = explained(manager.id, "changeCustomer", far);
        assertThat(lent.get("allowed").asBoolean()).isTrue();
        assertThat(grant).endsWith(lent.at("/scopeBy/0/grantId").asText());
        assertThat(explained(manager.id, "login", null).get("allowed").asBoolean())
                .isTrue();
        assertThat(explained(manager.id, "getMe", null).get("permission").isNull())
                .isTrue();
    }

    @Test
    void theExplanationKnowsScopesOfBranchesOfStaffAndOfThoseWhoAreHeld() {
        UUID head = kehu.staff(bank.shanghai, "branch-head");
        UUID below = bank.customer(bank.pudong, null);
        assertThat(explained(head, "getCustomer", below).at("/scopeBy/0/role").asText())
                .isEqualTo("branch-head");
        UUID near = kehu.staff(bank.pudong, "operator");
        UUID far = kehu.staff(bank.beijing, "operator");
        assertThat(explained(head, "getStaff", near).get("allowed").asBoolean()).isTrue();
        assertThat(explained(head, "getStaff", far).get("refusedBy").asText()).isEqualTo("scope");
        UUID administrator = kehu.staff(kehu.headOffice(), "administrator");
        assertThat(explained(administrator, "changeStaff", far).get("allowed").asBoolean())
                .isTrue();
        assertThat(explained(administrator, "getCustomer", below)
                        .get("refusedBy")
                        .asText())
                .isEqualTo("permission");
        kehu.sql("UPDATE iam.staff SET must_change = true WHERE id = ?", head);
        assertThat(explained(head, "getCustomer", below).get("refusedBy").asText())
                .isEqualTo("held");
        kehu.sql("UPDATE iam.staff SET state = 'suspended' WHERE id = ?", head);
        assertThat(explained(head, "getCustomer", below).get("refusedBy").asText())
                .isEqualTo("state");
    }

    @Test
    void thoseWhoHoldAPermissionAreListedWithWhatGivesIt() {
        UUID risk = kehu.staff(bank.pudong, "risk");
        UUID manager = kehu.staff(bank.pudong, "customer-manager");
        UUID gone = kehu.staff(bank.pudong, "risk");
        kehu.sql("UPDATE iam.staff SET state = 'left' WHERE id = ?", gone);
        bank.give(manager, "\"permissions\": [\"parameter:read\"]");
        StringBuilder all = new StringBuilder();
        String next = "";
        int pages = 0;
        List<String> names = new ArrayList<>();
        do {
            Answer page = auditor.get("/v1/rights?permission=parameter:read&limit=2" + next)
                    .is(200);
            all.append(page.text());
            page.at("/items").forEach(item -> {
                names.add(item.get("username").asText());
                assertThat(item.get("by")).isNotEmpty();
            });
            next = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
            pages++;
        } while (!next.isEmpty() && pages < 100);
        assertThat(all.toString()).contains(risk.toString(), manager.toString()).doesNotContain(gone.toString());
        assertThat(names).doesNotHaveDuplicates().hasSizeGreaterThan(2);
        auditor.get("/v1/rights").is(400, "request.invalid");
        Answer unknown = auditor.get("/v1/rights?permission=parameter:forge").is(400, "request.invalid");
        assertThat(unknown.at("/errors/0/pointer").asText()).isEqualTo("permission");
        auditor.get("/v1/rights?permission=%27%3B--").is(400, "request.invalid");
    }
}
