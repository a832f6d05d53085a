package io.kehu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.crypto.Signer;
import io.kehu.customer.Customer;
import io.kehu.customer.connector.TestConnector;
import io.kehu.iam.factor.TestFactors;
import io.kehu.iam.federation.TestDirectory;
import io.kehu.iam.federation.TestProvider;
import io.kehu.iam.member.TestMembers;
import io.kehu.iam.passkey.TestAuthenticator;
import io.kehu.iam.role.Permissions;
import io.kehu.iam.staff.DemoStaff;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every operation x every role x every relation, against {@code authorization-matrix.txt}, over HTTP. Commands are dry runs,
 * so no cell disturbs another, and columns run side by side. A new operation needs a row there and, where it takes a body or an
 * id, one entry in {@link #fixtures}. A row whose name goes on after an {@code @} asks something further of its operation.
 */
class AuthorizationMatrixTest {
    private static final String ANONYMOUS = "anonymous";
    private static final int COLUMNS_AT_ONCE = 4;
    private static final Duration ONE_SECOND = Duration.ofSeconds(1);
    private static final List<String> WORDS =
            List.of("-", "yes", "all", "branch", "own", "others", "branch-others", "there", "hidden");

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
     * @param shown the text, of a list an id, that must be in the answer exactly where the cell allows the relation
     * @param by another caller than the one of the cast; null for that one
     */
    private record Request(
            String path,
            @Nullable String body,
            Map<String, String> headers,
            @Nullable String shown,
            @Nullable Caller by) {
        Request(String path) {
            this(path, null, Map.of(), null, null);
        }

        Request(String path, String body) {
            this(path, body, Map.of(), null, null);
        }

        Request with(String header, String value) {
            return new Request(path, body, Map.of(header, value), shown, by);
        }

        Request ifMatch(Object version) {
            return with("If-Match", "\"" + version + "\"");
        }

        Request mustShow(Object text) {
            return new Request(path, body, headers, text.toString(), by);
        }

        Request by(Caller another) {
            return new Request(path, body, headers, shown, another);
        }
    }

    @FunctionalInterface
    private interface Fixture {
        Request request(Cast cast, Relation relation);
    }

    @TempDir
    static Path folder;

    private static TestKehu kehu;
    private static TestProvider provider;
    private static TestDirectory directory;
    /** A device of one of the staff, and what a device made for him. */
    private static TestAuthenticator device;

    private static String passkeyDraft;
    private static final Map<String, Fixture> FIXTURES = fixtures();
    /** Refused as dry runs, and harmless to run in earnest. */
    private static final Set<String> IN_EARNEST = Set.of(
            "login",
            "refreshSession",
            "redeemPasswordReset",
            "issueToken",
            "registerMember",
            "confirmMember",
            "loginMember",
            "refreshMember",
            "startOidc",
            "finishOidc",
            "loginLdap",
            "enrolSms",
            "confirmFactor",
            "renewRecoveryCodes",
            "finishSignIn",
            "sendSignInCode",
            "stepUp",
            "sendStepUpCode",
            "startSignInPasskey",
            "startStepUpPasskey",
            "startPasskeySignIn",
            "finishPasskeySignIn");

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
        fixtures.put(
                "redeemPasswordReset",
                (cast, relation) -> new Request("/v1/auth/password-reset", """
                {"token": "%s", "newPassword": "tram violet outwit"}""".formatted(freshResetToken())));
        fixtures.put(
                "resetStaffPassword",
                (cast, relation) -> new Request("/v1/staff/" + cast.people.get(relation) + "/password-reset"));
        fixtures.put(
                "resetStaffFactors",
                (cast, relation) -> new Request("/v1/staff/" + cast.people.get(relation) + "/factor-reset"));
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
        fixtures.put("createPartner", (cast, relation) -> new Request("/v1/partners", """
                {"name": "new-one", "purpose": "新系统", "permissions": ["event:read"]}"""));
        fixtures.put("getPartner", (cast, relation) -> new Request("/v1/partners/" + partner().clientId));
        fixtures.put(
                "changePartner",
                (cast, relation) -> new Request("/v1/partners/" + partner().clientId, "{\"purpose\": \"其他\"}")
                        .ifMatch(version("iam.partner", partner().clientId)));
        fixtures.put(
                "createPartnerKey",
                (cast, relation) -> new Request("/v1/partners/" + partner().clientId + "/keys", "{\"days\": 1}"));
        fixtures.put(
                "deletePartnerKey",
                (cast, relation) -> new Request("/v1/partners/" + partner().clientId + "/keys/" + partner().keyId));
        fixtures.put(
                "issueToken",
                (cast, relation) -> new Request("/v1/auth/token", """
                {"grant_type": "client_credentials", "client_id": "%s", "client_secret": "%s"}""".formatted(partner().clientId, partner().secret)));
        fixtures.put("registerMember", (cast, relation) -> new Request("/v1/members/register", """
                {"name": "某人", "idType": "passport", "idNumber": "E12345678", "phone": "13800000000"}"""));
        fixtures.put(
                "confirmMember",
                (cast, relation) -> new Request(
                        "/v1/members/confirm",
                        TestMembers.confirmation(
                                TestMembers.registration(kehu, customerOf(cast.people.get(relation)), "123456"),
                                "123456",
                                "matrix" + MEMBERS.incrementAndGet())));
        fixtures.put(
                "loginMember",
                (cast, relation) -> new Request("/v1/members/login", """
                {"username": "%s", "password": "%s"}""".formatted(member(), TestMembers.PASSWORD)));
        fixtures.put(
                "refreshMember",
                (cast, relation) -> new Request(
                        "/v1/members/refresh", """
                {"refreshToken": "%s"}""".formatted(TestMembers.login(kehu, member(), TestMembers.PASSWORD)
                                .is(200)
                                .at("/refreshToken")
                                .asText())));
        fixtures.put(
                "replaceGroupMappings",
                (cast, relation) -> new Request("/v1/group-mappings", "{\"items\": []}")
                        .ifMatch(kehu.value("SELECT version FROM iam.group_mapping_set")));
        fixtures.put("startOidc", (cast, relation) -> new Request("/v1/auth/oidc/" + TestProvider.NAME + "/start"));
        fixtures.put(
                "finishOidc",
                (cast, relation) ->
                        new Request("/v1/auth/oidc/" + TestProvider.NAME + "/finish", provider.proof(kehu, "matrix")));
        fixtures.put("loginLdap", (cast, relation) -> new Request("/v1/auth/ldap/login", """
                {"username": "matrix.ldap", "password": "matrix"}"""));
        passkeys(fixtures);
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
                        null,
                        null));
        fixtures.put(
                "getUpload",
                (cast, relation) -> new Request("/v1/uploads/"
                        + UPLOADS.computeIfAbsent(cast.people.get(relation), AuthorizationMatrixTest::uploadOf)));
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
        contacts(fixtures);
        erasures(fixtures);
        rights(fixtures);
        factors(fixtures);
        fields(fixtures);
        changes(fixtures);
        tags(fixtures);
        segments(fixtures);
        relations(fixtures);
        documents(fixtures);
        connectors(fixtures);
        quality(fixtures);
        exports(fixtures);
        versions(fixtures);
        grading(fixtures);
        duplicates(fixtures);
        enrichments(fixtures);
        changeRequests(fixtures);
        merges(fixtures);
        fixtures.put("moveClock", (cast, relation) -> new Request("/v1/clock", "{\"aheadSeconds\": 3600}"));
        return fixtures;
    }

    private static void contacts(Map<String, Fixture> fixtures) {
        fixtures.put("listInteractions", (cast, relation) -> new Request(customer(cast, relation) + "/interactions"));
        fixtures.put(
                "createInteraction", (cast, relation) -> new Request(customer(cast, relation) + "/interactions", """
                {"channel": "call", "direction": "inbound", "text": "矩阵"}"""));
        fixtures.put(
                "getInteraction",
                (cast, relation) -> new Request("/v1/interactions/" + interactionOf(cast.people.get(relation))));
        fixtures.put(
                "changeInteraction",
                (cast, relation) -> new Request(
                                "/v1/interactions/" + interactionOf(cast.people.get(relation)),
                                "{\"outcome\": \"reached\"}")
                        .ifMatch(1));
        fixtures.put(
                "getContactPreference",
                (cast, relation) -> new Request(customer(cast, relation) + "/contact-preference"));
        fixtures.put("listConsents", (cast, relation) -> new Request(customer(cast, relation) + "/consents"));
        fixtures.put("createConsent", (cast, relation) -> new Request(customer(cast, relation) + "/consents", """
                {"purpose": "marketing", "channel": "sms", "state": "withdrawn", "source": "call"}"""));
        fixtures.put(
                "exportPersonalData",
                (cast, relation) -> new Request(customer(cast, relation) + "/personal-data")
                        .with("Kehu-Purpose", "customer-request"));
        fixtures.put(
                "checkConsent",
                (cast, relation) ->
                        new Request(customer(cast, relation) + "/consents/check?purpose=marketing&channel=sms"));
    }

    private static String customer(Cast cast, Relation relation) {
        return "/v1/customers/" + customerOf(cast.people.get(relation));
    }

    private static void erasures(Map<String, Fixture> fixtures) {
        fixtures.put("deleteCustomer", (cast, relation) -> {
            UUID customer = customerOf(cast.people.get(relation));
            String number = Customer.number(kehu.value("SELECT seq FROM customer.customer WHERE id = ?", customer));
            return new Request("/v1/customers/" + customer + "/deletion", """
                    {"reason": "customer-request", "confirmNumber": "%s"}""".formatted(number));
        });
        fixtures.put(
                "listDeletions",
                (cast, relation) ->
                        new Request("/v1/deletions?limit=200").mustShow(deletedOf(cast.people.get(relation))));
        fixtures.put(
                "getDeletion",
                (cast, relation) -> new Request("/v1/customers/" + deletedOf(cast.people.get(relation)) + "/deletion"));
        fixtures.put(
                "cancelDeletion",
                (cast, relation) ->
                        new Request("/v1/customers/" + deletedOf(cast.people.get(relation)) + "/deletion/cancel"));
        fixtures.put(
                "getErasure", (cast, relation) -> new Request("/v1/erasures/" + erasureOf(cast.people.get(relation))));
    }

    /** A customer of this member of staff who was deleted a moment ago. */
    private static UUID deletedOf(UUID person) {
        return DELETED.computeIfAbsent(person, p -> {
            UUID customer = newCustomer(p);
            kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", customer);
            kehu.sql("""
                    INSERT INTO customer.deletion (id, customer_id, reason, asked_by, asked_at, due_at)
                    VALUES (uuidv7(), ?, 'customer-request', ?, kehu.now(), kehu.now() + interval '1 day')""", customer, p);
            return customer;
        });
    }

    /** The certificate of a customer of this member of staff; its signature is not looked at. */
    private static UUID erasureOf(UUID person) {
        return ERASURES.computeIfAbsent(person, p -> {
            UUID id = Ids.next();
            UUID customer = deletedOf(p);
            String line =
                    "{\"id\":\"%s\",\"customerId\":\"%s\",\"customerIds\":[\"%s\"],\"reason\":\"customer-request\","
                                    .formatted(id, customer, customer)
                            + "\"askedAt\":\"2026-01-01T00:00:00Z\",\"approvalId\":\"%s\",\"erasedAt\":\"2026-01-02T00:00:00Z\","
                                    .formatted(id)
                            + "\"finalAt\":\"2026-01-03T00:00:00Z\",\"epochs\":[1],\"kid\":\"matrix\",\"signature\":\"00\"}";
            kehu.sql("""
                    INSERT INTO customer.erasure (id, customer_id, customer_ids, reason, asked_at, approval_id, erased_at, final_at,
                                                  epochs, line)
                    VALUES (?, ?, ARRAY[?::uuid], 'customer-request', kehu.now(), ?, kehu.now(), kehu.now(), '{1}', ?)""", id, customer, customer, id, line);
            return id;
        });
    }

    /** A contact with a customer whom this member of staff looks after. */
    private static UUID interactionOf(UUID person) {
        return INTERACTIONS.computeIfAbsent(
                person,
                p -> kehu.value(
                        "SELECT customer.add_interaction(?, 'call', 'inbound', kehu.now(), NULL, NULL, NULL, NULL, NULL)",
                        customerOf(p)));
    }

    private static void passkeys(Map<String, Fixture> fixtures) {
        fixtures.put(
                "listPasskeys",
                (cast, relation) -> new Request("/v1/auth/passkeys").mustShow(passkeyOf(cast.people.get(relation))));
        fixtures.put(
                "createPasskey",
                (cast, relation) -> new Request(
                        "/v1/auth/passkeys",
                        cast.role.equals(ANONYMOUS) ? passkeyDraft : TestAuthenticator.freshDraft(cast.caller)));
        fixtures.put(
                "deletePasskey",
                (cast, relation) -> new Request("/v1/auth/passkeys/" + passkeyOf(cast.people.get(relation))));
        fixtures.put(
                "finishPasskeySignIn",
                (cast, relation) -> new Request("/v1/auth/passkeys/sign-in", device.freshProof(kehu)));
        fixtures.put("startSignInPasskey", (cast, relation) -> {
            UUID person = cast.people.get(Relation.OWN);
            passkeyOf(person);
            return new Request(
                    "/v1/auth/factor/passkey", "{\"challenge\": \"" + TestFactors.challenge(kehu, person) + "\"}");
        });
        fixtures.put("startStepUpPasskey", (cast, relation) -> {
            passkeyOf(cast.people.get(Relation.OWN));
            return new Request("/v1/auth/step-up/passkey");
        });
    }

    private static void segments(Map<String, Fixture> fixtures) {
        fixtures.put("getCustomerStatistics", (cast, relation) -> new Request("/v1/customers/statistics"));
        fixtures.put(
                "queryCustomerStatistics",
                (cast, relation) -> new Request(
                        "/v1/customers/statistics", "{\"filter\": {\"field\": \"tier\", \"is\": \"mass\"}}"));
        fixtures.put("listSegments", (cast, relation) -> new Request("/v1/segments"));
        fixtures.put("createSegment", (cast, relation) -> new Request("/v1/segments", """
                {"name": "矩阵客群", "kind": "live", "filter": {"field": "tier", "is": "mass"}}"""));
        fixtures.put("getSegment", (cast, relation) -> new Request("/v1/segments/" + segment()));
        fixtures.put(
                "changeSegment",
                (cast, relation) -> new Request("/v1/segments/" + segment(), "{\"name\": \"改名\"}").ifMatch(1));
        fixtures.put("deleteSegment", (cast, relation) -> new Request("/v1/segments/" + segment()).ifMatch(1));
        fixtures.put(
                "listSegmentMembers",
                (cast, relation) -> new Request("/v1/segments/" + segment() + "/members?limit=200")
                        .mustShow(memberOf(cast.people.get(relation))));
        fixtures.put("countSegmentMembers", (cast, relation) -> new Request("/v1/segments/" + segment() + "/count"));
        fixtures.put(
                "explainSegment",
                (cast, relation) -> new Request(
                        "/v1/segments/" + segment() + "/explain?customerId=" + customerOf(cast.people.get(relation))));
    }

    private static UUID segment() {
        kehu.sql("""
                WITH made AS (
                    INSERT INTO customer.segment (id, name, description, kind, reads, relative)
                    VALUES (?, 'matrix', '', 'static', '{}', false) ON CONFLICT (id) DO NOTHING RETURNING id)
                INSERT INTO customer.segment_state (segment_id, catching_up) SELECT id, false FROM made""", SEGMENT);
        return SEGMENT;
    }

    /** A member of the segment, who is a customer of this member of staff. */
    private static UUID memberOf(UUID person) {
        UUID customer = customerOf(person);
        kehu.sql(
                "INSERT INTO customer.segment_member (segment_id, customer_id, since) VALUES (?, ?, kehu.now()) ON CONFLICT DO NOTHING",
                segment(),
                customer);
        return customer;
    }

    private static void tags(Map<String, Fixture> fixtures) {
        fixtures.put("getTagCategory", (cast, relation) -> new Request("/v1/tag-categories/" + CATEGORY));
        fixtures.put("createTagCategory", (cast, relation) -> new Request("/v1/tag-categories", """
                {"code": "new-one", "nameEn": "New", "nameZh": "新"}"""));
        fixtures.put(
                "changeTagCategory",
                (cast, relation) -> new Request("/v1/tag-categories/" + CATEGORY, "{\"nameZh\": \"改名\"}").ifMatch(1));
        fixtures.put(
                "listTags",
                (cast, relation) -> new Request("/v1/tags?limit=200").mustShow(tagOf(cast.branches.get(relation))));
        fixtures.put("getTag", (cast, relation) -> new Request("/v1/tags/" + tagOf(cast.branches.get(relation))));
        fixtures.put(
                "createTag",
                (cast, relation) -> new Request("/v1/tags", """
                {"code": "new-one", "categoryId": "%s", "nameEn": "New", "nameZh": "新", "branchId": "%s"}""".formatted(CATEGORY, cast.branches.get(Relation.OWN))));
        fixtures.put(
                "changeTag",
                (cast, relation) -> new Request(
                                "/v1/tags/" + tagOf(cast.branches.get(relation)), "{\"nameZh\": \"改名\"}")
                        .ifMatch(1));
        fixtures.put(
                "assignTag",
                (cast, relation) -> new Request(
                        "/v1/tags/" + TAG + "/customers", """
                {"customerIds": ["%s"], "reason": "矩阵"}""".formatted(customerOf(cast.people.get(relation)))));
        fixtures.put(
                "listCustomerTags",
                (cast, relation) -> new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/tags"));
        fixtures.put("getCustomerTag", (cast, relation) -> new Request(taggedOf(cast.people.get(relation))));
        fixtures.put(
                "putCustomerTag",
                (cast, relation) -> new Request(taggedOf(cast.people.get(relation)), "{\"reason\": \"矩阵\"}"));
        fixtures.put("removeCustomerTag", (cast, relation) -> new Request(taggedOf(cast.people.get(relation))));
    }

    private static void merges(Map<String, Fixture> fixtures) {
        fixtures.put(
                "listMerges",
                (cast, relation) -> new Request("/v1/merges?limit=200").mustShow(mergeOf(cast.people.get(relation))));
        fixtures.put("getMerge", (cast, relation) -> new Request("/v1/merges/" + mergeOf(cast.people.get(relation))));
        fixtures.put("mergeCustomers", (cast, relation) -> {
            UUID person = cast.people.get(relation);
            return new Request("/v1/merges", """
                    {"survivorId": "%s", "duplicateId": "%s"}""".formatted(customerOf(person), twinOf(person)));
        });
        fixtures.put(
                "undoMerge",
                (cast, relation) -> new Request("/v1/merges/" + mergeOf(cast.people.get(relation)) + "/undo"));
    }

    /** Another customer of this member of staff. */
    private static UUID twinOf(UUID person) {
        return TWINS.computeIfAbsent(person, AuthorizationMatrixTest::newCustomer);
    }

    /** A merge of two customers of this member of staff, by one who may merge all. */
    private static UUID mergeOf(UUID person) {
        return MERGES.computeIfAbsent(
                person,
                p -> UUID.fromString(kehu.signIn(kehu.staff(kehu.headOffice(), "operator"))
                        .post("/v1/merges", """
                        {"survivorId": "%s", "duplicateId": "%s"}""".formatted(newCustomer(p), newCustomer(p)))
                        .is(201)
                        .at("/id")
                        .asText()));
    }

    private static void grading(Map<String, Fixture> fixtures) {
        fixtures.put("getGradingRule", (cast, relation) -> new Request("/v1/grading-rules/" + RULE));
        fixtures.put(
                "createGradingRule", (cast, relation) -> new Request("/v1/grading-rules", """
                {"kind": "tier", "name": "矩阵", "condition": %s, "result": "mass"}""".formatted(CONDITION)));
        fixtures.put(
                "changeGradingRule",
                (cast, relation) -> new Request("/v1/grading-rules/" + RULE, "{\"name\": \"改名\"}").ifMatch(1));
        fixtures.put("tryGradingRule", (cast, relation) -> new Request("/v1/grading-rules/" + RULE + "/trial"));
        fixtures.put(
                "listCustomerGrades",
                (cast, relation) -> new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/grades"));
        fixtures.put(
                "putCustomerClass",
                (cast, relation) -> new Request(
                        "/v1/customers/" + customerOf(cast.people.get(relation)) + "/class", "{\"value\": \"A\"}"));
    }

    private static void versions(Map<String, Fixture> fixtures) {
        fixtures.put(
                "listCustomerVersions",
                (cast, relation) ->
                        new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/versions"));
        fixtures.put(
                "listCustomerVersions@finance",
                (cast, relation) -> new Request(
                                "/v1/customers/" + customerOf(cast.people.get(Relation.OWN)) + "/versions")
                        .mustShow("annualIncome"));
        fixtures.put(
                "getCustomerSources",
                (cast, relation) -> new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/sources"));
        fixtures.put("getCustomerSources@finance", (cast, relation) -> {
            UUID customer = customerOf(cast.people.get(Relation.OWN));
            kehu.sql(
                    "INSERT INTO customer.field_sources AS f (id, said) VALUES (?, jsonb_build_array(jsonb_build_object("
                            + "'source', 'staff', 'since', kehu.now(), 'fields', ARRAY['annualIncome'])))"
                            + " ON CONFLICT (id) DO UPDATE SET said = customer.last_word(f.said, EXCLUDED.said)",
                    customer);
            return new Request("/v1/customers/" + customer + "/sources").mustShow("annualIncome");
        });
        fixtures.put(
                "releaseCustomerField@finance",
                (cast, relation) ->
                        new Request("/v1/customers/" + customerOf(cast.people.get(Relation.OWN)) + "/sources/assets"));
        fixtures.put(
                "releaseCustomerField",
                (cast, relation) ->
                        new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/sources/tier"));
        fixtures.put("restoreCustomerVersion", (cast, relation) -> restore(cast, relation, "tier"));
        fixtures.put("restoreCustomerVersion@finance", (cast, relation) -> restore(cast, Relation.OWN, "assets"));
    }

    private static Request restore(Cast cast, Relation relation, String field) {
        UUID customer = customerOf(cast.people.get(relation));
        return new Request("/v1/customers/" + customer + "/versions/1/restore", """
                {"fields": ["%s"], "reason": "矩阵"}""".formatted(field))
                .ifMatch(version("customer.customer", customer));
    }

    /** A tag of this branch. */
    private static UUID tagOf(UUID branch) {
        return TAGS.computeIfAbsent(
                branch, b -> (UUID) kehu.sql("""
                        INSERT INTO customer.tag (id, category_id, code, name_en, name_zh, made_by, branch_id)
                        SELECT uuidv7(), ?, 'of-' || lower(code), code, code, 'hand', id FROM iam.branch WHERE id = ?
                        RETURNING id""", CATEGORY, b).get(0).get("id"));
    }

    /** The path of the tag that a customer of this member of staff has. */
    private static String taggedOf(UUID person) {
        UUID customer = customerOf(person);
        kehu.sql("""
                INSERT INTO customer.customer_tag (id, customer_id, tag_id, slot, starts_at, given_by)
                SELECT uuidv7(), ?, id, slot, kehu.now() - interval '1 hour', ? FROM customer.tag WHERE id = ?
                ON CONFLICT DO NOTHING""", customer, person, TAG);
        return "/v1/customers/" + customer + "/tags/" + TAG;
    }

    private static void quality(Map<String, Fixture> fixtures) {
        fixtures.put("getDictionary", (cast, relation) -> new Request("/v1/dictionaries/industries"));
        fixtures.put(
                "listDictionaryEntries",
                (cast, relation) -> new Request("/v1/dictionaries/industries/entries?parent=J66"));
        fixtures.put("createQualityRule", (cast, relation) -> new Request("/v1/quality/rules", """
                        {"code": "matrix", "weight": 1, "condition": {"field": "age", "to": 17}}"""));
        fixtures.put(
                "changeQualityRule",
                (cast, relation) -> new Request("/v1/quality/rules/stale", "{\"weight\": 1}").ifMatch(1));
        // They were entered without a date of birth.
        fixtures.put(
                "listQualityIssues",
                (cast, relation) -> new Request("/v1/quality/issues?limit=200&rule=birth-date-missing")
                        .mustShow(customerOf(cast.people.get(relation))));
        fixtures.put(
                "createCleaning",
                (cast, relation) ->
                        new Request("/v1/quality/cleanings", "{\"action\": \"tidy-text\", \"dryRun\": true}"));
        fixtures.put(
                "getCleaning",
                (cast, relation) -> new Request("/v1/quality/cleanings/" + cleaningOf(cast.people.get(relation))));
        fixtures.put(
                "cancelCleaning",
                (cast, relation) ->
                        new Request("/v1/quality/cleanings/" + cleaningOf(cast.people.get(relation)) + "/cancel"));
        fixtures.put(
                "getCustomerQuality",
                (cast, relation) -> new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/quality"));
    }

    private static void connectors(Map<String, Fixture> fixtures) {
        fixtures.put(
                "createConnector",
                (cast, relation) -> new Request("/v1/connectors", TestConnector.draft("another", "another")));
        fixtures.put("getConnector", (cast, relation) -> new Request(connector().path()));
        fixtures.put(
                "changeConnector",
                (cast, relation) -> new Request(connector().path(), "{\"enabled\": false}").ifMatch(1));
        fixtures.put(
                "renewConnectorSecret",
                (cast, relation) -> new Request(connector().path() + "/secret"));
        fixtures.put("deliver", (cast, relation) -> {
            TestConnector.Signed signed = connector().signed(kehu, "[{\"id\": \"1\", \"name\": \"矩阵\"}]");
            return new Request(connector().path() + "/deliveries", signed.body(), signed.headers(), null, null);
        });
        fixtures.put(
                "listDeliveries", (cast, relation) -> new Request(connector().path() + "/deliveries"));
        fixtures.put("getConnectorPull", (cast, relation) -> new Request(pull()));
        fixtures.put(
                "putConnectorPull", (cast, relation) -> new Request(connector().path() + "/pull", PULL));
        fixtures.put("removeConnectorPull", (cast, relation) -> new Request(pull()));
        fixtures.put("startConnectorPull", (cast, relation) -> new Request(pull() + "/runs"));
        fixtures.put("listPullRuns", (cast, relation) -> new Request(connector().path() + "/pull/runs"));
        fixtures.put(
                "listConnectorErrors",
                (cast, relation) -> new Request(connector().path() + "/errors"));
    }

    /** Of a connector of its own, whose source nobody asks. */
    private static String pull() {
        return PULLS.computeIfAbsent("matrix", name -> {
            Caller owner = kehu.caller("operator");
            String path = TestConnector.create(owner, "pulled", "pulled").path() + "/pull";
            owner.send("PUT", path, PULL).is(200);
            return path;
        });
    }

    private static TestConnector connector() {
        return CONNECTORS.computeIfAbsent("matrix", name -> TestConnector.create(kehu.caller("operator"), name, name));
    }

    private static void exports(Map<String, Fixture> fixtures) {
        fixtures.put(
                "createExport",
                (cast, relation) -> new Request(
                        "/v1/exports", "{\"columns\": [\"name\"], \"format\": \"csv\", \"purpose\": \"service\"}"));
        fixtures.put(
                "createAnalysisExport",
                (cast, relation) -> new Request(
                        "/v1/exports/analysis",
                        "{\"columns\": [\"tier\"], \"format\": \"csv\", \"purpose\": \"analysis\"}"));
        fixtures.put(
                "listExports",
                (cast, relation) ->
                        new Request("/v1/exports?limit=200").mustShow(exportOf(cast.people.get(relation), false)));
        fixtures.put(
                "getExport",
                (cast, relation) -> new Request("/v1/exports/" + exportOf(cast.people.get(relation), false)));
        fixtures.put(
                "cancelExport",
                (cast, relation) ->
                        new Request("/v1/exports/" + exportOf(cast.people.get(relation), false) + "/cancel"));
        fixtures.put(
                "createExportLink",
                (cast, relation) -> new Request("/v1/exports/" + exportOf(cast.people.get(relation), true) + "/links"));
        fixtures.put("downloadExport", (cast, relation) -> {
            String token = (Ids.next() + "-" + Ids.next()).replace("-", "").substring(0, 43);
            kehu.sql("""
                    INSERT INTO customer.export_link (export_id, hash, expires_at) VALUES (?, sha256(?::bytea), kehu.now() + interval '1 hour')
                    ON CONFLICT (export_id) DO UPDATE SET hash = EXCLUDED.hash, expires_at = EXCLUDED.expires_at, used_at = NULL""", exportOf(cast.people.get(relation), true), token);
            return new Request("/v1/export-downloads/" + token);
        });
    }

    /** An export of this member of staff that nobody begins, or one that has a file. */
    private static UUID exportOf(UUID person, boolean done) {
        return EXPORTS.computeIfAbsent(person + " " + done, key -> {
            kehu.sql("""
                    WITH job AS (
                        INSERT INTO kehu.job (id, kind, params, owner_id, principal, operation, request_id, address, not_before)
                        VALUES (uuidv7(), 'customer.export', '{}', ?, '{}', 'test', 'test', 'test', kehu.now() + interval '1 day') RETURNING id)
                    INSERT INTO customer.export (id, kind, maker_id, branch_id, job_id, request, purpose, counted, newest, reach)
                    SELECT job.id, CASE WHEN s.roles && '{analyst,risk}' THEN 'analysis' ELSE 'customers' END, s.id, s.branch_id, job.id,
                        '{"format": "csv", "columns": ["kind"]}', 'service', 1, 1,
                        sha256(convert_to(t.scope || E'\n[' || (SELECT coalesce(string_agg(b::text, ', ' ORDER BY b), '') FROM unnest(t.branch_ids) b)
                            || E']\n[]', 'UTF8'))
                    FROM job, iam.staff s, iam.standing(s.id) t WHERE s.id = ?""", person, person);
            UUID id = kehu.value("SELECT max(id::text)::uuid FROM customer.export WHERE maker_id = ?", person);
            if (done) {
                kehu.sql("""
                        INSERT INTO customer.export_file (export_id, blob_id, rows, size, sha256, expires_at)
                        SELECT ?, id, 1, size, sha256, kehu.now() + interval '1 day' FROM kehu.blob WHERE id = ?""", id, freshPaper(person));
            }
            return id;
        });
    }

    private static void documents(Map<String, Fixture> fixtures) {
        fixtures.put(
                "listDocuments",
                (cast, relation) ->
                        new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/documents"));
        fixtures.put(
                "createDocument",
                (cast, relation) -> new Request(
                        "/v1/customers/" + customerOf(cast.people.get(relation)) + "/documents",
                        """
                        {"uploadId": "%s", "type": "contract", "title": "矩阵"}""".formatted(paperOf(cast.people.get(Relation.OWN)))));
        fixtures.put("getDocument", (cast, relation) -> document(cast, relation, ""));
        fixtures.put(
                "changeDocument",
                (cast, relation) -> new Request(document(cast, relation, "").path, "{\"title\": \"矩阵\"}").ifMatch(1));
        fixtures.put(
                "deleteDocument",
                (cast, relation) -> document(cast, relation, "").ifMatch(1));
        fixtures.put("getDocumentContent", (cast, relation) -> document(cast, relation, "/content"));
        fixtures.put("listDocumentVersions", (cast, relation) -> document(cast, relation, "/versions"));
        fixtures.put(
                "createDocumentVersion",
                (cast, relation) -> new Request(
                        document(cast, relation, "/versions").path,
                        "{\"uploadId\": \"" + paperOf(cast.people.get(Relation.OWN)) + "\"}"));
        fixtures.put("getDocumentVersionContent", (cast, relation) -> document(cast, relation, "/versions/1/content"));
    }

    /** A document of a customer of the one who stands in the relation; nothing has to look through it. */
    private static Request document(Cast cast, Relation relation, String end) {
        UUID person = cast.people.get(relation);
        UUID id = DOCUMENTS.computeIfAbsent(person, p ->
                (UUID) kehu.sql("""
                        WITH made AS (INSERT INTO customer.document (id, customer_id, type, made_by)
                                      VALUES (uuidv7(), ?, 'contract', ?) RETURNING id)
                        INSERT INTO customer.document_version (id, document_id, number, blob_id, size, sha256, content_type, state,
                            scanned_at, made_by)
                        SELECT uuidv7(), made.id, 1, b.id, b.size, b.sha256, b.content_type, 'clean', kehu.now(), b.owner_id
                        FROM made, kehu.blob b WHERE b.id = ? RETURNING document_id""", customerOf(p), p, freshPaper(p)).get(0).get("document_id"));
        return new Request("/v1/documents/" + id + end);
    }

    /** A whole upload of this member of staff that may become a document. */
    private static UUID paperOf(UUID person) {
        return PAPERS.computeIfAbsent(person, AuthorizationMatrixTest::freshPaper);
    }

    private static synchronized UUID freshPaper(UUID person) {
        Object roles = kehu.value("SELECT roles::text FROM iam.staff WHERE id = ?", person);
        kehu.sql(GIVE_ROLES, "{operator}", person);
        Caller owner = kehu.signIn(person);
        String path = owner.post("/v1/uploads", """
                {"purpose": "customer-document", "name": "a.pdf", "size": 8}""").is(201).header("Location");
        owner.send("PUT", path, "%PDF-1.7", "Content-Type", "application/octet-stream")
                .is(200);
        kehu.sql(GIVE_ROLES, roles, person);
        return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
    }

    private static void relations(Map<String, Fixture> fixtures) {
        fixtures.put("listRelations", (cast, relation) -> related(cast, relation, ""));
        fixtures.put("createRelation", (cast, relation) -> {
            UUID person = cast.people.get(relation);
            return new Request("/v1/customers/" + customerOf(person) + "/relations", """
                    {"role": "sibling", "customerId": "%s"}""".formatted(friendOf(person)));
        });
        fixtures.put(
                "createRelation@other",
                (cast, relation) -> new Request(
                        "/v1/customers/" + customerOf(cast.people.get(Relation.OWN)) + "/relations",
                        """
                    {"role": "sibling", "customerId": "%s"}""".formatted(friendOf(cast.people.get(relation)))));
        fixtures.put("getRelation", (cast, relation) -> new Request(relationOf(cast, relation, relation)));
        fixtures.put("getRelation@across", (cast, relation) -> new Request(relationOf(cast, Relation.OWN, relation)));
        fixtures.put(
                "changeRelation",
                (cast, relation) -> new Request(
                                relationOf(cast, Relation.OWN, relation), "{\"endsOn\": \"2030-01-01\"}")
                        .ifMatch(1));
        fixtures.put(
                "deleteRelation", (cast, relation) -> new Request(relationOf(cast, Relation.OWN, relation)).ifMatch(1));
        fixtures.put("getRelationGraph", (cast, relation) -> related(cast, relation, "/graph"));
        fixtures.put("getRelationGraph@across", (cast, relation) -> {
            relationOf(cast, Relation.OWN, relation);
            return new Request("/v1/customers/" + customerOf(cast.people.get(Relation.OWN)) + "/graph")
                    .mustShow(friendOf(cast.people.get(relation)));
        });
        fixtures.put("getCustomerGroup", (cast, relation) -> related(cast, relation, "/group"));
        fixtures.put("listHouseholds", (cast, relation) -> {
            UUID household = householdOf(cast.people.get(relation));
            return new Request("/v1/households?limit=200").mustShow(household);
        });
        fixtures.put(
                "createHousehold",
                (cast, relation) -> new Request("/v1/households", """
                {"headId": "%s", "name": "矩阵家"}""".formatted(friendOf(cast.people.get(relation)))));
        fixtures.put("getHousehold", (cast, relation) -> household(cast, relation, ""));
        fixtures.put(
                "changeHousehold",
                (cast, relation) -> new Request(household(cast, relation, "").path, "{\"name\": \"更名家\"}")
                        .ifMatch(version("customer.household", householdOf(cast.people.get(relation)))));
        fixtures.put("addHouseholdMember", (cast, relation) -> joins(cast, relation, cast.people.get(Relation.OWN)));
        fixtures.put(
                "addHouseholdMember@member", (cast, relation) -> joins(cast, Relation.OWN, cast.people.get(relation)));
        fixtures.put(
                "removeHouseholdMember",
                (cast, relation) -> household(
                        cast,
                        relation,
                        "/members/"
                                + kehu.value(
                                        "SELECT customer_id FROM customer.household_member WHERE household_id = ? AND role = 'child'",
                                        householdOf(cast.people.get(relation)))));
        fixtures.put("getHouseholdFinances", (cast, relation) -> household(cast, relation, "/finances"));
        fixtures.put(
                "getCustomerOverview",
                (cast, relation) ->
                        new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/overview"));
        fixtures.put(
                "getCustomerProfile",
                (cast, relation) -> new Request("/v1/customers/" + customerOf(cast.people.get(relation)) + "/profile"));
        fixtures.put(
                "changeCustomerProfile",
                (cast, relation) -> new Request(
                                "/v1/customers/" + customerOf(cast.people.get(relation)) + "/profile",
                                "{\"cashFlow\": {\"monthlyIncome\": \"100\"}}")
                        .ifMatch("0"));
        fixtures.put(
                "getCustomerOverview@finance",
                (cast, relation) -> new Request(
                                "/v1/customers/" + customerOf(cast.people.get(Relation.OWN)) + "/overview")
                        .mustShow("annualIncome"));
        fixtures.put("getCustomerOverview@across", (cast, relation) -> {
            relationOf(cast, Relation.OWN, relation);
            return new Request("/v1/customers/" + customerOf(cast.people.get(Relation.OWN)) + "/overview")
                    .mustShow(friendOf(cast.people.get(relation)));
        });
    }

    private static Request related(Cast cast, Relation relation, String what) {
        return new Request(
                "/v1/customers/" + customerOf(cast.people.get(relation)) + (what.isEmpty() ? "/relations" : what));
    }

    private static Request household(Cast cast, Relation relation, String what) {
        return new Request("/v1/households/" + householdOf(cast.people.get(relation)) + what);
    }

    private static Request joins(Cast cast, Relation relation, UUID person) {
        return new Request(household(cast, relation, "/members").path, """
                {"role": "child", "customerId": "%s"}""".formatted(friendOf(person)));
    }

    /** Another customer whom this member of staff looks after. */
    private static UUID friendOf(UUID person) {
        return FRIENDS.computeIfAbsent(person, AuthorizationMatrixTest::newCustomer);
    }

    /** The path of a relation between a customer of the one and a customer of the other. */
    private static String relationOf(Cast cast, Relation one, Relation other) {
        UUID from = customerOf(cast.people.get(one));
        UUID to = friendOf(cast.people.get(other));
        return "/v1/relations/"
                + RELATIONS.computeIfAbsent(from + " " + to, pair ->
                        (UUID) kehu.sql("""
                        INSERT INTO customer.relation (id, kind, from_id, to_id) VALUES (uuidv7(), 'guarantor', ?, ?)
                        RETURNING id""", from, to).get(0).get("id"));
    }

    /** A household of a customer whom this member of staff looks after, with a child. */
    private static UUID householdOf(UUID person) {
        return HOUSEHOLDS.computeIfAbsent(person, p -> {
            Caller founder = kehu.signIn(kehu.staff(DemoStaff.id("HQ"), "branch-head"));
            String path = founder.post("/v1/households", """
                    {"headId": "%s", "name": "矩阵家"}""".formatted(customerOf(p)))
                    .is(201)
                    .header("Location");
            founder.post(path + "/members", """
                    {"role": "child", "customerId": "%s"}""".formatted(newCustomer(p))).is(200);
            return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
        });
    }

    private static void duplicates(Map<String, Fixture> fixtures) {
        String path = "/v1/duplicates/";
        fixtures.put(
                "listDuplicates",
                (cast, relation) ->
                        new Request("/v1/duplicates?limit=200").mustShow(duplicateOf(cast.people.get(relation))));
        fixtures.put("getDuplicate", (cast, relation) -> new Request(path + duplicateOf(cast.people.get(relation))));
        fixtures.put(
                "dismissDuplicate",
                (cast, relation) ->
                        new Request(path + duplicateOf(cast.people.get(relation)) + "/dismiss", "{\"why\": \"矩阵\"}"));
        fixtures.put("createDuplicateScan", (cast, relation) -> new Request(path + "scans", "{}"));
        fixtures.put(
                "getDuplicateScan",
                (cast, relation) -> new Request(path + "scans/" + scanOf(cast.people.get(relation))));
        fixtures.put(
                "cancelDuplicateScan",
                (cast, relation) -> new Request(path + "scans/" + scanOf(cast.people.get(relation)) + "/cancel"));
    }

    /** A pair of customers of this member of staff, whom nobody compares meanwhile. */
    private static UUID duplicateOf(UUID person) {
        return DUPLICATES.computeIfAbsent(person, p -> {
            UUID one = newCustomer(p);
            UUID other = newCustomer(p);
            return (UUID) kehu.sql("""
                        INSERT INTO customer.duplicate AS d (id, a_id, b_id, score, level, reasons, state)
                        SELECT uuidv7(), least(p.one, p.other), greatest(p.one, p.other), 12, 'possible', '[]', 'open'
                        FROM (SELECT ?::uuid AS one, ?::uuid AS other) p
                        ON CONFLICT (a_id, b_id) DO UPDATE SET level = d.level RETURNING id""", one, other).get(0).get("id");
        });
    }

    /** A scan of this member of staff, which no node takes before tomorrow. */
    private static UUID scanOf(UUID person) {
        return SCANS.computeIfAbsent(person, p -> (UUID) kehu.sql("""
                        INSERT INTO kehu.job (id, kind, params, owner_id, principal, operation, request_id, address, not_before)
                        VALUES (uuidv7(), 'customer.duplicates', '{}', ?, '{}', 'test', 'test', 'test', kehu.now() + interval '1 day')
                        RETURNING id""", p).get(0).get("id"));
    }

    private static void enrichments(Map<String, Fixture> fixtures) {
        String sources = "/v1/enrichment-sources";
        String path = "/v1/enrichment-proposals/";
        fixtures.put("listEnrichmentSources", (cast, relation) -> new Request(sources).mustShow(PAGE));
        fixtures.put("createEnrichmentSource", (cast, relation) -> new Request(sources, """
                {"code": "new-one", "name": "矩阵", "host": "matrix.example", "path": "/{name}", "fields": [{"field": "name", "pointer": "/name"}]}"""));
        fixtures.put("getEnrichmentSource", (cast, relation) -> new Request(sources + "/" + PAGE));
        fixtures.put(
                "changeEnrichmentSource",
                (cast, relation) -> new Request(sources + "/" + PAGE, "{\"name\": \"改名\"}").ifMatch(1));
        fixtures.put(
                "startEnrichment",
                (cast, relation) -> new Request(
                        "/v1/customers/" + organisationOf(cast.people.get(relation)) + "/enrichments",
                        "{\"sourceId\": \"" + PAGE + "\"}"));
        fixtures.put(
                "listEnrichmentProposals",
                (cast, relation) -> new Request("/v1/enrichment-proposals?limit=200")
                        .mustShow(proposalOf(cast.people.get(relation))));
        fixtures.put(
                "getEnrichmentProposal", (cast, relation) -> new Request(path + proposalOf(cast.people.get(relation))));
        fixtures.put(
                "acceptEnrichmentProposal",
                (cast, relation) -> new Request(path + proposalOf(cast.people.get(relation)) + "/accept")
                        .ifMatch(version("customer.customer", organisationOf(cast.people.get(relation)))));
        fixtures.put(
                "rejectEnrichmentProposal",
                (cast, relation) ->
                        new Request(path + proposalOf(cast.people.get(relation)) + "/reject", "{\"why\": \"矩阵\"}"));
    }

    private static void changeRequests(Map<String, Fixture> fixtures) {
        String path = "/v1/change-requests/";
        fixtures.put(
                "withdrawOwnChangeRequest",
                (cast, relation) ->
                        new Request("/v1/members/me/change-requests/" + changeRequestOf(cast.people.get(relation))));
        fixtures.put(
                "listChangeRequests",
                (cast, relation) -> new Request("/v1/change-requests?limit=200")
                        .mustShow(changeRequestOf(cast.people.get(relation))));
        fixtures.put(
                "getChangeRequest", (cast, relation) -> new Request(path + changeRequestOf(cast.people.get(relation))));
        fixtures.put(
                "acceptChangeRequest",
                (cast, relation) -> new Request(
                                path + changeRequestOf(cast.people.get(relation)) + "/accept",
                                "{\"identity\": {\"method\": \"document\"}}")
                        .ifMatch(version("customer.customer", organisationOf(cast.people.get(relation)))));
        fixtures.put(
                "rejectChangeRequest",
                (cast, relation) -> new Request(
                        path + changeRequestOf(cast.people.get(relation)) + "/reject", "{\"why\": \"矩阵\"}"));
    }

    /** What that organisation wants changed. */
    private static UUID changeRequestOf(UUID person) {
        return CHANGE_REQUESTS.computeIfAbsent(person, p -> {
            UUID customer = organisationOf(p);
            Map<String, Object> key = kehu.sql(
                            "SELECT epoch, wrapped FROM kehu.data_key WHERE subject_id = ?", customer)
                    .get(0);
            byte[] asked = kehu.vault()
                    .seal(
                            kehu.vault().key(customer, (Integer) key.get("epoch"), (byte[]) key.get("wrapped")),
                            "customer.change_request",
                            "C2",
                            "{\"change\": {\"channel\": \"app\"}}".getBytes(StandardCharsets.UTF_8));
            return (UUID) kehu.sql(
                            "INSERT INTO customer.change_request (id, customer_id, fields, asked)"
                                    + " VALUES (uuidv7(), ?, '{channel}', ?) RETURNING id",
                            customer,
                            asked)
                    .get(0)
                    .get("id");
        });
    }

    /** An organisation that this member of staff looks after. */
    private static UUID organisationOf(UUID person) {
        return ORGANISATIONS.computeIfAbsent(
                person,
                p -> UUID.fromString(kehu.signIn(DemoStaff.id("marketing"))
                        .post("/v1/customers", """
                {"kind": "organisation", "name": "矩阵公司", "branchId": "%s", "managerId": "%s"}""".formatted(
                                        kehu.value("SELECT branch_id FROM iam.staff WHERE id = ?", p), p))
                        .is(201)
                        .at("/id")
                        .asText()));
    }

    /** What a page says of that organisation. */
    private static UUID proposalOf(UUID person) {
        return PROPOSALS.computeIfAbsent(person, p -> {
            UUID customer = organisationOf(p);
            Map<String, Object> key = kehu.sql(
                            "SELECT epoch, wrapped FROM kehu.data_key WHERE subject_id = ?", customer)
                    .get(0);
            byte[] value = kehu.vault()
                    .seal(
                            kehu.vault().key(customer, (Integer) key.get("epoch"), (byte[]) key.get("wrapped")),
                            "customer.enrichment_proposal",
                            "C2",
                            "矩阵新公司".getBytes(StandardCharsets.UTF_8));
            return (UUID) kehu.sql(
                            "INSERT INTO customer.enrichment_proposal (id, customer_id, source_id, field, value)"
                                    + " VALUES (uuidv7(), ?, ?, 'name', ?) RETURNING id",
                            customer,
                            PAGE,
                            value)
                    .get(0)
                    .get("id");
        });
    }

    private static void rights(Map<String, Fixture> fixtures) {
        String spare = "/v1/roles/matrix-spare";
        fixtures.put("getRole", (cast, relation) -> new Request(spare));
        fixtures.put("createRole", (cast, relation) -> new Request("/v1/roles", """
                {"code": "another", "nameEn": "Another", "nameZh": "另一个", "scope": "own", "permissions": ["branch:read"]}"""));
        fixtures.put("changeRole", (cast, relation) -> new Request(spare, "{\"nameEn\": \"Renamed\"}").ifMatch(1));
        fixtures.put("deleteRole", (cast, relation) -> new Request(spare).ifMatch(1));
        fixtures.put("createDutyConflict", (cast, relation) -> new Request("/v1/duty-conflicts", """
                {"first": "clock:manage", "second": "customer:read", "reason": "矩阵"}"""));
        fixtures.put(
                "deleteDutyConflict",
                (cast, relation) -> new Request(
                        "/v1/duty-conflicts/" + kehu.value("SELECT id FROM iam.duty_conflict WHERE NOT built_in")));
        fixtures.put(
                "listGrants",
                (cast, relation) -> new Request("/v1/grants?limit=200").mustShow(grantTo(cast.people.get(relation))));
        fixtures.put("getGrant", (cast, relation) -> new Request("/v1/grants/" + grantTo(cast.people.get(relation))));
        fixtures.put(
                "endGrant",
                (cast, relation) -> new Request("/v1/grants/" + grantTo(cast.people.get(relation)) + "/end"));
        fixtures.put(
                "createGrant",
                (cast, relation) -> new Request("/v1/grants", """
                {"staffId": "%s", "permissions": ["branch:read"], "endsAt": "%s", "reason": "矩阵"}""".formatted(cast.people.get(relation), tomorrow())));
        fixtures.put(
                "createPermissionRequest",
                (cast, relation) -> new Request("/v1/permission-requests", """
                {"permissions": ["branch:read"], "endsAt": "%s", "reason": "矩阵"}""".formatted(tomorrow())));
        fixtures.put(
                "listPermissionRequests",
                (cast, relation) -> new Request("/v1/permission-requests?limit=200")
                        .mustShow(requestOf(cast.people.get(relation))));
        fixtures.put(
                "listPermissionRequests@review",
                (cast, relation) -> new Request("/v1/permission-requests?limit=200&view=review")
                        .mustShow(requestOf(cast.people.get(relation))));
        fixtures.put("getPermissionRequest", (cast, relation) -> request(cast, relation, "", null));
        fixtures.put("approvePermissionRequest", (cast, relation) -> request(cast, relation, "/approve", null));
        fixtures.put(
                "rejectPermissionRequest",
                (cast, relation) -> request(cast, relation, "/reject", "{\"reason\": \"矩阵\"}"));
        fixtures.put("withdrawPermissionRequest", (cast, relation) -> request(cast, relation, "/withdraw", null));
        fixtures.put(
                "getStaffRights",
                (cast, relation) -> new Request("/v1/staff/" + cast.people.get(relation) + "/rights"));
        fixtures.put("listRightHolders", (cast, relation) -> new Request("/v1/rights?permission=customer:read"));
    }

    private static void factors(Map<String, Fixture> fixtures) {
        fixtures.put("listSessions", (cast, relation) -> {
            UUID person = cast.people.get(relation);
            return new Request("/v1/sessions?staffId=" + person);
        });
        fixtures.put(
                "endSession", (cast, relation) -> new Request("/v1/sessions/" + sessionOf(cast.people.get(relation))));
        fixtures.put(
                "endSessions", (cast, relation) -> new Request("/v1/sessions?staffId=" + cast.people.get(relation)));
        fixtures.put("enrolSms", (cast, relation) -> {
            TestFactors.phone(kehu, cast.people.get(Relation.OWN));
            return new Request("/v1/auth/factors/sms");
        });
        fixtures.put("confirmFactor", (cast, relation) -> {
            UUID person = cast.people.get(relation);
            Map.Entry<UUID, String> pending = relation == Relation.OWN
                    ? TestFactors.pendingTotp(kehu, person)
                    : Map.entry(TestFactors.factor(kehu, person, "passkey", "pending"), "123456");
            return new Request(
                    "/v1/auth/factors/" + pending.getKey() + "/confirm", "{\"code\": \"" + pending.getValue() + "\"}");
        });
        fixtures.put(
                "removeFactor",
                (cast, relation) -> new Request("/v1/auth/factors/"
                        + TestFactors.factor(kehu, cast.people.get(relation), "passkey", "pending")));
        fixtures.put("renewRecoveryCodes", (cast, relation) -> {
            TestFactors.sms(kehu, cast.people.get(Relation.OWN));
            return new Request("/v1/auth/factors/recovery-codes");
        });
        fixtures.put("finishSignIn", (cast, relation) -> {
            UUID person = cast.people.get(Relation.OWN);
            return new Request(
                    "/v1/auth/factor",
                    TestFactors.secondStep(
                            TestFactors.challenge(kehu, person), "recovery", TestFactors.recoveryCode(kehu, person)));
        });
        fixtures.put("sendSignInCode", (cast, relation) -> {
            UUID person = cast.people.get(Relation.OWN);
            TestFactors.sms(kehu, person);
            return new Request(
                    "/v1/auth/factor/code", "{\"challenge\": \"" + TestFactors.challenge(kehu, person) + "\"}");
        });
        fixtures.put(
                "stepUp",
                (cast, relation) -> new Request("/v1/auth/step-up", """
                {"method": "recovery", "code": "%s"}""".formatted(
                                TestFactors.recoveryCode(kehu, cast.people.get(Relation.OWN)))));
        fixtures.put("sendStepUpCode", (cast, relation) -> {
            TestFactors.sms(kehu, cast.people.get(Relation.OWN));
            return new Request("/v1/auth/step-up/code");
        });
    }

    /** A session of this person that goes on. */
    private static Object sessionOf(UUID person) {
        kehu.signIn(person);
        return kehu.value("SELECT id FROM iam.session WHERE subject_id = ? ORDER BY started_at DESC LIMIT 1", person);
    }

    private static Request request(Cast cast, Relation relation, String end, @Nullable String body) {
        String path = "/v1/permission-requests/" + requestOf(cast.people.get(relation)) + end;
        return body == null ? new Request(path) : new Request(path, body);
    }

    private static void fields(Map<String, Fixture> fixtures) {
        fixtures.put(
                "getCustomer@finance",
                (cast, relation) -> new Request("/v1/customers/" + customerOf(cast.people.get(Relation.OWN)))
                        .mustShow("annualIncome"));
        fixtures.put(
                "getCustomer@then",
                (cast, relation) -> new Request(
                                "/v1/customers/" + customerOf(cast.people.get(Relation.OWN)) + "?asOf="
                                        + kehu.value(
                                                "SELECT to_char(kehu.now() - interval '30 seconds', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"))
                        .mustShow("annualIncome"));
        fixtures.put(
                "listCustomers@finance",
                (cast, relation) -> new Request("/v1/customers?limit=200").mustShow("\"assets\""));
        fixtures.put(
                "getCustomerStatistics@finance",
                (cast, relation) -> new Request("/v1/customers/statistics").mustShow("\"assets\""));
        fixtures.put(
                "queryCustomerStatistics@finance",
                (cast, relation) -> new Request(
                                "/v1/customers/statistics", "{\"filter\": {\"field\": \"kind\", \"is\": \"person\"}}")
                        .mustShow("\"assets\""));
        fixtures.put(
                "queryCustomerStatistics@aboveAssets",
                (cast, relation) -> new Request(
                        "/v1/customers/statistics", "{\"filter\": {\"field\": \"assets\", \"from\": \"1\"}}"));
        fixtures.put(
                "searchCustomers@byFilter",
                (cast, relation) -> new Request(
                        "/v1/customers/search", "{\"filter\": {\"not\": {\"field\": \"assets\", \"from\": \"1\"}}}"));
        fixtures.put("listCustomers@byAssets", (cast, relation) -> new Request("/v1/customers?sort=assets"));
        fixtures.put("listCustomers@aboveAssets", (cast, relation) -> new Request("/v1/customers?assetsFrom=1"));
        fixtures.put(
                "searchCustomers@byAssets",
                (cast, relation) -> new Request("/v1/customers/search", "{\"sort\": \"assets\"}"));
        fixtures.put(
                "searchCustomers@aboveAssets",
                (cast, relation) -> new Request("/v1/customers/search", "{\"assetsTo\": \"9\"}"));
        fixtures.put(
                "createCustomer@finance",
                (cast, relation) -> new Request(
                        "/v1/customers", "{\"kind\": \"person\", \"name\": \"新客户\", \"liabilities\": \"5\"}"));
        fixtures.put("changeCustomer@finance", (cast, relation) -> {
            UUID customer = customerOf(cast.people.get(Relation.OWN));
            return new Request("/v1/customers/" + customer, "{\"annualIncome\": \"5\"}")
                    .ifMatch(version("customer.customer", customer));
        });
        fixtures.put(
                "createExport@finance",
                (cast, relation) -> new Request(
                        "/v1/exports", "{\"columns\": [\"assets\"], \"format\": \"csv\", \"purpose\": \"service\"}"));
        fixtures.put(
                "createAnalysisExport@finance",
                (cast, relation) -> new Request(
                        "/v1/exports/analysis",
                        "{\"columns\": [\"assetsBand\"], \"format\": \"csv\", \"purpose\": \"analysis\"}"));
        fixtures.put(
                "createExport@unmask",
                (cast, relation) -> new Request(
                        "/v1/exports",
                        "{\"columns\": [\"phone\"], \"format\": \"csv\", \"purpose\": \"service\", \"unmask\": [\"phone\"]}"));
        fixtures.put("createImport@finance", (cast, relation) -> {
            Request plain = fixtures.get("createImport").request(cast, relation);
            return new Request(plain.path, plain.body.replace("\"person\"", """
                    "person", "fields": [{"field": "assets", "column": "a"}]"""));
        });
        fixtures.put(
                "getCustomer@unmask",
                (cast, relation) -> new Request(
                                "/v1/customers/" + customerOf(cast.people.get(Relation.OWN)) + "?unmask=phone")
                        .with("Kehu-Purpose", "identity-check"));
    }

    /** What changes while the caller is signed in counts at once. */
    private static void changes(Map<String, Fixture> fixtures) {
        fixtures.put(
                "getCustomer@moved",
                (cast, relation) -> new Request("/v1/customers/" + customerOf(moved(cast, relation))).by(moved(cast)));
        fixtures.put(
                "listCustomers@moved",
                (cast, relation) -> new Request("/v1/customers?limit=200")
                        .mustShow(customerOf(moved(cast, relation)))
                        .by(moved(cast)));
        fixtures.put(
                "listStaff@moved",
                (cast, relation) -> new Request("/v1/staff?limit=200")
                        .mustShow(cast.people.get(relation == Relation.OWN ? Relation.SAME_BRANCH : relation))
                        .by(moved(cast)));
        fixtures.put("getCustomer@handed", (cast, relation) -> new Request("/v1/customers/" + handed(cast, relation)));
        fixtures.put(
                "listCustomers@handed",
                (cast, relation) -> new Request("/v1/customers?limit=200").mustShow(handed(cast, relation)));
    }

    /** Of the same role, signed in before somebody moved him from the one branch to the other; his customers stayed. */
    private static Caller moved(Cast cast) {
        return MOVED.computeIfAbsent(cast.role, role -> {
            if (role.equals(ANONYMOUS)) {
                return kehu.anonymous();
            }
            UUID self = kehu.staff(DemoStaff.id("SH-PD"), role);
            customerOf(self);
            Caller before = kehu.signIn(self);
            before.get("/v1/auth/me").is(200);
            kehu.signIn(DemoStaff.id("admin"))
                    .patch("/v1/staff/" + self, "\"1\"", "{\"branchId\": \"" + DemoStaff.id("BJ-CY") + "\"}")
                    .is(200);
            await().atMost(ONE_SECOND)
                    .untilAsserted(() -> before.get("/v1/auth/me").is(401, "auth.revoked"));
            return kehu.signIn(self);
        });
    }

    private static UUID moved(Cast cast, Relation relation) {
        Caller caller = moved(cast);
        return relation == Relation.OWN && !cast.role.equals(ANONYMOUS) ? caller.id : cast.people.get(relation);
    }

    /** A customer whom the caller looked after, and saw, before he was handed over. */
    private static UUID handed(Cast cast, Relation relation) {
        return HANDED.computeIfAbsent(cast.role + relation, key -> {
            UUID customer = newCustomer(cast.people.get(Relation.OWN));
            String path = "/v1/customers/" + customer;
            int before = cast.caller.get(path).status();
            assertThat(before).as(key + " before").isIn(200, 401, 403);
            UUID to = cast.people.get(relation);
            kehu.signIn(DemoStaff.id("marketing"))
                    .patch(path, "\"1\"", """
                    {"branchId": "%s", "managerId": "%s"}""".formatted(
                                    kehu.value("SELECT branch_id FROM iam.staff WHERE id = ?", to), to))
                    .is(200);
            return customer;
        });
    }

    private static final String UPLOAD = """
            {"purpose": "customer-import", "name": "list.csv", "size": 3}""";
    private static final Map<UUID, UUID> CUSTOMERS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> INTERACTIONS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> DELETED = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> ERASURES = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> JOBS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> IMPORTS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> UPLOADS = new ConcurrentHashMap<>();
    private static final UUID SEGMENT = Ids.next();
    private static final Map<UUID, UUID> FRIENDS = new ConcurrentHashMap<>();
    private static final Map<String, UUID> RELATIONS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> HOUSEHOLDS = new ConcurrentHashMap<>();
    private static final UUID CATEGORY = Ids.next();
    private static final UUID TAG = Ids.next();
    private static final UUID RULE = Ids.next();
    private static final UUID PAGE = Ids.next();
    private static final Map<UUID, UUID> ORGANISATIONS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> CHANGE_REQUESTS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> PROPOSALS = new ConcurrentHashMap<>();
    private static final String CONDITION = "{\"field\": \"kind\", \"is\": \"person\"}";
    private static final Map<UUID, UUID> TWINS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> MERGES = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> TAGS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> DUPLICATES = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> SCANS = new ConcurrentHashMap<>();
    private static final Map<String, UUID> EXPORTS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> DOCUMENTS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> PAPERS = new ConcurrentHashMap<>();
    private static final Map<String, String> PULLS = new ConcurrentHashMap<>();
    private static final String PULL = """
            {"url": "https://source.invalid/", "format": "json", "intervalMinutes": 60, "enabled": false}""";
    private static final Map<UUID, UUID> CLEANINGS = new ConcurrentHashMap<>();
    private static final Map<String, TestConnector> CONNECTORS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> GRANTS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> REQUESTS = new ConcurrentHashMap<>();
    private static final Map<UUID, UUID> KEYS = new ConcurrentHashMap<>();
    private static final Map<String, Caller> MOVED = new ConcurrentHashMap<>();
    private static final Map<String, UUID> HANDED = new ConcurrentHashMap<>();

    /** A customer whom this member of staff looks after. */
    private static UUID customerOf(UUID person) {
        return CUSTOMERS.computeIfAbsent(person, AuthorizationMatrixTest::newCustomer);
    }

    private static UUID newCustomer(UUID person) {
        UUID customer = UUID.fromString(kehu.signIn(DemoStaff.id("marketing"))
                .post("/v1/customers", """
                {"kind": "person", "name": "矩阵客户", "branchId": "%s", "managerId": "%s"}""".formatted(
                                kehu.value("SELECT branch_id FROM iam.staff WHERE id = ?", person), person))
                .is(201)
                .at("/id")
                .asText());
        // Marketing may not enter them; and there is a past to look at.
        kehu.sql("""
                UPDATE customer.customer SET assets = 7, annual_income = 8, liabilities = 9,
                    valid_from = valid_from - interval '1 minute' WHERE id = ?""", customer);
        return customer;
    }

    private static String tomorrow() {
        return kehu.value("SELECT to_char(kehu.now() + interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    }

    /** A grant to this member of staff. */
    private static UUID grantTo(UUID person) {
        return GRANTS.computeIfAbsent(
                person, p -> (UUID) kehu.sql("""
                        INSERT INTO iam.grant (id, staff_id, roles, permissions, branch_ids, customer_ids, reason, starts_at,
                                               ends_at, given_by)
                        VALUES (uuidv7(), ?, '{}', '{branch:read}', '{}', '{}', '矩阵', kehu.now(),
                                kehu.now() + interval '1 day', uuidv7()) RETURNING id""", p).get(0).get("id"));
    }

    /** A request of this member of staff, for something that every reviewer has himself. */
    private static UUID requestOf(UUID person) {
        return REQUESTS.computeIfAbsent(
                person, p -> (UUID) kehu.sql("""
                        INSERT INTO iam.permission_request (id, staff_id, roles, permissions, branch_ids, customer_ids, reason,
                                                            ends_at, lapses_at)
                        VALUES (uuidv7(), ?, '{}', '{branch:read}', '{}', '{}', '矩阵', kehu.now() + interval '1 day',
                                kehu.now() + interval '1 day') RETURNING id""", p).get(0).get("id"));
    }

    /** Takes the lock of rights before the row, as Kehu does: the other columns change staff meanwhile. */
    private static final String GIVE_ROLES = """
            WITH alone AS MATERIALIZED (SELECT iam.lock_rights()::text AS held)
            UPDATE iam.staff SET roles = ?::text[] FROM alone WHERE id = ? AND held IS NOT NULL""";

    /** An upload that this member of staff began, when he still was an operator too. */
    private static synchronized UUID uploadOf(UUID person) {
        Object roles = kehu.value("SELECT roles::text FROM iam.staff WHERE id = ?", person);
        kehu.sql(GIVE_ROLES, "{operator}", person);
        UUID upload = UUID.fromString(kehu.signIn(person)
                .post("/v1/uploads", UPLOAD)
                .is(201)
                .at("/id")
                .asText());
        kehu.sql(GIVE_ROLES, roles, person);
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

    /** A cleaning of this member of staff that begins tomorrow. */
    private static UUID cleaningOf(UUID person) {
        return CLEANINGS.computeIfAbsent(
                person, p -> (UUID) kehu.sql("""
                        INSERT INTO kehu.job (id, kind, params, owner_id, principal, operation, request_id, address, not_before)
                        VALUES (uuidv7(), 'customer.cleaning', '{"action": "tidy-text", "dryRun": true}', ?, '{}', 'test', 'test', 'test',
                            kehu.now() + interval '1 day')
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

    private static UUID passkeyOf(UUID person) {
        return KEYS.computeIfAbsent(person, p -> TestAuthenticator.row(kehu, p));
    }

    private static final AtomicInteger MEMBERS = new AtomicInteger();
    private static @Nullable String member;

    /** The sign-in name of a customer with an account. */
    private static String member() {
        if (member == null) {
            member = TestMembers.account(kehu, TestMembers.aPerson(kehu).customer());
        }
        return member;
    }

    /** A partner with one key. */
    private record PartnerKey(UUID clientId, UUID keyId, String secret) {}

    private static @Nullable PartnerKey partnerKey;

    private static PartnerKey partner() {
        if (partnerKey == null) {
            Caller administrator = kehu.signIn(DemoStaff.id("admin"));
            String path = administrator.post("/v1/partners", """
                    {"name": "matrix", "purpose": "矩阵", "permissions": ["event:read"]}""").is(201).header("Location");
            Answer key = administrator.post(path + "/keys", "{\"days\": 1}").is(201);
            partnerKey = new PartnerKey(
                    UUID.fromString(key.at("/clientId").asText()),
                    UUID.fromString(key.at("/id").asText()),
                    key.at("/clientSecret").asText());
        }
        return partnerKey;
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

    private static String freshResetToken() {
        return kehu.signIn(DemoStaff.id("admin"))
                .post("/v1/staff/" + kehu.staff(DemoStaff.id("SH-PD"), "analyst") + "/password-reset", null)
                .is(200)
                .at("/token")
                .asText();
    }

    /** Two of the same thing that every column looks at: made once. */
    private static void common() {
        kehu.sql("""
                INSERT INTO iam.role (code, name_en, name_zh, scope, permissions)
                VALUES ('matrix-spare', 'Spare', '备用', 'OWN', '{branch:read}')""");
        kehu.sql("""
                INSERT INTO iam.duty_conflict (id, first, second, reason)
                VALUES (uuidv7(), 'clock:manage', 'customer:import', '矩阵')""");
        kehu.sql("""
                INSERT INTO customer.tag_category (id, code, name_en, name_zh, tree, depth)
                VALUES (?, 'matrix', 'Matrix', '矩阵', 'matrix!', 0)""", CATEGORY);
        kehu.sql("""
                INSERT INTO customer.tag (id, category_id, code, name_en, name_zh, made_by)
                VALUES (?, ?, 'matrix', 'Matrix', '矩阵', 'hand')""", TAG, CATEGORY);
        kehu.sql("""
                INSERT INTO customer.grading_rule (id, kind, name, condition, priority, result)
                VALUES (?, 'class', '矩阵', ?::jsonb, 1, 'A')""", RULE, CONDITION);
        kehu.sql("""
                INSERT INTO customer.enrichment_source (id, code, name, host, path, fields, enabled)
                VALUES (?, 'matrix', '矩阵', 'matrix.example', '/{name}', '[{"field": "name", "pointer": "/name"}]', true)""", PAGE);
    }

    @BeforeAll
    static void start() {
        provider = TestProvider.start(folder);
        directory = TestDirectory.start(provider.certificate());
        directory.add("matrix.ldap", "matrix", "matrix");
        Map<String, String> settings = directory.settings();
        settings.putAll(provider.settings());
        settings.putAll(TestAuthenticator.settings());
        settings.putAll(Map.of(
                "KEHU_RATE_PER_ADDRESS_PER_SECOND", "100000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND", "100000",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000",
                "KEHU_RATE_LOGIN_PER_MINUTE", "100000",
                "KEHU_AUTH_CODES_PER_HOUR", "1000",
                "KEHU_ENRICHMENT_HOSTS", "matrix.example",
                "KEHU_CONNECTORS_HOSTS", "source.invalid"));
        settings.putAll(Map.of(
                "KEHU_DUPLICATES_AT_ONCE", "0",
                "KEHU_DUPLICATES_UNASKED_ROWS", "0",
                "KEHU_DUPLICATES_CALM_MILLIS", "3600000"));
        kehu = TestKehu.start(settings);
        common();
        Caller administrator = kehu.signIn(DemoStaff.id("admin"));
        Caller owner = kehu.caller("analyst");
        device = TestAuthenticator.of(owner, 0);
        passkeyDraft = TestAuthenticator.freshDraft(owner);
        String mappings = """
                {"items": [{"source": "%s", "group": "matrix", "roles": ["analyst"], "branchId": "%s"},
                           {"source": "ldap", "group": "matrix", "roles": ["analyst"], "branchId": "%s"}]}""".formatted(TestProvider.NAME, DemoStaff.id("HQ"), DemoStaff.id("HQ"));
        administrator
                .send(
                        "PUT",
                        "/v1/group-mappings",
                        mappings,
                        "If-Match",
                        administrator.get("/v1/group-mappings").etag())
                .is(200);
    }

    @AfterAll
    static void stop() {
        kehu.close();
        directory.close();
        provider.close();
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
        Map<String, Operation> operations = new LinkedHashMap<>();
        Contract.load(3000).operations().forEach(operation -> operations.put(operation.id(), operation));
        assertThat(matrix.keySet())
                .as("operations with a row")
                .containsAll(operations.keySet())
                .allSatisfy(row -> assertThat(operations).containsKey(row.replaceFirst("@.*", "")));
        Set<String> roles = kehu.sql("SELECT code FROM iam.role WHERE built_in").stream()
                .map(row -> row.get("code").toString())
                .collect(Collectors.toSet());
        assertThat(matrix.values())
                .allSatisfy(row -> assertThat(row.keySet())
                        .as("columns")
                        .containsAll(roles)
                        .contains(ANONYMOUS)
                        .hasSize(roles.size() + 1));
        AtomicInteger cells = new AtomicInteger();
        List<String> leaks = Collections.synchronizedList(new ArrayList<>());
        List<String> wrong = Collections.synchronizedList(new ArrayList<>());
        // What the columns share is made beforehand, so that they may run side by side.
        cast(ANONYMOUS).people.values().forEach(person -> {
            customerOf(person);
            UPLOADS.computeIfAbsent(person, AuthorizationMatrixTest::uploadOf);
        });
        ExecutorService columns = Executors.newFixedThreadPool(COLUMNS_AT_ONCE);
        try {
            CompletableFuture.allOf(matrix.values().iterator().next().keySet().stream()
                            .map(role -> CompletableFuture.runAsync(
                                    () -> cells.addAndGet(column(matrix, operations, cast(role), leaks, wrong)),
                                    columns))
                            .toArray(CompletableFuture[]::new))
                    .join();
        } finally {
            columns.shutdownNow();
        }
        System.out.println("authorization matrix: " + cells + " cells, " + leaks.size() + " leaks");
        assertThat(leaks).as("leaks").isEmpty();
        assertThat(wrong)
                .as("cells that refuse what the table allows, or otherwise")
                .isEmpty();
    }

    private static int column(
            Map<String, Map<String, String>> matrix,
            Map<String, Operation> operations,
            Cast cast,
            List<String> leaks,
            List<String> wrong) {
        int cells = 0;
        for (Map.Entry<String, Map<String, String>> row : matrix.entrySet()) {
            String cell = row.getValue().get(cast.role);
            assertThat(cell).as(row.getKey() + " " + cast.role).isIn(WORDS);
            Operation operation = operations.get(row.getKey().replaceFirst("@.*", ""));
            for (Relation relation : Relation.values()) {
                cells++;
                check(row.getKey(), operation, cast, relation, cell, leaks, wrong);
            }
        }
        return cells;
    }

    /** The table itself keeps two promises, whatever operations come. */
    @Test
    void whoManagesStaffSeesNoCustomersAndTheAuditorChangesNothing() {
        Map<String, Map<String, String>> matrix = matrix();
        int seen = 0;
        for (Operation operation : Contract.load(3000).operations()) {
            String permission = operation.permission();
            if (permission == null) {
                continue;
            }
            Map<String, String> row = matrix.get(operation.id());
            if (permission.startsWith("customer:")) {
                seen++;
                assertThat(row.get("administrator")).as(operation.id()).isEqualTo("-");
            }
            if (operation.kind() == Operation.Kind.COMMAND && !permission.endsWith(":read")) {
                seen++;
                assertThat(row.get("auditor")).as(operation.id()).isEqualTo("-");
            }
        }
        assertThat(seen).isGreaterThan(20);
    }

    /**
     * Wherever an operation on customers names a field that needs a permission of its own, in what it takes or answers, a row
     * with an {@code @} says how it is kept.
     */
    @Test
    void everyWayToAProtectedFieldHasARow() {
        Contract contract = Contract.load(3000);
        Set<String> rows = matrix().keySet();
        List<String> ways = new ArrayList<>();
        for (Permissions.Permission permission : Permissions.of(contract).all()) {
            if (permission.kind() != Permissions.Kind.FIELD) {
                continue;
            }
            String domain = permission.code().replaceFirst(":.*", ":");
            for (Operation operation : contract.operations()) {
                String asked = operation.permission();
                if (asked != null && asked.startsWith(domain) && names(contract, operation, permission.fields())) {
                    ways.add(operation.id());
                    assertThat(rows)
                            .as(operation.id() + " and " + permission.code())
                            .anyMatch(row -> row.startsWith(operation.id() + "@"));
                }
            }
        }
        assertThat(ways).contains("getCustomer", "listCustomers", "searchCustomers", "createCustomer", "createImport");
    }

    private static boolean names(Contract contract, Operation operation, List<String> fields) {
        JsonNode declared = contract.document()
                .at("/paths/" + operation.path().replace("/", "~1") + "/"
                        + operation.method().toLowerCase(java.util.Locale.ROOT));
        Set<String> words = new java.util.HashSet<>();
        words(contract.document(), declared, words, new java.util.HashSet<>());
        return fields.stream().anyMatch(words::contains);
    }

    /** Names of properties and parameters, and words that can be chosen from. */
    private static void words(JsonNode document, JsonNode node, Set<String> words, Set<String> seen) {
        String ref = node.path("$ref").textValue();
        if (ref != null && seen.add(ref)) {
            words(document, document.at(ref.substring(1)), words, seen);
        }
        node.path("properties").fieldNames().forEachRemaining(words::add);
        node.path("enum").forEach(word -> words.add(word.asText()));
        if (node.has("in")) {
            words.add(node.path("name").asText().replaceFirst("(From|To)$", ""));
        }
        node.forEach(child -> words(document, child, words, seen));
    }

    /**
     * Tokens of customers and partners, whose bearers are given every permission there is: the audience alone keeps them from
     * the operations of others. Callers of these kinds come from tables of their own; here the question who calls is answered
     * by the test.
     */
    @Test
    void tokensOfOneAudienceAreWorthNothingToOperationsOfAnother() {
        kehu.sql("ALTER FUNCTION iam.principal(uuid) RENAME TO principal_of_others");
        kehu.sql("""
                CREATE FUNCTION iam.principal(session uuid)
                    RETURNS TABLE (subject_id uuid, audience text, version bigint, name text, branch_id uuid, permissions text[],
                                   scope text, branch_ids uuid[], networks text[], factor_at timestamptz)
                    LANGUAGE sql STABLE AS $$
                    SELECT * FROM iam.principal_of_others(session)
                    UNION ALL
                    SELECT e.subject_id, e.audience, 1, 'somebody', NULL,
                           ARRAY(SELECT DISTINCT p FROM iam.role r CROSS JOIN unnest(r.permissions) p), 'ALL', '{}', '{}', kehu.now()
                    FROM iam.session e WHERE e.id = session AND e.address = 'matrix'
                $$""");
        List<String> leaks = new ArrayList<>();
        int asked = 0;
        for (Principal.Audience audience : List.of(Principal.Audience.CUSTOMER, Principal.Audience.PARTNER)) {
            Caller caller = callerOf(audience);
            for (Operation operation : Contract.load(3000).operations()) {
                if (operation.isPublic() || operation.audience().contains(audience)) {
                    continue;
                }
                asked++;
                String path = operation
                        .path()
                        .replaceAll("\\{[^}]*}", UUID.randomUUID().toString());
                Answer answer = caller.send(operation.method(), path, (String) null, "Dry-Run", "true");
                if (answer.status() != 403 || !answer.code().equals("auth.audience")) {
                    leaks.add(audience + " " + operation.id() + " answered " + answer.status() + " " + answer.text());
                }
            }
        }
        System.out.println("audiences: " + asked + " operations asked, " + leaks.size() + " leaks");
        assertThat(leaks).isEmpty();
        assertThat(asked).isGreaterThan(100);
    }

    private static Caller callerOf(Principal.Audience audience) {
        UUID subject = Ids.next();
        UUID session = Ids.next();
        kehu.sql("""
                INSERT INTO iam.session (id, subject_id, audience, started_at, seen_at, ends_at, factor_at, address)
                VALUES (?, ?, ?, kehu.now(), kehu.now(), kehu.now() + interval '1 hour', kehu.now(), 'matrix')""", session, subject, audience.name());
        long now = kehu.<Long>value("SELECT floor(extract(epoch FROM kehu.now()))::bigint");
        return kehu.with(
                kehu.signer().issue(new Signer.Claims(subject, session, 1, audience, now, now, now + 300, Ids.next())));
    }

    private static boolean reaches(String cell, Relation relation) {
        return switch (cell) {
            case "yes", "all" -> true;
            case "branch" -> relation != Relation.OTHER_BRANCH;
            case "own" -> relation == Relation.OWN;
            case "others" -> relation != Relation.OWN;
            case "branch-others" -> relation == Relation.SAME_BRANCH || relation == Relation.OTHER_MANAGER;
            case "there" -> relation == Relation.OTHER_BRANCH;
            default -> false;
        };
    }

    private static void check(
            String row,
            Operation operation,
            Cast cast,
            Relation relation,
            String cell,
            List<String> leaks,
            List<String> wrong) {
        Fixture fixture = FIXTURES.getOrDefault(row, (c, r) -> new Request(operation.path()));
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
                (status == 200 ? leaks : wrong).add(row + " by " + cast.role + " answered " + status);
            }
            return;
        }
        Caller caller = request.by == null ? cast.caller : request.by;
        Answer answer = caller.send(operation.method(), request.path, request.body, headers.toArray(String[]::new));
        boolean reaches = reaches(cell, relation);
        String what = row + " by " + cast.role + " on " + relation + " (" + cell + ") answered " + answer.status() + " "
                + (answer.status() >= 400 ? answer.code() : "");
        boolean served = answer.status() / 100 == 2;
        boolean asks = !cell.equals("-");
        if (request.shown != null && asks) {
            boolean shows = served && answer.text().contains(request.shown);
            if (shows && !reaches) {
                leaks.add(what + " and shows it");
            } else if (!served || shows != reaches) {
                wrong.add(what + (shows ? "" : " and does not show it"));
            }
            return;
        }
        boolean own = relation == Relation.OWN && cell.endsWith("others");
        int refusal = own ? 409 : asks ? 404 : cast.role.equals(ANONYMOUS) ? 401 : 403;
        if (served && !reaches) {
            leaks.add(what);
        } else if (reaches != served || (!reaches && answer.status() != refusal)) {
            wrong.add(what);
        }
    }
}
