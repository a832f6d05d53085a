package io.kehu.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import io.kehu.app.Settings;
import io.kehu.app.TestServers;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.crypto.KeySet;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The chain of a running bank: sealed, proven, dumped, and altered in every way there is. */
class AuditChainTest {
    private static final int SEALS = 5;
    private static final int ALTERATIONS = 10_000;
    private static final Map<String, String> QUICK = Map.of("KEHU_AUDIT_SEAL_MILLIS", "100");

    private static TestKehu shared;
    private static List<String> receipts;

    @TempDir
    Path folder;

    /** The bank of this test: the shared one, unless the test breaks its chain for good. */
    private TestKehu kehu = shared;

    @BeforeAll
    static void start() {
        shared = TestKehu.start(QUICK);
        receipts = aBankWorksForSomeSeals(shared);
    }

    private static List<String> aBankWorksForSomeSeals(TestKehu bank) {
        Caller administrator = bank.caller("administrator");
        List<String> receipts = new ArrayList<>();
        for (long seal = 1; seal <= SEALS; seal++) {
            for (int i = 0; i < 4; i++) {
                receipts.add(
                        open(bank, administrator, "S" + seal + "-" + i).is(201).header("Kehu-Receipt"));
            }
            open(bank, administrator, "S" + seal + "-0").is(409, "branch.codeTaken");
            bank.anonymous().login("nobody\\\"{},", "wrong, NULL").is(401);
            bank.anonymous().login("nobody", "Wrong-Password-1234").is(401);
            awaitSealed(bank);
        }
        return List.copyOf(receipts);
    }

    @AfterAll
    static void stop() {
        shared.close();
    }

    /** Whatever other tests did is sealed. */
    @BeforeEach
    void awaitSealed() {
        awaitSealed(kehu);
    }

    private static Answer open(TestKehu bank, Caller administrator, String code) {
        return administrator.post("/v1/branches", """
                {"parentId": "%s", "code": "%s", "name": "支行 \\"%s\\", {x}\\\\"}""".formatted(bank.headOffice(), code, code));
    }

    private static void awaitSealed(TestKehu bank) {
        await().until(() -> bank.<Boolean>value("""
                SELECT NOT EXISTS (SELECT FROM kehu.audit WHERE xid >= coalesce((SELECT max(to_xid) FROM kehu.audit_seal), '0'))"""));
    }

    private Connection seal() throws SQLException {
        Connection connection = Migrations.connect(kehu.settings().postgresql().sealUri(), 5_000);
        try (Statement sql = connection.createStatement()) {
            sql.execute("SET ROLE kehu_seal");
        }
        return connection;
    }

    private Map<String, byte[]> keys() {
        return kehu.signer().publicKeys();
    }

    private Path checkpoints() {
        return kehu.settings().audit().checkpointFolder();
    }

    /** Settings of another node of the same bank. */
    private Settings another(Map<String, String> more) {
        Settings one = kehu.settings();
        Map<String, String> all = new HashMap<>(Map.of(
                "KEHU_PG_URI", one.postgresql().uri(),
                "KEHU_POSTGRESQL_OWNER_URI", one.postgresql().ownerUri(),
                "KEHU_REDIS_URI", one.redis().uri(),
                "KEHU_KEYS_FOLDER", one.keys().folder().toString(),
                "KEHU_AUDIT_CHECKPOINT_FOLDER", checkpoints().toString()));
        all.putAll(QUICK);
        all.putAll(more);
        return TestServers.settings(all);
    }

    private Path dump() throws SQLException, IOException {
        Path file = Files.createTempFile(folder, "dump", ".jsonl");
        try (OutputStream out = Files.newOutputStream(file)) {
            new Dump(this::seal).write(out, null, null);
        }
        return file;
    }

    private Verifier.Report verify(Path... dumps) throws IOException {
        return verifyWith(checkpoints(), dumps);
    }

    private Verifier.Report verifyWith(Path checkpoints, Path... dumps) throws IOException {
        return new Verifier(keys(), false).verify(List.of(dumps), List.of(checkpoints));
    }

    @Test
    void everyRowIsSealedAndTheDumpIsIntact() throws Exception {
        Verifier.Report report = verify(dump());
        assertThat(report.findings()).isEmpty();
        assertThat(report.intact()).isTrue();
        assertThat(report.rows()).isEqualTo(kehu.<Long>value("SELECT count(*) FROM kehu.audit"));
        assertThat(report.seals()).isGreaterThanOrEqualTo(SEALS);
        assertThat(report.firstSeal()).isEqualTo(1);
        assertThat(report.unsealed()).isZero();
    }

    @Test
    void aReceiptIsCompletedByItsProof() {
        Caller auditor = kehu.caller("auditor");
        Map<String, byte[]> published = KeySet.read(KeySet.write(keys()).getBytes(StandardCharsets.UTF_8));
        for (String receipt : receipts) {
            String id = receipt.substring(0, 36);
            Answer proof = auditor.get("/v1/audit/" + id + "/proof").is(200);
            assertThat(proof.at("/receipt").asText()).isEqualTo(receipt);
            byte[] leaf = HexFormat.of().parseHex(receipt.substring(37));
            List<byte[]> path = new ArrayList<>();
            proof.at("/path").forEach(node -> path.add(HexFormat.of().parseHex(node.asText())));
            byte[] root = Merkle.root(
                    leaf, proof.at("/index").asLong(), proof.at("/seal/rows").asLong(), path);
            assertThat(HexFormat.of().formatHex(root))
                    .isEqualTo(proof.at("/seal/root").asText());
            Seal seal = sealOf(proof);
            assertThat(seal.isWhole()).isTrue();
            assertThat(seal.isSigned(published)).isTrue();
        }
    }

    private static Seal sealOf(Answer proof) {
        ObjectNode node = (ObjectNode) proof.at("/seal").deepCopy();
        java.time.Instant at = java.time.Instant.parse(node.get("sealedAt").asText());
        node.put("sealedAt", at.getEpochSecond() * 1_000_000 + at.getNano() / 1_000);
        return Seal.read(node.toString());
    }

    @Test
    void aRepeatedCommandGetsTheReceiptOfTheFirst() {
        Caller administrator = kehu.caller("administrator");
        String key = UUID.randomUUID().toString();
        String body = """
                {"parentId": "%s", "code": "REPEATED", "name": "支行"}""".formatted(kehu.headOffice());
        Answer first =
                administrator.post("/v1/branches", body, "Idempotency-Key", key).is(201);
        Answer again =
                administrator.post("/v1/branches", body, "Idempotency-Key", key).is(201);
        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        assertThat(again.header("Kehu-Receipt")).isNotEmpty().isEqualTo(first.header("Kehu-Receipt"));
        assertThat(administrator.post("/v1/branches", body, "Dry-Run", "true").header("Kehu-Receipt"))
                .as("a dry run leaves nothing")
                .isEmpty();
    }

    @Test
    void twoNodesThatBothTrySealOneChain() throws Exception {
        Settings other = another(Map.of("KEHU_NODE_NAME", "kehu-2"));
        Caller administrator = kehu.caller("administrator");
        long before = kehu.value("SELECT max(number) FROM kehu.audit_seal");
        try (TestKehu second = TestKehu.on(other)) {
            second.addNode(other);
            for (int i = 0; kehu.<Long>value("SELECT max(number) FROM kehu.audit_seal") < before + 4; i++) {
                Caller caller = i % 2 == 0 ? administrator : administrator.at(second.port());
                caller.post("/v1/branches", """
                        {"parentId": "%s", "code": "TWO-%d", "name": "支行"}""".formatted(kehu.headOffice(), i)).is(201);
            }
            awaitSealed();
        }
        assertThat(verify(dump()).findings()).isEmpty();
    }

    @Test
    void javaWritesArraysAsPostgresqlDoes() {
        long seed = System.nanoTime();
        System.out.println("seed of the arrays: " + seed);
        Random random = new Random(seed);
        String alphabet = "aN\"\\{},; \t\n\u000b\f\r\u001e\u001f\u0001\u007f客𠮷é'";
        for (int i = 0; i < 20; i++) {
            @Nullable String[] texts = new String[2_000];
            for (int j = 0; j < texts.length; j++) {
                texts[j] = switch (random.nextInt(12)) {
                    case 0 -> null;
                    case 1 -> "";
                    case 2 -> random.nextBoolean() ? "NULL" : "nUlL";
                    default -> text(random, alphabet);
                };
            }
            assertThat(Leaf.array(texts)).isEqualTo(kehu.value("SELECT ?::text[]::text", (Object) texts));
        }
    }

    private static String text(Random random, String alphabet) {
        int[] points = alphabet.codePoints().toArray();
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(6); i >= 0; i--) {
            text.appendCodePoint(points[random.nextInt(points.length)]);
        }
        return text.toString();
    }

    // ---- alterations of a dump

    /** The dump as lines, and what each says; only lines that an alteration touched are looked at again. */
    private static final class Lines {
        final List<String> texts;
        final List<DumpLine> looked = new ArrayList<>();

        final Map<String, byte[]> keys;

        Lines(List<String> texts, Map<String, byte[]> keys) {
            this.texts = texts;
            this.keys = keys;
            texts.forEach(text -> looked.add(look(text)));
        }

        DumpLine look(String text) {
            return DumpLine.of(text.getBytes(StandardCharsets.UTF_8), keys);
        }

        long findings(List<DumpLine> altered, List<Seal> checkpoints) {
            ChainCheck chain = new ChainCheck(checkpoints.iterator(), false, at -> false);
            for (DumpLine line : altered) {
                if (line instanceof DumpLine.Row row) {
                    chain.row(row);
                } else if (line instanceof DumpLine.Sealed seal) {
                    chain.seal(seal);
                } else if (line instanceof DumpLine.Unreadable) {
                    chain.find("unreadable");
                }
            }
            return chain.end().found();
        }
    }

    @Test
    void everyEditDeletionSwapInsertionAndCutIsFound() throws Exception {
        long seed = System.nanoTime();
        System.out.println("seed of the alterations: " + seed);
        Random random = new Random(seed);
        List<String> texts = Files.readAllLines(dump());
        Lines lines = new Lines(texts.subList(1, texts.size()), keys());
        List<Seal> checkpoints = new ArrayList<>();
        for (Path file : CheckpointFolder.files(checkpoints())) {
            Files.readAllLines(file).forEach(line -> checkpoints.add(Seal.read(line)));
        }
        checkpoints.sort(Comparator.comparingLong(Seal::number)); // of several nodes
        assertThat(lines.findings(lines.looked, checkpoints)).isZero();
        List<String> missed = new ArrayList<>();
        Map<String, Integer> tried = new java.util.TreeMap<>();
        int done = 0;
        while (done < ALTERATIONS) {
            List<DumpLine> altered = new ArrayList<>(lines.looked);
            String what = alter(random, lines, altered);
            if (what == null) {
                continue; // it changed nothing
            }
            done++;
            tried.merge(what.split(":", 2)[0], 1, Integer::sum);
            if (lines.findings(altered, checkpoints) == 0) {
                missed.add(what);
            }
        }
        System.out.println("alterations: " + tried + ", missed " + missed.size());
        assertThat(missed).isEmpty();
        assertThat(tried).hasSizeGreaterThanOrEqualTo(9);
    }

    private static @Nullable String alter(Random random, Lines lines, List<DumpLine> altered) throws IOException {
        List<String> texts = lines.texts;
        int at = random.nextInt(texts.size());
        int other = random.nextInt(texts.size());
        boolean row = altered.get(at) instanceof DumpLine.Row;
        switch (random.nextInt(9)) {
            case 0:
            case 1:
            case 2:
                String edited = row ? editRow(random, texts.get(at)) : editSeal(random, texts.get(at));
                if (edited == null || edited.equals(texts.get(at))) {
                    return null;
                }
                altered.set(at, lines.look(edited));
                return (row ? "row edited: " : "seal edited: ") + edited;
            case 3:
                altered.remove(at);
                return (row ? "row deleted: " : "seal deleted: ") + at;
            case 4:
                if (at == other) {
                    return null;
                }
                Collections.swap(altered, at, other);
                return "lines swapped: " + at + " and " + other;
            case 5:
                altered.add(other, altered.get(at));
                return "line doubled: " + at + " at " + other;
            case 6:
                if (!row) {
                    return null;
                }
                // By somebody who can compute leaves: a new row just behind another, in the order of the chain.
                ArrayNode inserted = (ArrayNode) Json.MAPPER.readTree(texts.get(at));
                inserted.set(3, Integer.toString(1 + random.nextInt(5)));
                inserted.set(4, Ids.next().toString());
                altered.add(at + 1, lines.look(withLeaf(inserted)));
                return "row inserted: behind " + at;
            case 7:
                int left = random.nextInt(texts.size());
                altered.subList(left, altered.size()).clear();
                return "tail cut: " + (texts.size() - left) + " lines";
            default:
                // A whole range with its seal, from the front or from the middle.
                int end = at;
                while (altered.get(end) instanceof DumpLine.Row) {
                    end++;
                }
                int begin = end - 1;
                while (begin >= 0 && altered.get(begin) instanceof DumpLine.Row) {
                    begin--;
                }
                altered.subList(begin + 1, end + 1).clear();
                return "range deleted: " + begin + " to " + end;
        }
    }

    private static @Nullable String editRow(Random random, String line) throws IOException {
        ArrayNode row = (ArrayNode) Json.MAPPER.readTree(line);
        int column = random.nextInt(row.size());
        String before = row.get(column).textValue();
        String after = edited(random, before);
        if (java.util.Objects.equals(before, after)) {
            return null;
        }
        row.set(
                column,
                after == null
                        ? Json.MAPPER.nullNode()
                        : Json.MAPPER.getNodeFactory().textNode(after));
        return column < row.size() - 1 && random.nextInt(3) == 0 ? withLeaf(row) : row.toString();
    }

    private static @Nullable String edited(Random random, @Nullable String before) {
        List<String> odd = List.of("", "NULL", "\u001e", "\u001f", " ", "0", "{}", "客");
        if (before == null || before.isEmpty()) {
            return odd.get(random.nextInt(odd.size()));
        }
        int at = random.nextInt(before.length());
        return switch (random.nextInt(6)) {
            case 0 -> null;
            case 1 -> before.substring(0, at) + before.substring(at + 1);
            case 2 -> before + odd.get(random.nextInt(odd.size()));
            case 3 -> before.substring(0, at) + (char) (before.charAt(at) ^ 1) + before.substring(at + 1);
            case 4 -> before.toUpperCase(java.util.Locale.ROOT);
            default -> odd.get(random.nextInt(odd.size()));
        };
    }

    /** What somebody writes who knows how leaves are made. */
    private static String withLeaf(ArrayNode row) {
        @Nullable String[] texts = new String[row.size() - 1];
        for (int i = 0; i < texts.length; i++) {
            texts[i] = row.get(i).textValue();
        }
        row.set(texts.length, HexFormat.of().formatHex(Leaf.of(texts)));
        return row.toString();
    }

    private static @Nullable String editSeal(Random random, String line) throws IOException {
        ObjectNode seal = (ObjectNode) Json.MAPPER.readTree(line);
        List<String> names = new ArrayList<>();
        seal.fieldNames().forEachRemaining(names::add);
        String name = names.get(random.nextInt(names.size()));
        if (seal.get(name).isNumber()) {
            seal.put(name, seal.get(name).longValue() + random.nextInt(5) - 2);
        } else {
            String after = edited(random, seal.get(name).textValue());
            seal.put(name, after);
        }
        return seal.toString();
    }

    // ---- alterations of the database, by somebody who owns it

    private void found(String alteration, String repair, String finding) throws Exception {
        kehu.sql(alteration);
        try {
            Verifier.Report report = verify(dump());
            assertThat(report.intact()).as(alteration).isFalse();
            assertThat(String.join("\n", report.findings())).as(alteration).contains(finding);
        } finally {
            kehu.sql(repair);
        }
        assertThat(verify(dump()).findings()).as("after " + repair).isEmpty();
    }

    @Test
    void whatTheOwnerOfTheDatabaseAltersIsFoundInADump() throws Exception {
        String id = receipts.get(6).substring(0, 36);
        String rival = receipts.get(9).substring(0, 36);
        String actor = kehu.value("SELECT actor_name FROM kehu.audit WHERE id = ?::uuid", id);
        found(
                "UPDATE kehu.audit SET actor_name = 'somebody' WHERE id = '" + id + "'",
                "UPDATE kehu.audit SET actor_name = '" + actor + "' WHERE id = '" + id + "'",
                id);
        found(
                "UPDATE kehu.audit SET code = E'\\x1e' WHERE id = '" + id + "'",
                "UPDATE kehu.audit SET code = NULL WHERE id = '" + id + "'",
                "a column was edited");
        kehu.sql("CREATE TABLE kehu.kept AS SELECT * FROM kehu.audit");
        String restore = "DELETE FROM kehu.audit; INSERT INTO kehu.audit SELECT * FROM kehu.kept";
        found("DELETE FROM kehu.audit WHERE id = '" + id + "'", restore, "rows were deleted");
        found(
                "INSERT INTO kehu.audit SELECT (jsonb_populate_record(a, jsonb_build_object('id', uuidv7(), 'ord', 1))).*"
                        + " FROM kehu.audit a WHERE id = '" + id + "'",
                restore,
                "does not fit its leaf");
        found(
                "UPDATE kehu.audit a SET xid = b.xid, leaf = b.leaf FROM kehu.kept b WHERE (a.id, b.id) IN (('" + id
                        + "', '" + rival + "'), ('" + rival + "', '" + id + "'))",
                restore,
                "does not fit its leaf");
        found(
                "UPDATE kehu.audit a SET actor_name = 'x', leaf = kehu.audit_leaf(jsonb_populate_record(a, '{\"actor_name\": \"x\"}'))"
                        + " WHERE id = '" + id + "'",
                restore,
                "its root is not that of its rows");
        kehu.sql(
                "UPDATE kehu.audit a SET actor_name = 'x', leaf = kehu.audit_leaf(jsonb_populate_record(a, '{\"actor_name\": \"x\"}'))"
                        + " WHERE id = '" + id + "'");
        kehu.caller("auditor").get("/v1/audit/" + id + "/proof").is(409, "audit.broken");
        kehu.sql(restore);
        kehu.sql("DROP TABLE kehu.kept");
    }

    @Test
    void theRoleThatWorksCannotSealAndTheOneThatSealsCannotAlter() throws Exception {
        try (Connection app = Migrations.connect(kehu.settings().postgresql().uri(), 5_000);
                Connection sealer = seal();
                Statement working = app.createStatement();
                Statement sealing = sealer.createStatement()) {
            if (!Migrations.user(kehu.settings().postgresql().uri()).equals("kehu_app")) {
                working.execute("SET SESSION AUTHORIZATION kehu_app");
            }
            for (String forbidden : List.of(
                    "INSERT INTO kehu.audit SELECT * FROM kehu.audit LIMIT 1",
                    "UPDATE kehu.audit SET actor_name = 'x'",
                    "DELETE FROM kehu.audit",
                    "INSERT INTO kehu.audit_seal SELECT * FROM kehu.audit_seal LIMIT 1",
                    "DELETE FROM kehu.audit_seal",
                    "SELECT kehu.drop_access_months(30)",
                    "INSERT INTO kehu.audit_restored SELECT * FROM kehu.audit LIMIT 1",
                    "SET ROLE kehu_seal")) {
                assertThat(refusal(working, forbidden)).as(forbidden).isIn("42501", "28000");
            }
            for (String forbidden : List.of(
                    "INSERT INTO kehu.audit SELECT * FROM kehu.audit LIMIT 1",
                    "UPDATE kehu.audit SET actor_name = 'x'",
                    "DELETE FROM kehu.audit",
                    "UPDATE kehu.audit_seal SET kid = 'x'",
                    "DELETE FROM kehu.audit_seal",
                    "DELETE FROM kehu.audit_archive",
                    "SELECT kehu.leave('{}', '[]', 200, NULL, NULL, NULL)",
                    "SELECT * FROM customer.customer")) {
                assertThat(refusal(sealing, forbidden)).as(forbidden).isEqualTo("42501");
            }
        }
    }

    private static String refusal(Statement sql, String statement) {
        try {
            sql.execute(statement);
            return "none";
        } catch (SQLException e) {
            return String.valueOf(e.getSQLState());
        }
    }

    @Test
    void aTornCheckpointIsNoFindingAndALostOneIsCoveredByTheNext() throws Exception {
        List<String> all =
                Files.readAllLines(CheckpointFolder.files(checkpoints()).get(0));
        Path file = folder.resolve("kehu-1.jsonl");
        Files.writeString(file, all.get(0) + "\n" + all.get(1).substring(0, 50) + "\n" + all.get(2) + "\n");
        assertThat(verifyWith(file, dump()).findings()).isEmpty();
        Files.writeString(file, all.get(0).replace("\"rows\":", "\"rows\":1") + "\n" + all.get(2) + "\n");
        assertThat(verifyWith(file, dump()).findings())
                .singleElement()
                .asString()
                .contains("no checkpoint");
    }

    @Test
    void aZippedDumpThatEndsInTheMiddleIsFound() throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream zipped = new java.util.zip.GZIPOutputStream(bytes)) {
            new Dump(this::seal).write(zipped, null, null);
        }
        Path file = folder.resolve("dump.jsonl.gz");
        Files.write(file, bytes.toByteArray());
        assertThat(verify(file).findings()).isEmpty();
        Files.write(file, java.util.Arrays.copyOf(bytes.toByteArray(), bytes.size() / 2));
        assertThat(verify(file).intact()).isFalse();
    }

    @Test
    void aNodeSaysThatTheTailWasCutAndARestoredCopyGoesOnInANewIncarnation() throws Exception {
        try (TestKehu bank = TestKehu.start(QUICK)) {
            kehu = bank;
            aBankWorksForSomeSeals(bank);
            aNodeSaysThatTheTailWasCut();
            aRestoredCopyGoesOnInANewIncarnation();
        }
    }

    private void aNodeSaysThatTheTailWasCut() throws Exception {
        assertThat(health(kehu)).contains("\"audit\":\"UP\"");
        // What a checkpoint knows and the database does not: as if rows and seals of the last hour had been taken out.
        Seal last = new CheckpointFolder(checkpoints(), "kehu-1").newest();
        Seal beyond = new Seal.Draft(
                        last.number() + 7, 1, last.to(), last.to() + 1, 1, last.root(), last.hash(), last.sealedAt())
                .sign(kehu.signer());
        Files.writeString(
                CheckpointFolder.files(checkpoints()).get(0), beyond.line() + "\n", StandardOpenOption.APPEND);
        assertThat(verify(dump()).findings()).singleElement().asString().contains("the tail was cut");
        try (TestKehu again = TestKehu.on(kehu.settings())) {
            again.addNode(again.settings());
            assertThat(health(again)).contains("\"audit\":\"DOWN\"", "\"status\":\"UP\"");
        }
        Settings strict = another(Map.of("KEHU_MODE", "production", "KEHU_AUTH_ARGON2_MEMORY_KIB", "47104"));
        assertThatThrownBy(() -> TestKehu.on(strict).addNode(strict))
                .as("in production it does not start")
                .hasMessageContaining("a checkpoint knows seal " + beyond.number());
        kehu.sql("INSERT INTO kehu.incarnation (number, why) VALUES (2, 'a restored copy')");
        try (TestKehu restored = TestKehu.on(kehu.settings())) {
            restored.addNode(restored.settings());
            assertThat(health(restored))
                    .as("a restored copy names what it lost")
                    .contains("\"audit\":\"UP\"");
        }
    }

    private void aRestoredCopyGoesOnInANewIncarnation() throws Exception {
        open(kehu, kehu.caller("administrator"), "AFTER-RESTORE").is(201);
        await().until(() -> kehu.<Long>value("SELECT count(*) FROM kehu.audit_seal WHERE incarnation = 2") > 0);
        Verifier.Report report = new Verifier(keys(), false).verify(List.of(dump()), List.of());
        assertThat(report.findings()).isEmpty();
    }

    @Test
    void rowsAreSealedInTheOrderOfNumbersAlsoWhereTheyGetMoreDigits() throws Exception {
        try (TestKehu bank = TestKehu.start(QUICK)) {
            kehu = bank;
            open(kehu, kehu.caller("administrator"), "FIRST").is(201);
            awaitSealed();
            rowsWhoseNumbersGetMoreDigitsAreSealedInOrder();
        }
    }

    private void rowsWhoseNumbersGetMoreDigitsAreSealedInOrder() throws Exception {
        // What another incarnation left behind unsealed, around the places where transaction ids grow longer.
        kehu.sql("""
                INSERT INTO kehu.audit
                SELECT p.* FROM (SELECT r FROM kehu.audit r LIMIT 1) one,
                    unnest('{9,10,11,99,100,101,999,1000,9999,10000}'::int[]) x,
                    LATERAL jsonb_populate_record(one.r, jsonb_build_object(
                        'id', uuidv7(), 'incarnation', 2, 'xid', x::text)) p""");
        kehu.sql("UPDATE kehu.audit a SET leaf = kehu.audit_leaf(a) WHERE incarnation = 2");
        kehu.sql("INSERT INTO kehu.incarnation (number, why) VALUES (3, 'a restored copy')");
        await().until(() -> kehu.<Long>value("SELECT count(*) FROM kehu.audit_seal WHERE incarnation = 2") == 1);
        Verifier.Report report = new Verifier(keys(), false).verify(List.of(dump()), List.of());
        assertThat(report.findings()).isEmpty();
        UUID id = kehu.value("SELECT id FROM kehu.audit WHERE incarnation = 2 AND xid = '1000'");
        assertThat(kehu.caller("auditor")
                        .get("/v1/audit/" + id + "/proof")
                        .is(200)
                        .at("/index")
                        .asInt())
                .isEqualTo(7);
    }

    @Test
    void whatWasLeftBeforeTheFirstSealOfAllIsSealedBeforeTheNextIncarnation() {
        try (TestKehu copy = TestKehu.prepare(QUICK)) {
            copy.sql("""
                    INSERT INTO kehu.audit SELECT r.* FROM jsonb_populate_record(NULL::kehu.audit,
                        ?::jsonb || '{"incarnation": 1, "xid": "5"}') r""", kehu.<String>value("SELECT to_jsonb(r)::text FROM kehu.audit r LIMIT 1"));
            copy.sql("UPDATE kehu.audit a SET leaf = kehu.audit_leaf(a)");
            copy.sql("INSERT INTO kehu.incarnation (number, why) VALUES (2, 'restored from the first second')");
            copy.addNode(copy.settings());
            copy.anonymous().login("nobody", "Wrong-Password-1234").is(401);
            await().until(() -> copy.<Long>value("SELECT count(*) FROM kehu.audit_seal WHERE incarnation = 2") > 0);
            assertThat(
                            copy.<Long>value(
                                    "SELECT count(*) FROM kehu.audit_seal WHERE number = 1 AND incarnation = 1 AND row_count = 1"))
                    .isEqualTo(1);
        }
    }

    private static String health(TestKehu node) throws Exception {
        URI ready = URI.create("http://127.0.0.1:" + node.managementPort() + "/health/ready");
        return HttpClient.newHttpClient()
                .send(HttpRequest.newBuilder(ready).build(), HttpResponse.BodyHandlers.ofString())
                .body();
    }
}
