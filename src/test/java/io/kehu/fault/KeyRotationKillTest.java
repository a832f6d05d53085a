package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Vault;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Keys are rotated by a process that is killed, again and again, while two nodes let people read and change customers. The
 * nodes here do no jobs, so that what is killed is also what wraps the data keys.
 */
class KeyRotationKillTest {
    private static final Map<String, String> HOUSE = Map.of(
            "KEHU_JOBS_WORKERS", "0",
            // For a slow machine: the load does not sign in again.
            "KEHU_AUTH_ACCESS_MINUTES", "30",
            "KEHU_KEYS_RELOAD_MILLIS", "200",
            "KEHU_RATE_PER_ADDRESS_PER_SECOND", "100000",
            "KEHU_RATE_PER_SUBJECT_PER_SECOND", "100000");
    private static final Map<String, String> ROTATOR = Map.of(
            "KEHU_JOBS_WORKERS", "1",
            "KEHU_JOBS_CHUNK_ROWS", "100",
            "KEHU_JOBS_POLL_MILLIS", "50",
            "KEHU_JOBS_LEASE_MILLIS", "1000",
            "KEHU_JOBS_HEARTBEAT_MILLIS", "300",
            "KEHU_KEYS_RELOAD_MILLIS", "200");
    private static final Duration SOON = Duration.ofSeconds(90);
    private static final int CALLERS = 2;
    private static final long PAUSE_MILLIS = 20;

    @TempDir
    Path folder;

    private TestKehu kehu;
    private Caller administrator;
    private int processes;

    /** Whether a rotation is where it is to be killed. */
    private interface Moment {
        boolean reached() throws Exception;
    }

    @Test
    void keysAreRotatedUnderLoadAndARotationThatIsKilledGoesOnWhereItWas() throws Exception {
        try (TestKehu house = TestKehu.prepare(HOUSE);
                Customers customers = people(house)) {
            moreDataKeys(3_000);

            killed("rotate-epoch", () -> rewrapped(500));
            rotateEpoch();
            rotateMaster();

            customers.finish();
            everythingOpens();
            theRotationWasSeen();
        }
    }

    @Test
    @Tag("fault")
    void aRotationThatIsKilledAtEveryStepLosesNothing() throws Exception {
        try (TestKehu house = TestKehu.prepare(HOUSE);
                Customers customers = people(house)) {
            moreDataKeys(10_000);
            for (int round = 0; round < 2; round++) {
                killed("rotate-epoch", () -> exists("SELECT FROM kehu.key_epoch WHERE begun_at IS NULL"));
                killed("rotate-epoch", () -> changed("keys.json"));
                killed("rotate-epoch", () -> exists("SELECT FROM kehu.job WHERE state = 'waiting'"));
                killed("rotate-epoch", () -> rewrapped(0));
                killed("rotate-epoch", () -> rewrapped(5_000));
                killed(
                        "rotate-epoch",
                        () -> exists("SELECT FROM kehu.key_epoch WHERE closed_at IS NOT NULL AND retired_at IS NULL"));
                rotateEpoch();
                killed("rotate-master", () -> Files.exists(keyFile("master.json.new")));
                killed("rotate-master", () -> changed("master.json"));
                killed("rotate-master", () -> changed("keys.json"));
                rotateMaster();
            }
            customers.finish();
            everythingOpens();
        }
    }

    @Test
    @Tag("fault")
    void aRotationThatSomebodyCancelsGoesOnWhenItIsAskedForAgain() throws Exception {
        try (TestKehu house = TestKehu.prepare(HOUSE);
                Customers customers = people(house)) {
            moreDataKeys(5_000);
            try (NodeProcess rotator = rotate("rotate-epoch")) {
                await().atMost(SOON).pollInterval(Duration.ofMillis(5)).until(() -> rewrapped(500));
                UUID job = kehu.value("SELECT id FROM kehu.job WHERE state = 'running'");
                administrator
                        .send("POST", "/v1/jobs/" + job + "/cancel", (byte[]) null)
                        .is(200);
                await().atMost(SOON).until(rotator::ended);
                assertThat(rotator.said()).contains("cancelled");
            }
            rotateEpoch();
            customers.finish();
            everythingOpens();
        }
    }

    // ---- what happens to the keys

    private final Map<String, String> before = new java.util.HashMap<>();

    private boolean changed(String file) throws Exception {
        String now = Files.readString(keyFile(file));
        return !now.equals(before.getOrDefault(file, now));
    }

    private Path keyFile(String name) {
        return kehu.settings().keys().folder().resolve(name);
    }

    private boolean exists(String query) {
        return kehu.value("SELECT EXISTS (" + query + ")");
    }

    private int latest() {
        return kehu.value("SELECT max(number) FROM kehu.key_epoch");
    }

    /** Whether a sweep is between its beginning and its end, with more than so many data keys behind it. */
    private boolean rewrapped(int more) {
        return kehu.value("""
                SELECT count(*) FILTER (WHERE epoch = latest) > ? AND count(*) FILTER (WHERE epoch < latest) > 0
                FROM kehu.data_key, (SELECT max(number) AS latest FROM kehu.key_epoch) e WHERE kind = 'payee'""", more);
    }

    private NodeProcess rotate(String command) throws Exception {
        for (String file : List.of("master.json", "keys.json")) {
            before.put(file, Files.readString(keyFile(file)));
        }
        return NodeProcess.start(kehu.settings(), folder, "rotator-" + processes++, ROTATOR, "keys", command);
    }

    /** Begins a rotation and kills it at that moment, or as soon after as a process can be killed. */
    private void killed(String command, Moment moment) throws Exception {
        try (NodeProcess rotator = rotate(command)) {
            await().atMost(SOON)
                    .pollDelay(Duration.ZERO)
                    .pollInterval(Duration.ofMillis(1))
                    .until(() -> moment.reached() || rotator.ended());
            rotator.kill();
        }
    }

    /** Ends the rotation that was begun; where the last kill came too late to stop it, a further one. */
    private void rotateEpoch() throws Exception {
        int epoch;
        try (NodeProcess rotator = rotate("rotate-epoch")) {
            String said = rotator.awaitEnd();
            epoch = latest();
            assertThat(said)
                    .contains("Epoch " + epoch + " wraps every data key")
                    .contains("data keys wrapped anew");
        }
        assertThat(kehu.sql("SELECT number, begun_at IS NOT NULL AS begun, retired_at IS NOT NULL AS retired"
                        + " FROM kehu.key_epoch ORDER BY number"))
                .hasSize(epoch)
                .last()
                .isEqualTo(Map.of("number", epoch, "begun", true, "retired", false));
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.key_epoch WHERE retired_at IS NULL"))
                .isEqualTo(1);
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.data_key WHERE epoch <> ?", epoch))
                .isZero();
        assertThatThrownBy(() -> kehu.sql(
                        "INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped) VALUES (?, 'payee', ?, '')",
                        Ids.next(),
                        epoch - 1))
                .hasStackTraceContaining("a data key of a closed epoch");
    }

    private void rotateMaster() throws Exception {
        String former =
                Json.read(Files.readString(keyFile("keys.json"))).get("master").asText();
        try (NodeProcess rotator = rotate("rotate-master")) {
            rotator.awaitEnd();
        }
        assertThat(Json.read(Files.readString(keyFile("master.json"))).get("masters"))
                .hasSize(1);
        assertThat(Json.read(Files.readString(keyFile("keys.json")))
                        .get("master")
                        .asText())
                .isNotEqualTo(former);
    }

    /** Data keys of people whom nobody asks for, so that a rotation takes its time. */
    private void moreDataKeys(int number) {
        StringBuilder rows = new StringBuilder();
        for (int i = 0; i < number; i++) {
            Vault.NewKey key = kehu.vault().newKey(Ids.next());
            rows.append(i == 0 ? "" : ",")
                    .append(key.subject())
                    .append(' ')
                    .append(HexFormat.of().formatHex(key.wrapped()));
        }
        kehu.sql("""
                INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped)
                SELECT split_part(line, ' ', 1)::uuid, 'payee', 1, decode(split_part(line, ' ', 2), 'hex')
                FROM unnest(string_to_array(?, ',')) line""", rows.toString());
    }

    private void everythingOpens() {
        KeyStore keys = KeyStore.openOrCreate(kehu.settings().keys().folder(), false);
        assertThat(keys.current(KeyStore.Kind.EPOCHS)).isEqualTo(latest()).isGreaterThan(1);
        Vault vault = new Vault(keys, 100);
        List<Map<String, Object>> rows = kehu.sql("SELECT subject_id, epoch, wrapped FROM kehu.data_key");
        assertThat(rows)
                .hasSizeGreaterThan(3_000)
                .allSatisfy(row -> assertThat(
                                vault.key((UUID) row.get("subject_id"), (Integer) row.get("epoch"), (byte[])
                                                row.get("wrapped"))
                                        .subject())
                        .isEqualTo(row.get("subject_id")));
    }

    private void theRotationWasSeen() throws Exception {
        Answer jobs = administrator.get("/v1/jobs?kind=keys.rewrap").is(200);
        assertThat(jobs.at("/items")).hasSize(latest() - 1);
        assertThat(jobs.at("/items/0/state").asText()).isEqualTo("done");
        assertThat(jobs.at("/items/0/percent").asInt()).isEqualTo(100);
        assertThat(jobs.at("/items/0/accepted").asInt()).isGreaterThanOrEqualTo(3_000);
        assertThat(kehu.sql("SELECT DISTINCT e.type FROM kehu.audit a JOIN kehu.event e ON e.audit_id = a.id"
                        + " WHERE a.kind = 'key' ORDER BY 1"))
                .extracting(row -> row.get("type"))
                .containsExactly("key.announced", "key.closed", "key.retired", "key.rotated");
        assertThat(kehu.<Boolean>value("""
                        SELECT (SELECT sum(row_count) FROM kehu.audit WHERE kind = 'bulk' AND object_type = 'data-key')
                             = (SELECT sum(rows_accepted) FROM kehu.job WHERE kind = 'keys.rewrap')"""))
                .as("every data key that was wrapped anew is in the audit")
                .isTrue();
        String metrics = HttpClient.newHttpClient()
                .send(
                        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + kehu.managementPort() + "/metrics"))
                                .build(),
                        HttpResponse.BodyHandlers.ofString())
                .body();
        assertThat(metrics).contains("kehu_keys_epoch " + latest() + ".0").contains("kehu_keys_rewrapped_total 0.0");
    }

    // ---- the people

    private Customers people(TestKehu house) {
        kehu = house;
        List<Integer> ports = List.of(
                house.addNode(house.settings()).httpPort(),
                house.addNode(house.settings()).httpPort());
        administrator = house.caller("administrator");
        return new Customers(house.caller("operator"), ports);
    }

    /**
     * Enter, read and change customers of their own at two nodes in turn, with a pause, so that the machine has time for the
     * processes that rotate; whatever is not as it should be is kept.
     */
    private static final class Customers implements AutoCloseable {
        private final AtomicInteger rounds = new AtomicInteger();
        private final Queue<String> wrong = new ConcurrentLinkedQueue<>();
        private final ScheduledExecutorService threads = Executors.newScheduledThreadPool(CALLERS);

        Customers(Caller caller, List<Integer> ports) {
            for (int i = 0; i < CALLERS; i++) {
                threads.scheduleWithFixedDelay(new Customer(caller, ports, i), 0, PAUSE_MILLIS, TimeUnit.MILLISECONDS);
            }
        }

        private final class Customer implements Runnable {
            private final Caller caller;
            private final List<Integer> ports;
            private final int number;
            private String path = "";
            private String name = "旧名";
            private int round;

            Customer(Caller caller, List<Integer> ports, int number) {
                this.caller = caller;
                this.ports = ports;
                this.number = number;
            }

            private Caller at(int turn) {
                return caller.at(ports.get(turn % ports.size()));
            }

            private static String enter(Caller here, String name) {
                return here.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"" + name + "\"}")
                        .is(201)
                        .header("Location");
            }

            @Override
            public void run() {
                try {
                    if (path.isEmpty()) {
                        path = enter(at(0), name);
                    }
                    Caller here = at(round + number);
                    Answer read = here.get(path).is(200);
                    assertThat(read.at("/name").asText()).isEqualTo(name);
                    name = "新名" + round;
                    here.patch(path, read.etag(), "{\"name\": \"" + name + "\"}")
                            .is(200);
                    if (round % 5 == 0) {
                        String other = enter(here, "别人");
                        at(round + number + 1).get(other).is(200);
                    }
                    round++;
                    rounds.incrementAndGet();
                } catch (RuntimeException | Error e) {
                    wrong.add(e.toString());
                    throw e;
                }
            }
        }

        void finish() throws InterruptedException {
            int enough = rounds.get() + CALLERS;
            await().atMost(SOON).until(() -> rounds.get() > enough || !wrong.isEmpty());
            threads.shutdown();
            assertThat(threads.awaitTermination(SOON.toMillis(), TimeUnit.MILLISECONDS))
                    .isTrue();
            System.out.println(rounds + " rounds of reading and changing while keys were rotated");
            assertThat(wrong).isEmpty();
        }

        @Override
        public void close() {
            threads.shutdownNow();
        }
    }
}
