package io.kehu.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class EventTest {
    private static TestKehu kehu;
    private static Caller administrator;
    private static Caller auditor;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        administrator = kehu.caller("administrator");
        auditor = kehu.caller("auditor");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static UUID openBranch() {
        String code = "E" + UUID.randomUUID().toString().substring(0, 8).toUpperCase();
        return UUID.fromString(administrator
                .post("/v1/branches", """
                {"parentId": "%s", "code": "%s", "name": "支行"}""".formatted(kehu.headOffice(), code))
                .is(201)
                .at("/id")
                .asText());
    }

    /** The aggregates of all events from a position on, with the position after them. */
    private static String readOn(Caller caller, String after, List<String> into) {
        while (true) {
            Answer page = caller.get("/v1/events?limit=7" + (after.isEmpty() ? "" : "&after=" + after))
                    .is(200);
            page.at("/items").forEach(e -> into.add(e.get("aggregateId").asText() + ":" + e.get("version")));
            after = page.at("/next").asText();
            if (page.at("/atEnd").asBoolean()) {
                return after;
            }
        }
    }

    @Test
    void theFeedGivesEveryEventOnceAndInTheOrderOfEachAggregate() {
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            UUID id = openBranch();
            expected.add(id + ":1");
            administrator
                    .patch("/v1/branches/" + id, "\"1\"", "{\"name\": \"改名\"}")
                    .is(200);
            expected.add(id + ":2");
        }
        List<String> seen = new ArrayList<>();
        String[] position = {""};
        await().atMost(10, TimeUnit.SECONDS).untilAsserted(() -> {
            position[0] = readOn(auditor, position[0], seen);
            assertThat(seen).containsAll(expected);
        });
        assertThat(seen).doesNotHaveDuplicates();
        for (int i = 0; i < expected.size(); i += 2) {
            assertThat(seen.indexOf(expected.get(i))).isLessThan(seen.indexOf(expected.get(i + 1)));
        }
    }

    @Test
    void anEventOfATransactionThatCommitsLateIsNotSkipped() throws Exception {
        // A transaction that began first and is still running holds the range open for everybody behind it.
        try (Connection late = Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000)) {
            late.setAutoCommit(false);
            late.createStatement().execute("SELECT pg_current_xact_id()");
            String before = readOn(auditor, "", new ArrayList<>());
            UUID quick = openBranch();
            late.createStatement().execute("""
                            INSERT INTO kehu.event (at, incarnation, xid, ord, id, type, aggregate, aggregate_id, version,
                                                    permission, actor, audit_id, payload)
                            VALUES (kehu.now(), 1, pg_current_xact_id(), 0, uuidv7(), 'branch.changed', 'branch',
                                    '00000000-0000-7000-8000-000000000001', 1, 'branch:read', uuidv7(), uuidv7(), '{}')""");
            assertThat(kehu.<Boolean>value("SELECT kehu.close_range() IS NOT NULL OR true"))
                    .isTrue();
            List<String> early = new ArrayList<>();
            String between = readOn(auditor, before, early);
            assertThat(early).doesNotContain(quick + ":1");
            late.commit();
            List<String> seen = new ArrayList<>();
            String[] position = {between};
            await().atMost(10, TimeUnit.SECONDS).untilAsserted(() -> {
                position[0] = readOn(auditor, position[0], seen);
                assertThat(seen).contains(quick + ":1", "00000000-0000-7000-8000-000000000001:1");
            });
        }
    }

    @Test
    void concurrentWritersLoseNoEventOfAReaderThatFollowsThem() throws Exception {
        ExecutorService writers = Executors.newFixedThreadPool(6);
        List<String> expected = new CopyOnWriteArrayList<>();
        List<CompletableFuture<Void>> running = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            running.add(CompletableFuture.runAsync(() -> expected.add(openBranch() + ":1"), writers));
        }
        CompletableFuture<Void> all = CompletableFuture.allOf(running.toArray(CompletableFuture[]::new));
        List<String> seen = new ArrayList<>();
        String[] position = {""};
        await().atMost(30, TimeUnit.SECONDS).untilAsserted(() -> {
            position[0] = readOn(auditor, position[0], seen);
            assertThat(all.isDone()).isTrue();
            assertThat(seen).containsAll(expected);
        });
        writers.shutdown();
        all.join();
        assertThat(expected).hasSize(60);
        assertThat(seen).doesNotHaveDuplicates();
    }

    @Test
    void anEventIsShownOnlyToThoseWhoMaySeeItsKindAndItsBranch() {
        UUID here = kehu.branch(kehu.headOffice(), "EV-HERE");
        UUID there = kehu.branch(kehu.headOffice(), "EV-THERE");
        Caller head = kehu.signIn(kehu.staff(here, "branch-head"));
        Caller manager = kehu.signIn(kehu.staff(here, "customer-manager"));
        UUID[] ids = {Ids.next(), Ids.next(), Ids.next()};
        insert(ids[0], "customer:read", here, manager.id);
        insert(ids[1], "customer:read", here, null);
        insert(ids[2], "customer:read", there, null);
        await().atMost(10, TimeUnit.SECONDS)
                .untilAsserted(() -> assertThat(customersSeenBy(auditor)).contains(ids));
        assertThat(customersSeenBy(head)).contains(ids[0], ids[1]).doesNotContain(ids[2]);
        assertThat(customersSeenBy(manager)).contains(ids[0]).doesNotContain(ids[1], ids[2]);
        assertThat(customersSeenBy(administrator)).doesNotContain(ids);
    }

    private static void insert(UUID id, String permission, UUID branch, UUID owner) {
        kehu.sql("""
                INSERT INTO kehu.event (at, incarnation, xid, ord, id, type, aggregate, aggregate_id, version, permission,
                                        branch_id, owner_id, actor, audit_id, payload)
                VALUES (kehu.now(), 1, pg_current_xact_id(), 0, uuidv7(), 'customer.created', 'customer', ?, 1, ?, ?::uuid,
                        ?::uuid, uuidv7(), uuidv7(), '{}')""", id, permission, branch, owner);
    }

    private static List<UUID> customersSeenBy(Caller caller) {
        List<UUID> seen = new ArrayList<>();
        caller.get("/v1/events?limit=1000&types=customer.created")
                .is(200)
                .at("/items")
                .forEach(e -> seen.add(UUID.fromString(e.get("aggregateId").asText())));
        return seen;
    }

    @Test
    void transactionIdsOfMoreDigitsComeAfterThoseOfFewer() {
        try (TestKehu other = TestKehu.start()) {
            for (int xid : new int[] {10, 9, 100, 99}) {
                other.sql("""
                        INSERT INTO kehu.event (at, incarnation, xid, ord, id, type, aggregate, aggregate_id, version,
                                                permission, actor, audit_id, payload)
                        VALUES (kehu.now(), 1, ?::text::xid8, 0, uuidv7(), 'branch.changed', 'branch', uuidv7(), 1,
                                'branch:read', uuidv7(), uuidv7(), '{}')""", Integer.toString(xid));
            }
            Caller reader = other.caller("auditor");
            List<String> positions = new ArrayList<>();
            String[] after = {""};
            await().atMost(10, TimeUnit.SECONDS).untilAsserted(() -> {
                Answer page = reader.get("/v1/events?limit=1" + (after[0].isEmpty() ? "" : "&after=" + after[0]));
                page.at("/items").forEach(e -> positions.add(e.get("position").asText()));
                after[0] = page.at("/next").asText();
                assertThat(positions).containsExactly("1-9-0", "1-10-0", "1-99-0", "1-100-0");
            });
        }
    }

    @Test
    void aFaultyPositionIsRefused() {
        auditor.get("/v1/events?after=1-2").is(400, "request.invalid");
        auditor.get("/v1/events?limit=0").is(400, "request.invalid");
        auditor.get("/v1/events?limit=1001").is(400, "request.invalid");
    }

    // Streams
    // ------------------------------------------------------------------------------------------------------------

    private static final class Listener implements AutoCloseable {
        final List<String> ids = new CopyOnWriteArrayList<>();
        final List<ObjectNode> events = new CopyOnWriteArrayList<>();
        final CompletableFuture<HttpResponse<Stream<String>>> response;
        final CompletableFuture<Void> ended;
        private final HttpClient client =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

        Listener(String query, String... headers) {
            HttpRequest.Builder request =
                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + kehu.port() + "/v1/events/stream" + query));
            if (headers.length > 0) {
                request.headers(headers);
            }
            response = client.sendAsync(request.build(), HttpResponse.BodyHandlers.ofLines());
            ended = response.thenAcceptAsync(r -> r.body().forEach(this::line));
            response.join();
        }

        private void line(String line) {
            if (line.startsWith("id: ")) {
                ids.add(line.substring(4));
            } else if (line.startsWith("data: ")) {
                events.add(Json.read(line.substring(6)));
            }
        }

        List<String> aggregates() {
            return events.stream().map(e -> e.get("aggregateId").asText()).toList();
        }

        @Override
        public void close() {
            response.join().body().close();
        }
    }

    @Test
    void aStreamShowsWhatHappensAndIsResumedWhereItBroke() {
        String authorization = "Bearer " + auditor.token;
        UUID first;
        String last;
        try (Listener listener = new Listener("", "Authorization", authorization)) {
            assertThat(listener.response.join().statusCode()).isEqualTo(200);
            first = openBranch();
            await().atMost(10, TimeUnit.SECONDS)
                    .until(() -> listener.aggregates().contains(first.toString()));
            last = listener.ids.get(listener.aggregates().indexOf(first.toString()));
        }
        UUID missed = openBranch();
        try (Listener listener = new Listener("", "Authorization", authorization, "Last-Event-ID", last)) {
            await().atMost(10, TimeUnit.SECONDS)
                    .until(() -> listener.aggregates().contains(missed.toString()));
            assertThat(listener.aggregates()).doesNotContain(first.toString());
            UUID next = openBranch();
            await().atMost(10, TimeUnit.SECONDS)
                    .until(() -> listener.aggregates().contains(next.toString()));
            assertThat(listener.ids).doesNotHaveDuplicates();
        }
    }

    @Test
    void aStreamEndsWhenItsSessionIsRevoked() {
        Caller leaver = kehu.caller("auditor");
        try (Listener listener = new Listener("", "Authorization", "Bearer " + leaver.token)) {
            kehu.sql("UPDATE iam.session SET revoked_at = kehu.now() WHERE subject_id = ?", leaver.id);
            kehu.sql(
                    "INSERT INTO kehu.revocation (session_id) SELECT id FROM iam.session WHERE subject_id = ?",
                    leaver.id);
            await().atMost(10, TimeUnit.SECONDS).until(listener.ended::isDone);
        }
        leaver.get("/v1/events").is(401, "auth.revoked");
    }

    @Test
    void aBrowserOpensOneStreamWithATicket() {
        JsonNode ticket = auditor.send("POST", "/v1/events/tickets", (byte[]) null)
                .is(201)
                .at("/ticket");
        try (Listener listener = new Listener("?ticket=" + ticket.asText())) {
            assertThat(listener.response.join().statusCode()).isEqualTo(200);
            UUID id = openBranch();
            await().atMost(10, TimeUnit.SECONDS)
                    .until(() -> listener.aggregates().contains(id.toString()));
        }
        kehu.anonymous().get("/v1/events/stream?ticket=" + ticket.asText()).is(401, "event.ticketInvalid");
        kehu.anonymous().get("/v1/events/stream").is(401, "auth.required");
    }

    @Test
    void oneCallerHasABoundedNumberOfStreams() {
        Caller caller = kehu.caller("auditor");
        List<Listener> open = new ArrayList<>();
        try {
            for (int i = 0; i < kehu.settings().events().streamMaxPerSubject(); i++) {
                open.add(new Listener("", "Authorization", "Bearer " + caller.token));
            }
            caller.get("/v1/events/stream").is(429, "event.tooManyStreams");
        } finally {
            open.forEach(Listener::close);
        }
    }
}
