package io.kehu.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.json.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a stand-in server that takes a file in and gives the same file out. */
class BigTest {
    private static final Pattern TEXT = Pattern.compile("<si><t>([^<]*)</t></si>");
    private static final Pattern CELL = Pattern.compile("t=\"s\"><v>(\\d+)</v>");

    @TempDir
    Path folder;

    private final Vertx vertx = Vertx.vertx();
    private final List<String> seen = new CopyOnWriteArrayList<>();
    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
    private volatile Buffer file = Buffer.buffer();
    private volatile String state = "done";
    private volatile int rejected;
    private URI url;

    @BeforeEach
    void start() throws Exception {
        HttpServer server = vertx.createHttpServer(new HttpServerOptions().setHost("127.0.0.1"))
                .requestHandler(request -> request.body().onSuccess(body -> answer(request, body)));
        int port = server.listen(0)
                .toCompletionStage()
                .toCompletableFuture()
                .get(10, TimeUnit.SECONDS)
                .actualPort();
        url = URI.create("http://127.0.0.1:" + port);
    }

    @AfterEach
    void stop() throws Exception {
        vertx.close().toCompletionStage().toCompletableFuture().get(10, TimeUnit.SECONDS);
    }

    private void answer(HttpServerRequest request, Buffer body) {
        String call = request.method() + " " + request.path();
        seen.add(call);
        HttpServerResponse response = request.response();
        if (!request.path().equals("/v1/auth/login")
                && !request.path().equals("/metrics")
                && !"Bearer token".equals(request.getHeader("Authorization"))) {
            response.setStatusCode(401).end();
            return;
        }
        switch (call) {
            case "POST /v1/auth/login" ->
                response.end("{\"accessToken\": \"token\", \"staff\": {\"branchId\": \"HQ\"}}");
            case "POST /v1/staff" ->
                response.setStatusCode(
                                new JsonObject(body).getString("branchId").equals("HQ") ? 201 : 422)
                        .end("{\"initialPassword\": \"first\"}");
            case "POST /v1/auth/password" -> response.setStatusCode(204).end();
            case "POST /v1/uploads" ->
                response.setStatusCode(201)
                        .putHeader("Location", "/v1/uploads/u1")
                        .end("{}");
            case "PUT /v1/uploads/u1" -> {
                file = body;
                response.end("{}");
            }
            case "POST /v1/imports" ->
                response.setStatusCode(
                                new JsonObject(body).getString("uploadId").equals("u1") ? 202 : 422)
                        .putHeader("Location", "/v1/imports/i1")
                        .end("{}");
            case "GET /v1/imports/i1" ->
                response.end("{\"state\": \"" + state + "\", \"read\": 49, \"accepted\": " + (49 - rejected)
                        + ", \"rejected\": " + rejected + "}");
            case "POST /v1/imports/i1/cancel" -> {
                state = "cancelled";
                response.end("{}");
            }
            case "POST /v1/exports" -> response.setStatusCode(202).end("{\"approvalId\": \"a1\"}");
            case "POST /v1/approvals/a1/approve" -> response.end("{\"state\": \"approved\"}");
            case "GET /v1/approvals/a1" -> response.end("{\"state\": \"executed\", \"location\": \"/v1/exports/e1\"}");
            case "GET /v1/exports/e1" ->
                response.end("{\"state\": \"done\", \"rows\": 48, \"size\": " + file.length() + "}");
            case "POST /v1/exports/e1/links" ->
                response.setStatusCode(201).end("{\"url\": \"/v1/export-downloads/l1\"}");
            case "GET /v1/export-downloads/l1" -> response.end(file);
            case "GET /metrics" ->
                response.end("jvm_memory_used_bytes{area=\"heap\",id=\"Eden\"} 1.048576E8\n"
                        + "jvm_memory_used_bytes{area=\"heap\",id=\"Old\"} 5.24288E7\n"
                        + "jvm_memory_used_bytes{area=\"nonheap\",id=\"Code\"} 1.0E9\n"
                        + "jvm_gc_live_data_size_bytes 5.24288E7\njvm_gc_pause_seconds_sum{cause=\"x\"} 1.5\n");
            default -> response.setStatusCode(404).end();
        }
    }

    private int load(String... args) {
        List<String> all = new ArrayList<>(Arrays.asList(args));
        all.add("--url=" + url);
        return Load.commandLine(new PrintStream(printed, true, StandardCharsets.UTF_8))
                .execute(all.toArray(String[]::new));
    }

    private String printed() {
        return printed.toString(StandardCharsets.UTF_8);
    }

    @Test
    void aWorkbookIsMadeSentImportedAndTimed() {
        assertThat(load(
                        "big-import",
                        "--user=clerk:right",
                        "--rows=50",
                        "--management=" + url,
                        "--server-pid=" + ProcessHandle.current().pid()))
                .isZero();
        assertThat(printed())
                .contains("done: 49 read, 49 accepted, 0 rejected")
                .containsPattern("\\| import \\| 49 \\|.*\\| [1-9]\\d* \\| 150 \\| 50 \\| 0\\.00 \\|");
        assertThat(seen).containsSubsequence("POST /v1/uploads", "PUT /v1/uploads/u1", "POST /v1/imports");
    }

    @Test
    void rejectedRowsAreAFailure() {
        rejected = 1;
        assertThat(load("big-import", "--user=clerk:right", "--rows=50")).isEqualTo(1);
        assertThat(printed()).contains("49 read, 48 accepted, 1 rejected");
        assertThat(load("big-import", "--user=clerk:right", "--rows=1048577")).isNotZero();
    }

    @Test
    void anExportIsApprovedByAnotherPersonFetchedAndCounted() throws Exception {
        Path made = folder.resolve("made.xlsx");
        Workbook.write(made, 50, false);
        file = Buffer.buffer(Files.readAllBytes(made));
        assertThat(load("big-export", "--user=maker:right", "--approver=other:right"))
                .isZero();
        assertThat(printed()).contains("48 rows exported, 48 in the file").contains("| export | 48 |");
        assertThat(load("big-export", "--user=maker:right")).isNotZero();
        assertThat(load("big-export", "--administrator=admin:right", "--administrator=other:right"))
                .isZero();
        assertThat(seen.stream().filter("POST /v1/staff"::equals)).hasSize(2);
        Workbook.write(made, 51, false);
        file = Buffer.buffer(Files.readAllBytes(made));
        assertThat(load("big-export", "--user=maker:right", "--approver=other:right"))
                .as("a row too many")
                .isEqualTo(1);
    }

    @Test
    void everyCellNamesItsTextInTheSharedTable() throws Exception {
        Path made = folder.resolve("shared.xlsx");
        Workbook.write(made, 600, true);
        String sheet = part(made, "xl/worksheets/sheet1.xml");
        List<String> texts = all(TEXT, part(made, "xl/sharedStrings.xml"));
        assertThat(texts).doesNotHaveDuplicates().startsWith("number", "name").contains("private", "wechat");
        assertThat(texts.get(Integer.parseInt(all(CELL, row(sheet, 600)).get(0))))
                .isEqualTo(Workbook.name(600));
        assertThat(all(CELL, row(sheet, 1)).stream().map(Integer::parseInt).map(texts::get))
                .containsExactlyElementsOf(Workbook.COLUMNS);
        Set<String> used = new HashSet<>(all(CELL, sheet));
        assertThat(used).as("no text without a cell").hasSize(texts.size());
        assertThat(Workbook.count(made)).isEqualTo(600);
    }

    @Test
    void aFileThatIsCutIsNotCounted() throws Exception {
        Path made = folder.resolve("cut.xlsx");
        Workbook.write(made, 2000, false);
        byte[] bytes = Files.readAllBytes(made);
        Files.write(made, Arrays.copyOf(bytes, bytes.length / 2));
        assertThatThrownBy(() -> Workbook.count(made)).isInstanceOf(IOException.class);
    }

    private static String row(String sheet, int number) {
        int from = sheet.indexOf("<row r=\"" + number + "\">");
        return sheet.substring(from, sheet.indexOf("</row>", from));
    }

    private static List<String> all(Pattern pattern, String text) {
        List<String> found = new ArrayList<>();
        Matcher matcher = pattern.matcher(text);
        while (matcher.find()) {
            found.add(matcher.group(1));
        }
        return found;
    }

    private static String part(Path file, String name) throws IOException {
        try (ZipFile zip = new ZipFile(file.toFile())) {
            ZipEntry entry = zip.getEntry(name);
            return new String(zip.getInputStream(entry).readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
