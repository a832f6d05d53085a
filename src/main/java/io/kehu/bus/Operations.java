package io.kehu.bus;

import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.eventbus.DeliveryOptions;
import io.vertx.core.eventbus.Message;
import io.vertx.core.eventbus.ReplyException;
import io.vertx.core.eventbus.ReplyFailure;
import io.vertx.core.internal.VertxInternal;
import io.vertx.core.shareddata.LocalMap;
import io.vertx.core.shareddata.Shareable;
import io.vertx.core.spi.cluster.ClusterManager;
import io.vertx.core.spi.cluster.RegistrationInfo;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The table operationId -> method of one domain. Serving it makes the operations reachable in two ways that answer
 * alike: by reference for callers in the same process, and over the bus at the domain's address for other nodes.
 */
public final class Operations {
    private static final String LOCAL = "kehu.operations";
    /** Waits before each further attempt where nobody serves a domain: the last node may be about to be replaced. */
    private static final int[] AGAIN_MILLIS = {50, 100, 200};
    /** So long after the last call of another node we take it that every node knows that we have left. */
    private static final long QUIET_MILLIS = 200;

    private final String address;
    private final Map<String, Function<Call, Future<Reply>>> table = new LinkedHashMap<>();
    private final AtomicInteger underWay = new AtomicInteger();
    private volatile long lastCallMillis = Call.deadlineIn(0);

    private Operations(String address) {
        this.address = address;
    }

    public static Operations at(String address) {
        return new Operations(address);
    }

    public Operations on(String operationId, Function<Call, Future<Reply>> method) {
        if (table.put(operationId, method) != null) {
            throw new IllegalStateException("operation " + operationId + " stands twice in the table of " + address);
        }
        return this;
    }

    /** The bus address, which is the tag in the contract. */
    public String address() {
        return address;
    }

    public Set<String> ids() {
        return Set.copyOf(table.keySet());
    }

    /** Registers the table in this process and on the bus; the future completes when other nodes can reach it. */
    public Future<Void> serve(Vertx vertx) {
        Wire.register(vertx);
        LocalMap<String, Method> local = vertx.sharedData().getLocalMap(LOCAL);
        table.forEach((id, method) -> local.put(id, new Method(method)));
        return vertx.eventBus()
                .<Call>consumer(address, message -> answer(message))
                .completion();
    }

    /**
     * Takes the address off the cluster's list, so that other nodes send their calls elsewhere. The consumer stays: taking it
     * off as well loses what is sent by a node that has not heard of it yet, and its caller waits in vain.
     */
    public Future<Void> leave(Vertx vertx) {
        ClusterManager cluster = ((VertxInternal) vertx).clusterManager();
        if (cluster == null) {
            return Future.succeededFuture();
        }
        Promise<List<RegistrationInfo>> listed = Promise.promise();
        cluster.getRegistrations(address, listed);
        return listed.future()
                .compose(all -> Future.join(all.stream()
                        .filter(one -> one.nodeId().equals(cluster.getNodeId()))
                        .map(one -> {
                            Promise<Void> gone = Promise.promise();
                            cluster.removeRegistration(address, one, gone);
                            return gone.future();
                        })
                        .toList()))
                .mapEmpty();
    }

    /** Completes when no call of another node is under way and none has come for a moment, or after {@code maxMillis}. */
    public Future<Void> drain(Vertx vertx, long maxMillis) {
        long startedMillis = Call.deadlineIn(0);
        Promise<Void> done = Promise.promise();
        vertx.setPeriodic(QUIET_MILLIS / 10, id -> {
            long now = Call.deadlineIn(0);
            boolean quiet = underWay.get() == 0 && now - Math.max(startedMillis, lastCallMillis) >= QUIET_MILLIS;
            if (quiet || now - startedMillis >= maxMillis) {
                vertx.cancelTimer(id);
                done.complete();
            }
        });
        return done.future();
    }

    /** Lets go of every domain of a node that has stopped. */
    public static void forget(Vertx vertx) {
        vertx.sharedData().getLocalMap(LOCAL).clear();
    }

    private void answer(Message<Call> message) {
        underWay.incrementAndGet();
        lastCallMillis = Call.deadlineIn(0);
        Function<Call, Future<Reply>> method = table.get(message.body().operationId());
        Future<Reply> reply = method == null
                ? Future.failedFuture(Problem.of("request.unavailable"))
                : invoke(method, message.body());
        reply.onComplete(result -> {
            message.reply(Wire.Outcome.of(result, message.body()));
            underWay.decrementAndGet();
        });
    }

    /** The method that serves an operation in this process, or null where another node has to. */
    public static @Nullable Function<Call, Future<Reply>> local(Vertx vertx, String operationId) {
        Method method = vertx.sharedData().<String, Method>getLocalMap(LOCAL).get(operationId);
        return method == null ? null : method.function;
    }

    /**
     * Asks whoever serves the operation: this process by reference, else another node over the bus.
     *
     * <p>Fails with {@code request.unavailable} when no node serves the address, and with {@code request.unknown} when no
     * answer came in time: whether it was done is not known.
     */
    public static Future<Reply> ask(Vertx vertx, String address, Call call) {
        Function<Call, Future<Reply>> local = local(vertx, call.operationId());
        if (local != null) {
            return invoke(local, call);
        }
        return remote(vertx, address, call, 0);
    }

    private static Future<Reply> remote(Vertx vertx, String address, Call call, int attempt) {
        DeliveryOptions options = new DeliveryOptions().setSendTimeout(Math.max(1, call.remainingMillis()));
        return vertx.eventBus()
                .<Wire.Outcome>request(address, call, options)
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
                                ? later(vertx, address, call, attempt)
                                : Future.failedFuture(refusal(failure)));
    }

    /** Only where the call was certainly not run, and the caller still waits. */
    private static boolean mayRepeat(Throwable failure, Call call, int attempt) {
        return failure instanceof ReplyException reply
                && reply.failureType() == ReplyFailure.NO_HANDLERS
                && attempt < AGAIN_MILLIS.length
                && call.remainingMillis() > AGAIN_MILLIS[attempt];
    }

    private static Future<Reply> later(Vertx vertx, String address, Call call, int attempt) {
        Promise<Reply> promise = Promise.promise();
        vertx.setTimer(
                AGAIN_MILLIS[attempt],
                id -> remote(vertx, address, call, attempt + 1).onComplete(promise));
        return promise.future();
    }

    private static Throwable refusal(Throwable failure) {
        if (failure instanceof ReplyException reply) {
            return switch (reply.failureType()) {
                case NO_HANDLERS -> Problem.of("request.unavailable");
                case TIMEOUT -> Problem.of("request.unknown");
                default -> failure;
            };
        }
        return failure;
    }

    /** Every operation served in this process. */
    public static Set<String> served(Vertx vertx) {
        return Set.copyOf(vertx.sharedData().<String, Method>getLocalMap(LOCAL).keySet());
    }

    /** A method that throws has failed, it has not broken its caller. */
    public static Future<Reply> invoke(Function<Call, Future<Reply>> method, Call call) {
        try {
            return method.apply(call);
        } catch (RuntimeException e) {
            return Future.failedFuture(e);
        }
    }

    private record Method(Function<Call, Future<Reply>> function) implements Shareable {}
}
