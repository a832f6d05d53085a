package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A node that takes writes is killed, or told to end, while others serve on. */
class NodeKillTest {
    private static final int CLIENTS = 8;
    /** 128 + 15, as a shell has it. */
    private static final int SIGTERM_STATUS = 143;

    private static final Duration GONE = Duration.ofSeconds(5);
    private static final Duration SERVED = Duration.ofSeconds(20);

    @TempDir
    Path folder;

    @Test
    void whatAKilledNodeAcknowledgedIsThereAndTheRestIsResolvedByRepeatingTheKeyElsewhere() throws Exception {
        kill(1);
    }

    @Test
    @Tag("fault")
    void tenKilledNodesLoseNothingAndDoNothingTwice() throws Exception {
        kill(10);
    }

    @Test
    @Tag("fault")
    void aNodeThatIsToldToEndUnderLoadFailsNoRequest() throws Exception {
        try (TestKehu kehu = TestKehu.prepare(Map.of());
                NodeProcess node = NodeProcess.start(kehu.settings(), folder, "leaving", Map.of())) {
            kehu.addNode(kehu.settings());
            node.awaitReady();
            CompletableFuture<Integer> ended;
            List<Integer> ports = new CopyOnWriteArrayList<>(List.of(node.port()));
            try (Clients clients = new Clients(kehu, kehu.caller("operator"), CLIENTS, () -> ports)) {
                clients.awaitMore(50, SERVED);
                ended = CompletableFuture.supplyAsync(node::terminate);
                await().pollInterval(Duration.ofMillis(5)).until(() -> readiness(node) == 503);
                // What a balancer does that has seen this.
                ports.set(0, kehu.port());
                clients.awaitMore(50, SERVED);
                assertThat(ended.get(60, TimeUnit.SECONDS)).isEqualTo(SIGTERM_STATUS);
                clients.finish().everythingIsThereOnce();
                assertThat(clients.troubles()).isEmpty();
            }
        }
    }

    private static int readiness(NodeProcess node) throws IOException, InterruptedException {
        URI ready = URI.create("http://127.0.0.1:" + node.managementPort() + "/health/ready");
        return HttpClient.newHttpClient()
                .send(HttpRequest.newBuilder(ready).build(), HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }

    private void kill(int rounds) throws Exception {
        // For a slow machine: the clients do not sign in again.
        try (TestKehu kehu = TestKehu.prepare(Map.of("KEHU_AUTH_ACCESS_MINUTES", "30"))) {
            kehu.addNode(kehu.settings());
            List<Integer> ports = new CopyOnWriteArrayList<>(List.of(kehu.port()));
            // The first is there before the clients are, whose load would only slow its start.
            NodeProcess node = victim(kehu, 0).awaitReady();
            try (Clients clients = new Clients(kehu, kehu.caller("operator"), CLIENTS, () -> ports)) {
                for (int round = 0; round < rounds; round++) {
                    if (round > 0) {
                        node = victim(kehu, round).awaitReady();
                    }
                    ports.add(node.port());
                    clients.awaitMore(100, SERVED);
                    node.kill();
                    String next = kehu.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text");
                    await().atMost(GONE).until(() -> endedBelow(kehu, next));
                    ports.remove(1);
                    clients.awaitMore(CLIENTS, SERVED);
                }
                clients.finish().everythingIsThereOnce();
                System.out.println(rounds + " kills: " + clients);
                assertThat(clients.troubles()).containsKey("no answer");
            } finally {
                node.close();
            }
        }
    }

    private NodeProcess victim(TestKehu kehu, int round) throws IOException {
        return NodeProcess.start(kehu.settings(), folder, "victim-" + round, Map.of());
    }

    /** Whoever holds a row has a transaction id: whether all that were given out below this one have ended. */
    private static boolean endedBelow(TestKehu kehu, String xid) {
        return kehu.value("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= ?::xid8", xid);
    }
}
