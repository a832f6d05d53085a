package io.kehu.bus;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Problem.FieldError;
import io.vertx.core.AsyncResult;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.eventbus.MessageCodec;
import io.vertx.core.shareddata.LocalMap;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** How {@link Call} and {@link Outcome} travel between nodes: JSON, length first; inside a process by reference. */
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

    /** Registers both codecs once per Vert.x instance. */
    static void register(Vertx vertx) {
        LocalMap<String, Boolean> once = vertx.sharedData().getLocalMap("kehu.wire");
        if (once.putIfAbsent("registered", true) == null) {
            vertx.eventBus()
                    .registerDefaultCodec(Call.class, new Codec<>("kehu.call", Wire::encodeCall, Wire::decodeCall));
            vertx.eventBus()
                    .registerDefaultCodec(
                            Outcome.class, new Codec<>("kehu.outcome", Wire::encodeOutcome, Wire::decodeOutcome));
        }
    }

    /** For callers that only send. */
    public static void prepare(Vertx vertx) {
        register(vertx);
    }

    private static ObjectNode encodeCall(Call call) {
        ObjectNode node = Json.object();
        node.put("operationId", call.operationId());
        node.set("params", call.params());
        node.set("body", call.body());
        node.put("mode", call.mode().name());
        node.put("pool", call.pool().name());
        // Clocks of nodes differ: what travels is the time that is left.
        node.put("remainingMillis", call.remainingMillis());
        Call.Meta meta = call.meta();
        node.putObject("meta")
                .put("requestId", meta.requestId())
                .put("idempotencyKey", meta.idempotencyKey())
                .put("ifMatch", meta.ifMatch())
                .put("purpose", meta.purpose())
                .put("address", meta.address());
        node.set("principal", encodePrincipal(call.principal()));
        return node;
    }

    private static Call decodeCall(JsonNode node) {
        JsonNode meta = node.get("meta");
        return new Call(
                node.get("operationId").textValue(),
                (ObjectNode) node.get("params"),
                node.get("body") instanceof ObjectNode body ? body : null,
                decodePrincipal(node.get("principal")),
                Call.Mode.valueOf(node.get("mode").textValue()),
                Call.Lane.valueOf(node.get("pool").textValue()),
                new Call.Meta(
                        meta.get("requestId").textValue(),
                        meta.get("idempotencyKey").textValue(),
                        meta.get("ifMatch").textValue(),
                        meta.get("purpose").textValue(),
                        meta.get("address").textValue()),
                Call.deadlineIn(node.get("remainingMillis").longValue()));
    }

    /** A principal as JSON, for the wire and for work that outlives its request. */
    public static ObjectNode encodePrincipal(Principal principal) {
        ObjectNode who = Json.object()
                .put("subject", principal.subject().toString())
                .put("audience", principal.audience().name())
                .put("session", string(principal.session()))
                .put("version", principal.version())
                .put("name", principal.name())
                .put("branchId", string(principal.branchId()))
                .put("scope", principal.scope().name())
                .put("factorAt", principal.factorAt());
        ArrayNode permissions = who.putArray("permissions");
        principal.permissions().forEach(permissions::add);
        ArrayNode branches = who.putArray("branchIds");
        principal.branchIds().forEach(id -> branches.add(id.toString()));
        return who;
    }

    public static Principal decodePrincipal(JsonNode who) {
        Set<String> permissions = new HashSet<>();
        who.get("permissions").forEach(p -> permissions.add(p.textValue()));
        List<UUID> branches = new ArrayList<>();
        who.get("branchIds").forEach(b -> branches.add(UUID.fromString(b.textValue())));
        return new Principal(
                UUID.fromString(who.get("subject").textValue()),
                Principal.Audience.valueOf(who.get("audience").textValue()),
                uuid(who.get("session")),
                who.get("version").longValue(),
                who.get("name").textValue(),
                uuid(who.get("branchId")),
                permissions,
                Principal.Scope.valueOf(who.get("scope").textValue()),
                branches,
                who.get("factorAt").longValue());
    }

    private static ObjectNode encodeOutcome(Outcome outcome) {
        ObjectNode node = Json.object();
        if (outcome.problem() != null) {
            Problem problem = outcome.problem();
            node.put("code", problem.code());
            ArrayNode args = node.putArray("args");
            problem.args().forEach(args::add);
            ArrayNode errors = node.putArray("errors");
            for (FieldError error : problem.errors()) {
                ArrayNode fieldArgs = errors.addObject()
                        .put("pointer", error.pointer())
                        .put("code", error.code())
                        .putArray("args");
                error.args().forEach(fieldArgs::add);
            }
        } else if (outcome.reply() != null) {
            Reply reply = outcome.reply();
            node.put("status", reply.status());
            if (reply.body() != null) {
                node.put("body", reply.body().getBytes());
            }
            node.put("etag", reply.etag());
            node.put("location", reply.location());
            node.put("cookie", reply.cookie());
            node.put("replayed", reply.replayed());
            if (reply.blob() != null) {
                node.putObject("blob")
                        .put("blobId", reply.blob().blobId().toString())
                        .put("name", reply.blob().name())
                        .put("contentType", reply.blob().contentType());
            }
        }
        return node;
    }

    private static Outcome decodeOutcome(JsonNode node) throws IOException {
        if (node.has("code")) {
            List<FieldError> errors = new ArrayList<>();
            node.get("errors")
                    .forEach(e -> errors.add(new FieldError(
                            e.get("pointer").textValue(), e.get("code").textValue(), strings(e.get("args")))));
            return new Outcome(null, new Problem(node.get("code").textValue(), strings(node.get("args")), errors));
        }
        JsonNode blob = node.get("blob");
        Reply.Download download = blob == null
                ? null
                : new Reply.Download(
                        UUID.fromString(blob.get("blobId").textValue()),
                        blob.get("name").textValue(),
                        blob.get("contentType").textValue());
        return new Outcome(
                new Reply(
                        node.get("status").intValue(),
                        node.has("body") ? Buffer.buffer(node.get("body").binaryValue()) : null,
                        node.get("etag").textValue(),
                        node.get("location").textValue(),
                        download,
                        node.get("cookie").textValue(),
                        node.get("replayed").booleanValue()),
                null);
    }

    private static List<String> strings(JsonNode array) {
        List<String> values = new ArrayList<>();
        array.forEach(v -> values.add(v.textValue()));
        return values;
    }

    private static @Nullable String string(@Nullable UUID id) {
        return id == null ? null : id.toString();
    }

    private static @Nullable UUID uuid(JsonNode node) {
        return node.isTextual() ? UUID.fromString(node.textValue()) : null;
    }

    @FunctionalInterface
    private interface Decoder<T> {
        T decode(JsonNode node) throws IOException;
    }

    private record Codec<T>(String name, Function<T, ObjectNode> encoder, Decoder<T> decoder)
            implements MessageCodec<T, T> {
        @Override
        public void encodeToWire(Buffer buffer, T message) {
            byte[] bytes = Json.write(g -> g.writeTree(encoder.apply(message))).getBytes();
            buffer.appendInt(bytes.length).appendBytes(bytes);
        }

        @Override
        public T decodeFromWire(int position, Buffer buffer) {
            int length = buffer.getInt(position);
            try {
                return decoder.decode(Json.MAPPER.readTree(buffer.getBytes(position + 4, position + 4 + length)));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
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
