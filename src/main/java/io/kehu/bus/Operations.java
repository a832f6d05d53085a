package io.kehu.bus;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.eventbus.DeliveryOptions;
import io.vertx.core.eventbus.Message;
import io.vertx.core.eventbus.ReplyException;
import io.vertx.core.shareddata.LocalMap;
import io.vertx.core.shareddata.Shareable;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The table operationId -> method of one domain. Serving it makes the operations reachable in two ways that answer
 * alike: by reference for callers in the same process, and over the bus at the domain's address for other nodes.
 */
public final class Operations {
    private static final String LOCAL = "kehu.operations";

    private final String address;
    private final Map<String, Function<Call, Future<Reply>>> table = new LinkedHashMap<>();

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

    private void answer(Message<Call> message) {
        Function<Call, Future<Reply>> method = table.get(message.body().operationId());
        Future<Reply> reply = method == null
                ? Future.failedFuture(Problem.of("request.unavailable"))
                : invoke(method, message.body());
        reply.onComplete(result -> message.reply(Wire.Outcome.of(result, message.body())));
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
                        failure -> Future.failedFuture(refusal(failure)));
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
