package io.kehu.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.YearMonth;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The commands over the audit, from the first entry to an archive that is read again a year later. */
class AuditCommandTest {
    private static final Map<String, String> SHORT =
            Map.of("KEHU_AUDIT_HOT_DAYS", "30", "KEHU_AUDIT_ACCESS_LOG_DAYS", "30", "KEHU_AUDIT_SEAL_MILLIS", "100");

    private static TestKehu shared;

    @TempDir
    Path folder;

    /** The bank of this test: the shared one, unless the test moves its clock or stops it. */
    private TestKehu kehu = shared;

    @BeforeAll
    static void start() {
        shared = TestKehu.start(SHORT);
    }

    @AfterAll
    static void stop() {
        shared.close();
    }

    /** Entries that are sealed, beside those of other tests. */
    private void sealedEntries() {
        open("E" + System.nanoTime());
        open("F" + System.nanoTime());
        awaitSealed();
    }

    private Answer open(String code) {
        return kehu.caller("administrator")
                .post("/v1/branches", """
                {"parentId": "%s", "code": "%s", "name": "支行"}""".formatted(kehu.headOffice(), code))
                .is(201);
    }

    private void awaitSealed() {
        await().until(() -> kehu.<Boolean>value("""
                SELECT NOT EXISTS (SELECT FROM kehu.audit WHERE xid >= coalesce((SELECT max(to_xid) FROM kehu.audit_seal), '0'))"""));
    }

    private record Done(int code, String out) {}

    private Done run(String... args) {
        return run(out -> new AuditCommand(kehu::settings, kehu::settings, out), args);
    }

    private static Done run(Function<PrintStream, Object> command, String... args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = new CommandLine(command.apply(new PrintStream(out, true, StandardCharsets.UTF_8)))
                .setExecutionExceptionHandler((failure, line, parsed) -> {
                    err.writeBytes(failure.getMessage().getBytes(StandardCharsets.UTF_8));
                    return 1;
                })
                .execute(args);
        return new Done(code, out.toString(StandardCharsets.UTF_8) + err.toString(StandardCharsets.UTF_8));
    }

    private String path(String name) {
        return folder.resolve(name).toString();
    }

    private void publicKeys() {
        Done written = run("key", "--out", path("keys.json"));
        assertThat(written.code).as(written.out).isZero();
    }

    private Done verify(List<String> dumps, String... more) {
        List<String> args = new java.util.ArrayList<>(List.of(
                "verify",
                "--key",
                path("keys.json"),
                "--checkpoints",
                kehu.settings().audit().checkpointFolder().toString()));
        dumps.forEach(dump -> args.addAll(List.of("--dump", dump)));
        args.addAll(List.of(more));
        return run(args.toArray(String[]::new));
    }

    @Test
    void aDumpIsVerifiedWithNothingButKeyAndCheckpoints() throws Exception {
        sealedEntries();
        publicKeys();
        assertThat(Files.readString(folder.resolve("keys.json")))
                .contains("\"Ed25519\"")
                .doesNotContain("private");
        assertThat(run("dump", "--out", path("all.jsonl.gz")).code).isZero();
        Done verified = verify(List.of(path("all.jsonl.gz")));
        assertThat(verified.out).contains("Intact.");
        assertThat(verified.code).isZero();
        assertThat(run("dump", "--out", path("all.jsonl")).code).isZero();
        String lines = Files.readString(folder.resolve("all.jsonl"));
        Files.writeString(folder.resolve("edited.jsonl"), lines.replaceFirst("createBranch", "changeBranch"));
        Done edited = verify(List.of(path("edited.jsonl")));
        assertThat(edited.code).isEqualTo(1);
        assertThat(edited.out).contains("a column was edited", "NOT INTACT: 1 findings");
        Done without = run("verify", "--key", path("keys.json"), "--dump", path("all.jsonl"));
        assertThat(without.out).contains("No checkpoints were given");
        assertThat(without.code).isZero();
        Files.writeString(folder.resolve("no-keys.json"), "{}");
        assertThat(run("verify", "--key", path("no-keys.json"), "--dump", path("all.jsonl")).out)
                .contains("holds no keys");
    }

    @Test
    void aDumpOfATimeIsAPartOfTheChain() {
        sealedEntries();
        publicKeys();
        assertThat(run("dump", "--out", path("none.jsonl"), "--to", "2020-01-01T00:00:00Z").out)
                .startsWith("0 rows");
        assertThat(run("dump", "--out", path("late.jsonl"), "--from", "2100-01-01T00:00:00Z").out)
                .startsWith("0 rows");
        assertThat(run("dump", "--out", path("part.jsonl"), "--to", "2100-01-01T00:00:00Z").out)
                .doesNotStartWith("0 rows");
        assertThat(verify(List.of(path("part.jsonl"))).code).isZero();
    }

    @Test
    void aDumpOverARotationOfTheSealingKeyIsVerifiedWithThePublicKeysOfBoth() throws Exception {
        sealedEntries();
        publicKeys();
        rotateTheSealingKey();
        assertThat(run("dump", "--out", path("rotated.jsonl")).code).isZero();
        Done former = verify(List.of(path("rotated.jsonl")));
        assertThat(former.out).contains("NOT INTACT", "is not signed");
        assertThat(former.code).isEqualTo(1);
        publicKeys();
        Done both = verify(List.of(path("rotated.jsonl")));
        assertThat(both.out).contains("Intact.");
        assertThat(both.code).isZero();
        assertThat(kehu.sql("SELECT payload ->> 'kid' AS kid FROM kehu.event WHERE type = 'key.rotated'"))
                .isEqualTo(kehu.sql("SELECT kid FROM kehu.audit_seal ORDER BY number DESC LIMIT 1"));
    }

    private void rotateTheSealingKey() {
        Done rotated = run(out -> new KeysCommand(kehu::settings, out), "rotate-sealing");
        assertThat(rotated.code).as(rotated.out).isZero();
        assertThat(rotated.out).contains("kehu audit key");
        // Until the node that seals has read the key folder again.
        await().until(() -> {
            sealedEntries();
            return kehu.<Long>value("SELECT count(DISTINCT kid) FROM kehu.audit_seal") == 2;
        });
    }

    @Test
    void nothingIsArchivedBeforeItsTime() {
        assertThat(run("archive").out).contains("No month is due.");
        assertThat(kehu.sql("SELECT * FROM kehu.audit_archive")).isEmpty();
    }

    /** One story of a bank of its own, whose clock goes on by a year; its chain has seals of two keys. */
    @Test
    void aMonthPastItsTimeLeavesTheDatabaseForAVerifiedFileAndCanBeReadAgain() throws Exception {
        try (TestKehu bank = TestKehu.start(SHORT)) {
            kehu = bank;
            Answer old = open("OLD");
            awaitSealed();
            rotateTheSealingKey();
            publicKeys();
            Answer edge = aYearPasses();
            Caller auditor = kehu.caller("auditor");
            String archive = theMonthLeavesForAVerifiedFile();
            theArchiveAndWhatIsLiveAreOneChain(archive);
            anArchivedEntryIsNamedAndReadableAgainOnceItIsRestored(auditor, archive, old, edge);
            aFileThatIsNoArchiveOfThisDatabaseIsNotRestored();
        }
    }

    /** The answer is an entry of the new time, sealed together with the last of the old. */
    private Answer aYearPasses() throws Exception {
        // A transaction that runs meanwhile keeps the range open, so one seal covers rows of both months.
        try (Connection connection =
                        Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000);
                Statement sql = connection.createStatement()) {
            connection.setAutoCommit(false);
            sql.execute("SELECT pg_current_xact_id()");
            open("LAST");
            kehu.sql("UPDATE kehu.clock SET ahead = interval '400 days'");
            // Until the node has heard of it.
            Caller auditor = kehu.caller("auditor");
            await().until(() -> auditor.get("/v1/audit/archives").status() == 200);
            Answer edge = open("EDGE");
            connection.rollback();
            return edge;
        }
    }

    /** The answer is that file. */
    private String theMonthLeavesForAVerifiedFile() {
        awaitSealed();
        open("NEW");
        awaitSealed();
        String past = "SELECT count(*) FROM kehu.audit WHERE at < kehu.now() - interval '300 days'";
        long rows = kehu.value(past);
        assertThat(rows).isPositive();
        Done done = run("archive");
        assertThat(done.code).as(done.out).isZero();
        String month = month().toString();
        assertThat(done.out).contains(month + " was archived: " + rows + " rows", "months of the access log");
        assertThat(kehu.<Long>value(past)).isZero();
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.audit WHERE operation = 'archiveAudit'"))
                .isGreaterThanOrEqualTo(1);
        assertThat(kehu.<Boolean>value(
                        "SELECT leaf = kehu.audit_leaf(a) FROM kehu.audit a WHERE operation = 'archiveAudit'"
                                + " ORDER BY xid LIMIT 1"))
                .isTrue();
        String archive = kehu.settings()
                .audit()
                .archiveFolder()
                .resolve("audit-" + month.replace("-", "") + ".jsonl.gz")
                .toString();
        assertThat(Path.of(archive)).exists();
        assertThat(run("archive").out).contains("No month is due.");
        return archive;
    }

    private void theArchiveAndWhatIsLiveAreOneChain(String archive) {
        awaitSealed();
        assertThat(run("dump", "--out", path("live.jsonl")).code).isZero();
        Done alone = verify(List.of(path("live.jsonl")));
        assertThat(alone.code).isEqualTo(1);
        assertThat(alone.out).contains("the chain begins here");
        Done part = verify(List.of(path("live.jsonl")), "--part");
        assertThat(part.code).as(part.out).isZero();
        Done whole = verify(List.of(archive, path("live.jsonl")));
        assertThat(whole.code).as(whole.out).isZero();
    }

    private void anArchivedEntryIsNamedAndReadableAgainOnceItIsRestored(
            Caller auditor, String archive, Answer old, Answer edge) {
        String id = old.header("Kehu-Receipt").substring(0, 36);
        Answer gone = auditor.get("/v1/audit/" + id).is(410, "audit.archived");
        assertThat(gone.at("/detail").asText())
                .contains(Path.of(archive).getFileName().toString());
        auditor.get("/v1/audit/" + id + "/proof").is(410, "audit.archived");
        String live = edge.header("Kehu-Receipt").substring(0, 36);
        auditor.get("/v1/audit/" + live).is(200);
        auditor.get("/v1/audit/" + live + "/proof").is(410, "audit.archived");
        Answer archives = auditor.get("/v1/audit/archives").is(200);
        assertThat(archives.at("/items").findValuesAsText("readable")).containsOnly("false");
        Done restored = run("restore", archive);
        assertThat(restored.code).as(restored.out).isZero();
        Answer entry = auditor.get("/v1/audit/" + id).is(200);
        assertThat(old.header("Kehu-Receipt"))
                .isEqualTo(id + ":" + entry.at("/leaf").asText());
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.audit_restored r WHERE leaf <> kehu.audit_leaf("
                        + "jsonb_populate_record(NULL::kehu.audit, to_jsonb(r)))"))
                .as("rows that came back otherwise than they went")
                .isZero();
        assertThat(auditor.get("/v1/audit?operation=createBranch&objectId="
                                + old.at("/id").asText())
                        .is(200)
                        .at("/items"))
                .hasSize(1);
        auditor.get("/v1/audit/" + id + "/proof").is(200);
        auditor.get("/v1/audit/" + live + "/proof").is(200);
        assertThat(auditor.get("/v1/audit/archives").at("/items").findValuesAsText("readable"))
                .contains("true");
        assertThat(run("restore", "--remove", archive).code).isZero();
        auditor.get("/v1/audit/" + id).is(410, "audit.archived");
    }

    private void aFileThatIsNoArchiveOfThisDatabaseIsNotRestored() throws Exception {
        Done foreign = run("restore", path("live.jsonl"));
        assertThat(foreign.code).isEqualTo(1);
        assertThat(foreign.out).contains("is not an archive of this database");
        Files.writeString(
                folder.resolve("altered.jsonl"),
                Files.readString(folder.resolve("live.jsonl")).replaceFirst("createBranch", "changeBranch"));
        assertThat(run("restore", path("altered.jsonl")).out).contains("is not intact");
    }

    @Test
    void theDatabaseGivesUpNoMonthThatIsYoungOrThatTheArchiveDoesNotHold() {
        try (TestKehu bank = TestKehu.prepare(SHORT)) {
            kehu = bank;
            YearMonth oldest = month();
            String next = oldest.plusMonths(1).atDay(1).toString();
            assertThat(refusal(next, 0)).contains("too young");
            kehu.sql("UPDATE kehu.clock SET ahead = interval '400 days'");
            assertThat(refusal(next, 0)).contains("an older month than");
            assertThat(refusal(oldest.atDay(1).toString(), 5)).contains("does not hold the month");
            assertThat(refusal("1999-01-01", 0)).contains("there is no month");
        }
    }

    private YearMonth month() {
        return YearMonth.from(kehu.<java.sql.Timestamp>value("SELECT clock_timestamp()")
                .toInstant()
                .atOffset(ZoneOffset.UTC));
    }

    @Test
    void noIncarnationBeginsWhileNodesWork() {
        Done refused = run("incarnation", "--reason", "恢复");
        assertThat(refused.code).isEqualTo(1);
        assertThat(refused.out).contains("stop them all first");
        assertThat(kehu.<Integer>value("SELECT max(number) FROM kehu.incarnation"))
                .isEqualTo(1);
        assertThat(run("incarnation", "--reason", " ").out).contains("--reason");
    }

    @Test
    void aRestoredCopyBeginsANewIncarnationWhoseReasonIsInTheAudit() {
        try (TestKehu bank = TestKehu.start(SHORT)) {
            kehu = bank;
            open("BEFORE");
            awaitSealed();
        }
        Done begun = run("incarnation", "--reason", "从备份恢复");
        assertThat(begun.out).contains("Incarnation 2 begins");
        assertThat(begun.code).isZero();
        try (TestKehu restored = TestKehu.on(kehu.settings())) {
            restored.addNode(restored.settings());
            kehu = restored;
            aNewIncarnationIsOneChainWithTheOld();
        }
    }

    private void aNewIncarnationIsOneChainWithTheOld() {
        open("AFTER");
        await().until(() -> kehu.<Long>value("SELECT count(*) FROM kehu.audit_seal WHERE incarnation = 2") > 0);
        assertThat(kehu.sql("SELECT args[1] AS number, args[2] AS reason, incarnation FROM kehu.audit"
                        + " WHERE operation = 'beginIncarnation'"))
                .containsExactly(Map.of("number", "2", "reason", "从备份恢复", "incarnation", 2));
        assertThat(run("dump", "--out", path("restored.jsonl")).code).isZero();
        assertThat(run("key", "--out", path("restored.json")).code).isZero();
        Done verified = run("verify", "--key", path("restored.json"), "--dump", path("restored.jsonl"));
        assertThat(verified.out).contains("Intact.");
        assertThat(verified.code).isZero();
    }

    private String refusal(String month, long rows) {
        try {
            kehu.sql(
                    "SELECT kehu.archive_audit_month(?::date, 'f', sha256('x'), 1, ?::bigint, NULL, NULL, 1)",
                    month,
                    rows);
            return "none";
        } catch (IllegalStateException e) {
            return e.getCause().getMessage();
        }
    }
}
