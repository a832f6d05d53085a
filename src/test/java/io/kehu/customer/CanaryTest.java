package io.kehu.customer;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** People with unmistakable values go through every path; then everything that is kept is searched for these values. */
class CanaryTest {
    private static final String ID_NUMBER = "110101199003075517";
    private static final List<String> CANARIES = List.of(
            "金丝雀专用名",
            "新金丝雀名",
            ID_NUMBER,
            "13987654320",
            "13987654321",
            "canary.bird@example.com",
            "金丝雀胡同77号",
            "CANARY-EXT-0001");

    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @Test
    void noPersonalValueIsKeptInPlaintextAnywhere() throws Exception {
        String segment = walSegment();
        Caller who = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "CANARY"), "customer-manager"));
        String person = """
                {"kind": "person", "name": "金丝雀专用名", "documents": [{"type": "resident_id", "number": "%s"}],
                 "phones": [{"number": "13987654320"}], "emails": ["canary.bird@example.com"],
                 "addresses": [{"line": "北京市东城区金丝雀胡同77号"}],
                 "externalIds": [{"source": "canary", "id": "CANARY-EXT-0001"}]}""".formatted(ID_NUMBER);
        Answer made =
                who.post("/v1/customers", person, "Idempotency-Key", "canary-1").is(201);
        who.post("/v1/customers", person).is(409, "customer.idTaken");
        String path = "/v1/customers/" + made.at("/id").asText();
        who.patch(path, made.etag(), """
                {"name": "新金丝雀名", "phones": [{"number": "13987654321"}]}""", "Idempotency-Key", "canary-2").is(200);
        who.get(path + "?unmask=phone,idNumber,email,address,externalId", "Kehu-Purpose", "contact")
                .is(200);
        for (String terms : List.of(
                "{\"name\": \"新金丝雀名\"}",
                "{\"idNumber\": \"" + ID_NUMBER + "\"}",
                "{\"phone\": \"13987654321\"}",
                "{\"externalId\": {\"source\": \"canary\", \"id\": \"CANARY-EXT-0001\"}}")) {
            assertThat(who.post("/v1/customers/search", terms).is(200).at("/items"))
                    .hasSize(1);
        }
        // Refused input must not be echoed or logged either.
        Answer refused = who.post("/v1/customers", person.replace(ID_NUMBER, "110101199003075510"))
                .is(400);
        assertThat(refused.text()).doesNotContain("110101199003075510", "金丝雀");
        who.get("/v1/customers?limit=10").is(200);

        assertThat(who.post("/v1/customers", person).is(409).text()).doesNotContain(CANARIES);

        assertThat(keptInTheDatabase()).isEmpty();
        assertThat(inTheWriteAheadLog(segment, "CANARY"))
                .as("what is searched holds these writes")
                .isPositive();
        for (String canary : CANARIES) {
            assertThat(inTheWriteAheadLog(segment, canary)).as(canary).isZero();
        }
        assertThat(found("metrics", inMetrics())).isEmpty();
        assertThat(found("redis", inRedis())).isEmpty();
        assertThat(found("logs", inLogs())).isEmpty();
    }

    private static List<String> found(String where, String text) {
        return CANARIES.stream()
                .filter(text::contains)
                .map(canary -> where + " holds " + canary)
                .toList();
    }

    /** Every column of every table as text; bytes also as the text they may be. */
    private static List<String> keptInTheDatabase() {
        List<String> leaks = new ArrayList<>();
        List<Map<String, Object>> tables = kehu.sql("""
                SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'""");
        assertThat(tables).hasSizeGreaterThan(10);
        for (Map<String, Object> table : tables) {
            for (String canary : CANARIES) {
                String hex = java.util.HexFormat.of().formatHex(canary.getBytes(StandardCharsets.UTF_8));
                long hits = kehu.value(
                        "SELECT count(*) FROM " + table.get("name")
                                + " t WHERE strpos(t::text, ?) > 0 OR strpos(t::text, ?) > 0",
                        canary,
                        hex);
                if (hits > 0) {
                    leaks.add(table.get("name") + " holds " + canary);
                }
            }
        }
        return leaks;
    }

    private static String walSegment() {
        return kehu.valueAsSuperuser("SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
    }

    /** How many segments of the write-ahead log hold the text: all that is ever backed up or replicated goes through it. */
    private static long inTheWriteAheadLog(String first, String text) {
        return kehu.<Long>valueAsSuperuser("""
                SELECT count(*) FROM pg_ls_waldir() w
                WHERE w.name BETWEEN ? AND pg_walfile_name(pg_current_wal_insert_lsn())
                  AND position(convert_to(?, 'UTF8') IN pg_read_binary_file('pg_wal/' || w.name)) > 0""", first, text);
    }

    private static String inMetrics() throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + kehu.managementPort() + "/metrics"))
                .build();
        String metrics = HttpClient.newHttpClient()
                .send(request, HttpResponse.BodyHandlers.ofString())
                .body();
        assertThat(metrics).contains("kehu_requests");
        return metrics;
    }

    /** All keys of the server with their values, whatever their type. */
    private static String inRedis() {
        URI uri = URI.create(kehu.settings().redis().uri());
        try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
            socket.setSoTimeout(5_000);
            OutputStream out = socket.getOutputStream();
            out.write(
                    ("EVAL \"local s='' for _,k in ipairs(redis.call('KEYS','*')) do s=s..k..(redis.call('DUMP',k) or '') end"
                                    + " return s\" 0\r\nQUIT\r\n")
                            .getBytes(StandardCharsets.US_ASCII));
            out.flush();
            try (InputStream in = socket.getInputStream()) {
                String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
                assertThat(text).startsWith("$");
                return text;
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String inLogs() {
        StringBuilder all = new StringBuilder();
        for (Path folder : List.of(
                kehu.settings().log().folder(),
                Path.of("target", "servers", "log"),
                Path.of("target", "surefire-reports"))) {
            if (Files.isDirectory(folder)) {
                try (Stream<Path> files = Files.walk(folder)) {
                    for (Path file : files.filter(Files::isRegularFile).toList()) {
                        all.append(new String(Files.readAllBytes(file), StandardCharsets.UTF_8));
                    }
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            }
        }
        return all.toString();
    }
}
