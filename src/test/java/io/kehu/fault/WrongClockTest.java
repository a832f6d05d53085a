package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.staff.DemoStaff;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two nodes whose machines' clocks are five minutes wrong, one each way, beside one that is right. */
@Tag("fault")
class WrongClockTest {
    private static final int WRONG_SECONDS = 300;
    private static final int FAILURES_THAT_LOCK = 5;
    private static final Duration SOON = Duration.ofSeconds(5);
    private static final Duration ENDED = Duration.ofSeconds(60);
    private static final Map<String, String> SHORT_LEASE = Map.of(
            "KEHU_JOBS_CHUNK_ROWS", "100",
            "KEHU_JOBS_POLL_MILLIS", "100",
            "KEHU_JOBS_LEASE_MILLIS", "2000",
            "KEHU_JOBS_HEARTBEAT_MILLIS", "500");
    /** Put before the C library, it moves the clock of a whole process and leaves the timer alone. */
    private static final String SHIFT = """
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <stdlib.h>
            #include <sys/time.h>
            #include <time.h>
            static long ahead(void) { const char *s = getenv("CLOCK_AHEAD_SECONDS"); return s ? atol(s) : 0; }
            int clock_gettime(clockid_t id, struct timespec *t) {
                static int (*real)(clockid_t, struct timespec *);
                if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
                int failed = real(id, t);
                if (!failed && id == CLOCK_REALTIME) t->tv_sec += ahead();
                return failed;
            }
            int gettimeofday(struct timeval *restrict t, void *restrict zone) {
                struct timespec now;
                int failed = clock_gettime(CLOCK_REALTIME, &now);
                t->tv_sec = now.tv_sec;
                t->tv_usec = now.tv_nsec / 1000;
                return failed;
            }
            """;

    @TempDir
    Path folder;

    private TestKehu kehu;
    private List<Integer> ports;

    @Test
    void sessionsKeysLeasesAndOrderFollowTheClockOfTheDatabase() throws Exception {
        Path shift = folder.resolve("shift.so");
        assumeTrue(compiled(shift), "no C compiler to make a wrong clock with");
        try (TestKehu house = TestKehu.prepare(SHORT_LEASE);
                NodeProcess early = node(house, shift, WRONG_SECONDS);
                NodeProcess late = node(house, shift, -WRONG_SECONDS)) {
            kehu = house;
            kehu.addNode(kehu.settings());
            ports = List.of(early.awaitReady().port(), late.awaitReady().port(), kehu.port());
            assertThat(early.clockAheadSeconds()).isBetween(WRONG_SECONDS - 60L, WRONG_SECONDS + 60L);
            assertThat(late.clockAheadSeconds()).isBetween(-WRONG_SECONDS - 60L, -WRONG_SECONDS + 60L);
            for (int port : ports) {
                whoSignsInHereIsKnownEverywhereUntilHeLeaves(port);
                aKeyUsedHereIsKnownEverywhere(port);
                nobodyTakesOverWorkThatIsBeingDone(port);
            }
            whoIsLockedAtOneIsLockedAtAll();
            listsAreInTheOrderOfWhatHappened();
        }
    }

    private NodeProcess node(TestKehu house, Path shift, int aheadSeconds) throws IOException {
        Map<String, String> environment = new HashMap<>(SHORT_LEASE);
        environment.put("LD_PRELOAD", shift.toString());
        environment.put("CLOCK_AHEAD_SECONDS", Integer.toString(aheadSeconds));
        return NodeProcess.start(house.settings(), folder, "ahead-" + aheadSeconds, environment);
    }

    private boolean compiled(Path library) throws IOException, InterruptedException {
        Path source = Files.writeString(folder.resolve("shift.c"), SHIFT);
        try {
            Process compiler = new ProcessBuilder(
                            "gcc", "-shared", "-fPIC", "-o", library.toString(), source.toString(), "-ldl")
                    .redirectErrorStream(true)
                    .redirectOutput(folder.resolve("gcc.log").toFile())
                    .start();
            return compiler.waitFor(30, TimeUnit.SECONDS) && compiler.exitValue() == 0;
        } catch (IOException e) {
            return false;
        }
    }

    private void whoSignsInHereIsKnownEverywhereUntilHeLeaves(int port) {
        Caller person = kehu.with(login(port, "operator.bj", DemoStaff.PASSWORD)
                .is(200)
                .at("/accessToken")
                .asText());
        for (int other : ports) {
            person.at(other).get("/v1/auth/me").is(200);
        }
        person.at(port).send("POST", "/v1/auth/logout", (byte[]) null).is(204);
        for (int other : ports) {
            await().atMost(SOON).until(() -> person.at(other).get("/v1/auth/me").status() == 401);
        }
    }

    private void aKeyUsedHereIsKnownEverywhere(int port) {
        Caller operator = kehu.caller("operator");
        String key = UUID.randomUUID().toString();
        Answer first = enter(operator.at(port), key);
        for (int other : ports) {
            Answer again = enter(operator.at(other), key);
            assertThat(again.at("/id")).isEqualTo(first.at("/id"));
            assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        }
    }

    private static Answer enter(Caller caller, String key) {
        return caller.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"张三\"}", "Idempotency-Key", key)
                .is(201);
    }

    private void nobodyTakesOverWorkThatIsBeingDone(int port) {
        String path = imported(kehu.caller("operator").at(port), 3_000);
        UUID job = UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
        await().atMost(ENDED)
                .until(() -> kehu.value("SELECT state FROM kehu.job WHERE id = ?", job)
                        .equals("done"));
        assertThat(kehu.<Long>value("SELECT fence FROM kehu.job WHERE id = ?", job))
                .isEqualTo(1);
    }

    private static String imported(Caller operator, int rows) {
        return Imports.begin(operator, "name\n" + "张三\n".repeat(rows), "{\"field\": \"name\", \"column\": \"name\"}");
    }

    private void whoIsLockedAtOneIsLockedAtAll() {
        for (int i = 0; i < FAILURES_THAT_LOCK; i++) {
            login(ports.get(i % ports.size()), "manager2.cd-wh", "wrong-but-long-enough")
                    .is(401, "auth.failed");
        }
        for (int port : ports) {
            login(port, "manager2.cd-wh", DemoStaff.PASSWORD).is(401, "auth.failed");
        }
    }

    private Answer login(int port, String username, String password) {
        return kehu.anonymous().at(port).login(username, password);
    }

    private void listsAreInTheOrderOfWhatHappened() {
        Caller operator = kehu.caller("operator");
        List<String> customers = new ArrayList<>();
        List<String> jobs = new ArrayList<>();
        for (int round = 0; round < 2; round++) {
            for (int port : ports) {
                customers.add(
                        0,
                        enter(operator.at(port), UUID.randomUUID().toString())
                                .at("/id")
                                .asText());
                String job = imported(operator.at(port), 1);
                jobs.add(0, job.substring(job.lastIndexOf('/') + 1));
            }
        }
        String ids = "{" + String.join(",", customers) + "}";
        assertThat(kehu.sql(
                        "SELECT object_id::text AS id FROM kehu.audit WHERE object_id = ANY (?::uuid[]) ORDER BY at DESC",
                        ids))
                .extracting(row -> row.get("id"))
                .isEqualTo(customers);
        assertThat(kehu.sql(
                        "SELECT aggregate_id::text AS id FROM kehu.event WHERE aggregate_id = ANY (?::uuid[]) ORDER BY xid DESC",
                        ids))
                .extracting(row -> row.get("id"))
                .isEqualTo(customers);
        assertThat(operator.get("/v1/jobs?limit=" + jobs.size()).is(200).at("/items"))
                .extracting(item -> item.at("/id").asText())
                .isEqualTo(jobs);
    }
}
