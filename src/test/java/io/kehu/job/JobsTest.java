package io.kehu.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.blob.BlobStore;
import io.kehu.blob.Blobs;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import io.vertx.sqlclient.Tuple;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class JobsTest {
    private static final int LAST = 20;
    private static final Duration SOON = Duration.ofSeconds(20);
    private static TestKehu kehu;

    private final List<Node> nodes = new ArrayList<>();
    private final String kind = "test." + Ids.next();

    /** One node's worth of jobs on the shared database, which can die without saying goodbye. */
    private final class Node {
        final Vertx vertx = Vertx.vertx();
        final Database database = new Database(
                vertx,
                new Database.Options(
                        kehu.settings().postgresql().uri(),
                        Map.of(
                                Call.Lane.POINT, new Database.Lane(2, 100, 5_000, 5_000),
                                Call.Lane.JOB, new Database.Lane(4, 100, 5_000, 5_000)),
                        2_000,
                        60_000,
                        64),
                new Database.Answers(bytes -> bytes, bytes -> bytes));
        final Blobs blobs = new Blobs(
                vertx,
                database,
                BlobStore.inFolder(
                        vertx,
                        new BlobStore.Options(1, 2),
                        kehu.settings().blob().folder()),
                kehu.vault(),
                new Blobs.Options(60, 1_000));
        final Jobs jobs;
        final List<Long> fences = new CopyOnWriteArrayList<>();
        final List<Throwable> failures = new CopyOnWriteArrayList<>();

        Node(int leaseMillis, JobKind how) {
            this(2, leaseMillis, how);
        }

        Node(int workers, int leaseMillis, JobKind how) {
            jobs = new Jobs(
                    vertx, database, blobs, new Jobs.Options("test", workers, leaseMillis, leaseMillis / 4, 50, 1, 10));
            jobs.register(kind, null, run -> {
                fences.add(run.fence());
                return how.run(run).onFailure(failures::add);
            });
            nodes.add(this);
        }

        Node start() {
            jobs.start(domain -> true);
            return this;
        }

        UUID submit(ObjectNode params) {
            UUID[] id = new UUID[1];
            TestKehu.await(database.write(
                    call(),
                    tx -> jobs.submit(tx, kind, params).map(made -> {
                        id[0] = made;
                        tx.object("job", made, 1);
                        return Reply.empty();
                    })));
            jobs.hint();
            return id[0];
        }

        void cancel(UUID id) {
            TestKehu.await(database.write(call(), tx -> Jobs.cancel(tx, id).map(Reply.empty())));
        }

        /** As if the machine were switched off. */
        void die() {
            nodes.remove(this);
            TestKehu.await(vertx.close());
        }
    }

    private static Call call() {
        return Call.internal("test", Call.Lane.JOB, 10_000);
    }

    @BeforeAll
    static void prepare() {
        kehu = TestKehu.prepare(Map.of());
        // Stands for the table of a domain: each number may be counted once.
        kehu.sql("CREATE TABLE IF NOT EXISTS kehu.counted (job uuid, number int, fence bigint)");
        kehu.sql("GRANT SELECT, INSERT ON kehu.counted TO kehu_app");
    }

    @AfterEach
    void stop() {
        for (Node node : List.copyOf(nodes)) {
            TestKehu.await(node.jobs.close());
            node.die();
        }
    }

    private static Future<Void> countOne(JobRun run, int number) {
        return run.chunk(tx -> tx.query(
                        "INSERT INTO kehu.counted (job, number, fence) VALUES ($1, $2, $3)",
                        Tuple.of(run.id(), number, run.fence()))
                .map(v -> new JobRun.Step(
                        new Database.Chunk(
                                "number",
                                1,
                                new byte[32],
                                "" + number,
                                "" + number,
                                Event.of("number.counted", run.id(), number, "job:read")),
                        Json.object().put("number", number),
                        new JobRun.Progress(1, 1, 0, (long) number))));
    }

    private static int next(JobRun run) {
        return run.position().path("number").asInt(0) + 1;
    }

    private static Future<Void> countOn(JobRun run) {
        int next = next(run);
        return next > LAST ? Future.succeededFuture() : countOne(run, next).compose(v -> countOn(run));
    }

    private static String state(UUID id) {
        return kehu.value("SELECT state FROM kehu.job WHERE id = ?", id);
    }

    private static List<Integer> counted(UUID id) {
        return kehu.sql("SELECT number FROM kehu.counted WHERE job = ? ORDER BY number", id).stream()
                .map(row -> (Integer) row.get("number"))
                .toList();
    }

    private static List<Integer> everyNumberOnce() {
        return java.util.stream.IntStream.rangeClosed(1, LAST).boxed().toList();
    }

    private static void awaitState(UUID id, String state) {
        await().atMost(SOON).untilAsserted(() -> assertThat(state(id)).isEqualTo(state));
    }

    @Test
    void aJobIsDoneWithTheRightsOfWhoAskedAndSaysHowFarItIs() {
        List<Principal> seen = new CopyOnWriteArrayList<>();
        Node node = new Node(5_000, run -> {
                    seen.add(run.principal());
                    return run.total(LAST).compose(v -> countOn(run));
                })
                .start();
        UUID id = node.submit(Json.object().put("a", "甲"));
        awaitState(id, "done");
        assertThat(counted(id)).isEqualTo(everyNumberOnce());
        assertThat(seen).containsExactly(Principal.KEHU);
        assertThat(kehu.sql("SELECT rows_read, rows_accepted, units_done, units_total FROM kehu.job WHERE id = ?", id))
                .containsExactly(Map.of("rows_read", 20L, "rows_accepted", 20L, "units_done", 20L, "units_total", 20L));
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.event WHERE aggregate_id = ? AND type = 'job.ended'", id))
                .isEqualTo(1);
    }

    @Test
    void aJobOfADeadNodeGoesOnElsewhereWithoutDoubles() {
        Promise<Void> never = Promise.promise();
        Node first = new Node(
                        1_000,
                        run -> countOne(run, 1).compose(v -> countOne(run, 2)).compose(v -> never.future()))
                .start();
        UUID id = first.submit(Json.object());
        await().atMost(SOON).until(() -> counted(id).size() == 2);
        first.die();
        Node second = new Node(1_000, JobsTest::countOn).start();
        awaitState(id, "done");
        assertThat(counted(id)).isEqualTo(everyNumberOnce());
        assertThat(second.fences).containsExactly(2L);
    }

    @Test
    void whatFailsElsewhereIsPutOffAsOftenAsItTakesAndWhatMayBeOfItsOwnMakingIsNot() {
        Node node = new Node(
                60_000,
                run -> Future.failedFuture(Problem.of(run.params().get("code").textValue())));
        UUID lost = node.submit(Json.object().put("code", "server.unavailable"));
        UUID slow = node.submit(Json.object().put("code", "server.slow"));
        kehu.sql("UPDATE kehu.job SET attempts = 7 WHERE id IN (?, ?)", lost, slow);
        node.start();
        awaitState(slow, "failed");
        for (int time = 1; time <= 3; time++) {
            awaitState(lost, "waiting");
            int failures = node.failures.size();
            kehu.sql("UPDATE kehu.job SET not_before = NULL WHERE id = ?", lost);
            await().atMost(SOON).until(() -> node.failures.size() > failures);
        }
        awaitState(lost, "waiting");
        assertThat(kehu.<Integer>value(
                        "SELECT extract(epoch FROM not_before - kehu.now())::int FROM kehu.job WHERE id = ?", lost))
                .isBetween(40, 60);
    }

    @Test
    void aHolderThatWasThoughtDeadCanChangeNothing() {
        Promise<Void> asleep = Promise.promise();
        // Busy with this one job, so that nobody but the second node can take it again.
        Node first = new Node(
                        1,
                        60_000,
                        run -> countOne(run, 1).compose(v -> asleep.future()).compose(v -> countOne(run, 2)))
                .start();
        UUID id = first.submit(Json.object());
        await().atMost(SOON).until(() -> counted(id).size() == 1);
        // Its lease runs out while it sleeps; its next heartbeat is far away.
        kehu.sql("UPDATE kehu.job SET lease_until = kehu.now() - interval '1 second' WHERE id = ?", id);
        Node second = new Node(60_000, JobsTest::countOn).start();
        awaitState(id, "done");
        asleep.complete();
        await().atMost(SOON).until(() -> !first.failures.isEmpty());
        assertThat(first.failures.get(0)).isInstanceOf(JobRun.Stop.class).hasMessageContaining("FENCED");
        assertThat(second.fences).containsExactly(2L);
        assertThat(counted(id)).isEqualTo(everyNumberOnce());
        assertThat(state(id)).isEqualTo("done");
    }

    @Test
    void aCancelledJobEndsBeforeItsNextChunkAndAWaitingOneAtOnce() {
        // Its heartbeat comes too late to say so: the next chunk does.
        Node node = new Node(600_000, run -> forEver(run, node().vertx));
        UUID waiting = node.submit(Json.object());
        node.cancel(waiting);
        assertThat(state(waiting)).isEqualTo("cancelled");
        assertThatThrownBy(() -> node.cancel(waiting))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo("job.ended"));
        node.start();
        UUID running = node.submit(Json.object());
        await().atMost(SOON).until(() -> !counted(running).isEmpty());
        node.cancel(running);
        awaitState(running, "cancelled");
        assertThat(counted(waiting)).isEmpty();
    }

    private Node node() {
        return nodes.get(0);
    }

    private static Future<Void> forEver(JobRun run, Vertx vertx) {
        return countOne(run, next(run)).compose(v -> vertx.timer(5)).compose(v -> forEver(run, vertx));
    }

    @Test
    void aStoppingNodePutsItsJobsBackForOthersAtOnce() {
        Node first = new Node(600_000, run -> forEver(run, node().vertx)).start();
        UUID id = first.submit(Json.object());
        await().atMost(SOON).until(() -> !counted(id).isEmpty());
        TestKehu.await(first.jobs.close());
        assertThat(state(id)).isEqualTo("waiting");
        int before = counted(id).size();
        assertThat(kehu.<String>value("SELECT position ->> 'number' FROM kehu.job WHERE id = ?", id))
                .isEqualTo("" + before);
    }

    @Test
    void aProblemOfTheWorkEndsTheJobAsFailedWithItsCode() {
        Node node = new Node(5_000, run -> countOne(run, 1).compose(v -> Future.failedFuture(Problem.of("csv.empty"))))
                .start();
        UUID id = node.submit(Json.object());
        awaitState(id, "failed");
        assertThat(kehu.<String>value("SELECT error_code FROM kehu.job WHERE id = ?", id))
                .isEqualTo("csv.empty");
        assertThat(node.fences).hasSize(1);
    }

    @Test
    void aFailureThatMayPassIsTriedAgainFromThePosition() {
        AtomicInteger runs = new AtomicInteger();
        Node node = new Node(
                        5_000,
                        run -> runs.incrementAndGet() == 1
                                ? countOne(run, 1).compose(v -> Future.failedFuture(Problem.of("server.unavailable")))
                                : countOn(run))
                .start();
        UUID id = node.submit(Json.object());
        awaitState(id, "done");
        assertThat(counted(id)).isEqualTo(everyNumberOnce());
        assertThat(node.fences).containsExactly(1L, 2L);
    }

    @Test
    void aJobThatNeverGetsAnyFurtherIsGivenUp() {
        Node node = new Node(5_000, run -> Future.failedFuture(Problem.of("server.unavailable")));
        UUID id = node.submit(Json.object());
        kehu.sql("UPDATE kehu.job SET attempts = 8 WHERE id = ?", id);
        node.start();
        awaitState(id, "failed");
        assertThat(kehu.<String>value("SELECT error_code FROM kehu.job WHERE id = ?", id))
                .isEqualTo("job.gaveUp");
        assertThat(node.fences).isEmpty();
    }

    @Test
    void aJobReadsAStoredFileFromAnyByteOn() {
        List<String> seen = new CopyOnWriteArrayList<>();
        Node node = new Node(
                5_000,
                run -> run.readBlob(UUID.fromString(run.params().get("blob").textValue()))
                        .compose(file -> text(file.read(0, Long.MAX_VALUE))
                                .onSuccess(seen::add)
                                .compose(whole -> text(file.read(17, Long.MAX_VALUE)))
                                .onSuccess(seen::add))
                        .mapEmpty());
        Promise<Blobs.Facts> written = Promise.promise();
        node.vertx.runOnContext(v -> node.blobs
                .write(
                        Blobs.Draft.of(Principal.SYSTEM, "test", "job:read", "名单.csv", 1_000),
                        new OneBuffer(Buffer.buffer("id,name\n1,张三\n2,李四\n")))
                .onComplete(written));
        Blobs.Facts facts = TestKehu.await(written.future());
        assertThat(facts.isWhole()).isTrue();
        assertThat(facts.size()).isEqualTo(26);
        assertThat(facts.contentType()).isEqualTo("text/csv; charset=utf-8");
        node.start();
        UUID id = node.submit(Json.object().put("blob", facts.id().toString()));
        awaitState(id, "done");
        assertThat(seen).containsExactly("id,name\n1,张三\n2,李四\n", "2,李四\n");
    }

    private static Future<String> text(ReadStream<Buffer> stream) {
        Buffer bytes = Buffer.buffer();
        Promise<String> text = Promise.promise();
        stream.exceptionHandler(text::fail)
                .endHandler(v -> text.complete(bytes.toString()))
                .handler(bytes::appendBuffer)
                .resume();
        return text.future();
    }

    @Test
    void whatNobodyClaimsIsDeletedWithItsKey() {
        Node node = new Node(5_000, JobsTest::countOn);
        Promise<Blobs.Facts> written = Promise.promise();
        node.vertx.runOnContext(v -> node.blobs
                .write(
                        Blobs.Draft.of(Principal.SYSTEM, "test", "job:read", "x", 1_000),
                        new OneBuffer(Buffer.buffer("content")))
                .onComplete(written));
        UUID id = TestKehu.await(written.future()).id();
        kehu.sql("UPDATE kehu.blob SET expires_at = kehu.now() - interval '1 second' WHERE id = ?", id);
        Promise<Void> swept = Promise.promise();
        node.vertx.runOnContext(v -> node.blobs.sweep().onComplete(swept));
        TestKehu.await(swept.future());
        assertThat(kehu.sql("SELECT 1 FROM kehu.blob WHERE id = ?", id)).isEmpty();
        assertThat(kehu.sql("SELECT 1 FROM kehu.data_key WHERE subject_id = ?", id))
                .isEmpty();
    }
}
