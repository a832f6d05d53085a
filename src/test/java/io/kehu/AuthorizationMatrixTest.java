package io.kehu;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.iam.staff.DemoStaff;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Every operation x every role x every relation, against {@code authorization-matrix.txt}, over HTTP. Commands are dry runs,
 * so no cell disturbs another. A new operation needs a row there and, where it takes a body or an id, one entry in {@link
 * #fixtures}.
 */
class AuthorizationMatrixTest {
    private static final String ANONYMOUS = "anonymous";

    /** Whose thing it is that the caller reaches for. */
    private enum Relation {
        OWN,
        SAME_BRANCH,
        OTHER_MANAGER,
        OTHER_BRANCH
    }

    /** A caller of one role and, for each relation, a member of staff who stands in it to him. */
    private record Cast(String role, Caller caller, Map<Relation, UUID> people, Map<Relation, UUID> branches) {}

    /**
     * What to send.
     *
     * @param shown for a list: the id that must be in it exactly where the cell allows the relation
     */
    private record Request(
            String path,
            @Nullable String body,
            Map<String, String> headers,
            @Nullable UUID shown) {
        Request(String path) {
            this(path, null, Map.of(), null);
        }

        Request(String path, String body) {
            this(path, body, Map.of(), null);
        }

        Request ifMatch(Object version) {
            return new Request(path, body, Map.of("If-Match", "\"" + version + "\""), shown);
        }

        Request mustShow(UUID id) {
            return new Request(path, body, headers, id);
        }
    }

    @FunctionalInterface
    private interface Fixture {
        Request request(Cast cast, Relation relation);
    }

    private static TestKehu kehu;
    private static final Map<String, Fixture> FIXTURES = fixtures();
    /** Refused as dry runs, and harmless to run in earnest. */
    private static final Set<String> IN_EARNEST = Set.of("login", "refreshSession");

    private static Map<String, Fixture> fixtures() {
        Map<String, Fixture> fixtures = new LinkedHashMap<>();
        fixtures.put(
                "createBranch",
                (cast, relation) -> new Request("/v1/branches", """
                {"parentId": "%s", "code": "NEW-1", "name": "新支行"}""".formatted(cast.branches.get(relation))));
        fixtures.put("getBranch", (cast, relation) -> new Request("/v1/branches/" + cast.branches.get(relation)));
        fixtures.put(
                "changeBranch",
                (cast, relation) -> new Request("/v1/branches/" + cast.branches.get(relation), "{\"name\": \"更名支行\"}")
                        .ifMatch(version("iam.branch", cast.branches.get(relation))));
        fixtures.put("login", (cast, relation) -> new Request("/v1/auth/login", """
                {"username": "admin", "password": "%s"}""".formatted(DemoStaff.PASSWORD)));
        fixtures.put(
                "refreshSession",
                (cast, relation) -> new Request("/v1/auth/refresh", """
                {"refreshToken": "%s"}""".formatted(freshRefreshToken())));
        fixtures.put(
                "changePassword",
                (cast, relation) -> new Request("/v1/auth/password", """
                {"currentPassword": "%s", "newPassword": "Another-Birch-4711"}""".formatted(DemoStaff.PASSWORD)));
        fixtures.put("listStaff", (cast, relation) -> {
            UUID person = cast.people.get(relation);
            return new Request("/v1/staff?limit=200").mustShow(person);
        });
        fixtures.put(
                "createStaff",
                (cast, relation) -> new Request("/v1/staff", """
                {"username": "new.one", "name": "新人", "branchId": "%s", "roles": ["operator"]}""".formatted(cast.branches.get(relation))));
        fixtures.put("getStaff", (cast, relation) -> new Request("/v1/staff/" + cast.people.get(relation)));
        fixtures.put(
                "changeStaff",
                (cast, relation) -> new Request("/v1/staff/" + cast.people.get(relation), "{\"name\": \"改名\"}")
                        .ifMatch(version("iam.staff", cast.people.get(relation))));
        fixtures.put(
                "listApprovals",
                (cast, relation) -> new Request("/v1/approvals?limit=200")
                        .mustShow(approvalOf(cast.people.get(relation), "customer:approve")));
        fixtures.put(
                "getApproval",
                (cast, relation) ->
                        new Request("/v1/approvals/" + approvalOf(cast.people.get(relation), "customer:approve")));
        fixtures.put("approveApproval", (cast, relation) -> new Request(decidable(cast, relation) + "/approve", "{}"));
        fixtures.put(
                "rejectApproval",
                (cast, relation) -> new Request(decidable(cast, relation) + "/reject", "{\"reason\": \"no\"}"));
        fixtures.put(
                "withdrawApproval",
                (cast, relation) -> new Request(
                        "/v1/approvals/" + approvalOf(cast.people.get(relation), "customer:approve") + "/withdraw"));
        fixtures.put("getApprovalPolicy", (cast, relation) -> new Request("/v1/approval-policies/parameter"));
        fixtures.put(
                "changeApprovalPolicy",
                (cast, relation) -> new Request("/v1/approval-policies/parameter", "{\"expiryMinutes\": 60}")
                        .ifMatch(kehu.value("SELECT version FROM iam.approval_policy WHERE code = 'parameter'")));
        fixtures.put("createParameter", (cast, relation) -> new Request("/v1/parameters", """
                {"name": "new.one", "kind": "number", "value": "1", "aboutEn": "new", "aboutZh": "新"}"""));
        fixtures.put("getParameter", (cast, relation) -> new Request("/v1/parameters/" + parameter("name")));
        fixtures.put(
                "listParameterVersions",
                (cast, relation) -> new Request("/v1/parameters/" + parameter("name") + "/versions"));
        fixtures.put(
                "changeParameter",
                (cast, relation) -> new Request(
                                "/v1/parameters/" + parameter("name"), "{\"value\": \"" + parameter("value") + "\"}")
                        .ifMatch(parameter("version")));
        fixtures.put(
                "listCustomers",
                (cast, relation) ->
                        new Request("/v1/customers?limit=200").mustShow(customerOf(cast.people.get(relation))));
        fixtures.put(
                "searchCustomers",
                (cast, relation) -> new Request("/v1/customers/search", "{\"name\": \"矩阵客户\", \"limit\": 200}")
                        .mustShow(customerOf(cast.people.get(relation))));
        fixtures.put(
                "getCustomer",
                (cast, relation) -> new Request("/v1/customers/" + customerOf(cast.people.get(relation))));
        fixtures.put(
                "createCustomer",
                (cast, relation) -> new Request("/v1/customers", "{\"kind\": \"person\", \"name\": \"新客户\"}"));
        fixtures.put("changeCustomer", (cast, relation) -> {
            UUID customer = customerOf(cast.people.get(relation));
            return new Request("/v1/customers/" + customer, "{\"name\": \"更名客户\"}")
                    .ifMatch(version("customer.customer", customer));
        });
        fixtures.put("createUpload", (cast, relation) -> new Request("/v1/uploads", UPLOAD));
        fixtures.put(
                "sendUpload",
                (cast, relation) -> new Request(
                        "/v1/uploads/" + uploadOf(cast.people.get(Relation.OWN)),
                        "abc",
                        Map.of("Content-Type", "application/octet-stream", "Upload-Offset", "0"),
                        null));
        fixtures.put(
                "getUpload", (cast, relation) -> new Request("/v1/uploads/" + uploadOf(cast.people.get(relation))));
        fixtures.put(
                "listJobs",
                (cast, relation) -> new Request("/v1/jobs?limit=200").mustShow(jobOf(cast.people.get(relation))));
        fixtures.put("getJob", (cast, relation) -> new Request("/v1/jobs/" + jobOf(cast.people.get(relation))));
        fixtures.put(
                "cancelJob",
                (cast, relation) -> new Request("/v1/jobs/" + jobOf(cast.people.get(relation)) + "/cancel"));
        fixtures.put("createImport", (cast, relation) -> {
            String upload = uploadOf(cast.people.get(Relation.OWN)).toString();
            cast.caller.send(
                    "PUT",
                    "/v1/uploads/" + upload,
                    "abc",
                    "Content-Type",
                    "application/octet-stream",
                    "Upload-Offset",
                    "0");
            return new Request("/v1/imports", """
                    {"uploadId": "%s", "mapping": {"kind": "person"}}""".formatted(upload));
        });
        fixtures.put(
                "getImport", (cast, relation) -> new Request("/v1/imports/" + importOf(cast.people.get(relation))));
        fixtures.put(
                "getImportErrors",
                (cast, relation) -> new Request("/v1/imports/" + importOf(cast.people.get(relation)) + "/errors"));
        fixtures.put(
                "cancelImport",
                (cast, relation) -> new Request("/v1/imports/" + importOf(cast.people.get(relation)) + "/cancel"));
        fixtures.put("getAuditEntry", (cast, relation) -> new Request("/v1/audit/" + sealedEntry()));
        fixtures.put("getAuditProof", (cast, relation) -> new Request("/v1/audit/" + sealedEntry() + "/proof"));
        fixtures.put(
                "listCustomerAccesses",
                (cast, relation) ->
                        new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/access-log"));
        fixtures.put("moveClock", (cast, relation) -> new Request("/v1/clock", "{\"aheadSeconds\": 3600}"));
        return fixtures;
    }

    private static final String UPLOAD = """
            {"purpose": "customer-import", "name": "list.csv", "size": 3}""";
    private static final Map<UUID, UUID> CUSTOMERS = new HashMap<>();
    private static final Map<UUID, UUID> JOBS = new HashMap<>();
    private static final Map<UUID, UUID> IMPORTS = new HashMap<>();

    /** A customer whom this member of staff looks after. */
    private static UUID customerOf(UUID person) {
        return CUSTOMERS.computeIfAbsent(
                person,
                p -> UUID.fromString(kehu.signIn(DemoStaff.id("marketing"))
                        .post("/v1/customers", """
                {"kind": "person", "name": "矩阵客户", "branchId": "%s", "managerId": "%s"}""".formatted(
                                        kehu.value("SELECT branch_id FROM iam.staff WHERE id = ?", p), p))
                        .is(201)
                        .at("/id")
                        .asText()));
    }

    /** An upload that this member of staff began, when he still was an operator too. */
    private static UUID uploadOf(UUID person) {
        Object roles = kehu.value("SELECT roles::text FROM iam.staff WHERE id = ?", person);
        kehu.sql("UPDATE iam.staff SET roles = '{operator}' WHERE id = ?", person);
        UUID upload = UUID.fromString(kehu.signIn(person)
                .post("/v1/uploads", UPLOAD)
                .is(201)
                .at("/id")
                .asText());
        kehu.sql("UPDATE iam.staff SET roles = ?::text[] WHERE id = ?", roles, person);
        return upload;
    }

    /** An import of this member of staff, which no node takes before tomorrow. */
    private static UUID importOf(UUID person) {
        return IMPORTS.computeIfAbsent(
                person, p -> (UUID) kehu.sql("""
                        INSERT INTO kehu.job (id, kind, params, owner_id, principal, operation, request_id, address, not_before)
                        VALUES (uuidv7(), 'customer.import', '{}', ?, '{}', 'test', 'test', 'test', kehu.now() + interval '1 day')
                        RETURNING id""", p).get(0).get("id"));
    }

    /** A job of this member of staff, of a kind that no node takes. */
    private static UUID jobOf(UUID person) {
        return JOBS.computeIfAbsent(person, p -> (UUID) kehu.sql("""
                        INSERT INTO kehu.job (id, kind, params, owner_id, principal, operation, request_id, address)
                        VALUES (uuidv7(), 'nobody.takes', '{}', ?, '{}', 'test', 'test', 'test') RETURNING id""", p).get(0).get("id"));
    }

    private static Object sealedEntry() {
        return kehu.value("""
                SELECT a.id FROM kehu.audit a JOIN kehu.audit_seal s ON a.xid >= s.from_xid AND a.xid < s.to_xid LIMIT 1""");
    }

    /** A change of this member of staff that waits for somebody with this permission, at his branch or above it. */
    private static UUID approvalOf(UUID person, String permission) {
        return (UUID) kehu.sql("""
                        INSERT INTO iam.approval (id, policy, policy_version, branch_rule, levels, permissions, asks, operation, maker_id,
                            maker_name, branch_id, scope, command_hash, made_at, expires_at)
                        SELECT uuidv7(), 'customer-entry', 1, CASE ? WHEN 'customer:approve' THEN 'sameOrAbove' ELSE 'any' END,
                            jsonb_build_array(jsonb_build_object('approvers', 2, 'permission', ?)), ARRAY[?], ?, 'createCustomer', id,
                            username, branch_id, 'ALL', '', kehu.now(), kehu.now() + interval '1 day'
                        FROM iam.staff WHERE id = ? RETURNING id""", permission, permission, permission, permission, person)
                .get(0)
                .get("id");
    }

    /** A change that a third person made where this relation is, of a kind that the role decides, if it decides any. */
    private static String decidable(Cast cast, Relation relation) {
        UUID maker = kehu.staff(cast.branches.get(relation), "customer-manager");
        return "/v1/approvals/"
                + approvalOf(maker, cast.role.equals("administrator") ? "staff:approve" : "customer:approve");
    }

    private static Object version(String table, UUID id) {
        return kehu.value("SELECT version FROM " + table + " WHERE id = ?", id);
    }

    private static Object parameter(String column) {
        return kehu.value("SELECT " + column + "::text FROM ops.parameter ORDER BY name LIMIT 1");
    }

    private static String freshRefreshToken() {
        return kehu.anonymous()
                .post("/v1/auth/login", FIXTURES.get("login").request(null, Relation.OWN).body)
                .is(200)
                .at("/refreshToken")
                .asText();
    }

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_RATE_PER_ADDRESS_PER_SECOND", "100000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND", "100000",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000",
                "KEHU_RATE_LOGIN_PER_MINUTE", "100000"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Map<String, Map<String, String>> matrix() {
        try (InputStream in = AuthorizationMatrixTest.class.getResourceAsStream("/authorization-matrix.txt")) {
            List<String> lines = new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .toList();
            List<String> columns = null;
            Map<String, Map<String, String>> rows = new LinkedHashMap<>();
            for (String line : lines) {
                List<String> cells =
                        Arrays.asList(line.replaceFirst("^# ", "").trim().split("\\s+"));
                if (line.startsWith("# operation ")) {
                    columns = cells;
                } else if (!line.isBlank() && !line.startsWith("#")) {
                    assertThat(cells).as(line).hasSameSizeAs(columns);
                    Map<String, String> row = new LinkedHashMap<>();
                    for (int i = 1; i < cells.size(); i++) {
                        row.put(columns.get(i), cells.get(i));
                    }
                    assertThat(rows.put(cells.get(0), row)).as(line).isNull();
                }
            }
            return rows;
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Everybody works at one branch in Shanghai; the others are in Beijing. */
    private static Cast cast(String role) {
        UUID here = DemoStaff.id("SH-PD");
        UUID there = DemoStaff.id("BJ-CY");
        UUID self = kehu.staff(here, role.equals(ANONYMOUS) ? "analyst" : role);
        kehu.sql(
                "UPDATE iam.staff SET password_hash = (SELECT password_hash FROM iam.staff WHERE username = 'admin') WHERE id = ?",
                self);
        return new Cast(
                role,
                role.equals(ANONYMOUS) ? kehu.anonymous() : kehu.signIn(self),
                Map.of(
                        Relation.OWN, self,
                        Relation.SAME_BRANCH, DemoStaff.id("head.sh-pd"),
                        Relation.OTHER_MANAGER, DemoStaff.id("manager1.sh-pd"),
                        Relation.OTHER_BRANCH, DemoStaff.id("manager1.bj-cy")),
                Map.of(
                        Relation.OWN, here,
                        Relation.SAME_BRANCH, here,
                        Relation.OTHER_MANAGER, here,
                        Relation.OTHER_BRANCH, there));
    }

    @Test
    void everyOperationAnswersEveryRoleAsTheTableSays() {
        Map<String, Map<String, String>> matrix = matrix();
        List<Operation> operations = Contract.load(3000).operations();
        assertThat(matrix.keySet())
                .as("operations with a row")
                .containsExactlyInAnyOrderElementsOf(
                        operations.stream().map(Operation::id).toList());
        Set<String> roles = kehu.sql("SELECT code FROM iam.role").stream()
                .map(row -> row.get("code").toString())
                .collect(Collectors.toSet());
        assertThat(matrix.values())
                .allSatisfy(row -> assertThat(row.keySet())
                        .as("columns")
                        .containsAll(roles)
                        .contains(ANONYMOUS)
                        .hasSize(roles.size() + 1));
        int cells = 0;
        List<String> leaks = new ArrayList<>();
        List<String> wrong = new ArrayList<>();
        for (String role : matrix.values().iterator().next().keySet()) {
            Cast cast = cast(role);
            for (Operation operation : operations) {
                String cell = matrix.get(operation.id()).get(role);
                assertThat(cell).as(operation.id() + " " + role).isIn("-", "yes", "all", "branch", "own");
                for (Relation relation : Relation.values()) {
                    cells++;
                    check(operation, cast, relation, cell, leaks, wrong);
                }
            }
        }
        System.out.println("authorization matrix: " + cells + " cells, " + leaks.size() + " leaks");
        assertThat(leaks).as("leaks").isEmpty();
        assertThat(wrong)
                .as("cells that refuse what the table allows, or otherwise")
                .isEmpty();
    }

    private static boolean reaches(String cell, Relation relation) {
        return switch (cell) {
            case "yes", "all" -> true;
            case "branch" -> relation != Relation.OTHER_BRANCH;
            case "own" -> relation == Relation.OWN;
            default -> false;
        };
    }

    private static void check(
            Operation operation, Cast cast, Relation relation, String cell, List<String> leaks, List<String> wrong) {
        Fixture fixture = FIXTURES.getOrDefault(operation.id(), (c, r) -> new Request(operation.path()));
        Request request = fixture.request(cast, relation);
        List<String> headers = new ArrayList<>();
        request.headers.forEach((name, value) -> headers.addAll(List.of(name, value)));
        if (operation.kind() == Operation.Kind.COMMAND && !IN_EARNEST.contains(operation.id())) {
            headers.addAll(List.of("Dry-Run", "true"));
        }
        if (operation.kind() == Operation.Kind.STREAM) {
            // A stream does not end: what counts is how it begins.
            int status = cast.caller.begin(request.path);
            int expected = reaches(cell, relation) ? 200 : cast.role.equals(ANONYMOUS) ? 401 : 403;
            if (status != expected) {
                (status == 200 ? leaks : wrong).add(operation.id() + " by " + cast.role + " answered " + status);
            }
            return;
        }
        Answer answer =
                cast.caller.send(operation.method(), request.path, request.body, headers.toArray(String[]::new));
        boolean reaches = reaches(cell, relation);
        String what = operation.id() + " by " + cast.role + " on " + relation + " (" + cell + ") answered "
                + answer.status() + " " + (answer.status() >= 400 ? answer.code() : "");
        boolean served = answer.status() / 100 == 2;
        boolean asks = !cell.equals("-");
        if (request.shown != null && asks) {
            boolean shows = served && answer.text().contains(request.shown.toString());
            if (shows && !reaches) {
                leaks.add(what + " and shows it");
            } else if (!served || shows != reaches) {
                wrong.add(what + (shows ? "" : " and does not show it"));
            }
            return;
        }
        int refusal = asks ? 404 : cast.role.equals(ANONYMOUS) ? 401 : 403;
        if (served && !reaches) {
            leaks.add(what);
        } else if (reaches != served || (!reaches && answer.status() != refusal)) {
            wrong.add(what);
        }
    }
}
