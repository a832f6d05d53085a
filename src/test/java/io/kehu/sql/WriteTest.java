package io.kehu.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The door for commands, seen from outside: what every write leaves behind, and what a repeated one does not. */
class WriteTest {
    private static TestKehu kehu;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String code() {
        return "W" + UUID.randomUUID().toString().substring(0, 8).toUpperCase();
    }

    private static String draft(String code) {
        return """
                {"parentId": "%s", "code": "%s", "name": "支行"}""".formatted(kehu.headOffice(), code);
    }

    private static Answer open(Caller caller, String body, String key) {
        return caller.post("/v1/branches", body, "Idempotency-Key", key);
    }

    private static long branches(String code) {
        return kehu.<Long>value("SELECT count(*) FROM iam.branch WHERE code = ?", code);
    }

    private static List<Map<String, Object>> audit(String requestId) {
        return kehu.sql("SELECT * FROM kehu.audit WHERE request_id = ? ORDER BY at", requestId);
    }

    @Test
    void aRepeatedCommandGivesTheFirstAnswerAgainAndChangesNothing() {
        String code = code();
        String key = UUID.randomUUID().toString();
        Answer first = open(administrator, draft(code), key).is(201);
        Answer again = open(administrator, draft(code), key).is(201);
        assertThat(again.json()).isEqualTo(first.json());
        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        assertThat(again.header("Location")).isEqualTo(first.header("Location"));
        assertThat(again.etag()).isEqualTo(first.etag());
        assertThat(first.header("Idempotency-Replayed")).isEmpty();
        assertThat(branches(code)).isEqualTo(1);
    }

    @Test
    void theStoredAnswerIsNotReadableInTheDatabase() {
        String key = UUID.randomUUID().toString();
        open(administrator, draft(code()), key).is(201);
        byte[] answer = kehu.value("SELECT answer FROM kehu.idempotency WHERE key = ?", key);
        assertThat(new String(answer, StandardCharsets.UTF_8)).doesNotContain("支行");
    }

    @Test
    void aKeyIsBoundToItsRequest() {
        String key = UUID.randomUUID().toString();
        open(administrator, draft(code()), key).is(201);
        open(administrator, draft(code()), key).is(409, "request.keyReused");
    }

    @Test
    void aKeyBelongsToItsCaller() {
        Caller other = kehu.caller("administrator");
        String key = UUID.randomUUID().toString();
        Answer mine = open(administrator, draft(code()), key).is(201);
        Answer theirs = open(other, draft(code()), key).is(201);
        assertThat(theirs.at("/id")).isNotEqualTo(mine.at("/id"));
    }

    @Test
    void aFaultyRequestDoesNotConsumeItsKey() {
        String key = UUID.randomUUID().toString();
        open(administrator, "{\"code\": \"X\"}", key).is(400, "request.invalid");
        open(administrator, draft(code()), key).is(201);
    }

    @Test
    void aRefusalConsumesItsKeyAndIsAudited() {
        String code = code();
        open(administrator, draft(code), UUID.randomUUID().toString()).is(201);
        String key = UUID.randomUUID().toString();
        Answer refused = open(administrator, draft(code), key).is(409, "branch.codeTaken");
        assertThat(audit(refused.at("/requestId").asText())).singleElement().satisfies(row -> {
            assertThat(row).containsEntry("kind", "refusal").containsEntry("code", "branch.codeTaken");
            assertThat(row).containsEntry("actor", administrator.id);
        });
        Answer again = open(administrator, draft(code), key).is(409, "branch.codeTaken");
        assertThat(again.at("/title")).isEqualTo(refused.at("/title"));
        assertThat(audit(again.at("/requestId").asText())).isEmpty();
        Answer chinese = administrator.post(
                "/v1/branches", draft(code), "Idempotency-Key", key, "Accept-Language", "zh-CN,zh;q=0.9");
        assertThat(chinese.is(409).at("/title").asText()).isEqualTo("网点编号已存在");
    }

    @Test
    void aKeyHasABoundedForm() {
        open(administrator, draft(code()), "k".repeat(1000)).is(400, "request.invalid");
        open(administrator, draft(code()), "k".repeat(200)).is(201);
        open(administrator, draft(code()), "with space").is(400, "request.invalid");
    }

    @Test
    void ofManyCommandsWithOneKeyAtOnceOneHasEffectAndAllGetItsAnswer() {
        String code = code();
        String key = UUID.randomUUID().toString();
        ExecutorService callers = Executors.newFixedThreadPool(32);
        List<CompletableFuture<Answer>> answers = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            answers.add(CompletableFuture.supplyAsync(() -> open(administrator, draft(code), key), callers));
        }
        Set<String> ids = ConcurrentHashMap.newKeySet();
        answers.forEach(answer -> ids.add(answer.join().is(201).at("/id").asText()));
        callers.shutdown();
        assertThat(ids).hasSize(1);
        assertThat(branches(code)).isEqualTo(1);
    }

    @Test
    void aDryRunAnswersLikeTheRealThingAndLeavesNothing() {
        String code = code();
        long audits = kehu.<Long>value("SELECT count(*) FROM kehu.audit");
        String key = UUID.randomUUID().toString();
        Answer dry = administrator
                .post("/v1/branches", draft(code), "Dry-Run", "true", "Idempotency-Key", key)
                .is(201);
        assertThat(dry.header("Dry-Run")).isEqualTo("true");
        assertThat(dry.at("/code").asText()).isEqualTo(code);
        assertThat(branches(code)).isZero();
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.idempotency WHERE key = ?", key))
                .isZero();
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.event WHERE aggregate_id = ?::uuid",
                        dry.at("/id").asText()))
                .isZero();
        open(administrator, draft(code), key).is(201);
        Answer refused = administrator
                .post("/v1/branches", draft(code), "Dry-Run", "true")
                .is(409, "branch.codeTaken");
        assertThat(audit(refused.at("/requestId").asText())).isEmpty();
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.audit")).isGreaterThan(audits);
    }

    @Test
    void everyWriteLeavesItsAuditRowItsEventAndItsPast() {
        Answer made =
                open(administrator, draft(code()), UUID.randomUUID().toString()).is(201);
        UUID id = UUID.fromString(made.at("/id").asText());
        Answer changed = administrator
                .patch("/v1/branches/" + id, made.etag(), "{\"name\": \"新名\"}")
                .is(200);

        Map<String, Object> row = audit(changed.header("Kehu-Request-Id")).get(0);
        assertThat(row)
                .containsEntry("kind", "write")
                .containsEntry("operation", "changeBranch")
                .containsEntry("actor", administrator.id)
                .containsEntry("audience", "STAFF")
                .containsEntry("object_type", "branch")
                .containsEntry("object_id", id)
                .containsEntry("object_version", 2L);
        assertThat(row.get("changes").toString())
                .contains("\"before\"", "支行", "\"after\"", "新名", "\"iam.branch\"", "\"update\"")
                .doesNotContain("parent_id");
        assertThat(kehu.<Boolean>value(
                        "SELECT leaf = kehu.audit_leaf(a) FROM kehu.audit a WHERE id = ?", row.get("id")))
                .isTrue();

        List<Map<String, Object>> past = kehu.sql("SELECT * FROM iam.branch_past WHERE id = ?", id);
        assertThat(past)
                .singleElement()
                .satisfies(old -> assertThat(old)
                        .containsEntry("name", "支行")
                        .containsEntry("version", 1L)
                        .containsEntry("audit_id", row.get("id")));
        assertThat(past.get(0).get("valid_to"))
                .isEqualTo(kehu.value("SELECT valid_from FROM iam.branch WHERE id = ?", id));

        assertThat(kehu.sql("SELECT type, version FROM kehu.event WHERE aggregate_id = ? ORDER BY version", id))
                .extracting(e -> e.get("type"))
                .containsExactly("branch.created", "branch.changed");
    }

    @Test
    void aWriteOfManyChangesTellsThemAllInTheirOrder() throws SQLException {
        UUID many = UUID.randomUUID();
        UUID next = UUID.randomUUID();
        try (Connection connection =
                        Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000);
                Statement owner = connection.createStatement()) {
            owner.execute("""
                    CREATE TABLE kehu.many (id uuid PRIMARY KEY, place int NOT NULL,
                        version bigint NOT NULL DEFAULT 1, valid_from timestamptz NOT NULL DEFAULT kehu.now())""");
            owner.execute("SELECT kehu.enrol('kehu.many')");
            connection.setAutoCommit(false);
            for (UUID audit : List.of(many, next)) {
                owner.execute(
                        "SELECT kehu.enter('%s', false, '%s', 'test', NULL, NULL)".formatted(audit, administrator.id));
                owner.execute("INSERT INTO kehu.many (id, place) SELECT uuidv7(), n FROM generate_series(1, %d) n"
                        .formatted(audit.equals(many) ? 1_000 : 1));
                owner.execute("""
                        SELECT kehu.leave('{"kind": "write", "operation": "test", "audience": "STAFF", "actor_name": "x", "actor": "%s",
                            "address": "x", "request_id": "x"}', '[]', NULL, NULL, NULL, NULL)""".formatted(administrator.id));
                connection.commit();
            }
        }
        String told = """
                SELECT array_agg((c.change -> 'after' ->> 'place')::int ORDER BY c.place)::text
                FROM kehu.audit a CROSS JOIN jsonb_array_elements(a.changes) WITH ORDINALITY AS c(change, place) WHERE a.id = ?""";
        assertThat(kehu.<String>value(told, many))
                .isEqualTo(IntStream.rangeClosed(1, 1_000)
                        .mapToObj(String::valueOf)
                        .collect(Collectors.joining(",", "{", "}")));
        assertThat(kehu.<String>value(told, next)).isEqualTo("{1}");
    }

    @Test
    void theWorkingRoleCannotPassTheDoorsNorTouchTheAudit() throws SQLException {
        String uri = kehu.settings().postgresql().uri();
        try (Connection connection = Migrations.connect(uri, 5_000);
                Statement app = connection.createStatement()) {
            if (!Migrations.user(uri).equals("kehu_app")) {
                app.execute("SET SESSION AUTHORIZATION kehu_app");
            }
            assertThatThrownBy(() -> app.execute("UPDATE iam.branch SET name = 'x'"))
                    .hasMessageContaining("only be changed through the doors");
            assertThatThrownBy(() -> app.execute("DELETE FROM iam.branch"))
                    .hasMessageContaining("only be changed through the doors");
            for (String forbidden : List.of(
                    "UPDATE kehu.audit SET actor_name = 'x'",
                    "DELETE FROM kehu.audit",
                    "TRUNCATE kehu.audit",
                    "UPDATE iam.branch_past SET name = 'x'",
                    "DELETE FROM iam.branch_past",
                    "UPDATE kehu.event SET type = 'x'",
                    "CREATE TABLE kehu.mine (id int)",
                    "ALTER TABLE iam.branch DISABLE TRIGGER keep")) {
                assertThatThrownBy(() -> app.execute(forbidden)).as(forbidden).isInstanceOf(SQLException.class);
            }
        }
    }

    @Test
    void aRefusalThatCannotBeStoredLeavesItsConnectionFitForTheNext() throws Exception {
        // One connection: what is left on it is met by whoever comes next.
        try (TestKehu one = TestKehu.start(Map.of("KEHU_POSTGRESQL_POINT_SIZE", "1"));
                Connection holder =
                        Migrations.connect(one.settings().postgresql().ownerUri(), 5_000);
                Connection rival =
                        Migrations.connect(one.settings().postgresql().ownerUri(), 5_000);
                Statement first = holder.createStatement();
                Statement second = rival.createStatement()) {
            Caller caller = one.caller("administrator");
            holder.setAutoCommit(false);
            rival.setAutoCommit(false);
            one.branch(one.headOffice(), "FREE0");
            // Who is woken first is not ours to say: the rival nearly always, and once in many rounds is enough.
            for (int round = 0; ; round++) {
                assertThat(round).as("rounds in which the refusal came first").isLessThan(20);
                String key = UUID.randomUUID().toString();
                String draft = """
                        {"parentId": "%s", "code": "FREE%d", "name": "支行"}""".formatted(one.headOffice(), round + 1);
                // The command takes its key and waits for us to decide about the code.
                first.execute("UPDATE iam.branch SET code = 'FREE" + (round + 1) + "', tree = replace(tree, 'FREE"
                        + round + "', 'FREE" + (round + 1) + "') WHERE code = 'FREE" + round + "'");
                CompletableFuture<Answer> answer =
                        CompletableFuture.supplyAsync(() -> caller.post("/v1/branches", draft, "Idempotency-Key", key));
                await().until(() -> waiting(one) == 1);
                // Somebody waits for the key; it is his as soon as the command is refused, and he keeps it.
                CompletableFuture<Boolean> taken = CompletableFuture.supplyAsync(() -> take(second, caller, key));
                await().until(() -> waiting(one) == 2);
                holder.commit();
                if (taken.join()) {
                    answer.join().is(503, "server.contended");
                    rival.rollback();
                    caller.get("/v1/branches/" + one.headOffice()).is(200);
                    caller.post("/v1/branches", draft, "Idempotency-Key", key).is(409, "branch.codeTaken");
                    return;
                }
                rival.rollback();
                answer.join().is(409, "branch.codeTaken");
            }
        }
    }

    /** False where the key is somebody else's. */
    private static boolean take(Statement sql, Caller caller, String key) {
        try {
            sql.execute("INSERT INTO kehu.idempotency (principal, operation, key, body_hash) VALUES ('" + caller.id
                    + "', 'createBranch', '" + key + "', '')");
            return true;
        } catch (SQLException e) {
            assertThat(e.getSQLState()).isEqualTo("23505");
            return false;
        }
    }

    /** Sessions that wait for a row of somebody else's transaction. */
    private static long waiting(TestKehu house) {
        return house.value("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted");
    }

    @Test
    void aCommitWhoseAnswerIsLostIsUnknownAndTheRepeatedKeyResolvesIt() throws IOException {
        try (SwallowingProxy proxy = new SwallowingProxy(
                URI.create(kehu.settings().postgresql().uri()).getPort())) {
            TestKehu behindProxy = kehu.sibling(proxy.port());
            try (behindProxy) {
                Caller caller = behindProxy.caller("administrator");
                String code = code();
                String key = UUID.randomUUID().toString();
                proxy.swallow.set(true);
                caller.post("/v1/branches", draft(code), "Idempotency-Key", key).is(503, "request.unknown");
                proxy.swallow.set(false);
                Answer again = caller.post("/v1/branches", draft(code), "Idempotency-Key", key)
                        .is(201);
                assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
                assertThat(branches(code)).isEqualTo(1);
            }
        }
    }

    /** Between Kehu and PostgreSQL: lets COMMIT through to the server, and cuts the line before the answer comes back. */
    private static final class SwallowingProxy implements AutoCloseable {
        final AtomicBoolean swallow = new AtomicBoolean();
        private final ServerSocket listener = new ServerSocket(0);
        private final int target;
        private final Set<Socket> open = ConcurrentHashMap.newKeySet();
        private final ExecutorService threads = Executors.newCachedThreadPool(r -> {
            Thread thread = new Thread(r, "proxy");
            thread.setDaemon(true);
            return thread;
        });

        SwallowingProxy(int target) throws IOException {
            this.target = target;
            threads.execute(this::accept);
        }

        int port() {
            return listener.getLocalPort();
        }

        private void accept() {
            try {
                while (true) {
                    Socket client = listener.accept();
                    Socket server = new Socket("127.0.0.1", target);
                    open.add(client);
                    open.add(server);
                    AtomicBoolean cut = new AtomicBoolean();
                    threads.execute(() -> pump(client, server, cut, true));
                    threads.execute(() -> pump(server, client, cut, false));
                }
            } catch (IOException e) {
                // closed
            }
        }

        private void pump(Socket from, Socket to, AtomicBoolean cut, boolean towardsServer) {
            byte[] buffer = new byte[65_536];
            try (from;
                    to) {
                for (int n; (n = from.getInputStream().read(buffer)) >= 0; ) {
                    if (!towardsServer && cut.get()) {
                        // The server has answered, so it has committed; the client is not told.
                        return;
                    }
                    if (towardsServer
                            && swallow.get()
                            && new String(buffer, 0, n, StandardCharsets.ISO_8859_1).contains("COMMIT")) {
                        cut.set(true);
                    }
                    to.getOutputStream().write(buffer, 0, n);
                }
            } catch (IOException e) {
                // the other end is gone
            }
        }

        @Override
        public void close() throws IOException {
            listener.close();
            for (Socket socket : open) {
                socket.close();
            }
            threads.shutdownNow();
        }
    }
}
