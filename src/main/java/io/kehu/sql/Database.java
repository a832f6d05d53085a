package io.kehu.sql;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Problems;
import io.kehu.bus.Reply;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.pgclient.PgBuilder;
import io.vertx.pgclient.PgConnectOptions;
import io.vertx.sqlclient.Pool;
import io.vertx.sqlclient.PoolOptions;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.SqlConnection;
import io.vertx.sqlclient.Tuple;
import java.security.MessageDigest;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way to PostgreSQL: reading in four lanes, and two doors for writing. {@link #write} is one command in one
 * transaction that leaves everything behind it (change, past, audit, events, stored answer) in three round trips;
 * {@link #bulk} is one chunk of many rows with one audit row and one range event. There is no third door: enrolled tables
 * refuse changes that did not come through {@code kehu.enter()}.
 */
public final class Database {
    private static final Logger LOG = LoggerFactory.getLogger(Database.class);

    /** Does nothing where {@link Tx#BEGIN} was not carried out: a key noted outside of a transaction would stay for ever. */
    private static final String ENTER = "SELECT kehu.enter($1, $2, $3, $4, $5, $6) WHERE " + Tx.HAS_BEGUN;

    private static final String LEAVE = "SELECT kehu.leave($1::text::jsonb, $2::text::jsonb, $3, $4, $5, $6)";
    private static final String STORED = """
            SELECT body_hash, status, answer, etag, location, code, args, receipt
            FROM kehu.idempotency WHERE principal = $1 AND operation = $2 AND key = $3""";

    private final Vertx vertx;
    private final Map<Call.Lane, Pool> pools = new EnumMap<>(Call.Lane.class);
    private final Map<Call.Lane, Lane> lanes;
    private final Answers answers;
    private final AtomicLong ended = new AtomicLong();

    /**
     * Where the database is and how many connections may be used and waited for.
     *
     * @param uri of the working role; where its user is not {@code kehu_app}, sessions take that role on
     * @param lanes one pool each
     * @param cachedStatements prepared statements kept per connection
     */
    public record Options(
            String uri,
            Map<Call.Lane, Lane> lanes,
            int lockTimeoutMillis,
            int idleInTransactionMillis,
            int cachedStatements) {}

    /**
     * One pool.
     *
     * @param size connections
     * @param maxWaiting calls that may wait for one; more are refused at once
     * @param connectMillis how long a call may wait
     * @param statementTimeoutMillis after which PostgreSQL cancels a statement
     */
    public record Lane(int size, int maxWaiting, int connectMillis, int statementTimeoutMillis) {}

    /** How stored answers are made unreadable at rest: they may show personal data. */
    public record Answers(UnaryOperator<byte[]> seal, UnaryOperator<byte[]> open) {}

    /**
     * What one chunk of {@link #bulk} did.
     *
     * @param objectType what the rows are, e.g. {@code customer}
     * @param hash SHA-256 over the rows in order
     * @param event one event for the whole range
     */
    public record Chunk(String objectType, long rows, byte[] hash, String firstId, String lastId, Event event) {}

    public Database(Vertx vertx, Options options, Answers answers) {
        this.vertx = vertx;
        this.answers = answers;
        this.lanes = options.lanes();
        lanes.forEach((lane, size) -> pools.put(lane, pool(vertx, options, lane, size)));
    }

    private static Pool pool(Vertx vertx, Options options, Call.Lane lane, Lane size) {
        PgConnectOptions connect = PgConnectOptions.fromUri(options.uri())
                .setCachePreparedStatements(true)
                .setPreparedStatementCacheMaxSize(options.cachedStatements())
                .setPreparedStatementCacheSqlLimit(8192);
        connect.addProperty("application_name", "kehu-" + lane.name().toLowerCase(java.util.Locale.ROOT))
                .addProperty("TimeZone", "UTC")
                .addProperty("statement_timeout", Integer.toString(size.statementTimeoutMillis()))
                .addProperty("lock_timeout", Integer.toString(options.lockTimeoutMillis()))
                .addProperty(
                        "idle_in_transaction_session_timeout", Integer.toString(options.idleInTransactionMillis()));
        if (!"kehu_app".equals(connect.getUser())) {
            connect.addProperty("role", "kehu_app");
        }
        if (lane != Call.Lane.POINT) {
            // Selectivity differs a thousandfold between values of one filter: plan for the values at hand.
            connect.addProperty("plan_cache_mode", "force_custom_plan");
        }
        if (lane == Call.Lane.SEARCH) {
            // A first page is met soon along an index that is in its order; other joins read all candidates first.
            connect.addProperty("enable_mergejoin", "off").addProperty("enable_hashjoin", "off");
        }
        return PgBuilder.pool()
                .with(new PoolOptions()
                        .setName("kehu-" + lane)
                        .setMaxSize(size.size())
                        .setMaxWaitQueueSize(size.maxWaiting())
                        .setConnectionTimeout(size.connectMillis())
                        .setConnectionTimeoutUnit(TimeUnit.MILLISECONDS)
                        .setIdleTimeout(10)
                        .setIdleTimeoutUnit(TimeUnit.MINUTES)
                        .setPoolCleanerPeriod(60_000))
                .connectingTo(connect)
                .using(vertx)
                .build();
    }

    /** Reads in the call's lane. */
    public Future<RowSet<Row>> query(Call call, String sql, Tuple args) {
        return query(call.pool(), sql, args);
    }

    /**
     * Reads, or does the kernel's own unaudited housekeeping, in a lane. Waits for a connection and for the answer no longer
     * than the statement may run: a server that hangs does not keep that time itself. Its connection stays taken until it
     * answers or the line is cut, so what hangs is bounded by the pool.
     */
    public Future<RowSet<Row>> query(Call.Lane lane, String sql, Tuple args) {
        return lane(lane)
                .preparedQuery(sql)
                .execute(args)
                .timeout(bounds(lane).statementTimeoutMillis(), TimeUnit.MILLISECONDS)
                .recover(Failures::translated);
    }

    /** The single row, or the problem where there is none. */
    public Future<Row> row(Call call, String sql, Tuple args, String problemCode) {
        return query(call, sql, args)
                .compose(rows -> rows.size() == 0
                        ? Future.failedFuture(Problem.of(problemCode))
                        : Future.succeededFuture(rows.iterator().next()));
    }

    /**
     * Runs a command: once per idempotency key, whatever happens to the caller.
     *
     * <p>One under a four-eyes rule runs with the real rules too. Where the rule demands approval for what it came to, all of it
     * is rolled back, and a second short transaction keeps the command as a pending change, its audit row, its events and the
     * answer of its key: 202. A dry run says so with {@link Reply#approval}.
     *
     * <p>In DRY_RUN everything runs with the real rules and is rolled back. A refusal by the rules of the business rolls
     * back too, then a second short transaction stores the key with it and audits it. A lost answer to COMMIT is
     * {@code request.unknown}: unknown, never failed; the caller repeats the key.
     *
     * @param change does the work through the {@link Tx} and must name an object or an event
     */
    public Future<Reply> write(Call call, Function<Tx, Future<Reply>> change) {
        byte[] hash = Tx.hash(call);
        return connection(call).compose(connection -> {
            Tx tx = new Tx(connection, call, Ids.next());
            FourEyes eyes = new FourEyes(tx, answers);
            Future<Void> entered = enter(tx, false, hash);
            Future<Void> asked = eyes.ask(hash);
            return entered.compose(v -> asked)
                    .compose(v -> apply(change, tx))
                    .compose(eyes::weigh)
                    .compose(reply -> end(tx, hash, eyes, reply), failure -> abandon(tx, hash, failure))
                    .onComplete(done -> connection.close());
        });
    }

    /**
     * Runs one chunk of many rows as one transaction: the rows, one audit row over them, one range event, and whatever
     * the work moves inside it (a job's position, a consumer's cursor).
     */
    public Future<Chunk> bulk(Call call, Function<Tx, Future<Chunk>> rows) {
        if (call.approval() != null) {
            throw new IllegalStateException(
                    call.operationId() + " is under a four-eyes rule, which this door does not ask");
        }
        return connection(call).compose(connection -> {
            Tx tx = new Tx(connection, call, Ids.next());
            return enter(tx, true, new byte[0])
                    .compose(v -> rows.apply(tx))
                    .compose(
                            chunk -> {
                                tx.auditFields()
                                        .put("kind", "bulk")
                                        .put("object_type", chunk.objectType())
                                        .put("row_count", chunk.rows())
                                        .put(
                                                "rows_hash",
                                                "\\x" + java.util.HexFormat.of().formatHex(chunk.hash()))
                                        .put("first_id", chunk.firstId())
                                        .put("last_id", chunk.lastId());
                                tx.events().add(chunk.event());
                                return leaveAndCommit(tx, null).map(chunk);
                            },
                            failure -> tx.rollback()
                                    .transform(v -> Future.<Chunk>failedFuture(Failures.translate(failure))))
                    .onComplete(done -> connection.close());
        });
    }

    /** How many changes this node has brought to an end; one more: there may be events. */
    public long ended() {
        return ended.get();
    }

    public Future<Void> close() {
        return Future.join(pools.values().stream().map(Pool::close).toList()).mapEmpty();
    }

    private Lane bounds(Call.Lane lane) {
        return Objects.requireNonNull(lanes.get(lane), lane::name);
    }

    private Pool lane(Call.Lane lane) {
        Pool pool = pools.get(lane);
        if (pool == null) {
            throw new IllegalStateException("no pool for lane " + lane);
        }
        return pool;
    }

    /** Waits for a connection no longer than the caller does; one that comes too late goes straight back. */
    private Future<SqlConnection> connection(Call call) {
        long remaining = call.remainingMillis();
        if (remaining <= 0) {
            return Future.failedFuture(Problem.of("server.busy"));
        }
        Promise<SqlConnection> promise = Promise.promise();
        long timer = vertx.setTimer(remaining, id -> promise.tryFail(Problem.of("server.busy")));
        lane(call.pool()).getConnection().onComplete(got -> {
            vertx.cancelTimer(timer);
            if (got.failed()) {
                promise.tryFail(Failures.noConnection(got.cause()));
            } else {
                // The statement under way fails too and is told of; without a handler the client prints this past the
                // log.
                got.result().exceptionHandler(e -> LOG.debug("a connection broke: {}", e.getMessage()));
                if (!promise.tryComplete(got.result())) {
                    got.result().close();
                }
            }
        });
        return promise.future();
    }

    /** BEGIN and enter() in one flight. */
    private Future<Void> enter(Tx tx, boolean bulk, byte[] hash) {
        Call call = tx.call();
        boolean keyed = call.mode() == Call.Mode.EXECUTE && !bulk && call.meta().idempotencyKey() != null;
        Future<?> begun = tx.begin();
        Future<RowSet<Row>> entered = tx.raw(
                ENTER,
                Tuple.of(
                        tx.auditId(),
                        bulk,
                        call.principal().subject(),
                        call.operationId(),
                        keyed ? call.meta().idempotencyKey() : null,
                        keyed ? Buffer.buffer(hash) : null));
        return begun.compose(v -> entered).map(rows -> {
            tx.entered(rows.iterator().next().getOffsetDateTime(0));
            return null;
        });
    }

    private static Future<Reply> apply(Function<Tx, Future<Reply>> change, Tx tx) {
        try {
            return change.apply(tx);
        } catch (RuntimeException e) {
            return Future.failedFuture(e);
        }
    }

    private Future<Reply> end(Tx tx, byte[] hash, FourEyes eyes, Reply reply) {
        if (tx.call().mode() == Call.Mode.DRY_RUN) {
            return discard(tx, eyes.told(reply));
        }
        return eyes.demandsApproval() ? propose(tx, hash, eyes, reply) : commit(tx, reply);
    }

    /** Undoes what was done to see whether it can be, and keeps the command instead. */
    private Future<Reply> propose(Tx tx, byte[] hash, FourEyes eyes, Reply reply) {
        return discard(tx, reply).compose(undone -> second(tx, hash, kept -> eyes.propose(kept, hash, reply)));
    }

    private Future<Reply> commit(Tx tx, Reply reply) {
        if (!tx.saysWhatItDid()) {
            return tx.rollback()
                    .transform(v -> Future.failedFuture(new IllegalStateException(
                            tx.call().operationId() + " changed something without naming its object or an event")));
        }
        return leaveAndCommit(tx, tx.refusal() == null ? reply : null).compose(v -> answer(tx, reply));
    }

    private static Future<Reply> answer(Tx tx, Reply reply) {
        return tx.refusal() == null
                ? Future.succeededFuture(reply.receipt(tx.receipt()))
                : Future.failedFuture(tx.refusal());
    }

    /**
     * Sends leave() and COMMIT in one flight. COMMIT answers ROLLBACK in a failed transaction, but then leave() has failed
     * before it; so both having succeeded is the proof that the transaction is there.
     */
    private Future<Void> leaveAndCommit(Tx tx, @Nullable Reply reply) {
        ObjectNode audit = tx.audit();
        boolean keyed = audit.hasNonNull("key");
        Future<RowSet<Row>> left = tx.raw(
                LEAVE,
                Tuple.of(
                        audit.toString(),
                        Event.toJson(tx.events()),
                        reply == null ? null : reply.status(),
                        reply == null || reply.body() == null || !keyed
                                ? null
                                : Buffer.buffer(
                                        answers.seal().apply(reply.body().getBytes())),
                        reply == null ? null : reply.etag(),
                        reply == null ? null : reply.location()));
        Future<?> committed = tx.commit();
        return left.transform(written -> committed.transform(done -> {
            ended.incrementAndGet();
            Throwable failure = written.failed() ? written.cause() : done.cause();
            // A COMMIT that is answered after leave() has failed was answered with ROLLBACK.
            if (written.succeeded()) {
                tx.left(written.result());
            }
            if (failure == null) {
                return Future.succeededFuture();
            }
            if ((written.failed() && done.succeeded()) || Failures.isCertain(failure)) {
                return tx.rollback().compose(v -> Failures.translated(failure));
            }
            LOG.atWarn()
                    .addKeyValue("requestId", tx.call().meta().requestId())
                    .addKeyValue("operation", tx.call().operationId())
                    .log("the answer to COMMIT was lost");
            return Future.failedFuture(Problem.of("request.unknown"));
        }));
    }

    /** What a dry run ends with: deferred constraints have their say, then nothing stays. */
    private Future<Reply> discard(Tx tx, Reply reply) {
        return tx.query("SET CONSTRAINTS ALL IMMEDIATE", Tuple.tuple())
                .transform(checked -> tx.rollback()
                        .compose(v -> checked.succeeded() ? answer(tx, reply) : Future.failedFuture(checked.cause())));
    }

    private Future<Reply> abandon(Tx tx, byte[] hash, Throwable failure) {
        Call call = tx.call();
        return tx.rollback().transform(v -> {
            if (Failures.isKeyTaken(failure)) {
                return replay(tx.connection(), call, hash);
            }
            if (Failures.isLockTimeout(failure) && call.meta().idempotencyKey() != null) {
                return Future.failedFuture(Problem.of("request.inFlight"));
            }
            Throwable meaning = Failures.translate(failure);
            Problem problem = Problem.in(meaning);
            if (problem == null || call.mode() != Call.Mode.EXECUTE || !Problems.isRefusal(problem)) {
                return Future.failedFuture(meaning);
            }
            return second(tx, hash, refused -> {
                refused.kind("refusal");
                return refused.refuse(problem);
            });
        });
    }

    /** The second, short transaction, of a command that was rolled back: what is kept of it, with its audit row and its key. */
    private Future<Reply> second(Tx first, byte[] hash, Function<Tx, Future<Reply>> keep) {
        SqlConnection connection = first.connection();
        Call call = first.call();
        Tx tx = new Tx(connection, call, Ids.next());
        return enter(tx, false, hash)
                .compose(v -> keep.apply(tx))
                .compose(reply ->
                        leaveAndCommit(tx, tx.refusal() == null ? reply : null).map(reply))
                .transform(stored -> stored.succeeded()
                        ? answer(tx, stored.result())
                        : tx.rollback()
                                .transform(v -> Failures.isKeyTaken(stored.cause())
                                        ? replay(connection, call, hash)
                                        : Failures.translated(stored.cause())));
    }

    private Future<Reply> replay(SqlConnection connection, Call call, byte[] hash) {
        return connection
                .preparedQuery(STORED)
                .execute(Tuple.of(
                        call.principal().subject(),
                        call.operationId(),
                        call.meta().idempotencyKey()))
                .recover(Failures::translated)
                .compose(rows -> {
                    if (rows.size() == 0) {
                        return Future.failedFuture(Problem.of("request.inFlight"));
                    }
                    Row row = rows.iterator().next();
                    if (!MessageDigest.isEqual(row.getBuffer("body_hash").getBytes(), hash)) {
                        return Future.failedFuture(Problem.of("request.keyReused"));
                    }
                    String code = row.getString("code");
                    if (code != null) {
                        String[] args = row.getArrayOfStrings("args");
                        return Future.failedFuture(Problem.of(code, args == null ? new String[0] : args));
                    }
                    Buffer answer = row.getBuffer("answer");
                    Buffer body =
                            answer == null ? null : Buffer.buffer(answers.open().apply(answer.getBytes()));
                    Reply first = new Reply(
                            row.getInteger("status"),
                            body,
                            row.getString("etag"),
                            row.getString("location"),
                            null,
                            true);
                    return Future.succeededFuture(first.receipt(row.getString("receipt")));
                });
    }
}
