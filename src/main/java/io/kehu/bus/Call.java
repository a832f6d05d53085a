package io.kehu.bus;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vertx.core.Future;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One request on its way through Kehu: immutable, passed by reference inside a process and encoded between nodes.
 *
 * @param operationId the operation of the contract, also the name on the bus and of the service method
 * @param params path, query and header parameters under their names, already of the contract's types
 * @param body the checked JSON body, or null where there is none
 * @param principal who calls
 * @param mode whether the change is to stay
 * @param pool which connection pool serves it, from {@code x-pool}
 * @param meta what HTTP said beside parameters and body
 * @param approval the four-eyes rule it is under, from {@code x-approval}; null for none, and for what Kehu does by itself
 * @param deadlineMillis when the caller stops waiting, as {@link #deadlineIn} gave it; means nothing to another process
 */
public record Call(
        String operationId,
        ObjectNode params,
        @Nullable ObjectNode body,
        Principal principal,
        Mode mode,
        Lane pool,
        Meta meta,
        @Nullable Approval approval,
        long deadlineMillis) {

    /**
     * Whether a command stays (EXECUTE) or only shows what would happen (DRY_RUN). Whether one that is to stay has to wait for
     * a second person is not the caller's to say: {@code Database.write} finds out.
     */
    public enum Mode {
        EXECUTE,
        DRY_RUN
    }

    /**
     * The four-eyes rule of a command.
     *
     * @param policy the code of the policy that says whether, and by whom, it has to be approved
     * @param id the approval that was given and is carried out by this call; null where the call has to ask
     */
    public record Approval(String policy, @Nullable UUID id) {}

    /** The connection pools: quick reads and writes, searches, heavy work, and jobs. */
    public enum Lane {
        POINT,
        SEARCH,
        HEAVY,
        JOB
    }

    /**
     * What HTTP said beside parameters and body.
     *
     * @param requestId names the request in logs, audit and answers
     * @param idempotencyKey makes a repeated command harmless; null for none
     * @param ifMatch the version the caller saw, from {@code If-Match}, without quotes; null for none
     * @param purpose why personal data is wanted, from {@code Kehu-Purpose}; null for none
     * @param address the caller's network address
     */
    public record Meta(
            String requestId,
            @Nullable String idempotencyKey,
            @Nullable String ifMatch,
            @Nullable String purpose,
            String address) {}

    /** A call that Kehu makes by itself. */
    public static Call internal(String operationId, Lane pool, long timeoutMillis) {
        return new Call(
                operationId,
                Json.object(),
                null,
                Principal.KEHU,
                Mode.EXECUTE,
                pool,
                new Meta("internal-" + UUID.randomUUID(), null, null, null, "internal"),
                null,
                deadlineIn(timeoutMillis));
    }

    /** The deadline so far from now, by the timer of this process: a clock that is set anew ends no call. */
    public static long deadlineIn(long millis) {
        return System.nanoTime() / 1_000_000 + millis;
    }

    public long remainingMillis() {
        return deadlineMillis - deadlineIn(0);
    }

    /** For what proves, sends or counts something: it cannot be tried out. Problems: request.noDryRun. */
    public Future<Void> mustBeReal() {
        return mode == Mode.EXECUTE ? Future.succeededFuture() : Future.failedFuture(Problem.of("request.noDryRun"));
    }

    /** The body of an operation that must have one. */
    public ObjectNode json() {
        if (body == null) {
            throw Problem.of("request.bodyMissing");
        }
        return body;
    }

    public UUID id(String name) {
        return UUID.fromString(params.required(name).textValue());
    }

    public @Nullable UUID optionalId(String name) {
        String value = text(name);
        return value == null ? null : UUID.fromString(value);
    }

    public @Nullable String text(String name) {
        JsonNode value = params.get(name);
        return value == null || value.isNull() ? null : value.asText();
    }

    public String text(String name, String otherwise) {
        String value = text(name);
        return value == null ? otherwise : value;
    }

    public int integer(String name, int otherwise) {
        JsonNode value = params.get(name);
        return value == null ? otherwise : value.intValue();
    }

    /** The values of an array parameter; empty where it is absent. */
    public List<String> list(String name) {
        List<String> values = new ArrayList<>();
        params.path(name).forEach(v -> values.add(v.asText()));
        return values;
    }
}
