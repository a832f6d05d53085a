package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The node that took the last approval dies before the command has run; another one carries it out, once. */
class ApprovalKillTest {
    private static final String PARAMETER = "/v1/parameters/admission.users";
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final Duration ENDED = Duration.ofSeconds(60);
    /** As long as a node may be at an approval before another one takes it up, and a little more. */
    private static final int LEASE_SECONDS = 21;

    @TempDir
    Path folder;

    private static UUID id(String path) {
        return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
    }

    private static String state(TestKehu kehu, String path) {
        return kehu.value("SELECT state FROM iam.approval WHERE id = ?", id(path));
    }

    private static void moveClock(Caller administrator, int port, int seconds) {
        administrator
                .at(port)
                .send("PUT", "/v1/clock", "{\"aheadSeconds\": " + seconds + "}")
                .is(200);
    }

    @Test
    void whatWasApprovedAtANodeThatDiedBeforeItRanIsCarriedOutByAnotherOnce() throws Exception {
        try (TestKehu kehu = TestKehu.prepare(Map.of());
                NodeProcess node = NodeProcess.start(kehu.settings(), folder, "decider", Map.of());
                Connection holder =
                        Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000)) {
            int port = node.awaitReady().port();
            Caller maker = kehu.caller("administrator").at(port);
            Caller checker = kehu.caller("administrator").at(port);
            kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'parameter'");
            String etag = maker.get(PARAMETER).etag();
            String path = maker.patch(PARAMETER, etag, "{\"value\": \"4321\"}")
                    .is(202)
                    .header("Location");
            // The command waits for the row that it is to change, so the node dies in the middle of it.
            holder.setAutoCommit(false);
            try (PreparedStatement lock =
                    holder.prepareStatement("SELECT 1 FROM ops.parameter WHERE name = 'admission.users' FOR UPDATE")) {
                lock.execute();
            }
            CompletableFuture<Integer> deciding = CompletableFuture.supplyAsync(
                    () -> checker.post(path + "/approve", "{}").status());
            await().atMost(SOON).until(() -> state(kehu, path).equals("approved"));
            await().atMost(SOON).pollInterval(Duration.ofMillis(20)).until(() -> waitsForTheRow(kehu));
            node.kill();
            assertThat(deciding.handle((status, lost) -> lost != null || status == 200)
                            .join())
                    .isTrue();
            holder.rollback();
            assertThat(state(kehu, path)).isEqualTo("approved");
            assertThat(executions(kehu)).isZero();

            int survivor = kehu.addNode(kehu.settings()).httpPort();
            kehu.addNode(kehu.settings());
            moveClock(maker, survivor, LEASE_SECONDS);
            await().atMost(SOON).until(() -> state(kehu, path).equals("executed"));
            // Whoever asks again, and every node that sweeps once more, changes nothing.
            checker.at(survivor).post(path + "/approve", "{}").is(409, "approval.ended");
            moveClock(maker, survivor, 3 * LEASE_SECONDS);
            assertThat(maker.at(survivor).get(PARAMETER).at("/value").asText()).isEqualTo("4321");
            assertThat(executions(kehu)).isEqualTo(1);
            assertThat(kehu.<Long>value(
                            "SELECT count(*) FROM kehu.event WHERE type = 'approval.executed' AND aggregate_id = ?",
                            id(path)))
                    .as("one for those who decide, one for the maker")
                    .isEqualTo(2);
        }
    }

    private static boolean waitsForTheRow(TestKehu kehu) {
        return kehu.<Long>value("""
                SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE NOT l.granted AND a.datname = current_database()""") > 0;
    }

    private static long executions(TestKehu kehu) {
        return kehu.<Long>value(
                "SELECT count(*) FROM kehu.audit WHERE operation = 'changeParameter' AND kind = 'setting' AND approval_id IS NOT NULL");
    }

    @Test
    @Tag("fault")
    void ofManyThatAreApprovedWhileTheirNodeDiesEachIsCarriedOutOnceOrStillWaits() throws Exception {
        long seed = ThreadLocalRandom.current().nextLong();
        System.out.println("seed " + seed);
        java.util.Random random = new java.util.Random(seed);
        try (TestKehu kehu = TestKehu.prepare(Map.of())) {
            int survivor = kehu.addNode(kehu.settings()).httpPort();
            kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'customer-entry'");
            UUID branch = kehu.branch(kehu.headOffice(), "KILL");
            for (int round = 0; round < 3; round++) {
                try (NodeProcess node = NodeProcess.start(kehu.settings(), folder, "decider-" + round, Map.of())) {
                    int port = node.awaitReady().port();
                    Caller maker = kehu.signIn(kehu.staff(branch, "customer-manager"));
                    Caller head = kehu.signIn(kehu.staff(branch, "branch-head"));
                    List<String> paths = new ArrayList<>();
                    for (int i = 0; i < 40; i++) {
                        paths.add(maker.at(port)
                                .post("/v1/customers", "{\"kind\": \"person\", \"name\": \"客户\"}")
                                .is(202)
                                .header("Location"));
                    }
                    ExecutorService threads = Executors.newFixedThreadPool(8);
                    List<CompletableFuture<Integer>> deciding = paths.stream()
                            .map(path -> CompletableFuture.supplyAsync(
                                    () -> head.at(port)
                                            .post(path + "/approve", "{}")
                                            .status(),
                                    threads))
                            .toList();
                    int enough = 5 + random.nextInt(20);
                    await().atMost(SOON)
                            .pollInterval(Duration.ofMillis(5))
                            .until(() -> deciding.stream()
                                            .filter(CompletableFuture::isDone)
                                            .count()
                                    >= enough);
                    node.kill();
                    List<Integer> statuses = deciding.stream()
                            .map(one -> one.handle((status, lost) -> lost == null ? status : 0)
                                    .join())
                            .toList();
                    threads.shutdown();
                    moveClock(kehu.caller("administrator"), survivor, LEASE_SECONDS * (round + 1));
                    await().atMost(ENDED)
                            .untilAsserted(
                                    () -> assertThat(kehu.sql("SELECT id FROM iam.approval WHERE state = 'approved'"))
                                            .isEmpty());
                    for (int i = 0; i < paths.size(); i++) {
                        assertThat(state(kehu, paths.get(i)))
                                .isIn(statuses.get(i) == 200 ? List.of("executed") : List.of("executed", "pending"));
                    }
                    assertThat(kehu.<Long>value("SELECT count(*) FROM customer.customer"))
                            .isEqualTo(kehu.<Long>value("SELECT count(*) FROM iam.approval WHERE state = 'executed'"));
                }
            }
        }
    }
}
