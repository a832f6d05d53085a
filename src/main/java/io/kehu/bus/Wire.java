package io.kehu.bus;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Problem.FieldError;
import io.vertx.core.AsyncResult;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.eventbus.MessageCodec;
import io.vertx.core.shareddata.LocalMap;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How {@link Call} and {@link Outcome} travel between nodes: JSON, length first; inside a process by reference. Jackson binds
 * the records here, where both ends are this program, so that a new field cannot be forgotten on the way.
 */
public final class Wire {
    private static final Logger LOG = LoggerFactory.getLogger(Wire.class);

    private Wire() {}

    /** A reply or a problem: what a call came to. An unexpected failure is logged where it happened and sent as a bland one. */
    public record Outcome(@Nullable Reply reply, @Nullable Problem problem) {
        static Outcome of(AsyncResult<Reply> result, Call call) {
            if (result.succeeded()) {
                return new Outcome(result.result(), null);
            }
            Problem problem = Problem.in(result.cause());
            if (problem == null) {
                LOG.atError()
                        .setCause(result.cause())
                        .addKeyValue("requestId", call.meta().requestId())
                        .addKeyValue("operation", call.operationId())
                        .log("an operation failed unexpectedly");
                problem = Problem.of("server.failure");
            }
            return new Outcome(null, problem);
        }
    }

    /** Lets a Vert.x instance send and receive both; may be called again. */
    public static void register(Vertx vertx) {
        LocalMap<String, Boolean> once = vertx.sharedData().getLocalMap("kehu.wire");
        if (once.putIfAbsent("registered", true) == null) {
            vertx.eventBus()
                    .registerDefaultCodec(
                            Call.class, new Codec<>("kehu.call", SentCall.class, SentCall::of, SentCall::call));
            vertx.eventBus()
                    .registerDefaultCodec(
                            Outcome.class,
                            new Codec<>("kehu.outcome", SentOutcome.class, SentOutcome::of, SentOutcome::outcome));
        }
    }

    /** Clocks of nodes differ: what travels is the time that is left. */
    record SentCall(
            String operationId,
            ObjectNode params,
            @Nullable ObjectNode body,
            Principal principal,
            Call.Mode mode,
            Call.Lane pool,
            Call.Meta meta,
            Call.@Nullable Approval approval,
            long remainingMillis) {
        static SentCall of(Call call) {
            return new SentCall(
                    call.operationId(),
                    call.params(),
                    call.body(),
                    call.principal(),
                    call.mode(),
                    call.pool(),
                    call.meta(),
                    call.approval(),
                    call.remainingMillis());
        }

        Call call() {
            long deadline = Call.deadlineIn(remainingMillis);
            return new Call(operationId, params, body, principal, mode, pool, meta, approval, deadline);
        }
    }

    record SentOutcome(@Nullable SentReply reply, @Nullable SentProblem problem) {
        static SentOutcome of(Outcome outcome) {
            Reply reply = outcome.reply();
            Problem problem = outcome.problem();
            return new SentOutcome(
                    reply == null ? null : SentReply.of(reply),
                    problem == null
                            ? null
                            : new SentProblem(problem.code(), problem.args(), problem.errors(), problem.members()));
        }

        Outcome outcome() {
            return new Outcome(
                    reply == null ? null : reply.reply(),
                    problem == null ? null : new Problem(problem.code, problem.args, problem.errors, problem.members));
        }
    }

    record SentProblem(String code, List<String> args, List<FieldError> errors, ObjectNode members) {}

    @SuppressWarnings("ArrayRecordComponent") // on its way, never compared
    record SentReply(
            int status,
            byte @Nullable [] body,
            @Nullable String etag,
            @Nullable String location,
            Reply.@Nullable Download blob,
            @Nullable String cookie,
            @Nullable String approval,
            boolean replayed,
            @Nullable String receipt) {
        static SentReply of(Reply reply) {
            Buffer body = reply.body();
            return new SentReply(
                    reply.status(),
                    body == null ? null : body.getBytes(),
                    reply.etag(),
                    reply.location(),
                    reply.blob(),
                    reply.cookie(),
                    reply.approval(),
                    reply.replayed(),
                    reply.receipt());
        }

        Reply reply() {
            Buffer bytes = body == null ? null : Buffer.buffer(body);
            return new Reply(status, bytes, etag, location, blob, cookie, approval, replayed, receipt);
        }
    }

    private record Codec<T, S>(String name, Class<S> form, Function<T, S> out, Function<S, T> in)
            implements MessageCodec<T, T> {
        @Override
        public void encodeToWire(Buffer buffer, T message) {
            byte[] bytes = Json.bytes(out.apply(message));
            buffer.appendInt(bytes.length).appendBytes(bytes);
        }

        @Override
        public T decodeFromWire(int position, Buffer buffer) {
            int from = position + 4;
            return in.apply(Json.read(buffer.getBytes(from, from + buffer.getInt(position)), form));
        }

        @Override
        public T transform(T message) {
            return message;
        }

        @Override
        public byte systemCodecID() {
            return -1;
        }
    }
}
