package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is thrown at HTTP and what comes back; limits of time and number are in {@link HttpLimitsTest}. */
class HttpTest {
    private static final String PAGE = "https://bank.example";

    private static TestKehu kehu;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_HTTP_CORS_ORIGINS", PAGE));
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String head(String method, String path, String... headers) {
        StringBuilder head = new StringBuilder(method + " " + path + " HTTP/1.1\r\nHost: kehu\r\n");
        head.append("Authorization: Bearer ").append(administrator.token).append("\r\n");
        for (String header : headers) {
            head.append(header).append("\r\n");
        }
        return head.append("\r\n").toString();
    }

    private static long branches() {
        return kehu.value("SELECT count(*) FROM iam.branch");
    }

    private static String draft(String name) {
        return "{\"parentId\": \"" + kehu.headOffice() + "\", \"code\": \"X" + branches() + "\", \"name\": \"" + name
                + "\"}";
    }

    // JSON and text
    // -------------------------------------------------------------------------------------------------------------

    static Stream<Arguments> brokenBodies() {
        String good =
                "{\"parentId\": \"00000000-0000-7000-8000-000000000000\", \"code\": \"B1\", \"name\": \"marker\"}";
        return Stream.of(
                Arguments.of("truncated", bytes(good.substring(0, good.length() - 4))),
                Arguments.of("trailing bytes", bytes(good + "x")),
                Arguments.of("a second value", bytes(good + " {}")),
                Arguments.of("duplicate keys", bytes(good.replace("{", "{\"name\": \"marker\", "))),
                Arguments.of("a byte order mark", bytes("\ufeff" + good)),
                Arguments.of("UTF-16", good.getBytes(StandardCharsets.UTF_16LE)),
                Arguments.of("UTF-32", good.getBytes(java.nio.charset.Charset.forName("UTF-32BE"))),
                Arguments.of("GBK", good.replace("marker", "上海").getBytes(java.nio.charset.Charset.forName("GBK"))),
                Arguments.of("a lone surrogate", bytes(good.replace("marker", "marker\\ud842"))),
                Arguments.of("an encoded surrogate", latin(good.replace("marker", "marker\u00ed\u00a1\u0082"))),
                Arguments.of("NUL", bytes(good.replace("marker", "marker\\u0000"))),
                Arguments.of("a raw NUL", bytes(good.replace("marker", "marker\0"))),
                Arguments.of("depth 10,000", bytes("[".repeat(10_000))),
                Arguments.of("objects 10,000 deep", bytes("{\"a\":".repeat(10_000))),
                Arguments.of("NaN", bytes(good.replace("\"marker\"", "NaN"))),
                Arguments.of("Infinity", bytes(good.replace("\"marker\"", "-Infinity"))),
                Arguments.of("1e999", bytes(good.replace("\"marker\"", "1e999"))),
                Arguments.of("1e999999999", bytes(good.replace("\"marker\"", "1e999999999"))),
                Arguments.of("a number of 1,000 digits", bytes(good.replace("\"marker\"", "9".repeat(1_000)))),
                Arguments.of("single quotes", bytes(good.replace('"', '\''))),
                Arguments.of("a comment", bytes(good + "/* marker */")),
                Arguments.of("a list", bytes("[" + good + "]")),
                Arguments.of("null", bytes("null")),
                Arguments.of("a word", bytes("\"marker\"")),
                Arguments.of("white space", bytes("  ")),
                Arguments.of("50,000 keys", manyKeys()),
                Arguments.of("300,000 values", bytes("{\"code\": [" + "1,".repeat(300_000) + "1]}")),
                Arguments.of("a long key", bytes("{\"" + "marker".repeat(100) + "\": 1}")),
                Arguments.of("an ownerId", bytes(good.replace("{", "{\"ownerId\": \"marker\", "))),
                Arguments.of("a version", bytes(good.replace("{", "{\"version\": 7, "))),
                Arguments.of("a prototype", bytes(good.replace("{", "{\"__proto__\": {\"marker\": 1}, "))),
                Arguments.of("a control character", bytes(good.replace("marker", "marker\\u0007"))),
                Arguments.of("a right-to-left override", bytes(good.replace("marker", "marker\u202e"))),
                Arguments.of("an isolate", bytes(good.replace("marker", "marker\u2066"))),
                Arguments.of("a zero-width space", bytes(good.replace("marker", "marker\u200b"))),
                Arguments.of("a hidden mark", bytes(good.replace("marker", "marker\ufeff"))),
                Arguments.of("10,000 characters", bytes(good.replace("marker", "marker".repeat(2_000)))),
                Arguments.of("81 rare characters", bytes(good.replace("marker", "𠮷".repeat(81)))),
                Arguments.of("only spaces", bytes(good.replace("marker", "   "))));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] latin(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static byte[] manyKeys() {
        StringBuilder json = new StringBuilder("{\"k\": 1");
        for (int i = 0; i < 50_000; i++) {
            json.append(",\"k").append(i).append("\":1");
        }
        return bytes(json.append('}').toString());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("brokenBodies")
    void aBrokenBodyIsRefusedWithoutAnEchoAndChangesNothing(String what, byte[] body) {
        long before = branches();
        Answer answer = administrator.send("POST", "/v1/branches", body).is(400);
        assertThat(answer.code()).isIn("request.malformed", "request.invalid");
        assertThat(answer.text()).doesNotContain("marker").doesNotContain("Exception", "io.kehu", "jackson");
        assertThat(answer.at("/requestId").asText()).isEqualTo(answer.header("Kehu-Request-Id"));
        assertThat(branches()).isEqualTo(before);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "阿依古丽·买买提",
                "𠮷野家",
                "👩‍👩‍👧 🏦",
                "Jürgen Müßig",
                "ནང་སྐོར",
                "'; DROP TABLE iam.branch; --",
                "${7*7} {{7*7}} #{7*7} %00 %s",
                "a%' OR '1'='1",
                "(a+)+$",
                "<script>alert(1)</script>",
                "=cmd|' /C calc'!A0"
            })
    void textIsKeptAsItIs(String text) {
        Answer made = administrator.post("/v1/branches", draft(text)).is(201);
        assertThat(administrator.get(made.header("Location")).at("/name").asText())
                .isEqualTo(text);
    }

    @Test
    void lengthIsCountedInCodePoints() {
        administrator.post("/v1/branches", draft("𠮷".repeat(80))).is(201);
    }

    @Test
    void everyFaultIsPointedAt() {
        Answer answer = administrator
                .post("/v1/branches", "{\"parentId\": \"x\", \"name\": \"\", \"colour\": 1}")
                .is(400, "request.invalid");
        assertThat(answer.text())
                .contains("\"/parentId\"", "\"/code\"", "\"/name\"", "\"/colour\"")
                .contains("field.format", "field.required", "field.tooShort", "field.unknown");
    }

    @ParameterizedTest
    @ValueSource(strings = {" ", "\\n", "\u3000", "\u2028", "\u00a0\u2003"})
    void aNameOfNothingButSpacesOfWhateverScriptIsNone(String name) {
        assertThat(administrator
                        .post("/v1/branches", "{\"code\": \"B\", \"name\": \"" + name + "\"}")
                        .is(400, "request.invalid")
                        .text())
                .contains("\"/name\"", "field.pattern");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "2036-12-31T23:59:60Z",
                "2036-12-31T24:00:00Z",
                "2036-12-31T00:00:00+23:59",
                "2036-02-30T00:00:00Z",
                "10000-01-01T00:00:00Z"
            })
    void aMomentThatNoClockShowsIsRefused(String moment) {
        Answer answer = administrator.post(
                "/v1/grants",
                "{\"staffId\": \"%s\", \"roles\": [\"analyst\"], \"endsAt\": \"%s\", \"reason\": \"r\"}"
                        .formatted(Ids.next(), moment));
        assertThat(answer.is(400, "request.invalid").text()).contains("\"/endsAt\"", "field.format");
    }

    // Parameters
    // -------------------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(
            strings = {
                "limit=0",
                "limit=-1",
                "limit=1000000000",
                "limit=9223372036854775808",
                "limit=1e2",
                "limit=0x10",
                "limit=05",
                "limit=-0",
                "limit=+5",
                "limit=%EF%BC%95",
                "limit=",
                "limit",
                "limit=5&limit=5",
                "limit=5&LIMIT=5",
                "page=2",
                "cursor=",
                "cursor=%00",
                "cursor=../../etc/passwd",
                "cursor=abc%0A",
                "cursor='%20OR%201=1",
                "parentId=1",
                "parentId=%zz",
                "parentId=%c3%28",
                "parentId=%",
                "parentId=01963b3e-7c1a-7f3e-9d4c-2f6c1b1f0a1",
                "&",
                "=",
                "%0d%0aSet-Cookie:%20a=b"
            })
    void aParameterOutsideTheContractIsRefused(String query) {
        RawClient.Answer answer = RawClient.exchange(kehu.port(), head("GET", "/v1/branches?" + query));
        assertThat(answer.status()).as(answer.text()).isEqualTo(400);
        assertThat(answer.code()).isEqualTo("request.invalid");
        assertThat(answer.text()).contains("\"pointer\":\"").doesNotContain("passwd", "Set-Cookie");
    }

    @Test
    void aCursorOfOurFormThatWeDidNotMakeIsRefused() {
        administrator.get("/v1/branches?cursor=" + "A".repeat(80)).is(400, "request.cursorInvalid");
    }

    @Test
    void bytesBeyondAsciiInThePathOrQueryAreRefused() {
        assertThat(RawClient.exchange(kehu.port(), head("GET", "/v1/branches?cursor=\u00e9"))
                        .status())
                .isEqualTo(400);
        assertThat(RawClient.exchange(kehu.port(), head("GET", "/v1/branches/\u00e9"))
                        .status())
                .isEqualTo(400);
    }

    // Methods, types, headers
    // -------------------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(strings = {"TRACE", "OPTIONS", "PUT", "DELETE", "PATCH", "PROPFIND", "get"})
    void anotherMethodIsRefusedWithThoseThatAreAllowed(String method) {
        RawClient.Answer answer = RawClient.exchange(kehu.port(), head(method, "/v1/branches"));
        assertThat(answer.status()).isEqualTo(405);
        assertThat(answer.code()).isEqualTo("request.methodNotAllowed");
        assertThat(answer.header("Allow")).isEqualTo("GET, HEAD, POST");
    }

    @Test
    void aMethodIsNotOverriddenByAHeader() {
        for (String header : new String[] {"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"}) {
            administrator
                    .send("GET", "/v1/branches", (byte[]) null, header, "DELETE")
                    .is(200);
        }
        administrator.get("/v1/branches?_method=DELETE").is(400);
    }

    @Test
    void theWrongContentTypeIsRefused() {
        for (String type : new String[] {
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=gbk",
            "application/xml",
            "application/merge-patch+json",
            "application/jsonx"
        }) {
            administrator
                    .send("POST", "/v1/branches", draft("x"), "Content-Type", type)
                    .is(415, "request.mediaType");
        }
        administrator
                .post("/v1/branches", draft("字符集"), "Content-Type", "Application/JSON; charset=\"UTF-8\"")
                .is(201);
    }

    @Test
    void aBodyWhereNoneBelongsIsRefusedAndAMissingOneToo() {
        administrator.send("GET", "/v1/branches", "{}").is(400, "request.bodyUnexpected");
        administrator.send("POST", "/v1/branches", (byte[]) null).is(400, "request.bodyMissing");
    }

    @Test
    void aBodyOverTheLimitIsRefusedWithAndWithoutALength() {
        byte[] large = new byte[(1 << 20) + 1];
        administrator.send("POST", "/v1/branches", large).is(413, "request.bodyTooLarge");
        try (RawClient client = new RawClient(kehu.port())) {
            client.say(head("POST", "/v1/branches", "Content-Type: application/json", "Transfer-Encoding: chunked"));
            String chunk = "10000\r\n" + " ".repeat(0x10000) + "\r\n";
            for (int i = 0; i < 17; i++) {
                client.say(chunk);
            }
            RawClient.Answer answer = client.hear();
            assertThat(answer.status()).isEqualTo(413);
            assertThat(answer.header("Connection")).isEqualTo("close");
            assertThat(client.isClosed()).isTrue();
        }
    }

    @Test
    void aCompressedBodyIsNotUnpacked() throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
            gzip.write(bytes(draft("packed")));
        }
        administrator
                .send("POST", "/v1/branches", packed.toByteArray(), "Content-Encoding", "gzip")
                .is(400, "request.malformed");
    }

    @Test
    void longAnswersAreCompressedOnRequestAndShortOnesNever() throws IOException {
        RawClient.Answer plain = RawClient.exchange(kehu.port(), head("GET", "/openapi.json"));
        assertThat(plain.header("Content-Encoding")).isEmpty();
        RawClient.Answer packed =
                RawClient.exchange(kehu.port(), head("GET", "/openapi.json", "Accept-Encoding: gzip"));
        assertThat(packed.header("Content-Encoding")).isEqualTo("gzip");
        assertThat(new GZIPInputStream(new java.io.ByteArrayInputStream(packed.body())).readAllBytes())
                .isEqualTo(plain.body());
        RawClient.Answer small = RawClient.exchange(
                kehu.port(), head("GET", "/v1/branches/" + kehu.headOffice(), "Accept-Encoding: gzip"));
        assertThat(small.status()).isEqualTo(200);
        assertThat(small.header("Content-Encoding")).isEmpty();
    }

    @Test
    void headIsAGetWithoutItsBody() {
        String path = "/v1/branches/" + kehu.headOffice();
        try (RawClient client = new RawClient(kehu.port())) {
            RawClient.Answer head = client.say(head("HEAD", path)).hearHead();
            RawClient.Answer get = client.say(head("GET", path)).hear();
            assertThat(head.status()).isEqualTo(200);
            assertThat(head.header("ETag")).isEqualTo(get.header("ETag"));
            assertThat(head.header("Content-Length")).isEqualTo(get.header("Content-Length"));
            assertThat(get.body()).isNotEmpty();
        }
        assertThat(RawClient.exchange(kehu.port(), "HEAD /docs HTTP/1.0\r\n\r\n")
                        .status())
                .isEqualTo(200);
    }

    @Test
    void aKnownVersionIsNotSentAgainWhateverTheFormOfTheHeader() {
        String path = "/v1/branches/" + kehu.headOffice();
        String etag = administrator.get(path).etag();
        for (String known : new String[] {etag, "W/" + etag, "\"x\", " + etag, "*"}) {
            assertThat(administrator.get(path, "If-None-Match", known).is(304).text())
                    .isEmpty();
        }
        administrator.get(path, "If-None-Match", "\"x\"").is(200);
    }

    @Test
    void nothingIsServedAtAnUnknownPath() {
        for (String path : new String[] {
            "/v1/nothing",
            "/v1/branches/",
            "/v1//branches",
            "/v1/../v1/branches",
            "/v1/%62ranches",
            "/v1/branches;a=b",
            "/v2/branches",
            "/etc/passwd",
            "/docs/../openapi.json",
            "/docs/..%2f..%2fetc/passwd"
        }) {
            RawClient.Answer answer = RawClient.exchange(kehu.port(), head("GET", path));
            assertThat(answer.status()).as(path).isEqualTo(404);
            assertThat(answer.code()).as(path).isEqualTo("request.unknownPath");
            assertThat(answer.text()).doesNotContain("passwd", "ranches");
        }
    }

    // Framing
    // -------------------------------------------------------------------------------------------------------------

    @Test
    void ambiguousFramingIsRefusedAndEndsTheConnection() {
        String smuggled = "0\r\n\r\nGET /v1/branches HTTP/1.1\r\nHost: kehu\r\n\r\n";
        for (String[] headers : new String[][] {
            {"Content-Length: 5", "Content-Length: 6"},
            {"Content-Length: 5", "Transfer-Encoding: chunked"},
            {"Transfer-Encoding: chunked", "Content-Length: 5"},
            {"Transfer-Encoding: chunked", "Transfer-Encoding: identity"},
            {"Transfer-Encoding: gzip"},
            {"Transfer-Encoding: \u000bchunked"},
            {"Content-Length: -1"},
            {"Content-Length: 1e1"},
            {"Content-Length: 99999999999999999999"},
            {"Transfer-Encoding : chunked"},
            {"Host: other"},
            {"Content-Length 5"}
        }) {
            try (RawClient client = new RawClient(kehu.port())) {
                client.say(head("POST", "/v1/branches", headers) + smuggled);
                RawClient.Answer answer = client.hear(String.join(", ", headers));
                assertThat(answer.status()).as(String.join(", ", headers)).isEqualTo(400);
                assertThat(answer.code()).isEqualTo("request.malformed");
                assertThat(answer.header("Connection"))
                        .as(String.join(", ", headers))
                        .isEqualTo("close");
                assertThat(client.isClosed()).as(String.join(", ", headers)).isTrue();
            }
        }
    }

    @Test
    void brokenChunksEndTheConnection() {
        for (String body : new String[] {"xyz\r\n", "FFFFFFFFFFFFFFFF\r\n", "-1\r\n", "5\r\nabcdeXX\r\n"}) {
            try (RawClient client = new RawClient(kehu.port())) {
                client.say(head("POST", "/v1/branches", "Content-Type: application/json", "Transfer-Encoding: chunked")
                        + body);
                assertThat(client.isClosed()).as(body).isTrue();
            }
        }
        administrator.get("/v1/branches").is(200);
    }

    @Test
    void aHeadOverTheLimitsIsRefused() {
        RawClient.Answer headers =
                RawClient.exchange(kehu.port(), head("GET", "/v1/branches", "X-Long: " + "a".repeat(9_000)));
        assertThat(headers.status()).isEqualTo(431);
        assertThat(headers.code()).isEqualTo("request.headersTooLarge");
        StringBuilder many = new StringBuilder();
        for (int i = 0; i < 2_000; i++) {
            many.append("\r\nA").append(i).append(": b");
        }
        assertThat(RawClient.exchange(kehu.port(), head("GET", "/v1/branches", "A: b" + many))
                        .status())
                .isEqualTo(431);
        RawClient.Answer url = RawClient.exchange(kehu.port(), head("GET", "/v1/branches?cursor=" + "a".repeat(5_000)));
        assertThat(url.status()).isEqualTo(414);
        assertThat(url.code()).isEqualTo("request.urlTooLong");
    }

    @Test
    void whatIsNotHttpIsRefused() {
        for (String noise : new String[] {
            "HELLO\r\n\r\n",
            "GET /v1/branches\r\n\r\n",
            "GET /v1/branches HTTP/9.9\r\n\r\n",
            "\u0016\u0003\u0001\u0002\u0000\r\n\r\n"
        }) {
            try (RawClient client = new RawClient(kehu.port())) {
                assertThat(client.say(noise).isClosed()).as(noise).isTrue();
            }
        }
    }

    @Test
    void http2IsNotSpokenInTheClear() {
        try (RawClient client = new RawClient(kehu.port())) {
            assertThat(client.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                            .isClosed())
                    .isTrue();
        }
        RawClient.Answer upgrade = RawClient.exchange(
                kehu.port(),
                head(
                        "GET",
                        "/v1/branches",
                        "Connection: Upgrade, HTTP2-Settings",
                        "Upgrade: h2c",
                        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"));
        assertThat(upgrade.status()).isEqualTo(200);
    }

    @Test
    void pipelinedRequestsAreAnsweredInTheirOrder() {
        try (RawClient client = new RawClient(kehu.port())) {
            StringBuilder all = new StringBuilder();
            for (int i = 0; i < 20; i++) {
                all.append(head("GET", i % 2 == 0 ? "/v1/branches" : "/v1/nothing", "Kehu-Request-Id: pipelined-" + i));
            }
            client.say(all.toString());
            for (int i = 0; i < 20; i++) {
                RawClient.Answer answer = client.hear();
                assertThat(answer.header("Kehu-Request-Id")).isEqualTo("pipelined-" + i);
                assertThat(answer.status()).isEqualTo(i % 2 == 0 ? 200 : 404);
            }
        }
    }

    @Test
    void aClientThatAsksFirstIsToldToGoOnOnlyWhenItMay() {
        byte[] body = bytes(draft("继续"));
        String expect = "Expect: 100-continue";
        try (RawClient client = new RawClient(kehu.port())) {
            client.say(head(
                    "POST",
                    "/v1/branches",
                    "Content-Type: application/json",
                    "Content-Length: " + body.length,
                    expect));
            assertThat(client.hear().status()).isEqualTo(100);
            assertThat(client.say(body).hear().status()).isEqualTo(201);
        }
        RawClient.Answer refused = RawClient.exchange(
                kehu.port(), "POST /v1/branches HTTP/1.1\r\nHost: kehu\r\nContent-Length: 9\r\n" + expect + "\r\n\r\n");
        assertThat(refused.status()).isEqualTo(401);
        RawClient.Answer large =
                RawClient.exchange(kehu.port(), head("POST", "/v1/branches", "Content-Length: 2000000", expect));
        assertThat(large.status()).isEqualTo(413);
    }

    // What each answer carries
    // -------------------------------------------------------------------------------------------------------------

    @Test
    void everyAnswerCarriesTheSecurityHeaders() {
        for (String path : new String[] {"/v1/branches", "/v1/nothing", "/docs", "/nothing"}) {
            Answer answer = administrator.get(path);
            assertThat(answer.header("X-Content-Type-Options")).isEqualTo("nosniff");
            assertThat(answer.header("Cache-Control")).isEqualTo("no-store");
            assertThat(answer.header("Content-Security-Policy"))
                    .contains("default-src 'none'", "frame-ancestors 'none'");
            assertThat(answer.header("Referrer-Policy")).isEqualTo("no-referrer");
            assertThat(answer.response().headers().map().keySet())
                    .extracting(name -> name.toLowerCase(Locale.ROOT))
                    .doesNotContain("server", "x-powered-by", "strict-transport-security");
        }
    }

    @Test
    void onlyAListedWebOriginMayCall() {
        Answer own = administrator.get("/v1/branches", "Origin", PAGE).is(200);
        assertThat(own.header("Access-Control-Allow-Origin")).isEqualTo(PAGE);
        assertThat(own.header("Vary")).contains("Origin");
        for (String other :
                new String[] {"https://evil.example", "null", PAGE + ".evil.example", "http://bank.example"}) {
            Answer answer = administrator.get("/v1/branches", "Origin", other).is(200);
            assertThat(answer.response().headers().map().keySet())
                    .noneMatch(h -> h.toLowerCase(Locale.ROOT).startsWith("access-control"));
        }
        Answer preflight = kehu.anonymous()
                .send(
                        "OPTIONS",
                        "/v1/branches",
                        (byte[]) null,
                        "Origin",
                        PAGE,
                        "Access-Control-Request-Method",
                        "POST");
        assertThat(preflight.status()).isEqualTo(204);
        assertThat(preflight.header("Access-Control-Allow-Methods")).contains("POST");
        assertThat(kehu.anonymous()
                        .send("OPTIONS", "/v1/branches", (byte[]) null, "Origin", "https://evil.example")
                        .header("Access-Control-Allow-Methods"))
                .isEmpty();
    }

    @Test
    void theRequestIdIsHonouredWhenSaneAndReplacedOtherwise() {
        assertThat(administrator
                        .get("/v1/branches", "Kehu-Request-Id", "abcdef-0123456789")
                        .header("Kehu-Request-Id"))
                .isEqualTo("abcdef-0123456789");
        for (String odd :
                new String[] {"short", "a".repeat(65), "spaces in it", "<script>alert</script>", "日志注入日志注入"}) {
            String raw = "GET /v1/nothing HTTP/1.1\r\nHost: kehu\r\nKehu-Request-Id: "
                    + new String(bytes(odd), StandardCharsets.ISO_8859_1) + "\r\n\r\n";
            assertThat(RawClient.exchange(kehu.port(), raw).header("Kehu-Request-Id"))
                    .isNotEqualTo(odd)
                    .matches("[0-9a-f]{8,64}");
        }
    }

    @Test
    void problemsAreToldInTheLanguageOfTheCaller() {
        String path = "/v1/nothing";
        assertThat(administrator.get(path).at("/title").asText()).isEqualTo("No such path");
        for (String chinese : new String[] {"zh", "zh-CN,zh;q=0.9,en;q=0.8", "fr, zh-Hans;q=0.5, en;q=0.1"}) {
            assertThat(administrator
                            .get(path, "Accept-Language", chinese)
                            .at("/title")
                            .asText())
                    .as(chinese)
                    .isEqualTo("路径不存在");
        }
        for (String other : new String[] {"en", "de", "*", "q=;;", "zh;q=0, en", "a".repeat(300)}) {
            assertThat(administrator
                            .get(path, "Accept-Language", other)
                            .at("/title")
                            .asText())
                    .as(other)
                    .isEqualTo("No such path");
        }
    }

    @Test
    void whatAnUntrustedPeerSaysOfItsAddressIsNotBelieved() {
        administrator
                .get("/v1/nothing-forwarded", "X-Forwarded-For", "203.0.113.9", "Kehu-Request-Id", "forwarded-1")
                .is(404);
        Awaitility.await()
                .untilAsserted(() -> assertThat(
                                kehu.sql("SELECT address FROM kehu.access_log WHERE request_id = 'forwarded-1'"))
                        .extracting(r -> r.get("address"))
                        .containsExactly("127.0.0.1"));
    }

    @Test
    void aConnectionOutlivesARefusal() {
        try (RawClient client = new RawClient(kehu.port())) {
            for (int i = 0; i < 5; i++) {
                byte[] body = bytes("{broken");
                client.say(head(
                        "POST", "/v1/branches", "Content-Type: application/json", "Content-Length: " + body.length));
                assertThat(client.say(body).hear().status()).isEqualTo(400);
            }
            assertThat(client.say(head("GET", "/v1/branches")).hear().status()).isEqualTo(200);
        }
    }
}
