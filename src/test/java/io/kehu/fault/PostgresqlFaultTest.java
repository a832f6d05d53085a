package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** PostgreSQL is away or hangs under load: refusals meanwhile, nothing lost, healed without a new start of Kehu. */
class PostgresqlFaultTest {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static final int CLIENTS = 4;
    private static final Duration START = Duration.ofSeconds(20);
    private static final Duration HEALED = Duration.ofSeconds(5);
    /** An operation may take three seconds; what is more is for a machine that has other things to do. */
    private static final long TOLD_MILLIS = 4_500;

    /** A blocked loop would take as long as PostgreSQL does. */
    private static final long LIVE_MILLIS = 1_000;

    private static final long MAX_GROWTH_BYTES = 64L << 20;

    @TempDir
    static Path folder;

    private static OwnPostgres postgres;
    private static TestKehu kehu;
    private static Caller operator;

    @BeforeAll
    static void start() throws Exception {
        // So that a short stall too is longer than what a node trusts its memory of callers for.
        postgres = OwnPostgres.start(folder, Map.of("KEHU_AUTH_REVOCATION_STALE_MILLIS", "1000"));
        kehu = TestKehu.on(postgres.settings());
        kehu.addNode(kehu.settings());
        operator = kehu.caller("operator");
    }

    @AfterAll
    static void stop() {
        try {
            kehu.close();
        } finally {
            postgres.close();
        }
    }

    private static Clients clients(int number) {
        return new Clients(kehu, operator, number, () -> List.of(kehu.port()));
    }

    @Test
    void aRestartIsHealedFromAndLosesNothing() throws Exception {
        restart(2);
    }

    @Test
    @Tag("fault")
    void fiftyRestartsAreHealedFromAndLoseNothing() throws Exception {
        restart(50);
    }

    private void restart(int rounds) throws Exception {
        try (Clients clients = clients(CLIENTS)) {
            clients.awaitMore(20, START);
            for (int round = 0; round < rounds; round++) {
                postgres.stop(round % 2 == 0 ? OwnPostgres.Stop.FAST : OwnPostgres.Stop.IMMEDIATE);
                int refused = clients.refusals();
                await().atMost(HEALED).until(() -> clients.refusals() > refused);
                operator.get("/v1/branches").is(503);
                postgres.start();
                clients.awaitMore(CLIENTS, HEALED);
                operator.get("/v1/branches").is(200);
            }
            clients.finish().everythingIsThereOnce();
            System.out.println(rounds + " restarts: " + clients);
            assertThat(clients.longestMillis()).isLessThan(TOLD_MILLIS);
        }
    }

    @Test
    void whileItHangsEveryCallerIsToldInTimeAndAfterwardsAllIsWell() throws Exception {
        stall(Duration.ofSeconds(4));
    }

    @Test
    @Tag("fault")
    void aStallOfHalfAMinuteHoldsNobodyUpAndGrowsNothing() throws Exception {
        long before = heapBytes();
        assertThat(stall(Duration.ofSeconds(30))).isLessThan(LIVE_MILLIS);
        long grown = heapBytes() - before;
        System.out.println("grown by " + (grown >> 20) + " MB");
        assertThat(grown).isLessThan(MAX_GROWTH_BYTES);
    }

    /** The answer is the longest time, in ms, that an event loop with nothing to wait for took to say so. */
    private long stall(Duration length) throws Exception {
        // Leaves many connections that do nothing: whoever asks next is not refused for want of one.
        try (Clients warm = clients(8 * CLIENTS)) {
            warm.awaitMore(8 * CLIENTS, START);
            warm.finish();
        }
        try (Clients clients = clients(CLIENTS)) {
            clients.awaitMore(CLIENTS, START);
            AtomicLong longestLiveMillis = new AtomicLong();
            long began = System.nanoTime();
            postgres.stall();
            try {
                await().atMost(length.plusSeconds(10)).until(() -> {
                    longestLiveMillis.accumulateAndGet(liveMillis(), Math::max);
                    operator.get("/v1/branches").is(503);
                    return System.nanoTime() - began > length.toNanos();
                });
            } finally {
                postgres.resume();
            }
            clients.awaitMore(CLIENTS, HEALED);
            operator.get("/v1/branches").is(200);
            clients.finish().everythingIsThereOnce();
            System.out.println("stalled for " + length + ": " + clients + ", loops " + longestLiveMillis + " ms");
            assertThat(clients.troubles()).containsKey("503 request.unknown");
            assertThat(clients.longestMillis()).isLessThan(TOLD_MILLIS);
            return longestLiveMillis.get();
        }
    }

    @Test
    void aStatementMayBeCancelledAtAnyMoment() throws Exception {
        cancel(Duration.ofSeconds(3));
    }

    @Test
    @Tag("fault")
    void minutesOfCancelledStatementsLoseNothing() throws Exception {
        cancel(Duration.ofMinutes(2));
    }

    /** Cancels whatever the pools' connections do, all the time: BEGIN, COMMIT and ROLLBACK too. */
    private void cancel(Duration length) throws Exception {
        try (Clients clients = clients(CLIENTS);
                Connection connection = postgres.superuser();
                Statement sql = connection.createStatement()) {
            clients.awaitMore(CLIENTS, START);
            int refused = clients.refusals();
            for (long began = System.nanoTime(); System.nanoTime() - began < length.toNanos(); ) {
                sql.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                        + " WHERE application_name LIKE 'kehu-%' AND state = 'active'");
            }
            assertThat(clients.refusals()).isGreaterThan(refused);
            clients.finish().everythingIsThereOnce();
            System.out.println("cancelled for " + length + ": " + clients);
        }
    }

    private static long liveMillis() throws IOException, InterruptedException {
        long began = System.nanoTime();
        URI live = URI.create("http://127.0.0.1:" + kehu.managementPort() + "/health/live");
        CLIENT.send(HttpRequest.newBuilder(live).build(), HttpResponse.BodyHandlers.discarding());
        return (System.nanoTime() - began) / 1_000_000;
    }

    private static long heapBytes() {
        System.gc();
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }
}
