package io.kehu.iam.approval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.iam.staff.DemoStaff;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What becomes of an approval is told at once to its maker and to those who may decide it, and to nobody else. */
class ApprovalStreamTest {
    private static final AtomicInteger NEXT = new AtomicInteger(5000);

    private static final Duration SOON = Duration.ofSeconds(20);
    private static final UUID PUDONG = DemoStaff.id("SH-PD");
    private static TestKehu kehu;
    private static ExecutorService threads;
    private static HttpClient client;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        threads = Executors.newCachedThreadPool();
        client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .executor(threads)
                .build();
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'customer-entry'");
    }

    @AfterAll
    static void stop() {
        kehu.close();
        threads.shutdownNow();
    }

    /** Somebody with an open stream, and what it has told him. */
    private static final class Listener {
        final List<JsonNode> heard = new CopyOnWriteArrayList<>();
        private final CompletableFuture<Void> open = new CompletableFuture<>();

        Listener(Caller caller) {
            HttpRequest request = HttpRequest.newBuilder(
                            URI.create("http://127.0.0.1:" + kehu.port() + "/v1/events/stream"))
                    .header("Authorization", "Bearer " + caller.token)
                    .build();
            threads.execute(() -> client.sendAsync(request, HttpResponse.BodyHandlers.ofLines())
                    .join()
                    .body()
                    .forEach(this::hear));
            open.orTimeout(SOON.toSeconds(), java.util.concurrent.TimeUnit.SECONDS)
                    .join();
        }

        private void hear(String line) {
            if (line.startsWith("retry:")) {
                open.complete(null);
            } else if (line.startsWith("data: ")) {
                heard.add(Json.read(line.substring("data: ".length())));
            }
        }

        List<String> of(String approval) {
            return heard.stream()
                    .filter(event -> event.get("aggregateId").asText().equals(approval))
                    .map(event -> event.get("type").asText())
                    .toList();
        }

        boolean heardOf(String aggregate) {
            return heard.stream()
                    .anyMatch(event -> event.get("aggregateId").asText().equals(aggregate));
        }
    }

    private static Listener listener(UUID branch, String role) {
        return new Listener(kehu.signIn(kehu.staff(branch, role)));
    }

    private static String propose(Caller maker) {
        return maker.post(
                        "/v1/customers",
                        "{\"kind\": \"person\", \"name\": \"密不外传\", \"phones\": [{\"number\": \"1381234"
                                + NEXT.getAndIncrement() + "\"}]}")
                .is(202)
                .at("/approvalId")
                .asText();
    }

    private static Caller aPartner() {
        Caller administrator = kehu.caller("administrator");
        String path = administrator
                .post("/v1/partners", """
                {"name": "listener", "purpose": "受众", "permissions": ["event:read"], "branchId": "%s"}""".formatted(PUDONG))
                .is(201)
                .header("Location");
        Answer key = administrator.post(path + "/keys", "{\"days\": 1}").is(201);
        return kehu.with(kehu.anonymous()
                .post("/v1/auth/token", """
                {"grant_type": "client_credentials", "client_id": "%s", "client_secret": "%s"}""".formatted(
                        key.at("/clientId").asText(), key.at("/clientSecret").asText()))
                .is(200)
                .at("/access_token")
                .asText());
    }

    @Test
    void theMakerAndThoseWhoMayDecideHearOfItOnceAndNobodyElseDoes() {
        Caller maker = kehu.signIn(kehu.staff(PUDONG, "customer-manager"));
        Caller head = kehu.signIn(kehu.staff(PUDONG, "branch-head"));
        Map<String, Listener> told = new LinkedHashMap<>();
        told.put("the maker", new Listener(maker));
        told.put("the head of the branch", new Listener(head));
        told.put("another head of the branch", listener(PUDONG, "branch-head"));
        told.put("the head of the branch above", listener(DemoStaff.id("SH"), "branch-head"));
        Map<String, Listener> others = new LinkedHashMap<>();
        others.put("a colleague of the maker", listener(PUDONG, "customer-manager"));
        others.put("an operator of the branch", listener(PUDONG, "operator"));
        others.put("the head of a branch beside", listener(DemoStaff.id("SH-XH"), "branch-head"));
        others.put("the head of a branch far away", listener(DemoStaff.id("BJ-CY"), "branch-head"));
        others.put("an administrator", listener(kehu.headOffice(), "administrator"));
        others.put("marketing", listener(kehu.headOffice(), "marketing"));
        others.put("risk", listener(kehu.headOffice(), "risk"));
        others.put("a partner of the branch", new Listener(aPartner()));

        String agreed = propose(maker);
        head.post("/v1/approvals/" + agreed + "/approve", "{}").is(200);
        String refused = propose(maker);
        head.post("/v1/approvals/" + refused + "/reject", "{\"reason\": \"不妥\"}")
                .is(200);
        String withdrawn = propose(maker);
        maker.send("POST", "/v1/approvals/" + withdrawn + "/withdraw", (byte[]) null)
                .is(200);
        // What comes after all that and is told to everybody who reads events at all.
        UUID last = Ids.next();
        kehu.sql("""
                INSERT INTO kehu.event (at, incarnation, xid, ord, id, type, aggregate, aggregate_id, version, permission, actor,
                                        audit_id, payload)
                VALUES (kehu.now(), 1, pg_current_xact_id(), 0, uuidv7(), 'branch.changed', 'branch', ?, 1, 'event:read',
                        uuidv7(), uuidv7(), '{}')""", last);

        told.forEach((name, listener) -> {
            await().atMost(SOON).until(() -> listener.heardOf(last.toString()));
            assertThat(listener.of(agreed))
                    .as(name)
                    .containsExactly("approval.requested", "approval.decided", "approval.executed");
            assertThat(listener.of(refused)).as(name).containsExactly("approval.requested", "approval.decided");
            assertThat(listener.of(withdrawn)).as(name).containsExactly("approval.requested", "approval.withdrawn");
            assertThat(listener.heard.toString()).as(name).doesNotContain("密不外传", "1381234");
        });
        others.forEach((name, listener) -> {
            await().atMost(SOON).until(() -> listener.heardOf(last.toString()));
            assertThat(listener.heard.toString()).as(name).doesNotContain("approval", agreed, refused, withdrawn);
        });
    }
}
