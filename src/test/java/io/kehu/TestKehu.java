package io.kehu;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.app.Deployment;
import io.kehu.app.Migrations;
import io.kehu.app.Settings;
import io.kehu.app.TestServers;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Signer;
import io.kehu.crypto.Vault;
import io.vertx.core.Future;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A running Kehu with a database of its own, spoken to over HTTP. Every answer is checked against the contract, here and
 * nowhere else.
 */
public final class TestKehu implements AutoCloseable {
    private static final HttpClient CLIENT = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5))
            .build();

    private final Settings settings;
    private final List<Deployment> nodes = new ArrayList<>();
    private final Signer signer;
    private final Vault vault;
    /** Connections of {@link #sql} that nobody uses: a test asks hundreds of times. */
    private final Deque<Connection> idle = new ConcurrentLinkedDeque<>();

    private TestKehu(Settings settings) {
        this.settings = settings;
        KeyStore keys = KeyStore.openOrCreate(settings.keys().folder(), true);
        this.signer = new Signer(keys, "kehu");
        this.vault = new Vault(keys, 1000);
    }

    /** One node that does everything, with a fresh database. */
    public static TestKehu start() {
        return start(Map.of());
    }

    /** The same with other settings, named as in the environment ({@code KEHU_...}). */
    public static TestKehu start(Map<String, String> more) {
        TestKehu kehu = new TestKehu(TestServers.settings(more));
        kehu.addNode(kehu.settings);
        return kehu;
    }

    /** Settings only: the test starts the nodes it wants with {@link #addNode}. */
    public static TestKehu prepare(Map<String, String> more) {
        return new TestKehu(TestServers.settings(more));
    }

    /** The same on servers of the test's own, which must be migrated. */
    public static TestKehu on(Settings settings) {
        return new TestKehu(settings);
    }

    /** A second Kehu on the same database and keys, which reaches PostgreSQL through another port (a proxy of the test). */
    public TestKehu sibling(int postgresqlPort) {
        Settings.Postgresql postgresql = settings.postgresql();
        TestKehu sibling = new TestKehu(settings.withServers(
                postgresql.uri().replaceFirst(":[0-9]+/", ":" + postgresqlPort + "/"),
                postgresql.ownerUri(),
                settings.redis().uri()));
        sibling.addNode(sibling.settings);
        return sibling;
    }

    public Deployment addNode(Settings node) {
        Deployment deployment = await(Deployment.start(node));
        nodes.add(deployment);
        return deployment;
    }

    public Settings settings() {
        return settings;
    }

    public Vault vault() {
        return vault;
    }

    public int port() {
        return nodes.get(0).httpPort();
    }

    public int managementPort() {
        return nodes.get(0).managementPort();
    }

    public static <T> T await(Future<T> future) {
        try {
            return future.toCompletionStage().toCompletableFuture().get(60, TimeUnit.SECONDS);
        } catch (java.util.concurrent.ExecutionException e) {
            throw e.getCause() instanceof RuntimeException failure ? failure : new IllegalStateException(e.getCause());
        } catch (InterruptedException | java.util.concurrent.TimeoutException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        nodes.forEach(node -> await(node.stop()));
        // Test classes live as long as the process, and this with them: not what it ran.
        nodes.clear();
        idle.forEach(TestKehu::close);
        idle.clear();
    }

    // Database
    // -----------------------------------------------------------------------------------------------------------

    /** Reads or prepares as the owner of the schema, past the doors. */
    public List<Map<String, Object>> sql(String statement, Object... values) {
        Connection connection = idle.poll();
        boolean kept = connection != null;
        if (connection == null) {
            connection = Migrations.connect(settings.postgresql().ownerUri(), 5_000);
        }
        try {
            List<Map<String, Object>> rows = run(connection, statement, values);
            idle.push(connection);
            return rows;
        } catch (SQLException e) {
            close(connection);
            // The server may have been stopped since the connection was last used.
            if (kept && String.valueOf(e.getSQLState()).matches("08.*|57P.*")) {
                idle.forEach(TestKehu::close);
                idle.clear();
                return sql(statement, values);
            }
            throw new IllegalStateException(statement, e);
        }
    }

    private static void close(Connection connection) {
        try {
            connection.close();
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<Map<String, Object>> sqlAt(String uri, String statement, Object... values) {
        try (Connection connection = Migrations.connect(uri, 5_000)) {
            return run(connection, statement, values);
        } catch (SQLException e) {
            throw new IllegalStateException(statement, e);
        }
    }

    private static List<Map<String, Object>> run(Connection connection, String statement, Object... values)
            throws SQLException {
        try (PreparedStatement run = connection.prepareStatement(statement)) {
            for (int i = 0; i < values.length; i++) {
                run.setObject(i + 1, values[i]);
            }
            List<Map<String, Object>> rows = new ArrayList<>();
            if (run.execute()) {
                try (ResultSet result = run.getResultSet()) {
                    while (result.next()) {
                        Map<String, Object> row = new java.util.LinkedHashMap<>();
                        for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
                            row.put(result.getMetaData().getColumnLabel(i), result.getObject(i));
                        }
                        rows.add(row);
                    }
                }
            }
            return rows;
        }
    }

    /** The single value of a query. */
    public <T> T value(String query, Object... values) {
        return valueOf(sql(query, values));
    }

    /** The same as the server's own superuser, who alone may read its files. */
    public <T> T valueAsSuperuser(String query, Object... values) {
        return valueOf(sqlAt(TestServers.superuser(settings.postgresql().ownerUri()), query, values));
    }

    @SuppressWarnings("unchecked")
    private static <T> T valueOf(List<Map<String, Object>> rows) {
        return (T) rows.get(0).values().iterator().next();
    }

    /** A change of enrolled tables as through a door that leaves no audit row; what was noted for one is in {@code kehu.changes}. */
    public <T> T throughADoor(Supplier<T> change) {
        sql(
                "SELECT set_config('kehu.audit_id', ?, false), set_config('kehu.bulk', 'off', false),"
                        + " set_config('kehu.changes', '', false), set_config('kehu.changes_aside', '0', false)",
                UUID.randomUUID().toString());
        try {
            return change.get();
        } finally {
            sql("SELECT set_config('kehu.audit_id', '', false)");
        }
    }

    // Clock
    // --------------------------------------------------------------------------------------------------------------

    /** Sets the bank's clock ahead of the machine's by so many seconds. */
    public void moveClock(long seconds) {
        caller("administrator")
                .send("PUT", "/v1/clock", "{\"aheadSeconds\": " + seconds + "}")
                .is(200);
    }

    /** For limits that hold within a minute by the clock; the answer is how far that is ahead now, in seconds. */
    public int aMinuteBegins() {
        int ahead = 60 - this.<Integer>value("SELECT floor(extract(second FROM kehu.now()))::int");
        moveClock(ahead);
        return ahead;
    }

    // People
    // -------------------------------------------------------------------------------------------------------------

    /** The head office, made on first use. */
    public UUID headOffice() {
        List<Map<String, Object>> found = sql("SELECT id FROM iam.branch WHERE parent_id IS NULL");
        return found.isEmpty() ? branch(null, "HQ") : (UUID) found.get(0).get("id");
    }

    public UUID branch(@Nullable UUID parent, String code) {
        UUID id = Ids.next();
        sql("""
                INSERT INTO iam.branch (id, parent_id, code, name, tree, depth)
                SELECT ?::uuid, p.id, ?, ?, coalesce(p.tree, '') || ? || '!', coalesce(p.depth + 1, 0)
                FROM (SELECT 1) one LEFT JOIN iam.branch p ON p.id = ?::uuid""", id, code, "网点" + code, code, parent);
        return id;
    }

    /** A staff member with these roles at a branch, without going through sign-in. */
    public UUID staff(UUID branch, String... roles) {
        UUID id = Ids.next();
        Vault.NewKey key = vault.newKey(id);
        sql(
                "INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped) VALUES (?, 'staff', ?, ?)",
                id,
                key.epoch(),
                key.wrapped());
        sql(
                """
                INSERT INTO iam.staff (id, username, branch_id, roles, password_hash, sealed)
                VALUES (?, ?, ?, ?::text[], 'none', ?)""",
                id,
                "t" + id.toString().substring(19).replace("-", ""),
                branch,
                "{" + String.join(",", roles) + "}",
                vault.seal(vault.key(key), "iam.staff", "C2", "{\"name\":\"测试员\"}".getBytes(StandardCharsets.UTF_8)));
        return id;
    }

    /** Signs a staff member in past the ceremony: a session and a token for it. */
    public Caller signIn(UUID staff) {
        UUID session = Ids.next();
        sql("""
                INSERT INTO iam.session (id, subject_id, audience, started_at, seen_at, ends_at, factor_at, address)
                VALUES (?, ?, 'STAFF', kehu.now(), kehu.now(), kehu.now() + interval '12 hours', kehu.now(), 'test')""", session, staff);
        Map<String, Object> row = sql(
                        "SELECT rights, floor(extract(epoch FROM kehu.now()))::bigint AS now FROM iam.staff WHERE id = ?",
                        staff)
                .get(0);
        long now = (Long) row.get("now");
        return new Caller(
                staff,
                signer.issue(new Signer.Claims(
                        staff,
                        session,
                        (Long) row.get("rights"),
                        Principal.Audience.STAFF,
                        // A second early, as Kehu's own: nodes follow the database's clock from a little behind.
                        now - 1,
                        now - 1,
                        now + 300,
                        Ids.next())));
    }

    /** A signed-in staff member of the head office with these roles. */
    public Caller caller(String... roles) {
        return signIn(staff(headOffice(), roles));
    }

    /** Somebody with a token from elsewhere. */
    public Caller with(@Nullable String token) {
        return new Caller(Principal.NOBODY, token);
    }

    /** Somebody without a token. */
    public Caller anonymous() {
        return new Caller(Principal.NOBODY, null);
    }

    public Signer signer() {
        return signer;
    }

    // HTTP
    // ---------------------------------------------------------------------------------------------------------------

    /** Somebody who sends requests. */
    public final class Caller {
        public final UUID id;
        public final @Nullable String token;
        private final @Nullable Integer port;

        Caller(UUID id, @Nullable String token) {
            this(id, token, null);
        }

        private Caller(UUID id, @Nullable String token, @Nullable Integer port) {
            this.id = id;
            this.token = token;
            this.port = port;
        }

        /** The same person, who asks the node that listens there. */
        public Caller at(int otherPort) {
            return new Caller(id, token, otherPort);
        }

        private URI uri(String path) {
            return URI.create("http://127.0.0.1:" + (port == null ? port() : port) + path);
        }

        public Answer get(String path, String... headers) {
            return send("GET", path, (byte[]) null, headers);
        }

        public Answer post(String path, String json, String... headers) {
            return send("POST", path, json, headers);
        }

        /** Signs in with a password. */
        public Answer login(String username, String password, String... headers) {
            String credentials = Json.object()
                    .put("username", username)
                    .put("password", password)
                    .toString();
            return post("/v1/auth/login", credentials, headers);
        }

        /** Uploads a file for an import of customers; the answer is its id. */
        public String upload(byte[] file) {
            String path =
                    post("/v1/uploads", """
                    {"purpose": "customer-import", "name": "customers.csv", "size": %d}""".formatted(file.length)).is(201).header("Location");
            send("PUT", path, file, "Content-Type", "application/octet-stream").is(200);
            return path.substring(path.lastIndexOf('/') + 1);
        }

        /** Updates the version that {@code etag} names, as an answer's {@link Answer#etag()} gave it. */
        public Answer patch(String path, String etag, String json, String... headers) {
            List<String> all = new ArrayList<>(List.of(headers));
            all.addAll(List.of("If-Match", etag));
            return send("PATCH", path, json, all.toArray(String[]::new));
        }

        public Answer send(String method, String path, @Nullable String body, String... headers) {
            return send(method, path, body == null ? null : body.getBytes(StandardCharsets.UTF_8), headers);
        }

        /** The status with which a stream begins; the stream is left at once. */
        public int begin(String path) {
            HttpRequest.Builder request = HttpRequest.newBuilder(uri(path)).timeout(Duration.ofSeconds(30));
            if (token != null) {
                request.setHeader("Authorization", "Bearer " + token);
            }
            try {
                HttpResponse<java.io.InputStream> response =
                        CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
                response.body().close();
                return response.statusCode();
            } catch (IOException e) {
                throw new IllegalStateException(path, e);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        /** Header values may come as names and values in turn; a given Content-Type replaces the usual one. */
        public Answer send(String method, String path, byte @Nullable [] body, String... headers) {
            HttpRequest.Builder request = HttpRequest.newBuilder(uri(path))
                    .timeout(Duration.ofSeconds(30))
                    .method(
                            method,
                            body == null
                                    ? HttpRequest.BodyPublishers.noBody()
                                    : HttpRequest.BodyPublishers.ofByteArray(body));
            if (token != null) {
                request.setHeader("Authorization", "Bearer " + token);
            }
            if (body != null) {
                request.setHeader(
                        "Content-Type", method.equals("PATCH") ? "application/merge-patch+json" : "application/json");
            }
            for (int i = 0; i < headers.length; i += 2) {
                request.setHeader(headers[i], headers[i + 1]);
            }
            try {
                HttpResponse<byte[]> response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
                ContractCheck.check(method, path, response);
                return new Answer(response);
            } catch (IOException e) {
                throw new IllegalStateException(method + " " + path, e);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /** What came back. */
    public record Answer(HttpResponse<byte[]> response) {
        public int status() {
            return response.statusCode();
        }

        public ObjectNode json() {
            try {
                return (ObjectNode) Json.MAPPER.readTree(response.body());
            } catch (IOException e) {
                throw new IllegalStateException(text(), e);
            }
        }

        public JsonNode at(String pointer) {
            return json().at(pointer);
        }

        public String text() {
            return new String(response.body(), StandardCharsets.UTF_8);
        }

        public String header(String name) {
            return response.headers().firstValue(name).orElse("");
        }

        public String etag() {
            return header("ETag");
        }

        public String code() {
            return at("/code").asText();
        }

        public Answer is(int status) {
            assertThat(status()).as(text()).isEqualTo(status);
            return this;
        }

        /** A problem with this status and code. */
        public Answer is(int status, String code) {
            is(status);
            assertThat(code()).as(text()).isEqualTo(code);
            return this;
        }
    }
}
