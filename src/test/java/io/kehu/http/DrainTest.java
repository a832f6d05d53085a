package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Deployment;
import io.kehu.app.TestServers;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;

/** A node that stops says so first and lets everybody finish. */
class DrainTest {
    private static final int CALLERS = 8;
    private static final int IMPORTED = 3_000;

    @Test
    void aNodeThatStopsUnderLoadFailsNoRequest() throws Exception {
        TestKehu kehu = TestKehu.prepare(Map.of(
                "KEHU_HTTP_DRAIN_MILLIS",
                "8000",
                "KEHU_RATE_PER_ADDRESS_PER_SECOND",
                "100000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND",
                "100000"));
        Deployment node = kehu.addNode(kehu.settings());
        kehu.headOffice();
        Caller caller = kehu.caller("administrator");
        HttpClient client =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        AtomicBoolean balancerSends = new AtomicBoolean(true);
        AtomicInteger answered = new AtomicInteger();
        ConcurrentLinkedQueue<String> failed = new ConcurrentLinkedQueue<>();
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + kehu.port() + "/v1/branches"))
                .header("Authorization", "Bearer " + caller.token)
                .build();
        List<Thread> callers = new ArrayList<>();
        for (int i = 0; i < CALLERS; i++) {
            Thread thread = new Thread(() -> {
                while (balancerSends.get()) {
                    try {
                        int status = client.send(request, HttpResponse.BodyHandlers.ofString())
                                .statusCode();
                        if (status != 200) {
                            failed.add("status " + status);
                        }
                        answered.incrementAndGet();
                    } catch (IOException | InterruptedException e) {
                        failed.add(e.toString());
                    }
                }
            });
            callers.add(thread);
            thread.start();
        }
        Awaitility.await().until(() -> answered.get() > 50);
        HttpRequest ready = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + kehu.managementPort() + "/health/ready"))
                .build();
        assertThat(client.send(ready, HttpResponse.BodyHandlers.ofString()).statusCode())
                .isEqualTo(200);

        var stopping = node.stop();

        Awaitility.await()
                .until(() ->
                        client.send(ready, HttpResponse.BodyHandlers.ofString()).statusCode() == 503);
        int before = answered.get();
        Awaitility.await().until(() -> answered.get() > before + 20);
        balancerSends.set(false);
        for (Thread thread : callers) {
            thread.join();
        }
        TestKehu.await(stopping);
        assertThat(failed).isEmpty();
        org.assertj.core.api.Assertions.assertThatThrownBy(
                        () -> client.send(request, HttpResponse.BodyHandlers.ofString()))
                .isInstanceOf(ConnectException.class);
    }

    @Test
    void aRequestThatRunsWhenTheNodeStopsIsStillAnswered() throws Exception {
        TestKehu kehu = TestKehu.prepare(Map.of());
        Deployment node = kehu.addNode(kehu.settings());
        Caller caller = kehu.caller("administrator");
        String draft = "{\"parentId\": \"" + kehu.headOffice() + "\", \"code\": \"LATE\", \"name\": \"晚到\"}";
        try (RawClient client = new RawClient(kehu.port())) {
            byte[] body = draft.getBytes(java.nio.charset.StandardCharsets.UTF_8);
            client.say("POST /v1/branches HTTP/1.1\r\nHost: kehu\r\nAuthorization: Bearer " + caller.token
                    + "\r\nContent-Type: application/json\r\nContent-Length: " + body.length
                    + "\r\nExpect: 100-continue\r\n\r\n");
            assertThat(client.hear().status()).isEqualTo(100);

            var stopping = node.stop();

            RawClient.Answer answer = client.say(body).hear();
            assertThat(answer.status()).isEqualTo(201);
            assertThat(answer.header("Connection")).isEqualTo("close");
            TestKehu.await(stopping);
        }
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.branch WHERE code = 'LATE'"))
                .isEqualTo(1);
    }

    /** A node with HTTP in front of two with domains only; the first of these stops while everybody works. */
    @Test
    void aNodeOfDomainsThatStopsUnderLoadFailsNoRequestAndLosesOrRepeatsNoCommand() throws Exception {
        TestKehu kehu = TestKehu.prepare(Map.of(
                "KEHU_HTTP_DRAIN_MILLIS",
                "8000",
                "KEHU_RATE_PER_ADDRESS_PER_SECOND",
                "100000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND",
                "100000",
                // All write below one branch: on a machine with other work the last in the row waits for long.
                "KEHU_CALLS_DEFAULT_TIMEOUT_MILLIS",
                "20000",
                "KEHU_POSTGRESQL_LOCK_TIMEOUT_MILLIS",
                "20000",
                "KEHU_POSTGRESQL_POINT_STATEMENT_TIMEOUT_MILLIS",
                "20000"));
        try (kehu) {
            List<Integer> ports = List.of(TestServers.freePort(), TestServers.freePort(), TestServers.freePort());
            List<String> members =
                    ports.stream().map(port -> "127.0.0.1:" + port).toList();
            kehu.addNode(TwoNodesTest.node(kehu.settings(), "http", true, List.of("none"), ports.get(0), members));
            Deployment leaving = kehu.addNode(
                    TwoNodesTest.node(kehu.settings(), "leaving", false, List.of("all"), ports.get(1), members));
            kehu.addNode(TwoNodesTest.node(kehu.settings(), "staying", false, List.of("all"), ports.get(2), members));
            String head = kehu.headOffice().toString();
            Caller administrator = kehu.caller("administrator");
            Caller operator = kehu.caller("operator");
            // The nodes that run domains may be found a moment later than they are ready.
            Awaitility.await()
                    .ignoreExceptions()
                    .until(() -> administrator.get("/v1/branches").status() == 200);
            String path = longImport(operator);
            AtomicBoolean going = new AtomicBoolean(true);
            AtomicInteger answered = new AtomicInteger();
            AtomicInteger numbers = new AtomicInteger();
            ConcurrentLinkedQueue<String> wrong = new ConcurrentLinkedQueue<>();
            List<Thread> callers = new ArrayList<>();
            for (int i = 0; i < CALLERS; i++) {
                boolean writes = i % 2 == 0;
                Thread thread = new Thread(() -> {
                    while (going.get()) {
                        int number = writes ? numbers.incrementAndGet() : 0;
                        Answer answer = writes
                                ? administrator.post(
                                        "/v1/branches",
                                        "{\"parentId\": \"%s\", \"code\": \"D%d\", \"name\": \"网点\"}"
                                                .formatted(head, number),
                                        "Idempotency-Key",
                                        "drain-" + number)
                                : administrator.get("/v1/branches?limit=5");
                        if (answer.status() != (writes ? 201 : 200)) {
                            wrong.add(answer.status() + " " + answer.text());
                        }
                        answered.incrementAndGet();
                    }
                });
                callers.add(thread);
                thread.start();
            }
            Awaitility.await().until(() -> answered.get() > 100);

            TestKehu.await(leaving.stop());

            assertThat(kehu.<Long>value(
                            "SELECT count(*) FROM kehu.job WHERE state = 'running' AND lease_owner LIKE 'leaving/%'"))
                    .as("leases of a node that has stopped")
                    .isZero();
            int before = answered.get();
            Awaitility.await().until(() -> answered.get() > before + 100);
            going.set(false);
            for (Thread thread : callers) {
                thread.join();
            }
            assertThat(wrong).isEmpty();
            assertThat(kehu.<Long>value("SELECT count(*) FROM iam.branch WHERE code LIKE 'D%'"))
                    .isEqualTo(numbers.get());
            assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.audit WHERE operation = 'createBranch'"))
                    .isEqualTo(numbers.get());
            // Sooner than a lease of fifteen seconds runs out, were one left.
            Awaitility.await()
                    .atMost(java.time.Duration.ofSeconds(14))
                    .until(() -> operator.get(path).at("/state").asText().equals("done"));
            assertThat(operator.get(path).at("/created").asInt()).isEqualTo(IMPORTED);
        }
    }

    /** Two nodes may take it; either way it is done once. */
    private static String longImport(Caller operator) {
        StringBuilder csv = new StringBuilder("name\n");
        for (int row = 1; row <= IMPORTED; row++) {
            csv.append("张三").append(row).append('\n');
        }
        String upload = operator.upload(csv.toString().getBytes(java.nio.charset.StandardCharsets.UTF_8));
        return operator.post("/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", "fields": [{"field": "name", "column": "name"}]}}""".formatted(upload)).is(202).header("Location");
    }
}
