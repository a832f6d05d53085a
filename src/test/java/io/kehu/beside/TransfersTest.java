package io.kehu.beside;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.blob.BlobStore;
import io.kehu.blob.Blobs;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Reply;
import io.kehu.http.Connections;
import io.kehu.http.Exchange;
import io.kehu.sql.Database;
import io.vertx.core.Handler;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.file.OpenOptions;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Downloads, from a server that answers every request with one stored file. */
class TransfersTest {
    private static final int SIZE = 1_300_000;
    private static final byte[] CONTENT = new byte[SIZE];

    @TempDir
    private static Path folder;

    private static TestKehu kehu;
    private static Vertx vertx;
    private static Database database;
    private static Blobs blobs;
    private static HttpServer server;
    private static UUID file;

    @BeforeAll
    static void start() throws Exception {
        new Random(1).nextBytes(CONTENT);
        kehu = TestKehu.prepare(Map.of());
        vertx = Vertx.vertx();
        database = new Database(
                vertx,
                new Database.Options(
                        kehu.settings().postgresql().uri(),
                        Map.of(
                                Call.Lane.POINT, new Database.Lane(2, 100, 5_000, 5_000),
                                Call.Lane.JOB, new Database.Lane(2, 100, 5_000, 5_000)),
                        2_000,
                        60_000,
                        64),
                new Database.Answers(bytes -> bytes, bytes -> bytes));
        blobs = new Blobs(
                vertx,
                database,
                BlobStore.inFolder(vertx, new BlobStore.Options(1, 2), folder.resolve("blobs")),
                kehu.vault(),
                new Blobs.Options(60, 1_000));
        file = store();
        server = TestKehu.await(vertx.createHttpServer()
                .requestHandler(answer(new Transfers(vertx, blobs, 1)))
                .listen(0, "127.0.0.1"));
    }

    private static Handler<HttpServerRequest> answer(Transfers transfers) {
        Connections connections = new Connections(vertx, 100, 100, 10_000, 60_000);
        return request -> transfers.send(
                new Exchange(request, "test", connections, (exchange, status, code, micros) -> {}),
                new Reply.Download(
                        UUID.fromString(request.path().substring(1)), "客户 \"A\".csv", "text/csv; charset=utf-8"));
    }

    private static UUID store() throws Exception {
        Path path = Files.write(folder.resolve("content"), CONTENT);
        Promise<Blobs.Facts> stored = Promise.promise();
        vertx.runOnContext(v -> vertx.fileSystem()
                .open(path.toString(), new OpenOptions().setWrite(false))
                .compose(content ->
                        blobs.write(Blobs.Draft.of(Principal.SYSTEM, "test", "job:read", "x", SIZE), content))
                .onComplete(stored));
        return TestKehu.await(stored.future()).id();
    }

    @AfterAll
    static void stop() {
        TestKehu.await(vertx.close());
    }

    private static HttpResponse<byte[]> get(UUID id, String... headers) throws Exception {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.actualPort() + "/" + id));
        if (headers.length > 0) {
            request.headers(headers);
        }
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
    }

    private static String header(HttpResponse<?> response, String name) {
        return response.headers().firstValue(name).orElse("");
    }

    @Test
    void aWholeFileComesWithItsNameInBothForms() throws Exception {
        HttpResponse<byte[]> all = get(file);
        assertThat(all.statusCode()).isEqualTo(200);
        assertThat(all.body()).isEqualTo(CONTENT);
        assertThat(header(all, "Content-Type")).isEqualTo("text/csv; charset=utf-8");
        assertThat(header(all, "Accept-Ranges")).isEqualTo("bytes");
        assertThat(header(all, "Content-Disposition"))
                .isEqualTo("attachment; filename=\"__ _A_.csv\"; filename*=UTF-8''%E5%AE%A2%E6%88%B7%20%22A%22.csv");
    }

    @ParameterizedTest
    @CsvSource({
        "bytes=0-0, 0, 1",
        "bytes=65535-65536, 65535, 65537",
        "bytes=1000000-, 1000000, 1300000",
        "bytes=-10, 1299990, 1300000",
        "bytes=-9999999, 0, 1300000",
        "bytes=1299999-9999999, 1299999, 1300000"
    })
    void aRangeComesAlone(String range, int from, int to) throws Exception {
        HttpResponse<byte[]> part = get(file, "Range", range);
        assertThat(part.statusCode()).isEqualTo(206);
        assertThat(part.body()).isEqualTo(Arrays.copyOfRange(CONTENT, from, to));
        assertThat(header(part, "Content-Range")).isEqualTo("bytes " + from + "-" + (to - 1) + "/" + SIZE);
    }

    @ParameterizedTest
    @ValueSource(strings = {"bytes=1300000-", "bytes=-0", "bytes=99999999999-99999999999"})
    void aRangeBehindTheEndIsRefusedWithTheSize(String range) throws Exception {
        HttpResponse<byte[]> refused = get(file, "Range", range);
        assertThat(refused.statusCode()).isEqualTo(416);
        assertThat(header(refused, "Content-Range")).isEqualTo("bytes */" + SIZE);
        assertThat(new String(refused.body())).contains("blob.range");
    }

    @ParameterizedTest
    @ValueSource(strings = {"bytes=0-1,5-6", "lines=1-2", "bytes=5-1", "bytes=-", "nonsense"})
    void aRangeThatCannotBeMeantIsIgnored(String range) throws Exception {
        assertThat(get(file, "Range", range).statusCode()).isEqualTo(200);
    }

    @Test
    void aKnownFileIsNotSentAgainAndARangeOfAnotherVersionIsTheWhole() throws Exception {
        String etag = header(get(file), "ETag");
        assertThat(get(file, "If-None-Match", etag).statusCode()).isEqualTo(304);
        assertThat(get(file, "Range", "bytes=0-9", "If-Range", etag).statusCode())
                .isEqualTo(206);
        assertThat(get(file, "Range", "bytes=0-9", "If-Range", "\"other\"").statusCode())
                .isEqualTo(200);
    }

    @Test
    void aFileThatIsGoneOrOfAnotherLengthThanRecordedIsNotSent() throws Exception {
        assertThat(get(UUID.randomUUID()).statusCode()).isEqualTo(404);
        UUID damaged = store();
        kehu.sql("UPDATE kehu.blob SET size = size + 1 WHERE id = ?", damaged);
        assertThat(new String(get(damaged).body())).contains("blob.damaged");
        UUID released = store();
        kehu.sql("SELECT kehu.release_blob(?)", released);
        assertThat(new String(get(released).body())).contains("blob.missing");
    }
}
