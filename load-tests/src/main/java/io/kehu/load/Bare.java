package io.kehu.load;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.pgclient.PgBuilder;
import io.vertx.pgclient.PgConnectOptions;
import io.vertx.sqlclient.Pool;
import io.vertx.sqlclient.PoolOptions;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Base64;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * The baseline of the cost benchmark: {@code GET /v1/customers/{id}} with nothing but Vert.x, the SELECT and JSON. No
 * authentication, no validation, no decryption, no audit.
 */
@Command(name = "bare", description = "Serves GET /v1/customers/{id} with the SELECT alone, on loopback.")
final class Bare implements Callable<Integer> {
    /** What Kehu reads for one customer; keep it equal to the statement of its store. One parameter: the id. */
    static final String SQL = """
            SELECT c.id, c.seq, c.branch_id, c.manager_id, c.sealed_version, c.created_at, c.deleted_at, c.version,
                   c.valid_from, c.kind, c.lifecycle, c.tier, c.risk, c.region_code, c.birth_date, c.founded_on, c.gender,
                   c.marital_status, c.occupation, c.industry, c.channel, c.since, c.annual_income, c.assets,
                   c.liabilities, s.personal, k.epoch, k.wrapped
            FROM customer.customer c
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            WHERE c.id = $1 AND c.deleted_at IS NULL
            """;

    private static final JsonFactory JSON = new JsonFactory();
    private static final String PREFIX = Requests.CUSTOMERS + "/";

    @Option(names = "--port", defaultValue = "9090")
    int port;

    @Option(names = "--pg-uri", required = true, description = "postgresql://user:password@127.0.0.1:port/database")
    String pgUri;

    @Option(names = "--sql", description = "The SELECT, with the id as $1.")
    String sql = SQL;

    @Option(names = "--connections", defaultValue = "8", description = "As Kehu's pool for point reads.")
    int connections;

    @Option(names = "--waiting", defaultValue = "2000", description = "As Kehu's pool for point reads.")
    int waiting;

    @Option(names = "--event-loops", defaultValue = "2", description = "As Kehu has HTTP verticles.")
    int eventLoops;

    @Override
    public Integer call() throws Exception {
        Vertx vertx = Vertx.vertx(new VertxOptions().setEventLoopPoolSize(eventLoops));
        int bound = start(vertx).toCompletionStage().toCompletableFuture().get(30, TimeUnit.SECONDS);
        System.out.printf(
                "bare handler: http://127.0.0.1:%d, process %d%n",
                bound, ProcessHandle.current().pid());
        Thread.currentThread().join();
        return 0;
    }

    /** Answers the port. */
    Future<Integer> start(Vertx vertx) {
        PgConnectOptions connect = PgConnectOptions.fromUri(pgUri).setCachePreparedStatements(true);
        PoolOptions options = new PoolOptions()
                .setMaxSize(connections)
                .setMaxWaitQueueSize(waiting)
                .setConnectionTimeout(3)
                .setConnectionTimeoutUnit(TimeUnit.SECONDS);
        Pool pool = PgBuilder.pool()
                .with(options)
                .connectingTo(connect)
                .using(vertx)
                .build();
        int[] bound = {port};
        return vertx.deployVerticle(
                        () -> new VerticleBase() {
                            @Override
                            public Future<?> start() {
                                return vertx.createHttpServer()
                                        .requestHandler(request -> answer(pool, request))
                                        .listen(port, "127.0.0.1")
                                        .onSuccess(server -> bound[0] = server.actualPort());
                            }
                        },
                        new DeploymentOptions().setInstances(eventLoops))
                .map(deployed -> bound[0]);
    }

    private void answer(Pool pool, HttpServerRequest request) {
        UUID id;
        try {
            id = UUID.fromString(request.path().substring(PREFIX.length()));
        } catch (RuntimeException e) {
            request.response().setStatusCode(404).end();
            return;
        }
        pool.preparedQuery(sql).execute(Tuple.of(id)).onComplete((rows, failure) -> {
            if (failure != null) {
                request.response().setStatusCode(500).end(failure.toString());
            } else if (rows.size() == 0) {
                request.response().setStatusCode(404).end();
            } else {
                request.response()
                        .putHeader("Content-Type", "application/json")
                        .end(json(rows.iterator().next()));
            }
        });
    }

    private static Buffer json(Row row) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
        try (JsonGenerator json = JSON.createGenerator(bytes)) {
            json.writeStartObject();
            for (int i = 0; i < row.size(); i++) {
                json.writeFieldName(row.getColumnName(i));
                Object value = row.getValue(i);
                if (value == null) {
                    json.writeNull();
                } else if (value instanceof Boolean flag) {
                    json.writeBoolean(flag);
                } else if (value instanceof Integer || value instanceof Long || value instanceof Short) {
                    json.writeNumber(((Number) value).longValue());
                } else if (value instanceof Buffer binary) {
                    json.writeString(Base64.getEncoder().encodeToString(binary.getBytes()));
                } else {
                    json.writeString(value.toString());
                }
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Buffer.buffer(bytes.toByteArray());
    }
}
