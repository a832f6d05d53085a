package io.kehu.iam.role;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.contract.Contract;
import io.kehu.iam.TwoNodes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class RoleTest {
    private static final Duration ONE_SECOND = Duration.ofSeconds(1);
    private static final int THOUSANDS = 5_000;

    private static TwoNodes bank;
    private static TestKehu kehu;
    private static Caller administrator;
    private static int number;

    @BeforeAll
    static void start() {
        bank = new TwoNodes();
        kehu = bank.kehu;
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        bank.close();
    }

    /** A code of letters that no other test has. */
    private static String code() {
        StringBuilder code = new StringBuilder("role-");
        for (int n = ++number; n > 0; n /= 26) {
            code.append((char) ('a' + n % 26));
        }
        return code.toString();
    }

    private static Answer make(String code, String scope, String... permissions) {
        return administrator.post("/v1/roles", """
                {"code": "%s", "nameEn": "Role", "nameZh": "角色", "scope": "%s", "permissions": ["%s"]}""".formatted(code, scope, String.join("\", \"", permissions)));
    }

    private static Answer permit(String code, String... permissions) {
        String path = "/v1/roles/" + code;
        return administrator.patch(
                path,
                administrator.get(path).etag(),
                "{\"permissions\": [\"" + String.join("\", \"", permissions) + "\"]}");
    }

    @Test
    void theRolesAreTheSameForEverybodyAndByCode() {
        Answer first = administrator.get("/v1/roles").is(200);
        List<String> codes = new ArrayList<>();
        first.at("/items").forEach(role -> codes.add(role.get("code").asText()));
        assertThat(codes)
                .contains("administrator", "customer-manager", "auditor")
                .isSorted();
        assertThat(kehu.caller("auditor")
                        .at(bank.second)
                        .get("/v1/roles")
                        .is(200)
                        .at("/items"))
                .isEqualTo(first.at("/items"));
        kehu.caller("customer-manager").get("/v1/roles").is(403, "auth.forbidden");
    }

    @Test
    void aRoleIsMadeReadChangedAndDeletedAndKnownOnEveryNodeAtOnce() {
        String code = code();
        Answer made = make(code, "own", "customer:read", "branch:read").is(201);
        String path = made.header("Location");
        assertThat(path).isEqualTo("/v1/roles/" + code);
        assertThat(made.at("/permissions").toString()).isEqualTo("[\"branch:read\",\"customer:read\"]");
        Caller elsewhere = administrator.at(bank.second);
        assertThat(elsewhere.get(path).is(200).json()).isEqualTo(made.json());
        elsewhere.get(path, "If-None-Match", made.etag()).is(304);
        assertThat(elsewhere.get("/v1/roles").text()).contains("\"" + code + "\"");
        Answer changed = elsewhere
                .patch(path, made.etag(), "{\"nameZh\": \"新角色\", \"scope\": \"branch\"}")
                .is(200);
        assertThat(changed.at("/version").asInt()).isEqualTo(2);
        assertThat(administrator.get("/v1/roles").text()).contains("新角色");
        administrator
                .send("DELETE", path, (String) null, "If-Match", made.etag())
                .is(412, "request.stale");
        administrator
                .send("DELETE", path, (String) null, "If-Match", changed.etag())
                .is(204);
        elsewhere.get(path).is(404, "role.notFound");
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.role_past WHERE code = ?", code))
                .isEqualTo(2);
    }

    @Test
    void aRoleIsReadAsItWas() {
        String code = code();
        make(code, "own", "customer:read").is(201);
        kehu.sql("UPDATE iam.role SET valid_from = kehu.now() - interval '1 hour' WHERE code = ?", code);
        String then = bank.in(-60);
        permit(code, "customer:read", "event:read").is(200);
        JsonNode was =
                administrator.get("/v1/roles/" + code + "?asOf=" + then).is(200).at("/permissions");
        assertThat(was.toString()).isEqualTo("[\"customer:read\"]");
        administrator.get("/v1/roles/" + code + "?asOf=" + bank.in(0)).is(400, "request.asOfTooLate");
    }

    @Test
    void aPermissionThatDoesNotExistIsRefusedWithItsPlace() {
        Answer answer =
                make(code(), "own", "customer:read", "customer:teleport").is(400, "request.invalid");
        assertThat(answer.at("/errors/0/pointer").asText()).isEqualTo("/permissions/1");
        assertThat(answer.at("/errors/0/code").asText()).isEqualTo("field.permissionUnknown");
        permit("analyst", "customer:read", "audit:forge").is(400, "request.invalid");
    }

    @Test
    void badInputIsRefused() {
        make("Upper", "own", "customer:read").is(400, "request.invalid");
        make(code(), "everything", "customer:read").is(400, "request.invalid");
        make(code(), "own", "customer:read", "customer:read").is(400, "request.invalid");
        make(code(), "own", "'; DROP TABLE iam.role; --").is(400, "request.invalid");
        make("analyst", "own", "customer:read").is(409, "role.codeTaken");
        administrator.post("/v1/roles", """
                {"code": "mine", "nameEn": "M", "nameZh": "M", "scope": "own", "permissions": ["customer:read"], "builtIn": true}""").is(400, "request.invalid");
        administrator.send("PATCH", "/v1/roles/analyst", "{\"nameEn\": \"A\"}").is(428, "request.ifMatchMissing");
        administrator
                .patch("/v1/roles/analyst", "\"99\"", "{\"nameEn\": \"A\"}")
                .is(412, "request.stale");
        administrator
                .patch("/v1/roles/analyst", "\"1\"", "{\"code\": \"other\"}")
                .is(400, "request.invalid");
        administrator.patch("/v1/roles/nobody", "\"1\"", "{\"nameEn\": \"A\"}").is(404, "role.notFound");
    }

    @Test
    void aRoleThatSomebodyHoldsGetsOrAsksForIsNotDeleted() {
        String code = code();
        String path = make(code, "own", "customer:read").is(201).header("Location");
        UUID holder = kehu.staff(bank.pudong, "operator", code);
        administrator.send("DELETE", path, (String) null, "If-Match", "\"1\"").is(409, "role.inUse");
        kehu.sql("UPDATE iam.staff SET roles = '{operator}' WHERE id = ?", holder);
        String grant = bank.give(holder, "\"roles\": [\"" + code + "\"]");
        administrator.send("DELETE", path, (String) null, "If-Match", "\"1\"").is(409, "role.inUse");
        administrator.post(grant + "/end", null).is(200);
        Caller asking = kehu.signIn(holder);
        String request = asking.post("/v1/permission-requests", """
                {"roles": ["%s"], "endsAt": "%s", "reason": "代班"}""".formatted(code, bank.in(60)))
                .is(201)
                .header("Location");
        administrator.send("DELETE", path, (String) null, "If-Match", "\"1\"").is(409, "role.inUse");
        asking.post(request + "/withdraw", null).is(200);
        administrator.send("DELETE", path, (String) null, "If-Match", "\"1\"").is(204);
        // What is gone is not given any more.
        administrator
                .patch("/v1/staff/" + holder, etag("/v1/staff/" + holder), "{\"roles\": [\"" + code + "\"]}")
                .is(422, "staff.roleUnknown");
    }

    private static String etag(String path) {
        return administrator.get(path).is(200).etag();
    }

    @Test
    void aBuiltInRoleChangesButStays() {
        String path = "/v1/roles/finance";
        administrator.patch(path, etag(path), "{\"nameEn\": \"Accounting\"}").is(200);
        permit("finance", "branch:read", "customer:read", "customer:finance", "event:read", "parameter:read")
                .is(200);
        administrator
                .send("DELETE", path, (String) null, "If-Match", etag(path))
                .is(409, "role.builtIn");
    }

    @Test
    void administratorsStayAbleToAdministerAndNobodyAddsToHisOwnRole() {
        permit("administrator", "staff:manage", "role:read", "staff:read").is(409, "role.administratorNeeds");
        String code = code();
        make(code, "none", "role:manage", "role:read").is(201);
        UUID officer = kehu.staff(kehu.headOffice(), code);
        Caller second = kehu.signIn(officer);
        String widened = "{\"scope\": \"own\"}";
        administrator
                .patch("/v1/roles/administrator", etag("/v1/roles/administrator"), widened)
                .is(409, "role.ownRights");
        administrator
                .patch("/v1/roles/administrator", etag("/v1/roles/administrator"), "{\"secondFactor\": \"optional\"}")
                .is(409, "role.ownRights");
        second.patch(
                        "/v1/roles/" + code,
                        etag("/v1/roles/" + code),
                        "{\"permissions\": [\"role:manage\", \"staff:manage\"]}")
                .is(409, "role.ownRights");
        // To take away, or to rename, is no way to more.
        second.patch("/v1/roles/" + code, etag("/v1/roles/" + code), "{\"permissions\": [\"role:manage\"]}")
                .is(200);
        // Somebody else may.
        permit(code, "role:manage", "role:read").is(200);
    }

    @Test
    void aChangedRoleIsInForceOnTheOtherNodeWithinASecond() {
        String code = code();
        make(code, "all", "customer:read", "event:read").is(201);
        Caller holder = bank.at(bank.pudong, code);
        holder.get("/v1/customers").is(200);
        holder.get("/v1/parameters").is(403, "auth.forbidden");
        long before = kehu.<Long>value("SELECT count(*) FROM kehu.revocation");
        permit(code, "parameter:read", "event:read").is(200);
        await().atMost(ONE_SECOND)
                .pollInterval(Duration.ofMillis(50))
                .untilAsserted(() -> holder.get("/v1/customers").is(401, "auth.revoked"));
        Caller again = kehu.signIn(holder.id).at(bank.second);
        again.get("/v1/customers").is(403, "auth.forbidden");
        again.get("/v1/parameters").is(200);
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.revocation") - before)
                .isEqualTo(1);
        // A new name changes nobody's rights.
        String path = "/v1/roles/" + code;
        administrator.patch(path, etag(path), "{\"nameEn\": \"Other\"}").is(200);
        assertThat(kehu.<Long>value("SELECT rights FROM iam.staff WHERE id = ?", holder.id))
                .isEqualTo(2);
    }

    @Test
    void aRoleOfThousandsChangesInOneTransactionAndOneLineForAll() {
        String code = code();
        make(code, "own", "customer:read").is(201);
        kehu.sql("ALTER TABLE iam.staff DISABLE TRIGGER USER");
        kehu.sql("""
                WITH made AS (
                    INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped)
                    SELECT uuidv7(), 'staff', 1, ''::bytea FROM generate_series(1, ?) RETURNING subject_id)
                INSERT INTO iam.staff (id, username, branch_id, roles, password_hash, sealed)
                SELECT subject_id, 'many' || row_number() OVER (), ?, ARRAY[?], 'none', ''::bytea FROM made""", THOUSANDS, bank.pudong, code);
        kehu.sql("ALTER TABLE iam.staff ENABLE TRIGGER USER");
        Caller one = bank.at(bank.pudong, code);
        one.get("/v1/customers").is(200);
        long before = kehu.<Long>value("SELECT count(*) FROM kehu.revocation");
        permit(code, "event:read").is(200);
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.revocation") - before)
                .isEqualTo(1);
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.staff WHERE rights = 2 AND ? = ANY (roles)", code))
                .isEqualTo(THOUSANDS + 1);
        await().atMost(ONE_SECOND)
                .pollInterval(Duration.ofMillis(50))
                .untilAsserted(() -> one.get("/v1/customers").is(401, "auth.revoked"));
        // The audit has the change once, not five thousand times.
        assertThat(kehu.<Integer>value("""
                SELECT jsonb_array_length(changes) FROM kehu.audit WHERE operation = 'changeRole' ORDER BY xid DESC LIMIT 1""")).isEqualTo(1);
        permit(code, "event:read", "staff:manage", "customer:read").is(409, "duty.conflict");
    }

    // The catalogue

    @Test
    void everythingThatCanBePermittedIsNamedInBothLanguages() {
        Map<String, JsonNode> catalogue = new TreeMap<>();
        administrator
                .get("/v1/permissions")
                .is(200)
                .at("/items")
                .forEach(p -> catalogue.put(p.get("code").asText(), p));
        assertThat(catalogue.keySet())
                .containsAll(Contract.load(3000).operations().stream()
                        .map(operation -> operation.permission())
                        .filter(Objects::nonNull)
                        .toList())
                .contains("customer:finance", "customer:unmask");
        assertThat(catalogue).allSatisfy((code, permission) -> {
            assertThat(permission.get("nameEn").asText())
                    .as(code + " in English")
                    .isNotEqualTo(code);
            assertThat(permission.get("nameZh").asText())
                    .as(code + " in Chinese")
                    .matches("[\\p{IsHan}（）、]+");
            assertThat(permission.get("fields").isEmpty())
                    .as(code + " shows fields")
                    .isEqualTo(!permission.get("kind").asText().equals("field"));
        });
        assertThat(catalogue.get("customer:read").get("operations").toString()).contains("getCustomer");
        // Whatever stands in a role is one of them.
        kehu.sql("SELECT DISTINCT unnest(permissions) AS p FROM iam.role WHERE built_in")
                .forEach(row -> assertThat(catalogue).containsKey(row.get("p").toString()));
    }

    // Duties apart

    @Test
    void aForbiddenPairComesTogetherInNoWay() {
        String pair = administrator.post("/v1/duty-conflicts", """
                {"first": "parameter:manage", "second": "customer:import", "reason": "自查"}""").is(201).header("Location");
        String one = code();
        String other = code();
        make(one, "none", "parameter:manage").is(201);
        make(other, "none", "customer:import").is(201);
        // In one role, although nobody holds it.
        Answer refused =
                make(code(), "none", "parameter:manage", "customer:import").is(409, "duty.conflict");
        assertThat(refused.at("/detail").asText())
                .contains("customer:import")
                .contains("parameter:manage")
                .contains("0 members");
        // By a change of a person.
        UUID person = kehu.staff(bank.pudong, one);
        String path = "/v1/staff/" + person;
        administrator
                .patch(path, etag(path), "{\"roles\": [\"" + one + "\", \"" + other + "\"]}")
                .is(409, "duty.conflict");
        // By a change of a role that he and somebody else hold with another.
        String third = code();
        make(third, "none", "branch:read").is(201);
        kehu.sql("UPDATE iam.staff SET roles = ARRAY[?, ?] WHERE id = ?", one, third, person);
        kehu.staff(bank.pudong, one, third);
        refused = permit(third, "branch:read", "customer:import").is(409, "duty.conflict");
        assertThat(refused.at("/detail").asText()).contains("2 members");
        // And by a third person, who holds one of the two for a while.
        UUID helper = kehu.staff(bank.pudong, third);
        String gift = administrator
                .post("/v1/grants", """
                {"staffId": "%s", "permissions": ["parameter:manage"], "endsAt": "%s", "reason": "代班"}""".formatted(helper, bank.in(60)))
                .is(201)
                .header("Location");
        refused = permit(third, "branch:read", "customer:import").is(409, "duty.conflict");
        assertThat(refused.at("/detail").asText()).contains("3 members");
        administrator.post(gift + "/end", null).is(200);
        // For a while.
        administrator.post("/v1/grants", """
                {"staffId": "%s", "permissions": ["customer:import"], "endsAt": "%s", "reason": "代班"}""".formatted(person, bank.in(60))).is(409, "duty.conflict");
        // As a new member of staff.
        administrator.post("/v1/staff", """
                {"username": "two.hands", "name": "双手", "branchId": "%s", "roles": ["%s", "%s"]}""".formatted(bank.pudong, one, other)).is(409, "duty.conflict");
        // Without the pair all of it may be; with people who hold both the pair may not.
        administrator.send("DELETE", pair, (String) null).is(204);
        permit(third, "branch:read", "customer:import").is(200);
        Answer late = administrator.post("/v1/duty-conflicts", """
                {"first": "parameter:manage", "second": "customer:import", "reason": "自查"}""", "Accept-Language", "zh");
        late.is(409, "duty.conflict");
        assertThat(late.at("/detail").asText()).contains("2 名员工");
    }

    /** Each is right by what it sees; whichever comes second is refused, on whichever node. */
    @Test
    void changesThatAreRightAloneAreNotWrongTogether() {
        administrator.post("/v1/duty-conflicts", """
                {"first": "clock:manage", "second": "customer:create", "reason": "自查"}""").is(201);
        for (int round = 0; round < 12; round++) {
            String one = code();
            String other = code();
            make(one, "none", "branch:read").is(201);
            make(other, "none", "branch:read").is(201);
            UUID person = kehu.staff(bank.pudong, one, other);
            String path = "/v1/roles/";
            boolean grants = round % 2 == 0;
            CompletableFuture<Answer> first = CompletableFuture.supplyAsync(
                    () -> administrator.patch(path + one, "\"1\"", "{\"permissions\": [\"clock:manage\"]}"));
            CompletableFuture<Answer> second = CompletableFuture.supplyAsync(() -> grants
                    ? administrator.at(bank.second).post("/v1/grants", """
                            {"staffId": "%s", "permissions": ["customer:create"], "endsAt": "%s", "reason": "代班"}""".formatted(person, bank.in(60)))
                    : administrator
                            .at(bank.second)
                            .patch(path + other, "\"1\"", "{\"permissions\": [\"customer:create\"]}"));
            List<Integer> statuses =
                    List.of(first.join().status(), second.join().status());
            assertThat(statuses).as("round " + round).containsAnyOf(200, 201).contains(409);
        }
    }

    @Test
    void whoHasLeftHoldsNothingUntilHeComesBack() {
        String one = code();
        String other = code();
        make(one, "none", "branch:manage").is(201);
        make(other, "none", "event:read").is(201);
        UUID person = kehu.staff(bank.pudong, one, other);
        String path = "/v1/staff/" + person;
        administrator.patch(path, etag(path), "{\"state\": \"left\"}").is(200);
        permit(other, "customer:import").is(200);
        administrator.post("/v1/duty-conflicts", """
                {"first": "branch:manage", "second": "customer:import", "reason": "自查"}""").is(201);
        administrator.patch(path, etag(path), "{\"state\": \"active\"}").is(409, "duty.conflict");
    }

    @Test
    void whoManagesStaffSeesNoCustomersAndWhoProvesChangesNothing() {
        make(code(), "all", "staff:manage", "customer:read").is(409, "duty.conflict");
        make(code(), "all", "role:manage", "customer:unmask").is(409, "duty.conflict");
        UUID auditor = kehu.staff(kehu.headOffice(), "auditor");
        administrator
                .patch("/v1/staff/" + auditor, etag("/v1/staff/" + auditor), """
                {"roles": ["auditor", "administrator"]}""")
                .is(409, "duty.conflict");
        Answer pairs = administrator.get("/v1/duty-conflicts?limit=200").is(200);
        List<String> apart = new ArrayList<>();
        pairs.at("/items").forEach(pair -> {
            assertThat(pair.get("first").asText()).isLessThan(pair.get("second").asText());
            apart.add(pair.get("first").asText() + "+" + pair.get("second").asText());
            if (pair.get("builtIn").asBoolean() && apart.size() == 1) {
                administrator
                        .send("DELETE", "/v1/duty-conflicts/" + pair.get("id").asText(), (String) null)
                        .is(409, "duty.builtIn");
            }
        });
        assertThat(apart)
                .contains("customer:read+staff:manage", "audit:read+customer:update")
                .isSorted();
        Answer page = administrator.get("/v1/duty-conflicts?limit=3").is(200);
        Answer next = administrator.get(
                "/v1/duty-conflicts?limit=3&cursor=" + page.at("/next").asText());
        assertThat(next.is(200).at("/items/0/id")).isEqualTo(pairs.at("/items/3/id"));
    }

    @Test
    void aPairOfNonsenseIsRefused() {
        String body = "{\"first\": \"%s\", \"second\": \"%s\", \"reason\": \"%s\"}";
        Answer unknown = administrator
                .post("/v1/duty-conflicts", body.formatted("event:read", "event:forge", "x"))
                .is(400, "request.invalid");
        assertThat(unknown.at("/errors/0/pointer").asText()).isEqualTo("/second");
        administrator
                .post("/v1/duty-conflicts", body.formatted("event:read", "event:read", "x"))
                .is(400, "request.invalid");
        administrator
                .post("/v1/duty-conflicts", body.formatted("event:read", "job:read", " "))
                .is(400, "request.invalid");
        administrator
                .post("/v1/duty-conflicts", body.formatted("staff:manage", "customer:read", "x"))
                .is(409, "duty.taken");
        administrator
                .send("DELETE", "/v1/duty-conflicts/" + UUID.randomUUID(), (String) null)
                .is(404, "duty.notFound");
        kehu.caller("auditor").post("/v1/duty-conflicts", "{}").is(403, "auth.forbidden");
    }
}
