package io.kehu.iam.grant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import io.kehu.iam.TwoNodes;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class GrantTest {
    private static final Duration ONE_SECOND = Duration.ofSeconds(1);
    private static final Duration OFTEN = Duration.ofMillis(50);
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private static TwoNodes bank;
    private static TestKehu kehu;
    private static Caller administrator;

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

    private static void soon(Runnable assertion) {
        await().atMost(ONE_SECOND).pollInterval(OFTEN).untilAsserted(assertion::run);
    }

    private static List<String> seen(Caller caller) {
        Answer list = caller.get("/v1/customers?limit=200").is(200);
        List<String> ids = new ArrayList<>();
        list.at("/items").forEach(item -> ids.add(item.get("id").asText()));
        return ids;
    }

    private static List<String> found(Caller caller) {
        Answer list = caller.post("/v1/customers/search", "{\"name\": \"权限客户\", \"limit\": 200}")
                .is(200);
        List<String> ids = new ArrayList<>();
        list.at("/items").forEach(item -> ids.add(item.get("id").asText()));
        return ids;
    }

    private static String texts(UUID... ids) {
        return Stream.of(ids).map(UUID::toString).collect(Collectors.joining("\", \"", "[\"", "\"]"));
    }

    // Grants

    @Test
    void aGrantIsInForceOnTheOtherNodeWithinASecondWithTheTokenThatIsThere() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        manager.get("/v1/parameters").is(403, "auth.forbidden");
        String grant = bank.give(manager.id, "\"permissions\": [\"parameter:read\"]");
        soon(() -> manager.get("/v1/parameters").is(200));
        assertThat(manager.get(grant).is(200).at("/state").asText()).isEqualTo("active");
        assertThat(manager.get("/v1/auth/me").at("/permissions").toString()).contains("parameter:read");
        Answer ended = administrator.post(grant + "/end", null).is(200);
        assertThat(ended.at("/state").asText()).isEqualTo("over");
        assertThat(ended.at("/endedAt").isNull()).isFalse();
        soon(() -> manager.get("/v1/parameters").is(403, "auth.forbidden"));
        administrator.post(grant + "/end", null).is(409, "grant.over");
        manager.get("/v1/customers").is(200);
    }

    /** No request that begins a second after the end is served, on either node; before the beginning none is. */
    @Test
    void aGrantBeginsAndEndsByItself() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        manager.get("/v1/parameters").is(403);
        Answer made = administrator
                .post("/v1/grants", """
                {"staffId": "%s", "permissions": ["parameter:read"], "startsAt": "%s", "endsAt": "%s", "reason": "代班"}""".formatted(manager.id, bank.in(2), bank.in(4)))
                .is(201);
        assertThat(made.at("/state").asText()).isEqualTo("planned");
        OffsetDateTime from = OffsetDateTime.parse(made.at("/startsAt").asText());
        OffsetDateTime until = OffsetDateTime.parse(made.at("/endsAt").asText());
        List<Caller> nodes = List.of(manager, manager.at(bank.first));
        int served = 0;
        OffsetDateTime before;
        do {
            before = now();
            for (Caller caller : nodes) {
                int status = caller.get("/v1/parameters").status();
                OffsetDateTime after = now();
                assertThat(status).isIn(200, 403);
                served += status == 200 ? 1 : 0;
                if (status == 200) {
                    assertThat(after).as("a served request ended").isAfter(from);
                    assertThat(before).as("a served request began").isBefore(until.plusSeconds(1));
                } else {
                    boolean within = before.isAfter(from.plusSeconds(1)) && after.isBefore(until);
                    assertThat(within).as("refused in the middle of the grant").isFalse();
                }
            }
        } while (before.isBefore(until.plusSeconds(2)));
        assertThat(served).isPositive();
        assertThat(administrator.get(made.header("Location")).at("/state").asText())
                .isEqualTo("over");
    }

    private static OffsetDateTime now() {
        return OffsetDateTime.parse(bank.in(0));
    }

    @Test
    void aBranchGivenForAWhileIsSeenBesideOnesOwnCustomersWithAllBelowIt() {
        UUID colleague = kehu.staff(bank.pudong, "customer-manager");
        Caller manager = bank.at(bank.beijing, "customer-manager");
        UUID own = bank.customer(bank.beijing, manager.id);
        UUID neighbours = bank.customer(bank.beijing, null);
        UUID given = bank.customer(bank.shanghai, null);
        UUID below = bank.customer(bank.pudong, colleague);
        assertThat(seen(manager)).containsExactly(own.toString());
        bank.give(manager.id, "\"branchIds\": " + texts(bank.shanghai));
        soon(() -> assertThat(seen(manager))
                .contains(own.toString(), given.toString(), below.toString())
                .doesNotContain(neighbours.toString()));
        assertThat(found(manager))
                .contains(own.toString(), given.toString(), below.toString())
                .doesNotContain(neighbours.toString());
        manager.get("/v1/customers/" + below).is(200);
        manager.get("/v1/customers/" + neighbours).is(404, "customer.notFound");
        // The place is his for a while: he may enter and hand over there, and nowhere else but at his own desk.
        String draft = "{\"kind\": \"person\", \"name\": \"新客户\", \"branchId\": \"%s\", \"managerId\": \"%s\"}";
        manager.post("/v1/customers", draft.formatted(bank.pudong, colleague)).is(201);
        manager.post(
                        "/v1/customers",
                        "{\"kind\": \"person\", \"name\": \"新客户\", \"branchId\": \"" + bank.pudong + "\"}")
                .is(201);
        UUID neighbour = kehu.staff(bank.beijing, "customer-manager");
        manager.post("/v1/customers", draft.formatted(bank.beijing, neighbour)).is(422, "customer.managerUnknown");
        manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"新客户\"}")
                .is(201);
    }

    @Test
    void singleCustomersGivenForAWhileAreSeenAndNoOthers() {
        UUID colleague = kehu.staff(bank.pudong, "customer-manager");
        Caller manager = bank.at(bank.pudong, "customer-manager");
        UUID own = bank.customer(bank.pudong, manager.id);
        UUID given = bank.customer(bank.pudong, colleague);
        UUID far = bank.customer(bank.beijing, null);
        UUID other = bank.customer(bank.pudong, colleague);
        manager.get("/v1/customers/" + given).is(404);
        String grant = bank.give(manager.id, "\"customerIds\": " + texts(given, far));
        soon(() -> manager.get("/v1/customers/" + given).is(200));
        assertThat(seen(manager))
                .contains(own.toString(), given.toString(), far.toString())
                .doesNotContain(other.toString());
        assertThat(found(manager))
                .contains(own.toString(), given.toString(), far.toString())
                .doesNotContain(other.toString());
        manager.get("/v1/customers/" + other).is(404, "customer.notFound");
        manager.patch("/v1/customers/" + given, "\"1\"", "{\"name\": \"权限客户二\"}")
                .is(200);
        // To have been given somebody is no right to place him.
        manager.patch("/v1/customers/" + far, "\"1\"", "{\"managerId\": null}").is(200);
        manager.patch("/v1/customers/" + far, "\"2\"", "{\"branchId\": \"" + bank.shanghai + "\"}")
                .is(422, "customer.branchUnknown");
        assertThat(events(manager)).contains(given.toString()).doesNotContain(other.toString());
        administrator.post(grant + "/end", null).is(200);
        soon(() -> manager.get("/v1/customers/" + given).is(404));
        assertThat(seen(manager)).contains(own.toString()).doesNotContain(given.toString());
        assertThat(events(manager)).doesNotContain(far.toString());
    }

    /** Ids of everything the feed shows. */
    private static String events(Caller caller) {
        StringBuilder all = new StringBuilder();
        await().atMost(PATIENCE)
                .until(() -> caller.get("/v1/events?limit=1000").at("/items").size() > 0);
        for (var event : caller.get("/v1/events?limit=1000&types=customer.created,customer.changed")
                .at("/items")) {
            all.append(event.get("aggregateId").asText()).append('\n');
        }
        return all.toString();
    }

    @Test
    void whoHasNoScopeSeesWhatHeIsGivenAndNothingElse() {
        Caller clerk = kehu.signIn(kehu.staff(kehu.headOffice(), clerk()));
        UUID there = bank.customer(bank.beijing, null);
        UUID elsewhere = bank.customer(bank.pudong, null);
        bank.give(clerk.id, "\"permissions\": [\"customer:read\"]");
        soon(() -> assertThat(seen(clerk)).isEmpty());
        bank.give(clerk.id, "\"branchIds\": " + texts(bank.beijing));
        soon(() -> assertThat(seen(clerk)).contains(there.toString()).doesNotContain(elsewhere.toString()));
        assertThat(clerk.get("/v1/auth/me").at("/scope").asText()).isEqualTo("branch");
    }

    /** The code of a role without any scope. */
    private static String clerk() {
        administrator.post("/v1/roles", """
                {"code": "clerk", "nameEn": "Clerk", "nameZh": "文员", "scope": "none", "permissions": ["branch:read"]}""");
        return "clerk";
    }

    @Test
    void aRoleGivenForAWhileBringsItsScopeUnlessAPlaceIsNamed() {
        UUID far = bank.customer(bank.beijing, null);
        UUID near = bank.customer(bank.pudong, null);
        Caller everywhere = bank.at(bank.pudong, clerk());
        bank.give(everywhere.id, "\"roles\": [\"analyst\"]");
        soon(() -> assertThat(seen(everywhere)).contains(far.toString(), near.toString()));
        Caller here = bank.at(bank.pudong, clerk());
        bank.give(here.id, "\"roles\": [\"analyst\"], \"branchIds\": " + texts(bank.beijing));
        soon(() -> assertThat(seen(here)).contains(far.toString()).doesNotContain(near.toString()));
    }

    @Test
    void grantsAreListedForThoseWhoReadRightsAndForWhomTheyAre() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        Caller other = bank.at(bank.pudong, "customer-manager");
        String grant = bank.give(manager.id, "\"permissions\": [\"parameter:read\"]");
        String id = grant.substring(grant.lastIndexOf('/') + 1);
        assertThat(manager.get("/v1/grants").is(200).text()).contains(id);
        assertThat(other.get("/v1/grants").is(200).text()).doesNotContain(id);
        other.get(grant).is(404, "grant.notFound");
        Caller auditor = kehu.caller("auditor");
        assertThat(auditor.get("/v1/grants?staffId=" + manager.id + "&state=active")
                        .is(200)
                        .at("/items")
                        .size())
                .isEqualTo(1);
        assertThat(auditor.get("/v1/grants?staffId=" + manager.id + "&state=planned")
                        .is(200)
                        .at("/items")
                        .size())
                .isZero();
        auditor.post(grant + "/end", null).is(403, "auth.forbidden");
        administrator.post("/v1/grants/" + UUID.randomUUID() + "/end", null).is(404, "grant.notFound");
        Answer first = auditor.get("/v1/grants?limit=1").is(200);
        if (!first.at("/next").isNull()) {
            assertThat(auditor.get("/v1/grants?limit=1&cursor="
                                    + first.at("/next").asText())
                            .is(200)
                            .at("/items/0/id"))
                    .isNotEqualTo(first.at("/items/0/id"));
        }
    }

    @Test
    void aGrantOfNonsenseIsRefused() {
        UUID somebody = kehu.staff(bank.pudong, "customer-manager");
        String body = "{\"staffId\": \"%s\", \"endsAt\": \"%s\", \"reason\": \"代班\", %s}";
        String read = "\"permissions\": [\"parameter:read\"]";
        String hour = bank.in(3600);
        give(body.formatted(administrator.id, hour, read)).is(409, "grant.own");
        give(body.formatted(UUID.randomUUID(), hour, read)).is(422, "grant.staffUnknown");
        give(body.formatted(somebody, hour, "\"roles\": [\"emperor\"]")).is(422, "grant.roleUnknown");
        give(body.formatted(somebody, hour, "\"branchIds\": " + texts(UUID.randomUUID())))
                .is(422, "grant.branchUnknown");
        Answer unknown = give(body.formatted(somebody, hour, "\"permissions\": [\"parameter:forge\"]"))
                .is(400, "request.invalid");
        assertThat(unknown.at("/errors/0/pointer").asText()).isEqualTo("/permissions/0");
        give(body.formatted(somebody, hour, "\"roles\": []")).is(400, "request.invalid");
        give(body.formatted(somebody, hour, "\"branchIds\": []")).is(400, "request.invalid");
        Answer past = give(body.formatted(somebody, bank.in(-5), read)).is(400, "request.invalid");
        assertThat(past.at("/errors/0/code").asText()).isEqualTo("field.period");
        give(body.formatted(somebody, bank.in(367L * 86_400), read)).is(400, "request.invalid");
        give(body.formatted(somebody, hour, read + ", \"startsAt\": \"" + bank.in(7200) + "\""))
                .is(400, "request.invalid");
        give(body.formatted(somebody, hour, read + ", \"givenBy\": \"" + somebody + "\""))
                .is(400, "request.invalid");
        String many = texts(Stream.generate(UUID::randomUUID).limit(600).toArray(UUID[]::new));
        give(body.formatted(somebody, hour, "\"customerIds\": " + many)).is(201);
        give(body.formatted(somebody, hour, "\"customerIds\": " + many)).is(409, "grant.tooMany");
        give(body.formatted(
                        somebody,
                        hour,
                        "\"customerIds\": "
                                + texts(Stream.generate(UUID::randomUUID)
                                        .limit(1_001)
                                        .toArray(UUID[]::new))))
                .is(400, "request.invalid");
        UUID another = kehu.staff(bank.pudong, "customer-manager");
        for (int i = 0; i < 20; i++) {
            give(body.formatted(another, hour, read)).is(201);
        }
        give(body.formatted(another, hour, read)).is(409, "grant.tooMany");
        kehu.caller("branch-head")
                .post("/v1/grants", body.formatted(somebody, hour, read))
                .is(403, "auth.forbidden");
    }

    private static Answer give(String body) {
        return administrator.post("/v1/grants", body);
    }

    @Test
    void aDryRunGivesNothing() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        administrator
                .post("/v1/grants", """
                {"staffId": "%s", "permissions": ["parameter:read"], "endsAt": "%s", "reason": "代班"}""".formatted(manager.id, bank.in(60)), "Dry-Run", "true")
                .is(201);
        assertThat(manager.get("/v1/grants").at("/items").size()).isZero();
    }

    /** What a stream shows was decided with the rights it began with; so it ends with them, and its caller comes again. */
    @Test
    void aStreamEndsWhenTheRightsOfItsCallerChange() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        CompletableFuture<Void> byGrant = stream(manager);
        bank.give(manager.id, "\"branchIds\": " + texts(bank.beijing));
        await().atMost(PATIENCE).until(byGrant::isDone);
        String grant = """
                {"staffId": "%s", "permissions": ["parameter:read"], "endsAt": "%s", "reason": "代班"}""".formatted(manager.id, bank.in(2));
        administrator.post("/v1/grants", grant).is(201);
        soon(() -> manager.get("/v1/parameters").is(200));
        CompletableFuture<Void> byTime = stream(manager);
        await().atMost(PATIENCE).until(byTime::isDone);
        assertThat(byGrant).isCompleted();
        assertThat(byTime).isCompleted();
        // A branch that moves elsewhere takes scopes along.
        CompletableFuture<Void> byTree = stream(manager);
        UUID lone = kehu.branch(
                bank.shanghai,
                "SH-" + UUID.randomUUID().toString().substring(0, 4).toUpperCase());
        administrator
                .patch("/v1/branches/" + lone, "\"1\"", "{\"parentId\": \"" + bank.beijing + "\"}")
                .is(200);
        await().atMost(PATIENCE).until(byTree::isDone);
        assertThat(byTree).isCompleted();
    }

    /** Completes when the server ends the stream. */
    private static CompletableFuture<Void> stream(Caller caller) {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + bank.second + "/v1/events/stream"))
                .header("Authorization", "Bearer " + caller.token)
                .build();
        HttpResponse<InputStream> response = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .build()
                .sendAsync(request, HttpResponse.BodyHandlers.ofInputStream())
                .join();
        assertThat(response.statusCode()).isEqualTo(200);
        return CompletableFuture.runAsync(() -> {
            try (InputStream body = response.body()) {
                body.readAllBytes();
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    // Requests

    private static String ask(Caller caller, String gift) {
        return caller.post(
                        "/v1/permission-requests",
                        "{\"endsAt\": \"" + bank.in(3600) + "\", \"reason\": \"代班\", " + gift + "}")
                .is(201)
                .header("Location");
    }

    @Test
    void aRequestTakesEffectWhenAnotherPersonApprovesIt() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        Caller head = bank.at(bank.pudong, "branch-head");
        String request = ask(manager, "\"permissions\": [\"staff:read\"]");
        assertThat(manager.get(request).is(200).at("/state").asText()).isEqualTo("pending");
        manager.get("/v1/staff").is(403);
        manager.post(request + "/approve", null).is(403, "auth.forbidden");
        assertThat(head.get("/v1/permission-requests?view=review&state=pending&limit=200")
                        .is(200)
                        .text())
                .contains(request.substring(request.lastIndexOf('/') + 1));
        Answer approved = head.post(request + "/approve", null).is(200);
        assertThat(approved.at("/state").asText()).isEqualTo("approved");
        assertThat(approved.at("/decidedBy").asText()).isEqualTo(head.id.toString());
        soon(() -> manager.get("/v1/staff").is(200));
        Answer grant =
                manager.get("/v1/grants/" + approved.at("/grantId").asText()).is(200);
        assertThat(grant.at("/requestId")).isEqualTo(approved.at("/id"));
        assertThat(grant.at("/givenBy").asText()).isEqualTo(head.id.toString());
        head.post(request + "/approve", null).is(409, "permission.requestDecided");
        head.post(request + "/reject", "{\"reason\": \"晚了\"}").is(409, "permission.requestDecided");
        manager.post(request + "/withdraw", null).is(409, "permission.requestDecided");
    }

    @Test
    void aRequestIsRejectedWithItsReasonOrTakenBack() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        Caller head = bank.at(bank.pudong, "branch-head");
        String request = ask(manager, "\"permissions\": [\"staff:read\"]");
        head.post(request + "/reject", "{}").is(400, "request.invalid");
        head.post(request + "/reject", "{\"reason\": \"不需要\"}").is(200);
        assertThat(manager.get(request).at("/decisionReason").asText()).isEqualTo("不需要");
        head.post(request + "/approve", null).is(409, "permission.requestDecided");
        String second = ask(manager, "\"permissions\": [\"staff:read\"]");
        head.post(second + "/withdraw", null).is(404, "permission.requestNotFound");
        assertThat(manager.post(second + "/withdraw", null).is(200).at("/state").asText())
                .isEqualTo("withdrawn");
        head.post(second + "/approve", null).is(409, "permission.requestDecided");
        assertThat(manager.get("/v1/grants").at("/items").size()).isZero();
        assertThat(manager.get("/v1/permission-requests?state=rejected")
                        .at("/items")
                        .size())
                .isEqualTo(1);
        manager.get("/v1/permission-requests?view=review").is(403, "auth.forbidden");
    }

    @Test
    void nobodyDecidesAboutHimself() {
        Caller head = bank.at(bank.pudong, "branch-head");
        String request = ask(head, "\"permissions\": [\"customer:read\"]");
        head.post(request + "/approve", null).is(409, "permission.ownRequest");
        head.post(request + "/reject", "{\"reason\": \"自己\"}").is(409, "permission.ownRequest");
        assertThat(head.get(request).at("/state").asText()).isEqualTo("pending");
        String own = ask(administrator, "\"permissions\": [\"job:read\"]");
        administrator.post(own + "/approve", null).is(409, "permission.ownRequest");
        kehu.caller("administrator").post(own + "/approve", null).is(200);
    }

    @Test
    void aReviewerLendsOnlyWhatHeHasHimself() {
        UUID colleague = kehu.staff(bank.pudong, "customer-manager");
        Caller manager = bank.at(bank.pudong, "customer-manager");
        Caller head = bank.at(bank.pudong, "branch-head");
        UUID near = bank.customer(bank.pudong, colleague);
        UUID far = bank.customer(bank.beijing, null);
        for (String gift : List.of(
                "\"permissions\": [\"customer:import\"]",
                "\"roles\": [\"analyst\"]",
                "\"roles\": [\"operator\"]",
                "\"branchIds\": " + texts(bank.beijing),
                "\"customerIds\": " + texts(near, far))) {
            String request = ask(manager, gift);
            head.post(request + "/approve", null).is(409, "permission.beyondReviewer");
            assertThat(manager.get(request).at("/state").asText()).isEqualTo("pending");
            manager.post(request + "/withdraw", null).is(200);
        }
        for (String gift : List.of(
                "\"permissions\": [\"staff:read\"]",
                "\"roles\": [\"customer-manager\"]",
                "\"branchIds\": " + texts(bank.pudong),
                "\"customerIds\": " + texts(near))) {
            head.post(ask(manager, gift) + "/approve", null).is(200);
        }
        soon(() -> manager.get("/v1/customers/" + near).is(200));
        // Nor for longer than he has it.
        bank.give(head.id, "\"permissions\": [\"job:read\"]");
        String longer = manager.post("/v1/permission-requests", """
                {"permissions": ["job:read"], "endsAt": "%s", "reason": "代班"}""".formatted(bank.in(7200)))
                .is(201)
                .header("Location");
        head.post(longer + "/approve", null).is(409, "permission.beyondReviewer");
        String shorter = manager.post("/v1/permission-requests", """
                {"permissions": ["job:read"], "endsAt": "%s", "reason": "代班"}""".formatted(bank.in(1800)))
                .is(201)
                .header("Location");
        head.post(shorter + "/approve", null).is(200);
        // Who manages staff gives what roles give anyway.
        administrator
                .post(ask(manager, "\"roles\": [\"analyst\"]") + "/approve", null)
                .is(200);
        // What is out of the reviewer's scope is not there.
        Caller elsewhere = bank.at(bank.beijing, "branch-head");
        String request = ask(manager, "\"permissions\": [\"staff:read\"]");
        elsewhere.get(request).is(404, "permission.requestNotFound");
        elsewhere.post(request + "/approve", null).is(404, "permission.requestNotFound");
        assertThat(elsewhere
                        .get("/v1/permission-requests?view=review&limit=200")
                        .text())
                .doesNotContain(request.substring(request.lastIndexOf('/') + 1));
    }

    @Test
    void whatMustStayApartIsNotApproved() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        String request = ask(manager, "\"permissions\": [\"staff:manage\"]");
        Answer refused = administrator.post(request + "/approve", null).is(409, "duty.conflict");
        assertThat(refused.at("/detail").asText()).contains("staff:manage").contains("1 members");
        assertThat(manager.get(request).at("/state").asText()).isEqualTo("pending");
        assertThat(manager.get("/v1/grants").at("/items").size()).isZero();
    }

    @Test
    void whatNobodyDecidesLapses() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        String request = ask(manager, "\"permissions\": [\"job:read\"]");
        String id = request.substring(request.lastIndexOf('/') + 1);
        kehu.sql("UPDATE iam.permission_request SET lapses_at = kehu.now() WHERE id = ?::uuid", id);
        assertThat(manager.get(request).at("/state").asText()).isEqualTo("lapsed");
        administrator.post(request + "/approve", null).is(409, "permission.requestLapsed");
        manager.post(request + "/withdraw", null).is(409, "permission.requestLapsed");
        for (int i = 0; i < 20; i++) {
            ask(manager, "\"permissions\": [\"job:read\"]");
        }
        manager.post(
                        "/v1/permission-requests",
                        "{\"endsAt\": \"" + bank.in(60) + "\", \"reason\": \"x\", \"permissions\": [\"job:read\"]}")
                .is(409, "permission.tooManyRequests");
        manager.post("/v1/permission-requests", "{\"endsAt\": \"" + bank.in(60) + "\", \"reason\": \"x\"}")
                .is(400, "request.invalid");
        manager.post("/v1/permission-requests", """
                {"endsAt": "%s", "reason": "x", "permissions": ["job:read"], "staffId": "%s"}""".formatted(bank.in(60), administrator.id))
                .is(400, "request.invalid");
        manager.get("/v1/permission-requests/" + UUID.randomUUID()).is(404, "permission.requestNotFound");
    }

    @Test
    void aRequestIsApprovedOnceHoweverManyDecideAtOnce() {
        Caller manager = bank.at(bank.pudong, "customer-manager");
        String request = ask(manager, "\"permissions\": [\"job:read\"]");
        List<Caller> deciders =
                Stream.generate(() -> kehu.caller("administrator")).limit(6).toList();
        List<CompletableFuture<Answer>> answers = new ArrayList<>();
        for (int i = 0; i < deciders.size(); i++) {
            Caller decider = deciders.get(i).at(i % 2 == 0 ? bank.first : bank.second);
            String end = i == 5 ? "/reject" : "/approve";
            String body = i == 5 ? "{\"reason\": \"不\"}" : null;
            answers.add(CompletableFuture.supplyAsync(() -> decider.post(request + end, body)));
        }
        List<Integer> statuses =
                answers.stream().map(answer -> answer.join().status()).toList();
        assertThat(statuses).filteredOn(status -> status == 200).hasSize(1);
        assertThat(statuses).allMatch(status -> status == 200 || status == 409);
        assertThat(manager.get("/v1/grants").at("/items").size()).isLessThanOrEqualTo(1);
    }

    // In mid-session

    @Test
    void whoIsMovedSeesTheOtherBranchOnEveryNodeWithinASecond() {
        Caller head = bank.at(bank.pudong, "branch-head");
        UUID here = bank.customer(bank.pudong, null);
        UUID there = bank.customer(bank.beijing, null);
        List<Caller> nodes = List.of(head, head.at(bank.first));
        nodes.forEach(caller -> caller.get("/v1/customers/" + here).is(200));
        String path = "/v1/staff/" + head.id;
        administrator
                .patch(path, "\"1\"", "{\"branchId\": \"" + bank.beijing + "\"}")
                .is(200);
        soon(() -> nodes.forEach(caller -> caller.get("/v1/customers/" + here).is(401, "auth.revoked")));
        Caller again = kehu.signIn(head.id);
        for (int port : List.of(bank.first, bank.second)) {
            again.at(port).get("/v1/customers/" + here).is(404);
            again.at(port).get("/v1/customers/" + there).is(200);
        }
    }

    /** Rows of revocations do not appear in the order of their times. */
    @Test
    void aRevocationThatCommitsAfterALaterOneIsHeardAllTheSame() throws SQLException {
        Caller one = bank.at(bank.pudong, "customer-manager");
        Caller sign = bank.at(bank.pudong, "customer-manager");
        one.get("/v1/customers").is(200);
        sign.get("/v1/customers").is(200);
        String revoke = "INSERT INTO kehu.revocation (subject_id, min_version) VALUES (?::uuid, ?)";
        try (Connection late = Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000);
                PreparedStatement first = late.prepareStatement(revoke)) {
            late.setAutoCommit(false);
            first.setObject(1, one.id);
            first.setLong(2, 2);
            first.execute();
            kehu.sql(revoke, one.id, 0L);
            // In the same look of the node, so that it is known to have looked.
            kehu.sql(revoke, sign.id, 2L);
            soon(() -> sign.get("/v1/customers").is(401, "auth.revoked"));
            one.get("/v1/customers").is(200);
            late.commit();
            soon(() -> one.get("/v1/customers").is(401, "auth.revoked"));
        }
    }

    @Test
    void whoIsHandedOverIsGoneAtOnceOnEveryNode() {
        Caller before = bank.at(bank.pudong, "customer-manager");
        Caller after = bank.at(bank.pudong, "customer-manager");
        UUID customer = bank.customer(bank.pudong, before.id);
        String path = "/v1/customers/" + customer;
        before.get(path).is(200);
        before.at(bank.first).get(path).is(200);
        kehu.caller("marketing")
                .patch(path, "\"1\"", "{\"managerId\": \"" + after.id + "\"}")
                .is(200);
        for (int port : List.of(bank.first, bank.second)) {
            before.at(port).get(path).is(404, "customer.notFound");
            assertThat(seen(before.at(port))).isEmpty();
            after.at(port).get(path).is(200);
        }
    }
}
