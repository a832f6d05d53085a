package io.kehu.ops.work;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class WorkTest {
    private static TestKehu kehu;
    private static Caller operator;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_BLOB_MAX_UPLOAD_BYTES", "20000000"));
        operator = kehu.caller("operator");
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Answer announce(Caller caller, long size) {
        return caller.post("/v1/uploads", """
                {"purpose": "customer-import", "name": "张三的客户.csv", "size": %d}""".formatted(size));
    }

    private static String announced(long size) {
        return announce(operator, size).is(201).header("Location");
    }

    private static Answer put(String path, byte[] bytes, long offset) {
        return operator.send(
                "PUT", path, bytes, "Upload-Offset", "" + offset, "Content-Type", "application/octet-stream");
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random(size).nextBytes(bytes);
        return bytes;
    }

    private static long received(String path) {
        return operator.get(path).is(200).at("/received").asLong();
    }

    @Test
    void aFileSentInPiecesIsCompleteWithItsLastByte() throws Exception {
        byte[] content = bytes(6_000_000);
        String path = announced(content.length);
        Answer first = put(path, Arrays.copyOf(content, 2_500_000), 0).is(200);
        assertThat(first.header("Upload-Offset")).isEqualTo("2500000");
        assertThat(operator.get(path).at("/state").asText()).isEqualTo("receiving");
        put(path, Arrays.copyOfRange(content, 2_500_000, content.length), 2_500_000)
                .is(200);
        Answer whole = operator.get(path).is(200);
        assertThat(whole.at("/state").asText()).isEqualTo("complete");
        assertThat(whole.at("/received").asInt()).isEqualTo(content.length);
        assertThat(whole.at("/name").asText()).isEqualTo("张三的客户.csv");
        assertThat(whole.at("/sha256").asText())
                .isEqualTo(HexFormat.of()
                        .formatHex(MessageDigest.getInstance("SHA-256").digest(content)));
        put(path, content, 0).is(409, "upload.finished");
    }

    @Test
    void aWrongOffsetIsToldTheRightOne() {
        String path = announced(100);
        put(path, bytes(40), 0).is(200);
        Answer refused = put(path, bytes(40), 0).is(409, "upload.offset");
        assertThat(refused.header("Upload-Offset")).isEqualTo("40");
        put(path, bytes(10), 50).is(409, "upload.offset");
        put(path, bytes(60), 40).is(200);
        assertThat(operator.get(path).at("/state").asText()).isEqualTo("complete");
    }

    @Test
    void moreThanAnnouncedIsRefusedAndNothingOfItStays() {
        String path = announced(100);
        put(path, bytes(101), 0).is(413, "upload.tooLarge");
        assertThat(received(path)).isZero();
        announce(operator, 20_000_001).is(413, "upload.tooLarge");
    }

    @Test
    void onlyWhoMayUseAFileMayUploadOneAndNobodyElseSeesIt() {
        announce(administrator, 10).is(403, "auth.forbidden");
        announce(kehu.anonymous(), 10).is(401, "auth.required");
        String path = announced(10);
        Caller other = kehu.caller("operator");
        other.get(path).is(404, "upload.notFound");
        other.send("PUT", path, bytes(10), "Content-Type", "application/octet-stream")
                .is(404, "upload.notFound");
        administrator.get(path).is(404, "upload.notFound");
        assertThat(received(path)).isZero();
        operator.get("/v1/uploads/" + Ids.next()).is(404, "upload.notFound");
    }

    @Test
    void whoseRightsWereTakenAwayMaySendNoMoreBytes() {
        UUID staff = kehu.staff(kehu.headOffice(), "operator");
        String path = announce(kehu.signIn(staff), 10).is(201).header("Location");
        kehu.sql("UPDATE iam.staff SET roles = '{finance}', rights = rights + 1 WHERE id = ?", staff);
        kehu.signIn(staff)
                .send("PUT", path, bytes(10), "Content-Type", "application/octet-stream")
                .is(403, "auth.forbidden");
    }

    @Test
    void anExpiredUploadIsGone() {
        String path = announced(10);
        kehu.sql(
                "UPDATE kehu.blob SET expires_at = kehu.now() - interval '1 second' WHERE id = ?::uuid",
                path.substring(path.lastIndexOf('/') + 1));
        operator.get(path).is(404, "upload.notFound");
        put(path, bytes(10), 0).is(404, "upload.notFound");
    }

    @Test
    void namesWithFoldersAndEmptyFilesAreRefused() {
        announce(operator, 0).is(400, "request.invalid");
        operator.post("/v1/uploads", "{\"purpose\": \"customer-import\", \"name\": \"../x\", \"size\": 1}")
                .is(400, "request.invalid");
        operator.post("/v1/uploads", "{\"purpose\": \"other\", \"name\": \"x\", \"size\": 1}")
                .is(400, "request.invalid");
    }

    // What a client library would not do
    // --------------------------------------------------------------------------------

    private static Socket connect(String path, String headers) throws IOException {
        Socket socket = new Socket("127.0.0.1", kehu.port());
        socket.setSoTimeout(30_000);
        socket.getOutputStream()
                .write(("PUT " + path + " HTTP/1.1\r\nHost: kehu\r\nAuthorization: Bearer " + operator.token + "\r\n"
                                + headers + "\r\n")
                        .getBytes(StandardCharsets.US_ASCII));
        return socket;
    }

    private static String head(Socket socket) throws IOException {
        StringBuilder head = new StringBuilder();
        int c;
        while (!head.toString().endsWith("\r\n\r\n")
                && (c = socket.getInputStream().read()) >= 0) {
            head.append((char) c);
        }
        return head.toString();
    }

    @Test
    void whatArrivedBeforeAConnectionBrokeStays() throws Exception {
        byte[] content = bytes(3_000_000);
        String path = announced(content.length);
        try (Socket socket = connect(path, "Content-Length: " + content.length + "\r\n")) {
            socket.getOutputStream().write(content, 0, 1_000_000);
            socket.getOutputStream().flush();
            await().atMost(Duration.ofSeconds(10)).until(() -> isBeingWritten(path));
        }
        await().atMost(Duration.ofSeconds(20)).until(() -> !isBeingWritten(path));
        int there = (int) received(path);
        assertThat(there).isBetween(1, 1_000_000);
        put(path, Arrays.copyOfRange(content, there, content.length), there).is(200);
        assertThat(operator.get(path).at("/sha256").asText())
                .isEqualTo(HexFormat.of()
                        .formatHex(MessageDigest.getInstance("SHA-256").digest(content)));
    }

    private static boolean isBeingWritten(String path) {
        return kehu.value(
                "SELECT writer IS NOT NULL FROM kehu.blob WHERE id = ?::uuid",
                path.substring(path.lastIndexOf('/') + 1));
    }

    @Test
    void oneUploadHasOneSenderAtATime() throws Exception {
        String path = announced(100);
        try (Socket socket = connect(path, "Content-Length: 100\r\n")) {
            socket.getOutputStream().write(bytes(10));
            socket.getOutputStream().flush();
            await().atMost(Duration.ofSeconds(10)).until(() -> isBeingWritten(path));
            put(path, bytes(100), 0).is(409, "upload.busy");
        }
    }

    @Test
    void aClientThatAsksFirstIsToldToGoOnOrNot() throws Exception {
        String path = announced(5);
        try (Socket socket = connect(path, "Content-Length: 5\r\nExpect: 100-continue\r\n")) {
            assertThat(head(socket)).startsWith("HTTP/1.1 100 ");
            socket.getOutputStream().write("hello".getBytes(StandardCharsets.US_ASCII));
            assertThat(head(socket)).startsWith("HTTP/1.1 200 ");
        }
        try (Socket socket = connect(path, "Content-Length: 5\r\nExpect: 100-continue\r\n")) {
            assertThat(head(socket)).startsWith("HTTP/1.1 409 ");
        }
    }

    @Test
    void aBodyWithoutALengthIsTakenUpToTheAnnouncedSize() throws Exception {
        String path = announced(5);
        try (Socket socket = connect(path, "Transfer-Encoding: chunked\r\n")) {
            socket.getOutputStream().write("5\r\nhello\r\n0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            assertThat(head(socket)).startsWith("HTTP/1.1 200 ");
        }
        String other = announced(5);
        try (Socket socket = connect(other, "Transfer-Encoding: chunked\r\n")) {
            socket.getOutputStream().write("6\r\nhellos\r\n0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            assertThat(head(socket)).startsWith("HTTP/1.1 413 ");
        }
    }

    @Test
    void whoSendsTooSlowlyIsCutOff() throws Exception {
        String path = announced(1_000_000);
        try (Socket socket = connect(path, "Content-Length: 1000000\r\n")) {
            socket.getOutputStream().write(bytes(1_000));
            socket.getOutputStream().flush();
            assertThat(head(socket)).startsWith("HTTP/1.1 408 ");
        }
        assertThat(received(path)).isEqualTo(1_000);
    }

    // Claiming and jobs
    // ---------------------------------------------------------------------------------------------------

    @Test
    void onlyAWholeUploadIsClaimedOnceByItsOwnerForItsPurpose() {
        String path = announced(5);
        String id = path.substring(path.lastIndexOf('/') + 1);
        assertThat(isClaimed(id, operator.id, "customer-import")).isFalse();
        put(path, bytes(5), 0).is(200);
        assertThat(isClaimed(id, administrator.id, "customer-import")).isFalse();
        assertThat(isClaimed(id, operator.id, "other")).isFalse();
        assertThat(isClaimed(id, operator.id, "customer-import")).isTrue();
        assertThat(isClaimed(id, operator.id, "customer-import")).isFalse();
        assertThat(operator.get(path).is(200).at("/state").asText()).isEqualTo("claimed");
    }

    private static boolean isClaimed(String id, UUID owner, String purpose) {
        try {
            kehu.sql("SELECT * FROM kehu.claim_blob(?::uuid, ?, ?)", id, owner, purpose);
            return true;
        } catch (IllegalStateException e) {
            assertThat(e.getCause()).hasMessageContaining("cannot be claimed");
            return false;
        }
    }

    /** As a command of a domain would leave it, of a kind that no node does. */
    private static UUID job(Caller owner) {
        UUID id = Ids.next();
        kehu.sql("""
                INSERT INTO kehu.job (id, kind, params, owner_id, principal, operation, request_id, address)
                VALUES (?, 'nobody-does', '{"secret": "张三"}', ?, '{}', 'test', 'request-1', 'test')""", id, owner.id);
        return id;
    }

    @Test
    void aPersonSeesTheOwnJobsAndAnAdministratorAllWithoutWhatTheyWorkOn() {
        Caller other = kehu.caller("operator");
        UUID mine = job(operator);
        UUID hers = job(other);
        assertThat(operator.get("/v1/jobs/" + mine).is(200).at("/state").asText())
                .isEqualTo("waiting");
        operator.get("/v1/jobs/" + hers).is(404, "job.notFound");
        assertThat(operator.get("/v1/jobs?limit=200").is(200).text())
                .contains(mine.toString())
                .doesNotContain(hers.toString());
        Answer all = administrator
                .get("/v1/jobs?limit=200&state=waiting&kind=nobody-does")
                .is(200);
        assertThat(all.text()).contains(mine.toString(), hers.toString()).doesNotContain("张三");
        Answer first = administrator.get("/v1/jobs?limit=1").is(200);
        Answer second = administrator
                .get("/v1/jobs?limit=1&cursor=" + first.at("/next").asText())
                .is(200);
        assertThat(second.at("/items/0/id").asText())
                .isNotEqualTo(first.at("/items/0/id").asText());
    }

    @Test
    void aJobIsCancelledOnceByItsOwnerOrAnAdministrator() {
        UUID mine = job(operator);
        kehu.caller("operator").post("/v1/jobs/" + mine + "/cancel", "").is(404, "job.notFound");
        Answer cancelled = operator.send("POST", "/v1/jobs/" + mine + "/cancel", (byte[]) null)
                .is(200);
        assertThat(cancelled.at("/state").asText()).isEqualTo("cancelled");
        operator.send("POST", "/v1/jobs/" + mine + "/cancel", (byte[]) null).is(409, "job.ended");
        UUID other = job(operator);
        administrator
                .send("POST", "/v1/jobs/" + other + "/cancel", (byte[]) null)
                .is(200);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE object_id = ? AND operation = 'cancelJob'", mine))
                .isEqualTo(1);
    }
}
