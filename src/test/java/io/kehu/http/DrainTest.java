package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Deployment;
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

    @Test
    void aNodeThatStopsUnderLoadFailsNoRequest() throws Exception {
        TestKehu kehu = TestKehu.prepare(Map.of("KEHU_HTTP_DRAIN_MILLIS", "8000"));
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
}
