package io.kehu.http;

import io.kehu.bus.Call;
import io.kehu.bus.Operations;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.bus.Wire;
import io.kehu.contract.Operation;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.eventbus.DeliveryOptions;
import io.vertx.core.eventbus.ReplyException;
import io.vertx.core.eventbus.ReplyFailure;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/**
 * Step 5 of a request: hands a {@link Call} to whoever serves its operation. A domain of this process gets the record itself,
 * on the caller's event loop; another node gets it over the bus. Both answer alike.
 */
public final class BusBridge {
    /** Waits before each further attempt where nobody serves a domain: the last node may be about to be replaced. */
    private static final int[] AGAIN_MILLIS = {50, 100, 200};

    private final Vertx vertx;
    private final int maxInFlight;
    private final int maxReplyBytes;
    private final AtomicInteger inFlight = new AtomicInteger();

    /**
     * Calls whoever serves an operation.
     *
     * @param maxInFlight calls under way at once; more are refused
     * @param maxReplyBytes a longer reply is a defect of its operation: what is big travels beside the bus
     */
    public BusBridge(Vertx vertx, int maxInFlight, int maxReplyBytes) {
        this.vertx = vertx;
        this.maxInFlight = maxInFlight;
        this.maxReplyBytes = maxReplyBytes;
        Wire.register(vertx);
    }

    int inFlight() {
        return inFlight.get();
    }

    /**
     * Calls the operation and waits no longer than its deadline.
     *
     * <p>Fails with {@code server.busy} when too many calls are under way, {@code server.slow} for a query and {@code
     * request.unknown} for a command past its deadline, {@code request.unavailable} when no node serves the domain.
     */
    Future<Reply> call(Operation operation, Call call) {
        if (inFlight.incrementAndGet() > maxInFlight) {
            inFlight.decrementAndGet();
            return Future.failedFuture(Problem.of("server.busy"));
        }
        Function<Call, Future<Reply>> local = Operations.local(vertx, operation.id());
        Future<Reply> reply = local == null ? remote(operation, call, 0) : Operations.invoke(local, call);
        if (!reply.isComplete()) {
            reply = inTime(operation, call, reply);
        }
        return reply.compose(done -> done.body() == null || done.body().length() <= maxReplyBytes
                        ? Future.succeededFuture(done)
                        : Future.failedFuture(new IllegalStateException(
                                operation.id() + " answered " + done.body().length() + " bytes")))
                .onComplete(done -> inFlight.decrementAndGet());
    }

    /**
     * On a timer of the caller's own event loop: {@code Future.timeout} takes that of another thread where a future has no
     * context, and waking it twice a request cost an eighth of it.
     */
    private Future<Reply> inTime(Operation operation, Call call, Future<Reply> reply) {
        Promise<Reply> first = Promise.promise();
        long timer = vertx.setTimer(Math.max(1, call.remainingMillis()), id -> first.tryFail(late(operation)));
        reply.onComplete(done -> {
            vertx.cancelTimer(timer);
            if (done.succeeded()) {
                first.tryComplete(done.result());
            } else {
                first.tryFail(done.cause());
            }
        });
        return first.future();
    }

    private Future<Reply> remote(Operation operation, Call call, int attempt) {
        DeliveryOptions options = new DeliveryOptions().setSendTimeout(Math.max(1, call.remainingMillis()));
        return vertx.eventBus()
                .<Wire.Outcome>request(operation.address(), call, options)
                .compose(
                        message -> {
                            Wire.Outcome outcome = message.body();
                            return outcome.reply() != null
                                    ? Future.succeededFuture(outcome.reply())
                                    : Future.failedFuture(
                                            outcome.problem() != null
                                                    ? outcome.problem()
                                                    : Problem.of("server.failure"));
                        },
                        failure -> mayRepeat(failure, call, attempt)
                                ? later(operation, call, attempt)
                                : Future.failedFuture(refusal(operation, failure)));
    }

    /** Only where the call was certainly not run, and the caller still waits. */
    private static boolean mayRepeat(Throwable failure, Call call, int attempt) {
        return failure instanceof ReplyException reply
                && reply.failureType() == ReplyFailure.NO_HANDLERS
                && attempt < AGAIN_MILLIS.length
                && call.remainingMillis() > AGAIN_MILLIS[attempt];
    }

    private Future<Reply> later(Operation operation, Call call, int attempt) {
        Promise<Reply> promise = Promise.promise();
        vertx.setTimer(
                AGAIN_MILLIS[attempt],
                id -> remote(operation, call, attempt + 1).onComplete(promise));
        return promise.future();
    }

    private static Throwable refusal(Operation operation, Throwable failure) {
        if (failure instanceof ReplyException reply) {
            return switch (reply.failureType()) {
                case NO_HANDLERS -> Problem.of("request.unavailable");
                case TIMEOUT -> late(operation);
                default -> failure;
            };
        }
        return failure;
    }

    private static Problem late(Operation operation) {
        return Problem.of(operation.kind() == Operation.Kind.COMMAND ? "request.unknown" : "server.slow");
    }
}
