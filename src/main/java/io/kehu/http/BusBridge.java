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
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Step 5 of a request: hands a {@link Call} to whoever serves its operation. A domain of this process gets the record itself,
 * on the caller's event loop; another node gets it over the bus. Both answer alike.
 */
public final class BusBridge {

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
        Future<Reply> reply = Operations.ask(vertx, operation.address(), call);
        if (!reply.isComplete()) {
            reply = inTime(operation, call, reply);
        }
        return reply.compose(
                        done -> done.body() == null || done.body().length() <= maxReplyBytes
                                ? Future.succeededFuture(done)
                                : Future.failedFuture(new IllegalStateException(operation.id() + " answered "
                                        + done.body().length() + " bytes")),
                        failure -> Future.failedFuture(isLate(failure) ? late(operation) : failure))
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

    private static boolean isLate(Throwable failure) {
        Problem problem = Problem.in(failure);
        return problem != null && problem.code().equals("request.unknown");
    }

    private static Problem late(Operation operation) {
        return Problem.of(operation.kind() == Operation.Kind.COMMAND ? "request.unknown" : "server.slow");
    }
}
