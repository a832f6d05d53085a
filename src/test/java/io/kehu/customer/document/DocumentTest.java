package io.kehu.customer.document;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.Obstacle;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DocumentTest {
    private static final int MAX_BYTES = 100_000;
    private static final byte[] PDF = "%PDF-1.7 a contract".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] PNG = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0};
    private static final Map<String, byte[]> FILES = Map.of(
            "pdf",
            PDF,
            "png",
            PNG,
            "jpeg",
            new byte[] {(byte) 0xff, (byte) 0xd8, (byte) 0xff, (byte) 0xe0},
            "tiff",
            new byte[] {'I', 'I', 42, 0, 8, 0, 0, 0},
            "zip",
            "PK\3\4 an archive".getBytes(StandardCharsets.US_ASCII),
            "exe",
            new byte[] {'M', 'Z', (byte) 0x90, 0, 3, 0},
            "html",
            "<html><script>alert(1)</script>".getBytes(StandardCharsets.US_ASCII));

    private static FakeClamd clamd;
    private static TestKehu kehu;
    private static Caller manager;
    private static Caller elsewhere;
    private static Caller auditor;

    @BeforeAll
    static void start() {
        clamd = FakeClamd.start();
        kehu = TestKehu.start(Map.of(
                "KEHU_ANTIVIRUS_ADDRESS",
                clamd.address(),
                "KEHU_DOCUMENTS_MAX_BYTES",
                Integer.toString(MAX_BYTES),
                "KEHU_DOCUMENTS_PER_CUSTOMER",
                "3",
                "KEHU_DOCUMENTS_VERSIONS",
                "3"));
        manager = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "NORTH"), "customer-manager"));
        elsewhere = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SOUTH"), "customer-manager"));
        auditor = kehu.caller("auditor");
    }

    @AfterAll
    static void stop() {
        kehu.close();
        clamd.close();
    }

    private static String aCustomer() {
        return manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"赵文档\"}")
                .is(201)
                .at("/id")
                .asText();
    }

    private static Answer announce(Caller who, String name, int size) {
        return who.post("/v1/uploads", """
                {"purpose": "customer-document", "name": "%s", "size": %d}""".formatted(name, size));
    }

    private static String upload(Caller who, String name, byte[] file) {
        String path = announce(who, name, file.length).is(201).header("Location");
        who.send("PUT", path, file, "Content-Type", "application/octet-stream").is(200);
        return path.substring(path.lastIndexOf('/') + 1);
    }

    private static Answer add(Caller who, String customer, String upload, String type, String more) {
        return who.post("/v1/customers/" + customer + "/documents", """
                {"uploadId": "%s", "type": "%s", "title": "赵文档的合同"%s}""".formatted(upload, type, more));
    }

    private static String aDocument(String customer, byte[] file) {
        return "/v1/documents/"
                + add(manager, customer, upload(manager, "a.pdf", file), "contract", "")
                        .is(201)
                        .at("/id")
                        .asText();
    }

    private static Answer scanned(String document, String state) {
        await().atMost(Duration.ofSeconds(15))
                .until(() -> manager.get(document)
                        .is(200)
                        .at("/newest/state")
                        .asText()
                        .equals(state));
        return manager.get(document);
    }

    @Test
    void aDatabaseThatFailsIsNotSaidToBeAMissingFile() throws SQLException {
        String customer = aCustomer();
        String upload = upload(manager, "b.pdf", PDF);
        try (Obstacle held = new Obstacle(kehu, "LOCK TABLE kehu.blob IN ACCESS EXCLUSIVE MODE")) {
            held.cancelled("SELECT", () -> add(manager, customer, upload, "contract", ""))
                    .is(503, "server.slow");
        }
        add(manager, customer, upload, "contract", "").is(201);
        add(manager, customer, UUID.randomUUID().toString(), "contract", "").is(409, "blob.notClaimable");
    }

    @Test
    void aDocumentIsQuarantinedUntilItWasLookedThroughAndThenDownloaded() {
        String customer = aCustomer();
        clamd.hold();
        String document = aDocument(customer, PDF);
        assertThat(manager.get(document).is(200).at("/newest/state").asText()).isEqualTo("quarantined");
        manager.get(document + "/content").is(409, "document.quarantined");
        clamd.open();
        Answer clean = scanned(document, "clean");
        assertThat(clean.at("/newest/scanner").asText()).isEqualTo("clamd");
        assertThat(clean.at("/title").asText()).isEqualTo("赵文档的合同");
        assertThat(clean.at("/newest/contentType").asText()).isEqualTo("application/pdf");

        Answer whole = manager.get(document + "/content").is(200);
        assertThat(whole.response().body()).isEqualTo(PDF);
        assertThat(whole.header("Content-Type")).isEqualTo("application/pdf");
        assertThat(whole.header("Content-Disposition")).startsWith("attachment; filename=\"a.pdf\"");
        assertThat(whole.header("X-Content-Type-Options")).isEqualTo("nosniff");
        Answer part = manager.get(document + "/content", "Range", "bytes=1-3").is(206);
        assertThat(part.response().body()).isEqualTo(Arrays.copyOfRange(PDF, 1, 4));
        manager.get(document + "/content", "If-None-Match", whole.etag()).is(304);
        assertThat((Long) kehu.value(
                        "SELECT count(*) FROM kehu.audit WHERE kind = 'unmask' AND object_id = ? AND actor = ?",
                        UUID.fromString(document.substring("/v1/documents/".length())),
                        manager.id))
                .isEqualTo(3);
        assertThat(manager.get("/v1/customers/" + customer + "/overview")
                        .is(200)
                        .text())
                .contains(document.substring("/v1/documents/".length()));
    }

    @Test
    void whatTheScannerFindsIsNeverDownloadedButAnotherVersionIs() {
        String document = aDocument(aCustomer(), "%PDF-1.7 EVIL".getBytes(StandardCharsets.US_ASCII));
        Answer infected = scanned(document, "infected");
        assertThat(infected.at("/newest/finding").asText()).isEqualTo("Test.Evil-1");
        manager.get(document + "/content").is(403, "document.infected");
        manager.post(document + "/versions", "{\"uploadId\": \"" + upload(manager, "b.png", PNG) + "\"}")
                .is(201);
        scanned(document, "clean");
        assertThat(manager.get(document + "/content").is(200).response().body()).isEqualTo(PNG);
        manager.get(document + "/versions/1/content").is(403, "document.infected");
        manager.get(document + "/versions/3/content").is(404, "document.versionNotFound");
        List<Integer> numbers = new ArrayList<>();
        Answer first = manager.get(document + "/versions?limit=1").is(200);
        first.at("/items").forEach(item -> numbers.add(item.get("number").asInt()));
        manager.get(document + "/versions?cursor=" + first.at("/next").asText())
                .is(200)
                .at("/items")
                .forEach(item -> numbers.add(item.get("number").asInt()));
        assertThat(numbers).containsExactly(2, 1);
    }

    @Test
    void aScannerThatHangsUpIsAskedAgain() {
        clamd.refuse(1);
        String document = aDocument(aCustomer(), PDF);
        scanned(document, "clean");
        assertThat(clamd.refusals()).isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "pdf, a.pdf, contract, '', true",
        "pdf, a.pdf, contract, application/pdf, true",
        "jpeg, a.JPG, identity, '', true",
        "tiff, scan, letter, '', true",
        "png, a.png, photo, '', true",
        "pdf, a.pdf, photo, '', false",
        "pdf, a.png, contract, '', false",
        "pdf, a.pdf, contract, image/png, false",
        "exe, a.pdf, contract, application/pdf, false",
        "html, a.pdf, contract, '', false",
        "html, a.html, letter, text/html, false",
        "zip, a.zip, other, '', false"
    })
    void onlyTheBytesSayWhatAFileIs(String kind, String name, String type, String declared, boolean taken) {
        String more = declared.isEmpty() ? "" : ", \"contentType\": \"" + declared + '"';
        String upload = upload(manager, name, FILES.get(kind));
        Answer answer = add(manager, aCustomer(), upload, type, more);
        if (taken) {
            answer.is(201);
        } else {
            answer.is(422, "document.typeRefused");
        }
    }

    @Test
    void filesAndTheirNumbersAreBounded() {
        announce(manager, "a.pdf", MAX_BYTES + 1).is(413, "upload.tooLarge");
        announce(auditor, "a.pdf", 10).is(403);
        String customer = aCustomer();
        List<String> uploads = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            uploads.add(upload(manager, "a.pdf", PDF));
        }
        List<CompletableFuture<Answer>> at = uploads.stream()
                .map(upload -> CompletableFuture.supplyAsync(() -> add(manager, customer, upload, "contract", "")))
                .toList();
        List<Integer> answers =
                at.stream().map(one -> one.join().status()).sorted().toList();
        assertThat(answers).containsExactly(201, 201, 201, 409, 409);
        Answer listed = manager.get("/v1/customers/" + customer + "/documents?limit=200")
                .is(200);
        assertThat(listed.at("/items")).hasSize(3);
        String document = "/v1/documents/" + listed.at("/items/0/id").asText();
        List<CompletableFuture<Answer>> versions = List.of("x.pdf", "y.pdf", "z.pdf").stream()
                .map(name -> upload(manager, name, PDF))
                .map(upload -> CompletableFuture.supplyAsync(
                        () -> manager.post(document + "/versions", "{\"uploadId\": \"" + upload + "\"}")))
                .toList();
        assertThat(versions.stream().map(one -> one.join().status()).sorted().toList())
                .containsExactly(201, 201, 409);
    }

    @Test
    void anUploadServesOnceAndOnlyItsOwner() {
        String customer = aCustomer();
        String theirs = upload(elsewhere, "a.pdf", PDF);
        add(manager, customer, theirs, "contract", "").is(409, "blob.notClaimable");
        add(elsewhere, customer, theirs, "contract", "").is(404, "customer.notFound");
        String upload = upload(manager, "a.pdf", PDF);
        add(manager, customer, upload, "contract", "").is(201);
        add(manager, customer, upload, "contract", "").is(409, "blob.notClaimable");
        add(manager, customer, UUID.randomUUID().toString(), "contract", "").is(409, "blob.notClaimable");
        // Also where the file itself has forgotten that it serves, as in a copy of an earlier day.
        kehu.sql(
                "UPDATE kehu.blob SET state = 'staged', expires_at = kehu.now() + interval '1 hour' WHERE id = ?",
                UUID.fromString(upload));
        add(manager, customer, upload, "contract", "").is(409, "blob.notClaimable");
        add(auditor, customer, upload, "contract", "").is(403);
    }

    @Test
    void outOfReachIsNotThere() {
        String customer = aCustomer();
        String document = aDocument(customer, PDF);
        scanned(document, "clean");
        for (String path : List.of("", "/content", "/versions", "/versions/1/content")) {
            elsewhere.get(document + path).is(404, "document.notFound");
        }
        elsewhere.get("/v1/customers/" + customer + "/documents").is(404, "customer.notFound");
        elsewhere.patch(document, "\"1\"", "{\"title\": \"x\"}").is(404, "document.notFound");
        elsewhere.send("DELETE", document, (String) null, "If-Match", "\"1\"").is(404, "document.notFound");
        kehu.anonymous().get(document + "/content").is(401);
    }

    @Test
    void aDeletedDocumentIsGoneForAllAndKeptUntilTheCustomerIsErased() {
        String customer = aCustomer();
        String document = aDocument(customer, PDF);
        Answer clean = scanned(document, "clean");
        Answer changed =
                manager.patch(document, clean.etag(), "{\"title\": \"新名\"}").is(200);
        assertThat(changed.at("/title").asText()).isEqualTo("新名");
        manager.send("DELETE", document, (String) null, "If-Match", clean.etag())
                .is(412, "request.stale");
        manager.send("DELETE", document, (String) null, "If-Match", changed.etag())
                .is(204);
        for (String path : List.of("", "/content", "/versions", "/versions/1/content")) {
            manager.get(document + path).is(404, "document.notFound");
        }
        assertThat(manager.get("/v1/customers/" + customer + "/documents")
                        .is(200)
                        .at("/items"))
                .isEmpty();
        UUID id = UUID.fromString(document.substring("/v1/documents/".length()));
        UUID blob = kehu.value("SELECT blob_id FROM customer.document_version WHERE document_id = ?", id);
        assertThat((String) kehu.value("SELECT state FROM kehu.blob WHERE id = ?", blob))
                .isEqualTo("claimed");

        // As erasure does it, within a door.
        kehu.sql(
                "SELECT set_config('kehu.audit_id', ?, true), set_config('kehu.bulk', 'on', true), customer.erase_documents(ARRAY[?::uuid])",
                UUID.randomUUID().toString(),
                customer);
        assertThat((String) kehu.value("SELECT state FROM kehu.blob WHERE id = ?", blob))
                .isEqualTo("deleted");
        assertThat((Long) kehu.value("SELECT count(*) FROM kehu.data_key WHERE subject_id = ?", blob))
                .isZero();
        assertThat((Long)
                        kehu.value("SELECT count(*) FROM customer.document_all WHERE id = ? AND title IS NOT NULL", id))
                .isZero();
    }

    @Test
    void titlesAreNowhereInPlain() {
        String document = aDocument(aCustomer(), PDF);
        String id = document.substring("/v1/documents/".length());
        byte[] sealed = kehu.value("SELECT title FROM customer.document WHERE id = ?::uuid", id);
        assertThat(Buffer.buffer(sealed).toString(StandardCharsets.UTF_8)).doesNotContain("合同");
        assertThat((String)
                        kehu.value("SELECT string_agg(a::text, ' ') FROM kehu.audit a WHERE object_id = ?::uuid", id))
                .doesNotContain("合同");
        assertThat((String) kehu.value(
                        "SELECT string_agg(e.payload::text, ' ') FROM kehu.event e WHERE aggregate_id = ?::uuid", id))
                .isNotEmpty()
                .doesNotContain("合同");
    }

    @Test
    void aMergedRecordShowsTheDocumentsOfItsSides() {
        String survivor = aCustomer();
        String merged = aCustomer();
        String document = aDocument(merged, PDF).substring("/v1/documents/".length());
        kehu.sql("INSERT INTO customer.merged (id, survivor_id) VALUES (?::uuid, ?::uuid)", merged, survivor);
        assertThat(manager.get("/v1/customers/" + survivor + "/documents")
                        .is(200)
                        .text())
                .contains(document);
        assertThat(manager.get("/v1/documents/" + document)
                        .is(200)
                        .at("/customerId")
                        .asText())
                .isEqualTo(merged);
    }
}
