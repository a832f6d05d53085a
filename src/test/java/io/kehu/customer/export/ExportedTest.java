package io.kehu.customer.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.vertx.sqlclient.Tuple;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Who is told that he was in a file; and what becomes of one that is stopped while it is written. */
class ExportedTest {
    private static TestKehu kehu;
    private static UUID branch;
    private static Caller head;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_EXPORTS_PAGE_ROWS", "5", "KEHU_EXPORTS_POLL_MILLIS", "100"));
        branch = kehu.branch(kehu.headOffice(), "OUT");
        head = kehu.signIn(kehu.staff(branch, "branch-head"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Caller manager() {
        return kehu.signIn(kehu.staff(branch, "customer-manager"));
    }

    private static UUID customer(Caller who, String name, String tier) {
        return UUID.fromString(who.post("/v1/customers", """
                        {"kind": "person", "name": "%s", "tier": "%s"}""".formatted(name, tier))
                .is(201)
                .at("/id")
                .asText());
    }

    /** Many, of whom every second is of tier private; without anything sealed. */
    private static void many(Caller manager, int rows) {
        kehu.sql("""
                INSERT INTO customer.customer (id, kind, branch_id, manager_id, lifecycle, tier)
                SELECT uuidv7(), 'person', ?, ?, 'active', CASE n % 2 WHEN 0 THEN 'mass' ELSE 'private' END
                FROM generate_series(1, ?) n""", branch, manager.id, rows);
    }

    private static String asked(Caller who, String format, String more) {
        return who.post("/v1/exports", """
                {"format": "%s", "columns": ["number", "tier"], "purpose": "service"%s}""".formatted(format, more)).is(202).header("Location");
    }

    private static String ofTier(String tier) {
        return ", \"filter\": {\"field\": \"tier\", \"is\": \"" + tier + "\"}";
    }

    private static String ended(Caller who, String path, String state) {
        await().untilAsserted(
                        () -> assertThat(who.get(path).is(200).at("/state").asText())
                                .as(() -> who.get(path).text())
                                .isEqualTo(state));
        return path;
    }

    private static UUID id(String path) {
        return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
    }

    @Test
    void whoIsInAFileIsToldOfItAndWhoIsNotIsNot() {
        Caller maker = manager();
        UUID one = customer(maker, "在内", "private");
        UUID left = customer(maker, "不在", "mass");
        UUID other = customer(maker, "也在", "private");
        UUID export = id(ended(maker, asked(maker, "jsonl", ofTier("private")), "done"));
        for (UUID in : List.of(one, other)) {
            JsonNode access =
                    head.get("/v1/customers/" + in + "/access-log").is(200).at("/items/0");
            assertThat(List.of(access.at("/how"), access.at("/operation"), access.at("/purpose"), access.at("/by/id")))
                    .extracting(JsonNode::asText)
                    .containsExactly("exported", "createExport", "service", maker.id.toString());
        }
        assertThat(head.get("/v1/customers/" + left + "/access-log").is(200).text())
                .doesNotContain("createExport");
        // What a record was in that has been merged is told with the one that stays.
        kehu.sql("INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)", other, left);
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", other);
        told(one, one, export, maker);
        told(left, other, export, maker);
    }

    private static void told(UUID asked, UUID side, UUID export, Caller maker) {
        JsonNode exports = head.get("/v1/customers/" + asked + "/personal-data", "Kehu-Purpose", "customer-request")
                .is(200)
                .at("/sections/exports");
        assertThat(exports).hasSize(1);
        JsonNode told = exports.get(0);
        assertThat(List.of(
                        told.at("/id"),
                        told.at("/customerId"),
                        told.at("/format"),
                        told.at("/purpose"),
                        told.at("/branch"),
                        told.at("/columns/1"),
                        told.at("/staffId")))
                .extracting(JsonNode::asText)
                .containsExactly(
                        export.toString(), side.toString(), "jsonl", "service", "OUT", "tier", maker.id.toString());
    }

    @Test
    void everybodyInALargeFileIsKnownAndNobodyElse() {
        Caller maker = manager();
        many(maker, 2_100);
        UUID export = id(ended(maker, asked(maker, "csv", ofTier("private")), "done"));
        assertThat(kehu.<Long>value("SELECT count(*) FROM customer.exported WHERE export_id = ?", export))
                .as("rows, of a thousand ranges each")
                .isEqualTo(2);
        assertThat(kehu.sql("""
                        SELECT c.tier, count(*) AS n, count(DISTINCT c.id) AS people
                        FROM customer.exported_customer x JOIN customer.customer c ON c.id = x.customer_id
                        WHERE x.id = ? GROUP BY c.tier""", export)).containsExactly(Map.of("tier", "private", "n", 1_050L, "people", 1_050L));
        UUID whole = id(ended(maker, asked(maker, "csv", ""), "done"));
        assertThat(kehu.<String>value("SELECT seqs::text FROM customer.exported WHERE export_id = ?", whole))
                .as("neighbours are one range")
                .matches("\\{\\[\\d+,\\d+\\)}");
    }

    @Test
    void placesAreKeptAsRangesInSlices() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        ExportStore.Seqs seqs = new ExportStore.Seqs();
        List<Long> given = new ArrayList<>();
        for (long at = random.nextInt(10); given.size() < 120_000; at += random.nextInt(10) == 0 ? 1 : 2) {
            seqs.add(at);
            given.add(at);
        }
        assertThatThrownBy(() -> seqs.add(given.get(5))).hasMessage("out of order");
        List<Long> kept = new ArrayList<>();
        int ranges = 0;
        for (Tuple slice : seqs.statements(UUID.randomUUID())) {
            assertThat(slice.getInteger(3)).as("first row, seed %d", seed).isEqualTo(ranges / 1_000);
            Long[] first = slice.getArrayOfLongs(1);
            Long[] behind = slice.getArrayOfLongs(2);
            for (int i = 0; i < first.length; i++) {
                for (long at = first[i]; at < behind[i]; at++) {
                    kept.add(at);
                }
            }
            ranges += first.length;
        }
        assertThat(kept).as("seed %d", seed).isEqualTo(given);
        assertThat(ranges).isGreaterThan(100_000);
    }

    /** In the middle: some pages are in the file already. */
    @Test
    void anExportThatIsStoppedWhileItsFileIsWrittenLeavesNoFileAndNoLink() {
        Caller maker = manager();
        many(maker, 1_000);
        String path = asked(maker, "xlsx", ", \"archive\": \"zip\"");
        UUID id = id(path);
        UUID job = kehu.value("SELECT job_id FROM customer.export WHERE id = ?", id);
        await().pollInterval(Duration.ofMillis(2))
                .until(() -> kehu.<Long>value("SELECT units_done FROM kehu.job WHERE id = ?", job) > 0);
        Answer stopped = maker.post(path + "/cancel", "").is(200);
        assertThat(stopped.at("/rows").asInt()).isPositive().isLessThan(1_000);
        Answer end = maker.get(ended(maker, path, "cancelled"));
        assertThat(end.at("/fileState").asText()).isEqualTo("none");
        maker.post(path + "/links", "").is(409, "export.notReady");
        maker.post(path + "/cancel", "").is(409, "job.ended");
        assertThat(kehu.sql("""
                        SELECT (SELECT count(*) FROM kehu.blob WHERE owner_id = ? AND finished_at IS NOT NULL) AS files,
                            (SELECT count(*) FROM customer.exported WHERE export_id = ?) AS told,
                            (SELECT rows FROM customer.export_quota WHERE maker_id = ?) AS charged""", maker.id, id, maker.id))
                .containsExactly(Map.of("files", 0L, "told", 0L, "charged", 1_000L));
        await().untilAsserted(() -> assertThat(
                        kehu.<Long>value("SELECT count(*) FROM customer.export_secret WHERE export_id = ?", id))
                .as("the password of an archive that will never be")
                .isZero());
    }
}
