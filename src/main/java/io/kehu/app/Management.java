package io.kehu.app;

import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.sql.Database;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.sqlclient.Tuple;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The management port, apart from the public one: liveness, readiness with its details, and metrics for Prometheus. Ready
 * means that the node accepts work and its database answers; Redis and the cluster only speed up, so they are shown and do
 * not count.
 */
public final class Management extends VerticleBase {
    private static final long DATABASE_MILLIS = 1_000;

    private final HttpServerOptions options;
    private final Database database;
    private final PrometheusMeterRegistry metrics;
    private final BooleanSupplier accepting;
    private final Map<String, BooleanSupplier> helpers;
    private @Nullable HttpServer server;

    /**
     * Serves health and metrics.
     *
     * @param accepting false while starting and draining
     * @param helpers what is shown but not needed, by name
     */
    public Management(
            HttpServerOptions options,
            Database database,
            PrometheusMeterRegistry metrics,
            BooleanSupplier accepting,
            Map<String, BooleanSupplier> helpers) {
        this.options = options;
        this.database = database;
        this.metrics = metrics;
        this.accepting = accepting;
        this.helpers = new TreeMap<>(helpers);
    }

    @Override
    public Future<?> start() {
        server = vertx.createHttpServer(options).requestHandler(this::serve);
        return server.listen();
    }

    public int port() {
        return server == null ? -1 : server.actualPort();
    }

    private void serve(HttpServerRequest request) {
        switch (String.valueOf(request.path())) {
            case "/health/live" -> answer(request, 200, "application/json", Buffer.buffer("{\"status\":\"UP\"}"));
            case "/health/ready" -> ready(request);
            case "/metrics" ->
                vertx.executeBlocking(metrics::scrape, false)
                        .onSuccess(text ->
                                answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", Buffer.buffer(text)))
                        .onFailure(e -> answer(request, 500, "text/plain", Buffer.buffer()));
            default -> answer(request, 404, "text/plain", Buffer.buffer());
        }
    }

    private void ready(HttpServerRequest request) {
        // A node with a queue of callers is busy, not unfit: if all were taken out for that, nobody would serve.
        database.query(Call.Lane.JOB, "SELECT 1", Tuple.tuple())
                .timeout(DATABASE_MILLIS, TimeUnit.MILLISECONDS)
                .onComplete(answered -> {
                    boolean up = accepting.getAsBoolean() && answered.succeeded();
                    answer(request, up ? 200 : 503, "application/json", Json.write(json -> {
                        json.writeStartObject();
                        json.writeStringField("status", word(up));
                        json.writeStringField("accepting", word(accepting.getAsBoolean()));
                        json.writeStringField("database", word(answered.succeeded()));
                        for (Map.Entry<String, BooleanSupplier> helper : helpers.entrySet()) {
                            json.writeStringField(
                                    helper.getKey(), word(helper.getValue().getAsBoolean()));
                        }
                        json.writeEndObject();
                    }));
                });
    }

    private static String word(boolean up) {
        return up ? "UP" : "DOWN";
    }

    private static void answer(HttpServerRequest request, int status, String type, Buffer body) {
        request.response()
                .setStatusCode(status)
                .putHeader("content-type", type)
                .putHeader("cache-control", "no-store")
                .end(body);
    }

    @Override
    public Future<?> stop() {
        return server == null ? Future.succeededFuture() : server.close();
    }
}
