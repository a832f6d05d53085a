package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.customer.export.format.Mark;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.LongFunction;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** kill -9 of the node in the middle of an export, a cleaning and a scan for duplicates; another node ends it, and nothing is double. */
@Tag("fault")
class WorkKillTest {
    private static final Map<String, String> SETTINGS = Map.of(
            "KEHU_JOBS_CHUNK_ROWS", "100",
            "KEHU_JOBS_POLL_MILLIS", "100",
            "KEHU_JOBS_LEASE_MILLIS", "1500",
            "KEHU_JOBS_HEARTBEAT_MILLIS", "400",
            "KEHU_EXPORTS_PAGE_ROWS", "10",
            "KEHU_DUPLICATES_BUCKET_ROWS", "1000",
            "KEHU_DUPLICATES_UNASKED_ROWS", "0");
    private static final Duration ENDED = Duration.ofSeconds(90);
    private static final Duration TAKEN_OVER = Duration.ofSeconds(20);
    private static final List<String> UNDER_WAY = List.of("waiting", "running");

    @TempDir
    Path folder;

    private final List<NodeProcess> processes = new ArrayList<>();

    /** A house without a node in this process, people who were imported by one that can be killed, and who works with them. */
    private final class House implements AutoCloseable {
        final TestKehu kehu = TestKehu.prepare(SETTINGS);
        NodeProcess node;

        House(int people, LongFunction<String> name) throws Exception {
            node = start();
            StringBuilder csv = new StringBuilder("name,born,phone\n");
            for (long row = 0; row < people; row++) {
                csv.append(name.apply(row)).append('\n');
            }
            Caller operator = kehu.caller("operator").at(node.port());
            ended(operator, Imports.begin(operator, csv.toString(), """
                    {"field": "name", "column": "name"}, {"field": "phone", "column": "phone"},
                    {"field": "birthDate", "column": "born", "dateFormat": "yyyy-MM-dd"}"""));
            assertThat(kehu.<Long>value("SELECT count(*) FROM customer.customer"))
                    .isEqualTo(people);
        }

        private NodeProcess start() throws Exception {
            NodeProcess started = NodeProcess.start(kehu.settings(), folder, "worker-" + processes.size(), SETTINGS);
            processes.add(started);
            return started.awaitReady();
        }

        /** Kills the node once the newest job is so far, says how far it came, and starts another one. */
        long killedAfter(String measure, long atLeast) throws Exception {
            String sql = "SELECT coalesce((SELECT " + measure
                    + " FROM kehu.job ORDER BY created_at DESC, id DESC LIMIT 1), 0)::bigint";
            await().atMost(TAKEN_OVER).pollInterval(Duration.ofMillis(5)).until(() -> kehu.<Long>value(sql) >= atLeast);
            node.kill();
            long came = kehu.<Long>value(sql);
            assertThat(kehu.<String>value("SELECT state FROM kehu.job ORDER BY created_at DESC, id DESC LIMIT 1"))
                    .as("what the killed node left")
                    .isEqualTo("running");
            return came;
        }

        @Override
        public void close() {
            kehu.close();
            processes.forEach(NodeProcess::close);
        }
    }

    private static Answer ended(Caller who, String path) {
        await().atMost(ENDED)
                .until(() ->
                        !UNDER_WAY.contains(who.get(path).is(200).at("/state").asText()));
        Answer end = who.get(path);
        assertThat(end.at("/state").asText()).as(end.text()).isEqualTo("done");
        return end;
    }

    @Test
    void anExportWhoseNodeIsKilledBecomesOneWholeFileCountedOnce() throws Exception {
        int people = 3_000;
        try (House house = new House(people, row -> "张三" + row + ",1980-02-01,138%08d".formatted(row))) {
            TestKehu kehu = house.kehu;
            Caller head = kehu.caller("branch-head");
            String path =
                    head.at(house.node.port()).post("/v1/exports", """
                            {"format": "csv", "columns": ["id", "name"], "purpose": "service", "archive": "none"}""").is(202).header("Location");
            assertThat(house.killedAfter("units_done", 300)).isLessThan(people);
            assertThat(kehu.<Long>value("SELECT count(*) FROM customer.export_file"))
                    .isZero();
            kehu.addNode(kehu.settings());
            Answer end = ended(head, path);
            assertThat(end.at("/rows").asInt()).isEqualTo(people);
            assertThat(kehu.<String>value("SELECT fence::text FROM kehu.job WHERE kind = 'customer.export'"))
                    .as("begun anew")
                    .isEqualTo("2");

            String link = head.post(path + "/links", "").is(201).at("/url").asText();
            byte[] file = head.get(link).is(200).response().body();
            head.get(link).is(410, "export.linkOver");
            assertThat(file).hasSize(end.at("/size").asInt());
            assertThat(Mark.find(file)).contains(UUID.fromString(path.substring(path.lastIndexOf('/') + 1)));
            List<String> lines =
                    new String(file, StandardCharsets.UTF_8).lines().skip(1).toList();
            assertThat(lines).hasSize(people + 1).doesNotHaveDuplicates();
            assertThat(lines.subList(0, people)).allMatch(line -> line.contains("张三"));
            assertThat(lines.get(people)).contains("Kehu-Export ");

            Long all = (long) people;
            assertThat(kehu.sql("""
                            SELECT (SELECT sum(rows)::bigint FROM customer.export_quota) AS charged,
                                (SELECT count(*) FROM customer.export_file) AS files,
                                (SELECT count(*) FROM customer.exported_customer) AS told,
                                (SELECT count(*) FROM kehu.blob WHERE purpose = 'customer-export' AND expires_at IS NULL) AS kept,
                                (SELECT sum(row_count)::bigint FROM kehu.audit WHERE kind = 'bulk' AND object_type = 'export') AS audited"""))
                    .containsExactly(Map.of("charged", all, "files", 1L, "told", all, "kept", 1L, "audited", all));
        }
    }

    @Test
    void aCleaningWhoseNodeIsKilledChangesEachRecordOnce() throws Exception {
        int people = 2_000;
        try (House house = new House(people, row -> "李　净" + row + ",1980-02-01,138%08d".formatted(row))) {
            TestKehu kehu = house.kehu;
            Caller operator = kehu.caller("operator");
            String path = operator.at(house.node.port())
                    .post("/v1/quality/cleanings", "{\"action\": \"tidy-text\", \"dryRun\": false}")
                    .is(202)
                    .header("Location");
            assertThat(house.killedAfter("rows_read", 300)).isLessThan(people);
            // In one look: the last commit may arrive after the death of who sent it.
            assertThat(
                            kehu.<Long>value(
                                    "SELECT (SELECT max(rows_read) FROM kehu.job WHERE kind = 'customer.cleaning') - (SELECT count(*) FROM customer.customer_past)"))
                    .as("records counted and not changed")
                    .isZero();
            kehu.addNode(kehu.settings());
            Answer end = ended(operator, path);
            assertThat(List.of(end.at("/read"), end.at("/changed"), end.at("/refused")))
                    .extracting(counter -> counter.asInt())
                    .containsExactly(people, people, 0);
            assertThat(kehu.sql("""
                            SELECT (SELECT count(*) FROM customer.customer WHERE version = 2) AS changed,
                                (SELECT count(DISTINCT id) FROM customer.customer_past) AS past,
                                (SELECT count(*) FROM kehu.event WHERE type = 'customer.changed') AS told,
                                (SELECT sum(row_count)::bigint FROM kehu.audit
                                 WHERE kind = 'bulk' AND operation = 'createCleaning') AS audited"""))
                    .containsExactly(Map.of(
                            "changed", (long) people, "past", (long) people, "told", (long) people, "audited", (long)
                                    people));
            assertThat(changed(kehu)).isEqualTo(people);
        }
    }

    private static long changed(TestKehu kehu) {
        return kehu.<Long>value("SELECT count(*) FROM customer.customer_past");
    }

    /** Two of each: the killed node was at the keys, the next one at the pairs. */
    @Test
    void aScanWhoseNodesAreKilledFindsEachPairOnce() throws Exception {
        int people = 4_000;
        try (House house = new House(people, row -> "王双" + row / 2 + ",1980-02-01,138%08d".formatted(row / 2))) {
            TestKehu kehu = house.kehu;
            Caller operator = kehu.caller("operator");
            String path = operator.at(house.node.port())
                    .post("/v1/duplicates/scans", "{\"full\": true}")
                    .is(202)
                    .header("Location");
            assertThat(house.killedAfter("rows_read", 500)).as("at the keys").isLessThan(people);
            house.node = house.start();
            house.killedAfter("coalesce((position->>'part')::int, 0)", 1);
            long found = pairs(kehu);
            assertThat(found).as("before the pairs were all found").isPositive().isLessThan(people / 2);
            kehu.addNode(kehu.settings());
            Answer end = ended(operator, path);
            assertThat(end.at("/read").asInt()).isEqualTo(people);
            Map<String, Object> expected = new HashMap<>();
            expected.put("pairs", people / 2L);
            expected.put("customers", (long) people);
            expected.put("versions", 1L);
            assertThat(kehu.sql("""
                            SELECT count(*) AS pairs, count(DISTINCT a_id) + count(DISTINCT b_id) AS customers,
                                max(version) AS versions FROM customer.duplicate WHERE state = 'open'""")).containsExactly(expected);
            assertThat(pairs(kehu)).isEqualTo(people / 2);
        }
    }

    private static long pairs(TestKehu kehu) {
        return kehu.<Long>value("SELECT count(*) FROM customer.duplicate");
    }
}
