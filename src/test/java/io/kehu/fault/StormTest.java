package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.Obstacle;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.staff.DemoStaff;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Jobs, what works in the background, and callers, while PostgreSQL cancels statements and ends connections at any moment:
 * nobody is told worse than to come again, and afterwards all is there once and nothing has stopped.
 */
class StormTest {
    private static final Map<String, String> SETTINGS = new HashMap<>(Map.of(
            "KEHU_JOBS_CHUNK_ROWS", "100",
            "KEHU_JOBS_POLL_MILLIS", "100",
            "KEHU_JOBS_LEASE_MILLIS", "1500",
            "KEHU_JOBS_HEARTBEAT_MILLIS", "400",
            "KEHU_EXPORTS_PAGE_ROWS", "50",
            "KEHU_DUPLICATES_UNASKED_ROWS", "0",
            "KEHU_STATISTICS_POLL_MILLIS", "100",
            "KEHU_ERASURE_POLL_MILLIS", "100",
            "KEHU_PERSONAL_DATA_PER_DAY", "10000",
            "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000"));
    /** Demo staff who sign in by turns: of one account only so many looks may be open. */
    private static final List<String> USERS = List.of("operator.sh", "operator.gz", "operator.bj");

    private static final Duration ENDED = Duration.ofSeconds(120);
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final Duration AGAIN = Duration.ofMillis(20);
    /** Every so manieth row has a false date. */
    private static final int FAULTY = 50;
    /** Rows of the file that is imported again and again. */
    private static final int KNOWN = 150;
    /** More than a page. */
    private static final int EXPORTED = 130;

    private static TestKehu kehu;
    private static UUID branch;
    private static Caller operator;
    private static Caller head;
    private static Caller checker;
    /** Of a branch that nobody enters anybody in: what he takes out may not grow meanwhile. */
    private static Caller exporter;

    private final AtomicBoolean passed = new AtomicBoolean();
    private final AtomicInteger entered = new AtomicInteger();
    private final AtomicInteger known = new AtomicInteger();
    private final AtomicInteger badLines = new AtomicInteger();
    private final AtomicInteger looks = new AtomicInteger();
    private final Caller looker = kehu.signIn(kehu.staff(branch, "branch-head"));
    private final Map<String, AtomicInteger> told = new ConcurrentHashMap<>();

    @BeforeAll
    static void start() {
        SETTINGS.put("KEHU_RATE_LOGIN_PER_MINUTE", "100000");
        SETTINGS.put("KEHU_JOBS_WORKERS", "6");
        kehu = TestKehu.start(SETTINGS);
        branch = kehu.branch(kehu.headOffice(), "STORM");
        operator = kehu.signIn(kehu.staff(branch, "operator"));
        head = kehu.signIn(kehu.staff(branch, "branch-head"));
        checker = kehu.signIn(kehu.staff(branch, "branch-head"));
        exporter = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "STILL"), "branch-head"));
        for (int i = 0; i < EXPORTED; i++) {
            exporter.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"静" + (char) ('一' + i) + "\"}")
                    .is(201);
        }
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @Test
    void whatClientsEnterOverConnectionsThatEndIsThereOnce() throws Exception {
        try (Clients clients = new Clients(kehu, operator, 4, () -> List.of(kehu.port()))) {
            try (Storm storm = new Storm(kehu, Storm.Kind.TERMINATE)) {
                clients.awaitMore(1, SOON);
                storm.blowFor(Duration.ofSeconds(2));
                await().atMost(SOON).until(() -> clients.refusals() > 0);
            }
            clients.finish().everythingIsThereOnce();
            System.out.println(clients);
        }
    }

    @Test
    void ofAConnectionThatEndsUnderAWriteNothingIsPrintedPastTheLog() throws Exception {
        String path = begun(head, "/v1/customers", "{\"kind\": \"person\", \"name\": \"断线\"}");
        String etag = head.get(path).is(200).etag();
        PrintStream usual = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setErr(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try (Obstacle held = new Obstacle(kehu, "LOCK TABLE customer.customer IN SHARE MODE")) {
            held.ended("", () -> head.patch(path, etag, "{\"name\": \"接上\"}")).is(503, "server.unavailable");
        } finally {
            System.setErr(usual);
        }
        assertThat(printed.toString(StandardCharsets.UTF_8)).isEmpty();
        head.patch(path, etag, "{\"name\": \"接上\"}").is(200);
    }

    @Test
    void workGetsThroughAStorm() throws Exception {
        storm(100, Duration.ofMillis(2_500), this::exported, this::merged, this::signedIn, this::looked, this::erased);
    }

    @Test
    @Tag("fault")
    void workOfAllKindsGetsThroughAStormOfAMinute() throws Exception {
        storm(
                2_000,
                Duration.ofMinutes(1),
                this::exported,
                this::merged,
                this::signedIn,
                this::looked,
                this::erased,
                this::scanned,
                this::uploaded,
                this::takenOut);
    }

    /** One line of work: again and again until the storm has passed, and once at least. */
    private interface Work {
        void round(int number) throws Exception;
    }

    private void storm(int rows, Duration length, Work... more) throws Exception {
        String segment = kehu.caller("marketing")
                .post("/v1/segments", """
                {"name": "%s", "kind": "live", "filter": {"field": "tier", "is": "private"}}""".formatted(UUID.randomUUID()))
                .is(201)
                .header("Location");
        Bank before = Bank.now();
        String imported = Imports.begin(operator, people(rows), """
                {"field": "name", "column": "name"}, {"field": "phone", "column": "phone"},
                {"field": "birthDate", "column": "born", "dateFormat": "dd.MM.yyyy"}""");
        List<Work> works = new ArrayList<>(List.of(more));
        works.add(number -> imported(number, imported, rows));
        ExecutorService threads = Executors.newFixedThreadPool(works.size());
        try {
            List<CompletableFuture<Void>> under = new ArrayList<>();
            try (Storm storm = new Storm(kehu, Storm.Kind.values())) {
                works.forEach(work -> under.add(CompletableFuture.runAsync(() -> rounds(work), threads)));
                storm.blowFor(length);
                await("somebody feels it").atMost(SOON).until(this::hasBeenFelt);
                System.out.println(storm);
            }
            passed.set(true);
            CompletableFuture.allOf(under.toArray(CompletableFuture[]::new)).get(ENDED.toSeconds(), TimeUnit.SECONDS);
        } finally {
            passed.set(true);
            threads.shutdown();
        }
        System.out.println(new TreeMap<>(told));
        nothingHasStopped(segment);
        everythingIsThereOnce(before, rows);
    }

    private boolean hasBeenFelt() {
        return told.keySet().stream().anyMatch(answer -> answer.startsWith("503"));
    }

    private void rounds(Work work) {
        try {
            int number = 0;
            do {
                work.round(number++);
            } while (!passed.get());
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    // ---- lines of work

    private static String people(int rows) {
        StringBuilder csv = new StringBuilder("name,born,phone\n");
        for (int row = 1; row <= rows; row++) {
            csv.append("双　").append(row).append(row % FAULTY == 0 ? ",30.02.1980," : ",01.02.1980,");
            csv.append("138%08d\n".formatted(row));
        }
        return csv.toString();
    }

    /** The import that has begun, then what cleans all customers. */
    private void imported(int number, String imported, int rows) {
        if (number == 0) {
            Answer end = ended(operator, imported);
            assertThat(List.of(end.at("/read"), end.at("/created"), end.at("/rejected")))
                    .extracting(counter -> counter.asInt())
                    .containsExactly(rows, rows - rows / FAULTY, rows / FAULTY);
        }
        Answer cleaned = ended(operator, begun(operator, "/v1/quality/cleanings", """
                {"action": "tidy-text", "dryRun": false}"""));
        assertThat(cleaned.at("/refused").asInt()).as(cleaned.text()).isZero();
        if (number == 0) {
            assertThat(cleaned.at("/changed").asInt()).isEqualTo(rows - rows / FAULTY);
        }
    }

    private void scanned(int number) {
        ended(operator, begun(operator, "/v1/duplicates/scans", "{\"full\": true}"));
    }

    private void exported(int number) {
        String path = begun(exporter, "/v1/exports", """
                {"format": "csv", "columns": ["id", "name"], "purpose": "service", "archive": "none"}""");
        Answer end = ended(exporter, path);
        AtomicReference<byte[]> file = new AtomicReference<>();
        await().atMost(ENDED).pollInterval(AGAIN).until(() -> {
            // A link is good for one attempt.
            String link =
                    command(exporter, path + "/links", "").is(201).at("/url").asText();
            Answer answer = asked(() -> exporter.get(link));
            if (answer != null && answer.status() == 200) {
                file.set(answer.response().body());
            }
            return file.get() != null;
        });
        List<String> lines =
                new String(file.get(), StandardCharsets.UTF_8).lines().skip(1).toList();
        assertThat(lines).hasSize(end.at("/rows").asInt() + 1).doesNotHaveDuplicates();
    }

    private void merged(int number) {
        String survivor = id(entered("合并"));
        String duplicate = id(entered("并入"));
        String merge = command(head, "/v1/merges", """
                        {"survivorId": "%s", "duplicateId": "%s"}""".formatted(survivor, duplicate))
                .is(201)
                .at("/id")
                .asText();
        assertThat(settled(() -> head.get("/v1/customers/" + duplicate))
                        .at("/id")
                        .asText())
                .isEqualTo(survivor);
        command(head, "/v1/merges/" + merge + "/undo", null).is(200);
        assertThat(settled(() -> head.get("/v1/customers/" + duplicate))
                        .at("/id")
                        .asText())
                .isEqualTo(duplicate);
    }

    /** A refresh whose answer is lost is not repeated: that token has been used. */
    private void signedIn(int number) {
        String user = USERS.get(number % USERS.size());
        Answer in =
                settled(() -> kehu.anonymous().login(user, DemoStaff.PASSWORD)).is(200);
        Answer next = settled(() -> kehu.anonymous()
                .post("/v1/auth/refresh", """
                {"refreshToken": "%s"}""".formatted(in.at("/refreshToken").asText())));
        Caller caller =
                kehu.with((next.status() == 200 ? next : in).at("/accessToken").asText());
        if (next.status() != 200) {
            next.is(401, "auth.refreshInvalid");
        } else {
            settled(() -> caller.post("/v1/auth/logout", ""));
        }
        await().atMost(SOON)
                .until(() -> settled(() -> caller.get("/v1/auth/me")).status() == 401);
    }

    /** Always the same people of another system: the first time they are created, then they are known. */
    private void uploaded(int number) {
        StringBuilder csv = new StringBuilder("id,name,born\n");
        for (int row = 1; row <= KNOWN; row++) {
            csv.append(row).append(",王五,").append(row % FAULTY == 0 ? "30.02.1980\n" : "01.02.1980\n");
        }
        byte[] file = csv.toString().getBytes(StandardCharsets.UTF_8);
        String path = begun(operator, "/v1/uploads", """
                {"purpose": "customer-import", "name": "b.csv", "size": %d}""".formatted(file.length));
        await().atMost(ENDED).pollInterval(AGAIN).until(() -> {
            Answer there = settled(() -> operator.get(path)).is(200);
            int received = there.at("/received").asInt();
            if (there.at("/state").asText().equals("receiving")) {
                asked(() -> operator.send(
                        "PUT",
                        path,
                        Arrays.copyOfRange(file, received, file.length),
                        "Content-Type",
                        "application/octet-stream",
                        "Upload-Offset",
                        Integer.toString(received)));
            }
            return there.at("/state").asText().equals("complete");
        });
        Answer end = ended(operator, begun(operator, "/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", "externalId": {"source": "core", "column": "id"},
                 "fields": [{"field": "name", "column": "name"},
                            {"field": "birthDate", "column": "born", "dateFormat": "dd.MM.yyyy"}]}}""".formatted(id(path))));
        int faulty = KNOWN / FAULTY;
        assertThat(List.of(end.at("/read"), end.at("/created"), end.at("/unchanged"), end.at("/rejected")))
                .extracting(counter -> counter.asInt())
                .containsExactly(KNOWN, number == 0 ? KNOWN - faulty : 0, number == 0 ? 0 : KNOWN - faulty, faulty);
        known.set(KNOWN - faulty);
        badLines.addAndGet(faulty);
    }

    /** At one who is moved in and out of a segment; the access log tells of each look. */
    private void looked(int number) {
        String path = entered("客群");
        for (String tier : List.of("private", "mass", "private")) {
            String etag = settled(() -> looker.get(path)).is(200).etag();
            looks.incrementAndGet();
            String key = UUID.randomUUID().toString();
            settled(() -> looker.patch(path, etag, "{\"tier\": \"" + tier + "\"}", "Idempotency-Key", key))
                    .is(200);
        }
    }

    private void takenOut(int number) {
        String path = entered("数据");
        Answer file = settled(() -> head.get(path + "/personal-data", "Kehu-Purpose", "customer-request"))
                .is(200);
        assertThat(file.at("/customerId").asText()).isEqualTo(id(path));
    }

    private void erased(int number) {
        String path = entered("忘记");
        String proposed = command(head, path + "/deletion", """
                        {"reason": "customer-request", "confirmNumber": "%s"}""".formatted(
                                settled(() -> head.get(path)).at("/number").asText()))
                .is(202)
                .header("Location");
        command(checker, proposed + "/approve", "{}").is(200);
        await().atMost(ENDED)
                .until(() ->
                        settled(() -> head.get(proposed)).at("/state").asText().equals("executed"));
        kehu.sql("UPDATE customer.deletion SET due_at = kehu.now() WHERE customer_id = ?::uuid", id(path));
        await().atMost(ENDED)
                .until(() -> kehu.<Boolean>value(
                        "SELECT EXISTS (SELECT FROM customer.erased WHERE customer_id = ?::uuid)", id(path)));
    }

    // ---- what callers do

    private static String id(String path) {
        return path.substring(path.lastIndexOf('/') + 1);
    }

    private String entered(String name) {
        String path = begun(head, "/v1/customers", "{\"kind\": \"person\", \"name\": \"" + name + "\"}");
        entered.incrementAndGet();
        return path;
    }

    private String begun(Caller who, String path, String json) {
        Answer answer = command(who, path, json);
        assertThat(answer.status()).as(answer.text()).isIn(201, 202);
        return answer.header("Location");
    }

    /** Under one key, until it is known how it ended. */
    private Answer command(Caller who, String path, @Nullable String json) {
        String key = UUID.randomUUID().toString();
        return settled(() -> who.send("POST", path, json, "Idempotency-Key", key));
    }

    private Answer settled(Supplier<Answer> ask) {
        AtomicReference<Answer> settled = new AtomicReference<>();
        await().atMost(ENDED).pollDelay(Duration.ZERO).pollInterval(AGAIN).until(() -> {
            Answer answer = asked(ask);
            if (answer == null
                    || answer.status() == 503
                    || answer.status() == 429
                    || (answer.status() == 409 && answer.code().equals("request.inFlight"))) {
                return false;
            }
            settled.set(answer);
            return true;
        });
        return settled.get();
    }

    /** One attempt; null where the connection broke, as it does in the middle of a download. */
    private @Nullable Answer asked(Supplier<Answer> ask) {
        Answer answer;
        try {
            answer = ask.get();
        } catch (IllegalStateException e) {
            if (e.getCause() instanceof IOException) {
                return null;
            }
            throw e;
        }
        if (answer.status() >= 400) {
            told.computeIfAbsent(answer.status() + " " + answer.code(), code -> new AtomicInteger())
                    .incrementAndGet();
        }
        assertThat(answer.status()).as(answer.text()).isNotEqualTo(500);
        return answer;
    }

    private Answer ended(Caller who, String path) {
        AtomicReference<Answer> end = new AtomicReference<>();
        await().atMost(ENDED).until(() -> {
            end.set(settled(() -> who.get(path)).is(200));
            return !List.of("waiting", "running")
                    .contains(end.get().at("/state").asText());
        });
        assertThat(end.get().at("/state").asText()).as(end.get().text()).isEqualTo("done");
        return end.get();
    }

    // ---- afterwards

    /**
     * What is compared before and after.
     *
     * @param audited rows of imports, by the audit
     * @param faults kept of imports
     */
    private record Bank(long imported, long entered, long audited, long faults) {
        static Bank now() {
            String told = "(SELECT FROM kehu.event e WHERE e.aggregate_id = c.id AND e.type = 'customer.created')";
            return new Bank(
                    kehu.value("SELECT count(*) FROM customer.customer c WHERE NOT EXISTS " + told),
                    kehu.value("SELECT count(*) FROM customer.customer c WHERE EXISTS " + told),
                    kehu.value("""
                            SELECT coalesce(sum(row_count), 0)::bigint FROM kehu.audit
                            WHERE kind = 'bulk' AND operation = 'createImport'"""),
                    kehu.value("SELECT count(*) FROM customer.import_error"));
        }
    }

    private static void is(String what, long expected, String sql, Object... values) {
        await().atMost(SOON)
                .pollInterval(AGAIN)
                .untilAsserted(
                        () -> assertThat(kehu.<Long>value(sql, values)).as(what).isEqualTo(expected));
    }

    /** Each worker comes to what there is to do after the storm, and each connection of each pool is good. */
    private static void nothingHasStopped(String segment) {
        Caller witness = kehu.caller("operator");
        for (int i = 0; i < 64; i++) {
            witness.get("/v1/auth/me").is(200);
            witness.get("/v1/customers?limit=1").is(200);
        }
        is("jobs under way", 0, "SELECT count(*) FROM kehu.job WHERE state IN ('waiting', 'running')");
        is("jobs that failed", 0, "SELECT count(*) FROM kehu.job WHERE state = 'failed'");
        is("keys in flight", 0, "SELECT count(*) FROM kehu.idempotency WHERE status IS NULL AND code IS NULL");
        String event = "SELECT coalesce((SELECT max(id) FROM kehu.event_range), 0)::bigint";
        long end = kehu.value(event);
        is("consumers behind", 0, "SELECT count(*) FROM kehu.event_cursor WHERE range_id < ?", end);
        is("consumers", 2, """
                SELECT count(*) FROM kehu.event_cursor WHERE consumer IN ('customer.duplicates', 'customer.grading')""");
        is("entries without a seal", 0, """
                SELECT count(*) FROM kehu.audit WHERE xid >= coalesce((SELECT max(to_xid) FROM kehu.audit_seal), '0')""");
        is("changes that no segment has heard of", 0, "SELECT count(*) FROM customer.segment_due");
        is(
                "members",
                kehu.<Long>value(
                        "SELECT count(*) FROM customer.customer WHERE tier = 'private' AND deleted_at IS NULL"),
                "SELECT count(*) FROM customer.segment_member WHERE segment_id = ?::uuid",
                id(segment));
        is("kept numbers", kehu.<Long>value("SELECT count(*) FROM customer.customer WHERE deleted_at IS NULL"), """
                SELECT coalesce(sum(t.customers), 0)::bigint FROM customer.tally t JOIN customer.tally_state s ON s.run = t.run
                WHERE t.dimension = 'all'""");
        Caller out = kehu.signIn(kehu.staff(branch, "operator"));
        out.get("/v1/auth/me").is(200);
        out.post("/v1/auth/logout", "").is(204);
        await().atMost(SOON).until(() -> out.get("/v1/auth/me").status() == 401);
    }

    private void everythingIsThereOnce(Bank before, int rows) {
        Bank now = Bank.now();
        long faulty = rows / FAULTY;
        assertThat(new Bank(
                        now.imported - before.imported,
                        now.entered - before.entered,
                        now.audited - before.audited,
                        now.faults - before.faults))
                .isEqualTo(new Bank(
                        rows - faulty + known.get(),
                        entered.get(),
                        rows - faulty + known.get(),
                        faulty + badLines.get()));
        is("rows charged and not in a file", 0, """
                SELECT (SELECT coalesce(sum(rows), 0) FROM customer.export_quota)::bigint
                    - (SELECT coalesce(sum(rows), 0) FROM customer.export_file)::bigint""");
        is("versions that are double", 0, """
                SELECT count(*) FROM (SELECT FROM customer.customer_past GROUP BY id, version HAVING count(*) > 1) d""");
        is("events that are double", 0, """
                SELECT count(*) FROM (SELECT FROM kehu.event WHERE aggregate = 'customer'
                                      GROUP BY aggregate_id, version, type HAVING count(*) > 1) d""");
        is("seals with a gap", 0, """
                SELECT (SELECT count(*) FROM kehu.audit) - (SELECT sum(row_count)::bigint FROM kehu.audit_seal)""");
        is("merges in force", 0, "SELECT count(*) FROM customer.merged");
        is(
                "looks in the access log",
                looks.get(),
                "SELECT count(*) FROM kehu.access_log WHERE subject = ? AND operation = 'getCustomer' AND status = 200",
                looker.id);
        assertThat(kehu.sql("""
                        SELECT operation, status, code FROM kehu.access_log
                        WHERE status >= 500 AND code NOT IN ('server.slow', 'server.unavailable', 'server.contended', 'request.unknown')""")).isEmpty();
    }
}
