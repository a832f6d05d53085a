package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.TestServers;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One of two nodes that do the work is cut off from the rest for a minute, in the middle of a job, and comes back. */
@Tag("fault")
class ClusterSplitTest {
    private static final int CLIENTS = 4;
    private static final int ROWS = 20_000;
    private static final Duration SPLIT = Duration.ofSeconds(60);
    private static final Duration SERVED = Duration.ofSeconds(40);
    private static final Duration HEALED = Duration.ofSeconds(60);

    @TempDir
    Path folder;

    @Test
    void whatIsToBeDoneIsDoneOnceAndTheNodeServesAgainWhenItIsBack() throws Exception {
        List<Integer> ports = List.of(TestServers.freePort(), TestServers.freePort(), TestServers.freePort());
        try (TestKehu kehu = TestKehu.prepare(Map.of());
                NodeProcess gateway = node(kehu, "gateway", ports, 0);
                NodeProcess first = node(kehu, "first", ports, 1);
                NodeProcess second = node(kehu, "second", ports, 2)) {
            Stream.of(gateway, first, second).forEach(NodeProcess::awaitReady);
            Caller operator = kehu.caller("operator").at(gateway.port());
            String path = Imports.begin(operator, "name\n" + "张三\n".repeat(ROWS), """
                    {"field": "name", "column": "name"}""");
            await().atMost(SERVED).until(() -> kehu.<Long>value("SELECT rows_read FROM kehu.job") > 0);
            boolean firstWorks =
                    kehu.<String>value("SELECT lease_owner FROM kehu.job").startsWith("first/");
            NodeProcess lost = firstWorks ? first : second;
            lost.stall();
            assertThat(kehu.<String>value("SELECT state FROM kehu.job")).isEqualTo("running");
            long began = System.nanoTime();
            await().atMost(SPLIT)
                    .until(() -> operator.get(path).at("/state").asText().equals("done"));
            try (Clients clients = new Clients(kehu, operator, CLIENTS, () -> List.of(gateway.port()))) {
                clients.awaitMore(CLIENTS, SERVED);
                await().atMost(SPLIT.plusSeconds(5)).until(() -> System.nanoTime() - began > SPLIT.toNanos());
                lost.resume();
                clients.awaitMore(CLIENTS, SERVED);
                // Only who is back can serve now.
                (firstWorks ? second : first).terminate();
                clients.awaitMore(100, HEALED);
                clients.finish().everythingIsThereOnce();
                System.out.println("split for " + SPLIT + ": " + clients);
            }
            everyRowIsThereOnce(kehu, operator.get(path).is(200));
            rangesOfEventsFollowEachOther(kehu);
        }
    }

    private NodeProcess node(TestKehu kehu, String name, List<Integer> ports, int place) throws IOException {
        Map<String, String> environment = new HashMap<>(Map.of(
                "KEHU_CLUSTER_ENABLED", "true",
                "KEHU_CLUSTER_NAME", folder.getFileName().toString(),
                "KEHU_CLUSTER_PORT", ports.get(place).toString(),
                "KEHU_CLUSTER_MEMBERS",
                        String.join(
                                ",",
                                ports.stream().map(port -> "127.0.0.1:" + port).toList()),
                "KEHU_JOBS_CHUNK_ROWS", "200",
                "KEHU_JOBS_LEASE_MILLIS", "3000",
                "KEHU_JOBS_HEARTBEAT_MILLIS", "1000"));
        environment.put("KEHU_NODE_HTTP", Boolean.toString(place == 0));
        environment.put("KEHU_NODE_DOMAINS", place == 0 ? "none" : "all");
        return NodeProcess.start(kehu.settings(), folder, name, environment);
    }

    private static void everyRowIsThereOnce(TestKehu kehu, Answer end) {
        assertThat(List.of(end.at("/read"), end.at("/created"), end.at("/rejected")))
                .extracting(counter -> counter.asInt())
                .containsExactly(ROWS, ROWS, 0);
        assertThat(
                        kehu.<Long>value(
                                "SELECT sum(row_count)::bigint FROM kehu.audit WHERE kind = 'bulk' AND object_type = 'customer'"))
                .isEqualTo(ROWS);
    }

    /** No event in two ranges, none between two. */
    private static void rangesOfEventsFollowEachOther(TestKehu kehu) {
        List<Map<String, Object>> ranges =
                kehu.sql("SELECT from_xid::text AS begins, to_xid::text AS ends FROM kehu.event_range ORDER BY id");
        List<Object> begins = new ArrayList<>(List.of("0"));
        ranges.forEach(range -> begins.add(range.get("ends")));
        assertThat(ranges)
                .isNotEmpty()
                .extracting(range -> range.get("begins"))
                .isEqualTo(begins.subList(0, ranges.size()));
    }
}
