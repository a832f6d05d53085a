package io.kehu.customer.erasure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import io.kehu.app.Settings;
import io.kehu.app.TestServers;
import io.kehu.audit.Dump;
import io.kehu.audit.Verifier;
import io.kehu.crypto.Signer;
import io.kehu.iam.member.TestMembers;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDate;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * From the wish to be forgotten to a restored backup that forgets again. One person is forgotten before all tests, and a backup
 * made in his time of grace; the clock of the bank only moves on, so no test says what day it is.
 */
class ErasureTest {
    private static final Map<String, String> QUICK =
            Map.of("KEHU_ERASURE_POLL_MILLIS", "100", "KEHU_AUDIT_SEAL_MILLIS", "100");

    @TempDir
    static Path folder;

    private static TestKehu kehu;
    private static UUID branch;
    private static UUID maker;
    private static UUID checker;
    private static TestMembers.Person person;
    private static String member;
    private static final String SIDE = "并入一方";

    private static String path;
    private static UUID id;
    private static UUID side;
    private static String erasure;

    @BeforeAll
    static void start() throws SQLException {
        kehu = TestKehu.start(QUICK);
        branch = kehu.branch(kehu.headOffice(), "FORGET");
        maker = kehu.staff(branch, "branch-head");
        checker = kehu.staff(branch, "branch-head");
        aPersonWithAllThereIsOfHim();
        String token = TestMembers.login(kehu, member, TestMembers.PASSWORD)
                .is(200)
                .at("/accessToken")
                .asText();
        kehu.with(token).get("/v1/members/me").is(200);
        delete(path);
        await().untilAsserted(() -> kehu.with(token).get("/v1/members/me").is(401));
        backup();
        pass(29);
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.data_key WHERE subject_id IN (?, ?)", id, side))
                .as("within the time of grace")
                .isEqualTo(2);
        pass(2);
        awaitErased(id);
        erasure = head().get(path + "/deletion").is(200).at("/id").asText();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Caller head() {
        return kehu.signIn(maker);
    }

    /** Each name has a birthday of its own, so that nobody may be somebody else. */
    private static LocalDate birthday(String name) {
        return LocalDate.of(1950, 1, 1).plusDays(Math.floorMod(name.hashCode(), 15_000));
    }

    private static String aCustomer(String name) {
        return head().post("/v1/customers", """
                {"kind": "person", "name": "%s", "birthDate": "%s", "annualIncome": "123456.00", "regionCode": "310115"}""".formatted(name, birthday(name)))
                .is(201)
                .header("Location");
    }

    private static UUID id(String path) {
        return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
    }

    private static String confirmed(String path) {
        return "{\"reason\": \"customer-request\", \"confirmNumber\": \""
                + head().get(path).at("/number").asText() + "\"}";
    }

    /** Asked by one, approved by the other. */
    private static void delete(String path) {
        Answer proposed = head().post(path + "/deletion", confirmed(path)).is(202);
        Answer approved = kehu.signIn(checker)
                .post(proposed.header("Location") + "/approve", "{}")
                .is(200);
        assertThat(approved.at("/state").asText()).as(approved.text()).isEqualTo("executed");
    }

    private static void pass(int more) {
        long days = more + kehu.<Integer>value("SELECT extract(epoch FROM ahead)::int / 86400 FROM kehu.clock");
        kehu.moveClock(days * 86_400);
    }

    private static void awaitErased(UUID customer) {
        await().until(() ->
                kehu.<Long>value("SELECT count(*) FROM customer.erased WHERE customer_id = ?", customer) == 1);
    }

    private static Verifier.Report verified(TestKehu bank) throws SQLException, IOException {
        await().until(() -> bank.<Boolean>value("""
                SELECT NOT EXISTS (SELECT FROM kehu.audit WHERE incarnation = kehu.incarnation() AND xid >= coalesce(
                    (SELECT max(to_xid) FROM kehu.audit_seal WHERE incarnation = kehu.incarnation()), '0'))"""));
        Path file = Files.createTempFile(folder, "dump", ".jsonl");
        try (OutputStream out = Files.newOutputStream(file)) {
            new Dump(() -> seal(bank)).write(out, null, null);
        }
        return new Verifier(bank.signer().publicKeys(), false).verify(List.of(file), List.of());
    }

    private static Connection seal(TestKehu bank) throws SQLException {
        Connection connection = Migrations.connect(bank.settings().postgresql().sealUri(), 5_000);
        try (Statement sql = connection.createStatement()) {
            sql.execute("SET ROLE kehu_seal");
        }
        return connection;
    }

    @Test
    void aDeletionAlwaysTakesTheNumberTypedAgainAndASecondPerson() {
        String customer = aCustomer("待删客户");
        head().post(customer + "/deletion", "{\"reason\": \"customer-request\", \"confirmNumber\": \"00000000000\"}")
                .is(422, "deletion.numberWrong");
        head().post(customer + "/deletion", "{\"reason\": \"customer-request\"}")
                .is(400);
        Answer trial = head().post(customer + "/deletion", confirmed(customer), "Dry-Run", "true")
                .is(200);
        assertThat(trial.header("Kehu-Approval")).isEqualTo("customer-deletion");
        Answer proposed =
                head().post(customer + "/deletion", confirmed(customer)).is(202);
        head().post(proposed.header("Location") + "/approve", "{}").is(409, "approval.ownChange");
        head().get(customer).is(200);
        kehu.signIn(checker)
                .post(proposed.header("Location") + "/reject", "{\"reason\": \"no\"}")
                .is(200);
        head().get(customer).is(200);
        head().get(customer + "/deletion").is(404, "deletion.notFound");
        Answer policy = kehu.caller("administrator")
                .get("/v1/approval-policies/customer-deletion")
                .is(200);
        assertThat(policy.at("/inForce").asBoolean()).isTrue();
        assertThat(kehu.<Boolean>value("SELECT iam.approval_in_force('staff-rights')"))
                .as("brings no other into force")
                .isFalse();
    }

    @Test
    void ofManyWhoAskAtOnceNoneKeepsTheOthersWaiting() {
        String customer = aCustomer("并发待删");
        TestKehu.Caller head = head();
        String confirmed = confirmed(customer);
        assertThat(IntStream.range(0, 12)
                        .parallel()
                        .mapToObj(i ->
                                head.post(customer + "/deletion", confirmed).status()))
                .containsOnly(202);
    }

    @Test
    void withinTheGraceHeIsGoneFromAllListsAndCanBeRestored() {
        String customer = aCustomer("反悔客户");
        delete(customer);
        head().get(customer).is(404, "customer.notFound");
        head().get(customer + "/interactions").is(404, "customer.notFound");
        assertThat(head().get("/v1/customers?limit=200").text())
                .doesNotContain(id(customer).toString());
        assertThat(kehu.<Boolean>value("SELECT customer.may_contact(?, 'service', 'sms', kehu.now())", id(customer)))
                .isFalse();
        Answer deletion = head().get(customer + "/deletion").is(200);
        assertThat(deletion.at("/state").asText()).isEqualTo("waiting");
        kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "ELSE"), "branch-head"))
                .post(customer + "/deletion/cancel", null)
                .is(404, "deletion.notFound");
        assertThat(head().get("/v1/deletions?state=waiting")
                        .is(200)
                        .at("/items")
                        .findValuesAsText("customerId"))
                .contains(id(customer).toString());
        assertThat(head().post(customer + "/deletion/cancel", null)
                        .is(200)
                        .at("/state")
                        .asText())
                .isEqualTo("cancelled");
        assertThat(head().get(customer).is(200).at("/name").asText()).isEqualTo("反悔客户");
        head().post(customer + "/deletion/cancel", null).is(409, "deletion.graceOver");
        assertThat(kehu.<String>value(
                        "SELECT string_agg(type, ',' ORDER BY at) FROM kehu.event WHERE aggregate_id = ?",
                        id(customer)))
                .isEqualTo("customer.created,customer.deleted,customer.restored");
    }

    @Test
    void whatKeepsHimIsAskedWhenHeIsDeletedAndWhenHeIsErased() {
        kehu.sql("CREATE TABLE customer.kept (customer_id uuid, reason text)");
        kehu.sql("GRANT SELECT ON customer.kept TO kehu_app");
        kehu.sql("INSERT INTO customer.deletion_blocker VALUES ('customer', 'kept')");
        String customer = aCustomer("有账户客户");
        kehu.sql("INSERT INTO customer.kept VALUES (?, 'openAccount')", id(customer));
        Answer refused =
                head().post(customer + "/deletion", confirmed(customer)).is(409, "deletion.blocked");
        assertThat(refused.at("/detail").asText()).contains("openAccount");
        kehu.sql("DELETE FROM customer.kept");
        delete(customer);
        kehu.sql("INSERT INTO customer.kept VALUES (?, 'openAccount')", id(customer));
        pass(31);
        assertThat(head().get(customer + "/deletion").at("/blockedBy/0").asText())
                .isEqualTo("openAccount");
        head().post(customer + "/deletion/cancel", null).is(409, "deletion.graceOver");
        String other = aCustomer("可删客户");
        delete(other);
        pass(31);
        awaitErased(id(other));
        assertThat(kehu.<Long>value("SELECT count(*) FROM customer.erased WHERE customer_id = ?", id(customer)))
                .isZero();
        kehu.sql("DELETE FROM customer.kept");
        awaitErased(id(customer));
        kehu.sql("DELETE FROM customer.deletion_blocker");
    }

    @Test
    void theWorkingRoleErasesNobodyWhoseGraceIsNotOverOrWhomNobodyApproved() throws SQLException {
        String customer = aCustomer("未批客户");
        UUID deletion = (UUID) kehu.sql("""
                INSERT INTO customer.deletion (id, customer_id, reason, asked_by, asked_at, due_at)
                VALUES (uuidv7(), ?, 'customer-request', ?, kehu.now(), kehu.now() + interval '1 day') RETURNING id""", id(customer), maker).get(0).get("id");
        assertThat(refusal(deletion, customer)).contains("deletion_erase_due");
        kehu.sql("UPDATE customer.deletion SET due_at = kehu.now() - interval '1 day' WHERE id = ?", deletion);
        assertThat(refusal(deletion, customer)).contains("deletion_erase_approved");
        kehu.sql("UPDATE customer.deletion SET state = 'cancelled', ended_at = kehu.now() WHERE id = ?", deletion);
        assertThat(refusal(deletion, customer)).contains("deletion_erase_waiting");
        head().get(customer).is(200);
    }

    private static String refusal(UUID deletion, String customer) throws SQLException {
        try (Connection connection =
                        Migrations.connect(kehu.settings().postgresql().uri(), 5_000);
                Statement sql = connection.createStatement()) {
            connection.setAutoCommit(false);
            sql.execute("SET LOCAL ROLE kehu_app");
            sql.execute("SELECT kehu.enter(uuidv7(), false, uuidv7(), 'test', NULL, NULL)");
            sql.execute(
                    "SELECT customer.erase('" + deletion + "', '{\"customerIds\": [\"" + id(customer) + "\"]}', '')");
            return "none";
        } catch (org.postgresql.util.PSQLException e) {
            return e.getServerErrorMessage().getConstraint() + e.getMessage();
        }
    }

    private static void aPersonWithAllThereIsOfHim() {
        person = TestMembers.aPerson(kehu);
        id = person.customer();
        path = "/v1/customers/" + id;
        kehu.sql("UPDATE customer.customer SET branch_id = ? WHERE id = ?", branch, id);
        Answer seen = head().get(path).is(200);
        head().patch(
                        path,
                        seen.etag(),
                        "{\"annualIncome\": \"777777.00\", \"regionCode\": \"310115\", \"tier\": \"private\"}")
                .is(200);
        head().post(path + "/relations", "{\"role\": \"referrer\", \"customerId\": \"" + id(aCustomer("推荐的人")) + "\"}")
                .is(201);
        head().post("/v1/households", "{\"headId\": \"" + id + "\", \"name\": \"一家\"}")
                .is(201);
        kehu.sql(
                "INSERT INTO customer.segment_member (segment_id, customer_id, since) VALUES (uuidv7(), ?, kehu.now())",
                id);
        for (String where : OF_OTHERS) {
            assertThat(kehu.<Long>value("SELECT count(*) FROM customer." + where, id))
                    .as(where)
                    .isPositive();
        }
        member = TestMembers.account(kehu, id);
        Answer said = head().post(
                        path + "/interactions", "{\"channel\": \"call\", \"direction\": \"inbound\", \"text\": \"秘密\"}")
                .is(201);
        head().patch(said.header("Location"), said.etag(), "{\"text\": \"更多秘密\"}")
                .is(200);
        String merged = aCustomer(SIDE);
        side = id(merged);
        kehu.sql("INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)", side, id);
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", side);
        kehu.sql("""
                WITH c AS (INSERT INTO customer.tag_category (id, code, name_en, name_zh, tree, depth)
                           VALUES (uuidv7(), 'forgotten', 'Forgotten', '遗忘', 'forgotten!', 0) RETURNING id)
                INSERT INTO customer.tag (id, category_id, code, name_en, name_zh, made_by)
                SELECT uuidv7(), c.id, 'forgotten', 'Forgotten', '遗忘', 'hand' FROM c""");
        kehu.sql("""
                INSERT INTO customer.customer_tag (id, customer_id, tag_id, slot, starts_at, given_by)
                SELECT uuidv7(), ?, id, slot, kehu.now(), ? FROM customer.tag WHERE code = 'forgotten'""", id, maker);
        kehu.sql("CREATE TABLE customer.extra AS SELECT ?::uuid AS customer_id, 'a plain fact' AS fact", id);
        kehu.sql("""
                CREATE FUNCTION customer.erase_extra(customers uuid[]) RETURNS void LANGUAGE sql AS
                'DELETE FROM customer.extra WHERE customer_id = ANY (customers)'""");
    }

    @Test
    void afterTheGraceKeysFactsAndWaysToFindHimAreGoneOnEverySide() throws Exception {
        gone(kehu);
        TestMembers.login(kehu, member, TestMembers.PASSWORD).is(401);
        assertThatThrownBy(() -> kehu.sql("UPDATE customer.customer SET deleted_at = NULL WHERE id = ?", side))
                .rootCause()
                .hasMessageContaining("erased");
        assertThat(verified(kehu).findings()).isEmpty();
        Answer again = head().post("/v1/customers", """
                {"kind": "person", "name": "会员客户", "documents": [{"type": "resident_id", "number": "%s"}]}""".formatted(person.idNumber()));
        again.is(201);
    }

    private static final List<String> OF_OTHERS = List.of(
            "grade_all WHERE customer_id = ?",
            "relation_all WHERE ? IN (from_id, to_id)",
            "household_all WHERE head_id = ? AND name <> ''",
            "household_member_all WHERE customer_id = ?",
            "segment_member WHERE customer_id = ?");

    /** Nothing of the person in any table of customers, in the present as in the past. */
    private static void gone(TestKehu bank) {
        for (String where : OF_OTHERS) {
            assertThat(bank.<Long>value("SELECT count(*) FROM customer." + where, id))
                    .as(where)
                    .isZero();
        }
        for (String table : List.of("customer", "customer_past")) {
            assertThat(bank.<Long>value("SELECT count(*) FROM customer." + table + " " + """
                     WHERE id IN (?, ?) AND (num_nonnulls(region_code, birth_date, gender, marital_status, occupation, annual_income,
                         assets, liabilities, since) > 0 OR tokens <> '{}')""", id, side))
                    .as(table)
                    .isZero();
        }
        assertThat(bank.<Long>value(
                        "SELECT count(*) FROM customer.sealed_all WHERE id IN (?, ?) AND length(personal) > 0",
                        id,
                        side))
                .isZero();
        assertThat(bank.<Long>value(
                        "SELECT count(*) FROM customer.interaction WHERE customer_id IN (?, ?) AND sealed IS NOT NULL",
                        id,
                        side))
                .isZero();
        assertThat(bank.<Long>value(
                        "SELECT count(*) FROM customer.interaction_revision_all WHERE sealed IS NOT NULL AND id IN"
                                + " (SELECT id FROM customer.interaction WHERE customer_id IN (?, ?))",
                        id,
                        side))
                .isZero();
        assertThat(bank.<Long>value(
                        "SELECT count(*) FROM customer.blind b JOIN customer.customer c ON c.seq = b.seq WHERE c.id IN (?, ?)",
                        id,
                        side))
                .isZero();
        assertThat(bank.<Long>value(
                        "SELECT count(*) FROM customer.search_token t JOIN customer.customer c ON c.seq = t.seq WHERE c.id IN (?, ?)",
                        id,
                        side))
                .isZero();
        assertThat(bank.<Long>value("SELECT count(*) FROM kehu.data_key WHERE subject_id IN (?, ?)", id, side))
                .isZero();
        assertThat(bank.<Long>value(
                        "SELECT count(*) FROM iam.member_all WHERE id IN (?, ?) AND length(username) > 0", id, side))
                .isZero();
        assertThat(bank.<Long>value(
                        "SELECT count(*) FROM customer.customer_tag_all WHERE customer_id IN (?, ?)", id, side))
                .isZero();
        assertThat(bank.<Long>value("SELECT count(*) FROM customer.extra"))
                .as("what its owner erases")
                .isZero();
        assertThat(bank.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE changes::text ~ ?",
                        "777777|" + birthday(SIDE) + "|310115"))
                .as("plain facts in the audit, which stays")
                .isZero();
    }

    @Test
    void theCertificateNamesBothDatesAndIsFinalOnlyWhenTheLastBackupHasExpired() {
        String customer = aCustomer("有凭证客户");
        UUID merged = id(aCustomer("有凭证的一方"));
        kehu.sql("INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)", merged, id(customer));
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", merged);
        delete(customer);
        pass(31);
        awaitErased(id(customer));
        String erasure = head().get(customer + "/deletion").is(200).at("/id").asText();
        Answer certificate =
                kehu.caller("auditor").get("/v1/erasures/" + erasure).is(200);
        assertThat(certificate.at("/state").asText()).isEqualTo("erased");
        assertThat(certificate.at("/customerIds")).hasSize(2);
        assertThat(certificate.at("/erasedAt").asText())
                .isLessThan(certificate.at("/finalAt").asText());
        assertThat(certificate.at("/epochs/0/number").asInt()).isEqualTo(1);
        String statement = certificate.at("/statement").asText();
        assertThat(statement)
                .contains(
                        certificate.at("/erasedAt").asText(),
                        certificate.at("/finalAt").asText(),
                        id(customer).toString());
        assertThat(Signer.verify(
                        kehu.signer().publicKeys().get(certificate.at("/kid").asText()),
                        statement.getBytes(StandardCharsets.UTF_8),
                        HexFormat.of().parseHex(certificate.at("/signature").asText())))
                .isTrue();
        kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "ELSE2"), "branch-head"))
                .get("/v1/erasures/" + erasure)
                .is(404, "erasure.notFound");
        pass(36);
        assertThat(kehu.caller("auditor")
                        .get("/v1/erasures/" + erasure)
                        .at("/state")
                        .asText())
                .isEqualTo("final");
    }

    // ---- a backup of the time of grace

    private static final String COPY = "erasure_backup";

    private static void backup() throws SQLException {
        // A copy of all files of the database, which nobody may use meanwhile.
        Settings settings = kehu.settings();
        kehu.close();
        asSuperuser("CREATE DATABASE " + COPY + " TEMPLATE " + database(settings) + " OWNER kehu_owner");
        kehu = TestKehu.on(settings);
        kehu.addNode(settings);
    }

    private static String database(Settings settings) {
        return settings.postgresql().uri().replaceFirst(".*/([a-z_0-9]+).*", "$1");
    }

    private static void asSuperuser(String statement) throws SQLException {
        String uri = TestServers.superuser(kehu.settings().postgresql().ownerUri())
                .replaceFirst("/test_[0-9]+", "/postgres");
        try (Connection connection = Migrations.connect(uri, 5_000);
                Statement sql = connection.createStatement()) {
            sql.execute(statement);
        }
    }

    /** The settings of a node that stands on the restored copy, with the keys and the checkpoints of the bank. */
    private static Settings restored(Map<String, String> more) {
        Settings one = kehu.settings();
        Map<String, String> all = new HashMap<>(QUICK);
        all.putAll(Map.of(
                "KEHU_PG_URI", one.postgresql().uri().replace(database(one), COPY),
                "KEHU_POSTGRESQL_OWNER_URI", one.postgresql().ownerUri().replace(database(one), COPY),
                "KEHU_REDIS_URI", one.redis().uri(),
                "KEHU_KEYS_FOLDER", one.keys().folder().toString(),
                "KEHU_AUDIT_CHECKPOINT_FOLDER", one.audit().checkpointFolder().toString()));
        all.putAll(more);
        return TestServers.settings(all);
    }

    private static Path list() throws IOException {
        try (Stream<Path> files = Files.list(kehu.settings().audit().checkpointFolder())) {
            return files.filter(file -> file.toString().endsWith(".erasures"))
                    .findFirst()
                    .orElseThrow();
        }
    }

    @Test
    void aRestoredBackupForgetsAgainBeforeItAnswersAndAnAlteredListIsRefused() throws Exception {
        Settings settings = restored(Map.of());
        TestKehu copy = TestKehu.on(settings);
        assertThat(copy.<Long>value("SELECT count(*) FROM kehu.data_key WHERE subject_id IN (?, ?)", id, side))
                .as("the backup holds the keys")
                .isEqualTo(2);
        copy.sql("INSERT INTO kehu.incarnation (number, why) VALUES (2, 'a restored copy')");
        String lines = Files.readString(list());
        Files.writeString(list(), lines.replace(id.toString(), UUID.randomUUID().toString()));
        assertThatThrownBy(() -> copy.addNode(settings))
                .hasMessageContaining("the list of erasures")
                .hasMessageContaining("was altered");
        assertThat(copy.<Long>value("SELECT count(*) FROM kehu.data_key WHERE subject_id = ?", id))
                .isEqualTo(1);
        // Half a line, as a crash leaves it, is no alteration.
        Files.writeString(list(), lines + lines.substring(0, 40));
        try (copy) {
            copy.addNode(settings);
            gone(copy);
            Answer certificate =
                    copy.caller("auditor").get("/v1/erasures/" + erasure).is(200);
            assertThat(certificate.json().has("replayedAt")).isTrue();
            assertThat(copy.caller("auditor")
                            .get(path + "/deletion")
                            .at("/state")
                            .asText())
                    .isEqualTo("erased");
            assertThat(copy.<Long>value("SELECT count(*) FROM kehu.audit WHERE operation = 'replayErasure'"))
                    .isPositive();
            assertThat(verified(copy).findings()).isEmpty();
        }
        Files.writeString(list(), lines);
        long replayed = copy.<Long>value("SELECT count(*) FROM kehu.audit WHERE operation = 'replayErasure'");
        try (TestKehu twice = TestKehu.on(settings)) {
            twice.addNode(settings);
            assertThat(twice.<Long>value("SELECT count(*) FROM kehu.audit WHERE operation = 'replayErasure'"))
                    .as("a second start has nothing to do")
                    .isEqualTo(replayed);
        }
    }

    @Test
    void aListThatWasLostGrowsAgainFromTheDatabase() throws Exception {
        long erased = kehu.<Long>value("SELECT count(*) FROM customer.erasure");
        Files.delete(list());
        Settings settings = kehu.settings();
        kehu.close();
        kehu = TestKehu.on(settings);
        kehu.addNode(settings);
        assertThat(Files.readAllLines(list())).hasSize((int) erased);
    }
}
