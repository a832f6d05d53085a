package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Phaser;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Three times as many commands as the database can do. What it can do is fixed by a pause in each insert and a small pool, so
 * that neither the machine nor the clients beside it count.
 */
@Tag("fault")
class OverloadTest {
    private static final int CONNECTIONS = 4;
    private static final String PAUSE_SECONDS = "0.05";
    private static final int PEAK_CUSTOMERS = 300;
    /** Longer than what a node trusts its memory of callers for without hearing of revocations. */
    private static final Duration OVERLOAD = Duration.ofSeconds(15);

    private static final double KEPT = 0.8;
    private static final long TOLD_MILLIS = 4_500;
    private static final double EVENTS_PAUSE_SECONDS = 1.5;
    private static final int SENDS_PER_SECOND = 100;

    @ParameterizedTest
    @ValueSource(ints = {20, 2_000})
    void theExcessIsRefusedEarlyAndTheRestIsServed(int queue) throws Exception {
        try (TestKehu kehu = TestKehu.start(Map.of(
                "KEHU_POSTGRESQL_POINT_SIZE", Integer.toString(CONNECTIONS),
                "KEHU_POSTGRESQL_POINT_MAX_WAITING", Integer.toString(queue),
                "KEHU_RATE_PER_SUBJECT_PER_SECOND", "10000"))) {
            kehu.sql("CREATE FUNCTION customer.pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep("
                    + PAUSE_SECONDS + "); RETURN NULL; END $$");
            kehu.sql("CREATE TRIGGER pause AFTER INSERT ON customer.customer EXECUTE FUNCTION customer.pause()");
            Caller operator = kehu.caller("operator");
            double peak = peak(kehu, operator);
            Offered offered = new Offered(kehu, operator, (int) (3 * peak));
            offered.run();
            Double pauseOfEvents = kehu.value("SELECT extract(epoch FROM max(pause))::float8 FROM "
                    + "(SELECT closed_at - lag(closed_at) OVER (ORDER BY id) AS pause FROM kehu.event_range) r");
            System.out.printf(
                    "queue %d: peak %.0f/s, at three times that %.0f/s served, longest wait %d ms, "
                            + "longest pause of events %.2f s, %s%n",
                    queue,
                    peak,
                    offered.servedPerSecond(),
                    offered.longestMillis.get(),
                    pauseOfEvents,
                    offered.answers());
            assertThat(offered.answers().keySet()).isSubsetOf("201", "429", "503");
            assertThat(offered.answers()).containsKey("503");
            assertThat(offered.longestMillis.get()).isLessThan(TOLD_MILLIS);
            assertThat(offered.servedPerSecond()).isGreaterThan(KEPT * peak);
            // What all nodes follow does not queue up with the callers.
            assertThat(pauseOfEvents).isLessThan(EVENTS_PAUSE_SECONDS);
            assertThat(peak(kehu, operator)).as("served afterwards").isGreaterThan(KEPT * peak);
        }
    }

    /** Commands per second of as many clients as keep all connections busy. */
    private static double peak(TestKehu kehu, Caller operator) throws InterruptedException {
        long began = System.nanoTime();
        try (Clients clients = new Clients(kehu, operator, 2 * CONNECTIONS, () -> List.of(kehu.port()))) {
            clients.awaitMore(PEAK_CUSTOMERS, Duration.ofSeconds(30));
            clients.finish();
            assertThat(clients.troubles()).isEmpty();
            return clients.entered() / seconds(System.nanoTime() - began);
        }
    }

    private static double seconds(long nanos) {
        return nanos / 1e9;
    }

    /** Commands that come at a rate, whatever becomes of those before them. */
    private static final class Offered {
        private final HttpClient client = HttpClient.newHttpClient();
        private final HttpRequest request;
        private final int perSecond;
        private final Phaser underWay = new Phaser(1);
        private final Map<String, AtomicInteger> answers = new ConcurrentSkipListMap<>();
        final AtomicLong longestMillis = new AtomicLong();

        Offered(TestKehu kehu, Caller operator, int perSecond) {
            this.perSecond = perSecond;
            this.request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + kehu.port() + "/v1/customers"))
                    .version(HttpClient.Version.HTTP_1_1)
                    .timeout(Duration.ofSeconds(30))
                    .header("Authorization", "Bearer " + operator.token)
                    .header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString("{\"kind\": \"person\", \"name\": \"张三\"}"))
                    .build();
        }

        void run() throws Exception {
            ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
            long began = System.nanoTime();
            AtomicInteger sent = new AtomicInteger();
            timer.scheduleAtFixedRate(
                    () -> {
                        double due = seconds(System.nanoTime() - began) * perSecond;
                        while (sent.get() < due) {
                            sent.incrementAndGet();
                            send();
                        }
                    },
                    0,
                    1_000 / SENDS_PER_SECOND,
                    TimeUnit.MILLISECONDS);
            assertThat(timer.awaitTermination(OVERLOAD.toMillis(), TimeUnit.MILLISECONDS))
                    .isFalse();
            timer.shutdown();
            assertThat(timer.awaitTermination(5, TimeUnit.SECONDS)).isTrue();
            underWay.awaitAdvanceInterruptibly(underWay.arriveAndDeregister(), 40, TimeUnit.SECONDS);
        }

        private void send() {
            long began = System.nanoTime();
            underWay.register();
            client.sendAsync(request, HttpResponse.BodyHandlers.discarding()).whenComplete((answer, failure) -> {
                String status = failure == null ? Integer.toString(answer.statusCode()) : failure.toString();
                answers.computeIfAbsent(status, s -> new AtomicInteger()).incrementAndGet();
                longestMillis.accumulateAndGet((System.nanoTime() - began) / 1_000_000, Math::max);
                underWay.arriveAndDeregister();
            });
        }

        double servedPerSecond() {
            return answers.get("201").get() / (double) OVERLOAD.toSeconds();
        }

        Map<String, Integer> answers() {
            Map<String, Integer> counted = new TreeMap<>();
            answers.forEach((status, times) -> counted.put(status, times.get()));
            return counted;
        }
    }
}
