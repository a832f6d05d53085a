package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The node that carries an import over is killed, or sleeps so long that it is thought dead; another one ends it. */
class ImportKillTest {
    private static final Map<String, String> SHORT_LEASE = Map.of(
            "KEHU_JOBS_CHUNK_ROWS", "200",
            "KEHU_JOBS_POLL_MILLIS", "100",
            "KEHU_JOBS_LEASE_MILLIS", "1500",
            "KEHU_JOBS_HEARTBEAT_MILLIS", "400");
    private static final Duration ENDED = Duration.ofSeconds(90);
    private static final Duration TAKEN_OVER = Duration.ofSeconds(20);
    /** Every so manieth row has a false date. */
    private static final int FAULTY = 100;

    @TempDir
    Path folder;

    /** What happens to a node in the middle of its work. */
    private interface Fault {
        void befall(NodeProcess node) throws Exception;
    }

    @Test
    void anImportWhoseNodeIsKilledIsEndedByAnotherOneWithEveryRowOnce() throws Exception {
        befall(4_000, 1, NodeProcess::kill);
    }

    @Test
    @Tag("fault")
    void aLongImportSurvivesTheKillOfThreeNodesInARow() throws Exception {
        befall(20_000, 3, NodeProcess::kill);
    }

    @Test
    @Tag("fault")
    void aNodeThatSleptThroughItsLeaseChangesNothingWhenItWakesUp() throws Exception {
        befall(20_000, 1, NodeProcess::stall);
    }

    private void befall(int rows, int nodes, Fault fault) throws Exception {
        List<NodeProcess> processes = new ArrayList<>();
        try (TestKehu kehu = TestKehu.prepare(SHORT_LEASE)) {
            NodeProcess node = node(kehu, processes);
            Caller operator = kehu.caller("operator");
            String path = begin(operator.at(node.port()), rows);
            long read = 0;
            for (int i = 0; i < nodes; i++) {
                long before = read;
                await().atMost(TAKEN_OVER).until(() -> read(kehu) > before);
                fault.befall(node);
                read = read(kehu);
                assertThat(read).as("rows before the last fault").isLessThan(rows);
                if (i + 1 < nodes) {
                    node = node(kehu, processes);
                }
            }
            long frozen = read;
            kehu.addNode(kehu.settings());
            await().atMost(TAKEN_OVER).until(() -> read(kehu) > frozen);
            node.resume();
            await().atMost(ENDED)
                    .until(() -> !List.of("waiting", "running")
                            .contains(operator.get(path).is(200).at("/state").asText()));
            everyRowIsThereOnce(kehu, operator, path, rows);
        } finally {
            processes.forEach(NodeProcess::close);
        }
    }

    private NodeProcess node(TestKehu kehu, List<NodeProcess> processes) throws Exception {
        NodeProcess node = NodeProcess.start(kehu.settings(), folder, "importer-" + processes.size(), SHORT_LEASE);
        processes.add(node);
        return node.awaitReady();
    }

    private static long read(TestKehu kehu) {
        return kehu.<Long>value("SELECT rows_read FROM kehu.job");
    }

    private static String begin(Caller operator, int rows) {
        StringBuilder csv = new StringBuilder("name,born\n");
        for (int row = 1; row <= rows; row++) {
            csv.append("张三").append(row).append(row % FAULTY == 0 ? ",30.02.1980\n" : ",01.02.1980\n");
        }
        return Imports.begin(operator, csv.toString(), """
                {"field": "name", "column": "name"},
                {"field": "birthDate", "column": "born", "dateFormat": "dd.MM.yyyy"}""");
    }

    private static void everyRowIsThereOnce(TestKehu kehu, Caller operator, String path, int rows) {
        long faulty = rows / FAULTY;
        Answer end = operator.get(path);
        assertThat(end.at("/state").asText()).as(end.text()).isEqualTo("done");
        assertThat(List.of(end.at("/read"), end.at("/created"), end.at("/rejected")))
                .extracting(counter -> counter.asLong())
                .containsExactly((long) rows, rows - faulty, faulty);
        assertThat(kehu.sql("""
                        SELECT (SELECT count(*) FROM customer.customer) AS customers,
                            (SELECT sum(row_count)::bigint FROM kehu.audit
                             WHERE kind = 'bulk' AND object_type = 'customer') AS audited,
                            (SELECT count(*) FROM customer.import_error) AS faults,
                            (SELECT count(DISTINCT line) FROM customer.import_error) AS lines"""))
                .containsExactly(Map.of(
                        "customers", rows - faulty, "audited", rows - faulty, "faults", faulty, "lines", faulty));
        List<String> lines =
                operator.get(path + "/errors").is(200).text().lines().skip(1).toList();
        assertThat(lines).hasSize((int) faulty).allMatch(line -> line.contains("field.date"));
        for (int i = 0; i < lines.size(); i++) {
            assertThat(lines.get(i)).startsWith((i + 1) * FAULTY + 1 + ",");
        }
    }
}
