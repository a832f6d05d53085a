package io.kehu.customer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import io.kehu.app.TestServers;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;

/**
 * A thousand people with unmistakable values go through every path: entered by hand and from a file, changed, found, read
 * masked and unmasked, refused, repeated under their keys, told of in events. Then everything that is kept or said where it
 * should not be is searched for these values, in every form in which it could be printed.
 *
 * <p>The programs of the embedded PostgreSQL hold no pg_dump; so each table, and what the planner keeps of it, is copied out
 * as text, which is what a dump consists of.
 */
class CanaryTest {
    private static final int PEOPLE = 1_000;
    /** The first of them come one by one, the others in a file. */
    private static final int BY_HAND = 250;

    private static final int UNMASKED = 40;
    /** Stands in plain text where it belongs: what is searched holds these writes. */
    private static final String CONTROL = "CANARY-CONTROL";

    private static final Needles NEEDLES = new Needles();
    /** All but the names, which everybody sees in full who sees the customer at all. */
    private static final Needles MASKED = new Needles();

    private static final Needles CONTROLS = new Needles().add("control", CONTROL);

    private static TestKehu kehu;
    private static Caller who;
    /** Somebody whom the others are related to. */
    private static String friend;

    /** What error answers said, with their headers. */
    private final StringBuffer errors = new StringBuffer();
    /** What was read without unmasking. */
    private final StringBuffer masked = new StringBuffer();

    private record Person(int number) {
        String name() {
            return "雀" + (char) (0x4E00 + number / 100) + (char) (0x5000 + number % 100);
        }

        String newName() {
            return "鹊" + name().substring(1);
        }

        /** A resident id without its check digit; GB 11643. */
        String idStem() {
            return "110101"
                    + LocalDate.of(1985, 3, 7).plusDays(number).format(DateTimeFormatter.BASIC_ISO_DATE)
                    + "551";
        }

        String idNumber() {
            int sum = 0;
            for (int i = 0; i < 17; i++) {
                sum += (idStem().charAt(i) - '0') * ((1 << 17 - i) % 11);
            }
            return idStem() + "10X98765432".charAt(sum % 11);
        }

        String phone() {
            return "139%08d".formatted(87_650_000 + number);
        }

        String newPhone() {
            return "138%08d".formatted(87_650_000 + number);
        }

        String email() {
            return "canary-%04d.bird@example.com".formatted(number);
        }

        String address() {
            return "金丝雀胡同%04d号".formatted(number);
        }

        String externalId() {
            return "CANARY-EXT-%04d".formatted(number);
        }

        String json() {
            return """
                    {"kind": "person", "name": "%s", "documents": [{"type": "resident_id", "number": "%s"}],
                     "phones": [{"number": "%s"}], "emails": ["%s"], "addresses": [{"line": "北京市东城区%s"}],
                     "externalIds": [{"source": "canary", "id": "%s"}]}""".formatted(name(), idNumber(), phone(), email(), address(), externalId());
        }

        String row() {
            return String.join(",", externalId(), name(), idNumber(), phone(), email(), "北京市东城区" + address()) + "\n";
        }

        void hide() {
            Map<String, String> values = new TreeMap<>(Map.of(
                    "id number", idStem(),
                    "phone", phone(),
                    "new phone", newPhone(),
                    "e-mail", email(),
                    "address", address(),
                    "external id", externalId()));
            values.forEach((what, value) -> MASKED.add(what + " of " + number, value));
            values.put("name", name());
            values.put("new name", newName());
            values.forEach((what, value) -> NEEDLES.add(what + " of " + number, value));
        }
    }

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        who = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), CONTROL), "customer-manager", "operator"));
        friend = who.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"友\"}")
                .is(201)
                .at("/id")
                .asText();
        IntStream.range(0, PEOPLE).mapToObj(Person::new).forEach(Person::hide);
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @Test
    void noPersonalValueOfAThousandPeopleIsKeptOrSaidInPlaintextAnywhere() throws Exception {
        String segment = kehu.valueAsSuperuser("SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
        StringBuffer stream = new StringBuffer();
        CompletableFuture<HttpResponse<Stream<String>>> listening = listen(stream);

        IntStream.range(0, BY_HAND).parallel().mapToObj(Person::new).forEach(this::byHand);
        String errorFile = fromAFile();
        refusals();
        String feed = feed();
        await().atMost(Duration.ofSeconds(20))
                .until(() -> kehu.<Long>value("SELECT count(*) FROM kehu.access_log WHERE subject = ?", who.id)
                        > 2 * BY_HAND);

        long began = System.nanoTime();
        searchTables();
        searchWriteAheadLog(segment);
        assertThat(NEEDLES.in(errors.toString())).as("error answers").isEmpty();
        assertThat(errors.toString()).contains("customer.idTaken", "request.invalid");
        assertThat(MASKED.in(masked.toString())).as("masked answers").isEmpty();
        assertThat(NEEDLES.in(masked.toString()))
                .as("names, to see that these are the answers")
                .hasSizeGreaterThanOrEqualTo(BY_HAND);
        assertThat(NEEDLES.in(errorFile)).as("the errors of the import").isEmpty();
        assertThat(errorFile).contains("customer.idTaken", "field.");
        assertThat(NEEDLES.in(feed)).as("the feed of events").isEmpty();
        await().atMost(Duration.ofSeconds(20)).until(() -> count(stream, "customer.created") >= BY_HAND);
        listening.join().body().close();
        assertThat(NEEDLES.in(stream.toString())).as("the stream of events").isEmpty();
        assertThat(NEEDLES.in(metrics())).as("metrics").isEmpty();
        assertThat(NEEDLES.in(redis())).as("Redis").isEmpty();
        assertThat(searchFiles(kehu.settings().blob().folder()))
                .as("bytes of files")
                .isGreaterThan(PEOPLE * 60L);
        searchFiles(kehu.settings().log().folder());
        searchFiles(TestServers.folder().resolve("log"));
        searchFiles(TestServers.folder().resolve("redis"));
        searchFiles(Path.of("target", "surefire-reports"));
        System.out.println(
                NEEDLES.size() + " needles were looked for in " + (System.nanoTime() - began) / 1_000_000 + " ms");
    }

    // ---- every path

    private void byHand(Person person) {
        String key = "canary-" + person.number;
        boolean tenth = person.number % 10 == 0;
        Answer made =
                who.post("/v1/customers", person.json(), "Idempotency-Key", key).is(201);
        String path = made.header("Location");
        Answer changed = who.patch(
                        path,
                        made.etag(),
                        "{\"name\": \"%s\", \"phones\": [{\"number\": \"%s\"}]}"
                                .formatted(person.newName(), person.newPhone()),
                        "Idempotency-Key",
                        key)
                .is(200);
        masked.append(changed.text())
                .append(who.get(path, "User-Agent", person.email()).is(200).text());
        if (tenth) {
            contacts(person, path);
            who.post("/v1/customers", person.json(), "Idempotency-Key", key).is(201);
            who.post("/v1/customers", person.json(), "Dry-Run", "true").is(409, "customer.idTaken");
            refused(who.post("/v1/customers", person.json()).is(409, "customer.idTaken"));
            refused(who.post("/v1/customers", person.json(), "Idempotency-Key", key + "-again")
                    .is(409));
            refused(who.post("/v1/customers", person.json(), "Idempotency-Key", key + "-again")
                    .is(409));
            refused(who.patch(path, made.etag(), "{\"name\": \"" + person.name() + "\"}")
                    .is(412));
            for (String terms : new String[] {
                "{\"name\": \"" + person.newName() + "\"}",
                "{\"idNumber\": \"" + person.idNumber() + "\"}",
                "{\"phone\": \"" + person.newPhone() + "\"}",
                "{\"email\": \"" + person.email() + "\"}",
                "{\"externalId\": {\"source\": \"canary\", \"id\": \"" + person.externalId() + "\"}}"
            }) {
                Answer found = who.post("/v1/customers/search", terms).is(200);
                assertThat(found.at("/items")).as("search %s", person.number).isNotEmpty();
                masked.append(found.text());
            }
            related(person, path, key);
        }
        if (person.number < UNMASKED) {
            Answer full = who.get(path + "?unmask=phone,idNumber,email,address,externalId", "Kehu-Purpose", "contact")
                    .is(200);
            assertThat(MASKED.in(full.text())).hasSizeGreaterThanOrEqualTo(5);
        }
    }

    /** What was said and decided, and all of it together in a file. */
    private void contacts(Person person, String path) {
        String text = "%s，%s，%s，%s".formatted(person.newName(), person.newPhone(), person.address(), person.email());
        Answer said = who.post(
                        path + "/interactions",
                        "{\"channel\": \"call\", \"direction\": \"inbound\", \"text\": \"" + text + "\"}",
                        "Idempotency-Key",
                        "canary-said-" + person.number)
                .is(201);
        who.patch(said.header("Location"), said.etag(), "{\"text\": \"又：" + text + "\"}")
                .is(200);
        refused(who.post(
                        path + "/interactions",
                        "{\"channel\": \"call\", \"direction\": \"inbound\", \"text\": \"" + person.idNumber() + "\"}",
                        "Idempotency-Key",
                        "canary-number-" + person.number)
                .is(400));
        who.post(path + "/consents", """
                {"purpose": "marketing", "channel": "sms", "state": "given", "source": "call",
                 "proof": {"interactionId": "%s"}}""".formatted(said.at("/id").asText())).is(201);
        if (person.number < 200) {
            Answer file = who.get(path + "/personal-data", "Kehu-Purpose", "customer-request")
                    .is(200);
            assertThat(MASKED.in(file.text())).hasSizeGreaterThanOrEqualTo(5);
        }
    }

    /** What is said in a note, and in the name of a household. */
    private void related(Person person, String path, String key) {
        String id = path.substring(path.lastIndexOf('/') + 1);
        String relation = """
                {"role": "referrer", "customerId": "%s", "note": "%s, %s"}""".formatted(friend, person.phone(), person.address());
        Answer made =
                who.post(path + "/relations", relation, "Idempotency-Key", key).is(201);
        who.post(path + "/relations", relation, "Idempotency-Key", key).is(201);
        refused(who.post(path + "/relations", relation).is(409, "relation.exists"));
        refused(who.post(path + "/relations", relation.replace("referrer", person.email())));
        who.patch(made.header("Location"), made.etag(), "{\"note\": \"" + person.email() + "\"}")
                .is(200);
        assertThat(NEEDLES.in(who.get(path + "/relations").text())).isNotEmpty();
        masked.append(who.get(path + "/graph").is(200).text());
        String household = """
                {"headId": "%s", "name": "%s"}""".formatted(id, person.address());
        Answer founded =
                who.post("/v1/households", household, "Idempotency-Key", key).is(201);
        refused(who.post("/v1/households", household).is(409, "household.memberTaken"));
        who.patch(founded.header("Location"), founded.etag(), "{\"name\": \"" + person.name() + person.phone() + "\"}")
                .is(200);
        masked.append(who.get(path + "/overview").is(200).text());
    }

    /** The rest, some of whom are known already, are wrong, or are there twice; the answer is the file of errors. */
    private String fromAFile() {
        StringBuilder csv = new StringBuilder("id,name,document,phone,email,address\n");
        IntStream.range(BY_HAND - 20, PEOPLE).mapToObj(Person::new).forEach(person -> csv.append(person.row()));
        for (int i = 0; i < 20; i++) {
            Person person = new Person(PEOPLE - 1 - i);
            csv.append(person.row().replace(person.externalId(), "ANOTHER-ID-" + i));
            csv.append(person.row()
                    .replace(person.externalId(), "WRONG-ID-" + i)
                    .replace(person.idNumber(), person.idStem() + "A"));
            csv.append(
                    person.row().replace(person.externalId(), "WRONG-MAIL-" + i).replace("@example.com", "@"));
        }
        String upload = who.upload(csv.toString().getBytes(StandardCharsets.UTF_8));
        String path = who.post("/v1/imports", """
                        {"uploadId": "%s", "mapping": {"kind": "person", "externalId": {"source": "canary", "column": "id"},
                         "documents": [{"type": "resident_id", "column": "document"}], "fields": [
                         {"field": "name", "column": "name"}, {"field": "phone", "column": "phone"},
                         {"field": "email", "column": "email"}, {"field": "address", "column": "address"}]}}""".formatted(upload)).is(202).header("Location");
        await().atMost(Duration.ofSeconds(60))
                .until(() -> who.get(path).at("/state").asText().equals("done"));
        Answer end = who.get(path);
        assertThat(end.at("/created").asInt()).as(end.text()).isEqualTo(PEOPLE - BY_HAND);
        assertThat(end.at("/rejected").asInt()).as(end.text()).isEqualTo(60);
        return who.get(path + "/errors").is(200).text();
    }

    /** What never becomes a customer must not be echoed either. */
    private void refusals() {
        for (int i = 0; i < 50; i++) {
            Person person = new Person(i);
            String name = URLEncoder.encode(person.name(), StandardCharsets.UTF_8);
            refused(who.post("/v1/customers", person.json().replace(person.idNumber(), person.idStem() + "A")));
            refused(who.post("/v1/customers", person.json().replace("\"kind\"", "\"" + person.name() + "\"")));
            refused(who.post("/v1/customers", person.json() + person.phone()));
            refused(who.post("/v1/customers", person.json().replace("\"" + person.name() + "\"", person.phone())));
            refused(who.post("/v1/customers/search", "{\"phone\": \"" + person.phone() + "x\"}"));
            refused(who.get("/v1/customers?name=" + name));
            refused(who.get("/v1/customers?cursor=" + name));
            refused(who.get("/v1/customers/" + person.phone()));
            refused(who.get("/v1/customers?limit=5", "If-None-Match", person.email(), "Kehu-Purpose", person.email()));
            refused(kehu.anonymous().login(person.email(), person.phone() + person.idNumber()));
            refused(kehu.with(person.phone() + "." + person.idNumber() + ".x").get("/v1/customers"));
        }
    }

    private void refused(Answer answer) {
        if (answer.status() != 200) {
            assertThat(answer.status()).as(answer.code()).isBetween(400, 499);
            errors.append(answer.response().headers().map()).append(answer.text());
        }
    }

    private String feed() {
        StringBuilder all = new StringBuilder();
        String after = "";
        Answer page;
        do {
            page = who.get("/v1/events?limit=1000" + after).is(200);
            all.append(page.text());
            after = "&after=" + page.at("/next").asText();
        } while (!page.at("/atEnd").asBoolean());
        assertThat(count(all, "customer.created")).as("the feed tells of them").isPositive();
        return all.toString();
    }

    private static CompletableFuture<HttpResponse<Stream<String>>> listen(StringBuffer into) {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + kehu.port() + "/v1/events/stream"))
                .header("Authorization", "Bearer " + who.token)
                .build();
        var response = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .build()
                .sendAsync(request, HttpResponse.BodyHandlers.ofLines());
        response.thenAcceptAsync(
                got -> got.body().forEach(line -> into.append(line).append('\n')));
        assertThat(response.join().statusCode()).isEqualTo(200);
        return response;
    }

    private static int count(CharSequence text, String word) {
        return text.toString().split(word, -1).length - 1;
    }

    // ---- everything that is kept

    /** What a dump holds: every row of every table, bytes as hexadecimal; and the values that the planner keeps. */
    private static void searchTables() throws SQLException, IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        int tables = 0;
        try (Connection connection = Migrations.connect(
                TestServers.superuser(kehu.settings().postgresql().ownerUri()), 5_000)) {
            var copy = connection.unwrap(PGConnection.class).getCopyAPI();
            for (Map<String, Object> table : kehu.sql("""
                    SELECT format('%I.%I', n.nspname, c.relname) AS name
                    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
                    UNION ALL VALUES ('pg_catalog.pg_stats'), ('pg_catalog.pg_stats_ext'), ('pg_catalog.pg_stat_activity')""")) {
                ByteArrayOutputStream rows = new ByteArrayOutputStream();
                copy.copyOut("COPY (SELECT * FROM " + table.get("name") + ") TO STDOUT", rows);
                assertThat(NEEDLES.in(rows.toByteArray()))
                        .as("table %s", table.get("name"))
                        .isEmpty();
                all.writeBytes(rows.toByteArray());
                tables++;
            }
        }
        assertThat(tables).isGreaterThan(30);
        assertThat(CONTROLS.in(all.toByteArray())).as("what is searched").contains("control");
    }

    /** All that is ever backed up or replicated goes through it. */
    private static void searchWriteAheadLog(String first) throws SQLException {
        assertThat(kehu.<String>value("SHOW wal_compression")).isEqualTo("off");
        boolean control = false;
        try (Connection connection = Migrations.connect(
                        TestServers.superuser(kehu.settings().postgresql().ownerUri()), 5_000);
                var query = connection.prepareStatement("""
                        SELECT pg_read_binary_file('pg_wal/' || name) FROM pg_ls_waldir()
                        WHERE name BETWEEN ? AND pg_walfile_name(pg_current_wal_insert_lsn())""")) {
            query.setString(1, first);
            query.setFetchSize(1);
            connection.setAutoCommit(false);
            try (var segments = query.executeQuery()) {
                while (segments.next()) {
                    byte[] segment = segments.getBytes(1);
                    assertThat(NEEDLES.in(segment)).as("write-ahead log").isEmpty();
                    control |= !CONTROLS.in(segment).isEmpty();
                }
            }
        }
        assertThat(control).as("what is searched holds these writes").isTrue();
    }

    private static String metrics() throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + kehu.managementPort() + "/metrics"))
                .build();
        String metrics = HttpClient.newHttpClient()
                .send(request, HttpResponse.BodyHandlers.ofString())
                .body();
        assertThat(metrics).contains("kehu_requests", "jvm_memory_used_bytes");
        return metrics;
    }

    /** All keys of the server with their values; read by type, because a dump of them would be compressed. */
    private static byte[] redis() {
        String script = """
                local s = '' for _, k in ipairs(redis.call('KEYS', '*')) do
                local t = redis.call('TYPE', k).ok local v
                if t == 'string' then v = {redis.call('GET', k)} elseif t == 'hash' then v = redis.call('HGETALL', k)
                elseif t == 'list' then v = redis.call('LRANGE', k, 0, -1) elseif t == 'set' then v = redis.call('SMEMBERS', k)
                else v = redis.call('ZRANGE', k, 0, -1, 'WITHSCORES') end
                s = s .. k .. ' ' .. table.concat(v, ' ') .. ' ' end return s""".replace('\n', ' ');
        URI uri = URI.create(kehu.settings().redis().uri());
        try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
            socket.setSoTimeout(5_000);
            OutputStream out = socket.getOutputStream();
            out.write(("SELECT " + uri.getPath().substring(1) + "\r\nEVAL \"" + script + "\" 0\r\nQUIT\r\n")
                    .getBytes(StandardCharsets.US_ASCII));
            out.flush();
            try (InputStream in = socket.getInputStream()) {
                byte[] answer = in.readAllBytes();
                assertThat(new String(answer, StandardCharsets.ISO_8859_1))
                        .startsWith("+OK\r\n$")
                        .contains("kehu:rate:");
                return answer;
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** How many bytes lay there. */
    private static long searchFiles(Path folder) throws IOException {
        long bytes = 0;
        if (Files.isDirectory(folder)) {
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path file : files.filter(Files::isRegularFile).toList()) {
                    byte[] content = Files.readAllBytes(file);
                    assertThat(NEEDLES.in(content)).as(file.toString()).isEmpty();
                    bytes += content.length;
                }
            }
        }
        return bytes;
    }
}
