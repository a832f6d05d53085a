package io.kehu.customer.pull;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Problems;
import io.kehu.bus.Reply;
import io.kehu.customer.connector.Connector;
import io.kehu.customer.connector.Deliveries;
import io.kehu.customer.pull.PullStore.Held;
import io.kehu.customer.pull.PullStore.Opened;
import io.kehu.job.Jobs;
import io.kehu.kernel.Kernel;
import io.kehu.outgoing.Outgoing;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.security.MessageDigest;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks the sources that are due, one after the other. A node holds one by a lease in the database's clock, so of all nodes one
 * asks; what is entered names the fence, so a node that was thought dead enters nothing. How far it got moves with the last rows
 * of an answer: what breaks off before is asked for again, and to enter a row twice changes nothing.
 */
final class PullWork {
    private static final Logger LOG = LoggerFactory.getLogger(PullWork.class);
    private static final int CALL_MILLIS = 30_000;
    private static final int MAX_WAIT_DOUBLINGS = 16;
    private static final int LOOKS_UNTIL_FORGETTING = 720;
    private static final int OK = 200;
    private static final int NOTHING = 204;

    private final Database database;
    private final Jobs jobs;
    private final Outgoing outgoing;
    private final PullStore store;
    private final Deliveries deliveries;
    private final UnaryOperator<byte[]> mac;
    private final Options options;
    private int looks;

    /**
     * The bounds.
     *
     * @param hosts that may be asked, in lower case
     * @param pollMillis between two looks for what is due
     * @param leaseMillis until one of a dead node is begun anew; longer than a call of another's server and a chunk together
     * @param maxRows of one answer
     * @param maxAnswers of one run
     * @param maxAttempts in a row that fail
     * @param retryMillis after the first failure; doubles with each
     * @param maxRetryMillis between two attempts
     * @param keepDays for which runs and deliveries are remembered
     */
    record Options(
            Set<String> hosts,
            int pollMillis,
            int leaseMillis,
            int maxRows,
            int maxAnswers,
            int maxAttempts,
            int retryMillis,
            int maxRetryMillis,
            int keepDays) {}

    PullWork(
            Database database,
            Jobs jobs,
            Outgoing outgoing,
            PullStore store,
            Deliveries deliveries,
            UnaryOperator<byte[]> mac,
            Options options) {
        this.database = database;
        this.jobs = jobs;
        this.outgoing = outgoing;
        this.store = store;
        this.deliveries = deliveries;
        this.mac = mac;
        this.options = options;
    }

    /** One answer that was entered. */
    private record Entered(@Nullable String watermark, boolean goesOn, byte[] mac) {}

    /** Looks for what is due until the node stops. */
    void keep(Kernel kernel) {
        kernel.every(options.pollMillis, this::look, failure -> {
            if (Problem.in(failure) == null) {
                LOG.warn("sources are asked later", failure);
            }
        });
    }

    private Future<Void> look() {
        Promise<Void> done = Promise.promise();
        all(done);
        return done.future().compose(v -> forget());
    }

    private Future<Void> forget() {
        looks = (looks + 1) % LOOKS_UNTIL_FORGETTING;
        return looks == 1 ? store.forget(options.keepDays) : Future.succeededFuture();
    }

    private void all(Promise<Void> done) {
        store.claim(options.leaseMillis).onFailure(done::fail).onSuccess(claimed -> {
            if (claimed.isEmpty()) {
                done.complete();
            } else {
                Held held = claimed.get();
                run(held)
                        .recover(failure -> fail(held, failure))
                        .onFailure(done::fail)
                        .onSuccess(v -> all(done));
            }
        });
    }

    private Future<Void> run(Held held) {
        if (held.attempts() > options.maxAttempts) {
            // It has ended its nodes rather than failed.
            return Future.failedFuture(Problem.of("pull.interrupted"));
        }
        Call call = call();
        return store.open(call, held.connector())
                .compose(opened -> store.connector(call, held.connector()).compose(connector -> {
                    PullRules.allowed(opened.pull().url(), options.hosts);
                    Promise<byte[]> done = Promise.promise();
                    step(held, opened, connector, held.watermark(), 1, done);
                    return done.future()
                            .compose(
                                    last -> store.done(held, last, opened.pull().minutes()));
                }));
    }

    private static Call call() {
        return Call.internal("pullConnector", Call.Lane.JOB, CALL_MILLIS);
    }

    /** One answer after the other, as long as each brings it further. */
    private void step(
            Held held,
            Opened opened,
            Connector connector,
            @Nullable String watermark,
            int answers,
            Promise<byte[]> done) {
        ask(opened, watermark)
                .compose(body -> enter(held, opened.pull(), connector, watermark, body))
                .onFailure(done::fail)
                .onSuccess(entered -> {
                    if (entered.goesOn && answers < options.maxAnswers) {
                        step(held, opened, connector, entered.watermark, answers + 1, done);
                    } else {
                        done.complete(entered.mac);
                    }
                });
    }

    private Future<Buffer> ask(Opened opened, @Nullable String watermark) {
        Map<String, String> headers = new HashMap<>();
        headers.put("Accept", opened.pull().format().equals("csv") ? "text/csv" : "application/json");
        if (opened.secret() != null) {
            headers.put("Authorization", opened.secret());
        }
        return outgoing.send(HttpMethod.GET, PullRules.question(opened.pull(), watermark), headers, null)
                .recover(failure -> Future.failedFuture(Problem.of(
                        "pull.unreachable",
                        failure instanceof Outgoing.Refused ? String.valueOf(failure.getMessage()) : "no connection")))
                .compose(answer -> answer.status() == OK || answer.status() == NOTHING
                        ? Future.succeededFuture(answer.status() == OK ? answer.body() : Buffer.buffer())
                        : Future.failedFuture(Problem.of("pull.sourceFailed", Integer.toString(answer.status()))));
    }

    private Future<Entered> enter(Held held, Pull pull, Connector connector, @Nullable String watermark, Buffer body) {
        byte[] now = mac.apply(body.getBytes());
        if (body.length() == 0 || MessageDigest.isEqual(now, held.mac())) {
            return Future.succeededFuture(new Entered(watermark, false, now));
        }
        return jobs.compute(() -> PullAnswer.rows(pull, body, options.maxRows)).compose(rows -> {
            String reached = PullRules.reached(pull, rows, watermark);
            Future<Void> all = Future.succeededFuture();
            for (int from = 0; from < rows.size(); from += Deliveries.MAX_ROWS) {
                int first = from;
                int to = Math.min(rows.size(), from + Deliveries.MAX_ROWS);
                List<UnaryOperator<String>> some = rows.subList(from, to).stream()
                        .map(row -> (UnaryOperator<String>) name -> row.getOrDefault(name, ""))
                        .toList();
                String moved = to == rows.size() ? reached : null;
                all = all.compose(v -> deliveries.enter(
                        call(),
                        connector,
                        Ids.next(),
                        first,
                        some,
                        (tx, counts) -> store.move(tx, held, moved, options.leaseMillis, counts)));
            }
            boolean further = reached != null && !reached.equals(watermark);
            return all.map(v -> new Entered(reached, further, now));
        });
    }

    /** Again a while later, each time a longer one; or never, until somebody has looked. */
    private Future<Void> fail(Held held, Throwable failure) {
        Problem problem = Problem.in(failure);
        if (problem == null) {
            LOG.warn("a source could not be entered", failure);
            problem = Problem.of("server.failure");
        }
        Problem why = problem;
        // What our own database could not do says nothing of the source: it does not count.
        boolean ours = Problems.isUndone(why) || why.code().equals("request.unknown");
        boolean stops = !ours && held.attempts() >= options.maxAttempts;
        long wait = Math.min(
                options.maxRetryMillis,
                (long) options.retryMillis << Math.min(MAX_WAIT_DOUBLINGS, Math.max(0, held.attempts() - 1)));
        int jittered = (int) (wait / 2 + ThreadLocalRandom.current().nextLong(wait / 2 + 1));
        if (!stops) {
            return store.failed(
                            (sql, values) -> database.query(Call.Lane.JOB, sql, values),
                            held,
                            "retrying",
                            why,
                            jittered,
                            ours ? 1 : 0)
                    .mapEmpty();
        }
        return database.write(
                        call(),
                        tx -> store.failed(tx::query, held, "stopped", why, jittered, 0)
                                .map(v -> {
                                    tx.event(Event.of("connector.pullStopped", held.connector(), 1, PullService.READ)
                                            .with("problem", why.code()));
                                    return Reply.empty();
                                }))
                .mapEmpty();
    }
}
