package io.kehu.sql;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Sha256;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.SqlConnection;
import io.vertx.sqlclient.Tuple;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One transaction through one of the doors: the only way to send a changing statement, and the place where the change
 * says what it did. Lives from enter() to leave(); not shared.
 */
public final class Tx {
    /** The word means nothing at this level of isolation, but a statement in the same flight sees by it that there was a BEGIN. */
    static final String BEGIN = "BEGIN DEFERRABLE";

    static final String HAS_BEGUN = "current_setting('transaction_deferrable') = 'on'";

    /** How often a ROLLBACK that is cancelled is said. */
    private static final int ROLLBACKS = 10;

    private final SqlConnection connection;
    private final Call call;
    private final UUID auditId;
    private final List<Event> events = new ArrayList<>();
    private final ObjectNode audit = Json.object();
    private @Nullable OffsetDateTime now;
    private @Nullable Problem refusal;
    private @Nullable String receipt;
    private @Nullable BigDecimal amount;
    private @Nullable Long count;

    Tx(SqlConnection connection, Call call, UUID auditId) {
        this.connection = connection;
        this.call = call;
        this.auditId = auditId;
    }

    /**
     * What makes two commands the same: the operation, the parameters, among them the version they were meant for, and the body;
     * in the one form that also travels between nodes.
     */
    static byte[] hash(Call call) {
        MessageDigest digest = Sha256.start();
        digest.update(call.operationId().getBytes(StandardCharsets.UTF_8));
        digest.update((byte) 0);
        digest.update(Json.bytes(call.params()));
        digest.update((byte) 0);
        if (call.body() != null) {
            digest.update(Json.bytes(call.body()));
        }
        return digest.digest();
    }

    public Call call() {
        return call;
    }

    public Principal principal() {
        return call.principal();
    }

    /** The audit row this transaction will leave. */
    public UUID auditId() {
        return auditId;
    }

    /** {@code kehu.now()} at the start of the transaction. */
    public OffsetDateTime now() {
        if (now == null) {
            throw new IllegalStateException("the transaction has not entered yet");
        }
        return now;
    }

    SqlConnection connection() {
        return connection;
    }

    Future<?> begin() {
        return connection.query(BEGIN).execute();
    }

    Future<?> commit() {
        return connection.query("COMMIT").execute();
    }

    /** Whether it succeeds or not, nothing of the transaction stays. */
    Future<Void> rollback() {
        return rollback(ROLLBACKS);
    }

    /**
     * A ROLLBACK too can be cancelled, by a statement timeout or by an operator; the connection would go back to the pool in a
     * transaction that refuses everything.
     */
    private Future<Void> rollback(int times) {
        return connection
                .query("ROLLBACK")
                .execute()
                .<Void>mapEmpty()
                .recover(failure ->
                        Failures.isCancelled(failure) && times > 1 ? rollback(times - 1) : Future.succeededFuture());
    }

    /** Without translation: the doors tell failures apart themselves. */
    Future<RowSet<Row>> raw(String sql, Tuple args) {
        return connection.preparedQuery(sql).execute(args);
    }

    /** What leave() answered: {@code <audit id>:<leaf>}. */
    void left(RowSet<Row> answer) {
        receipt = answer.iterator().next().getString(0);
    }

    @Nullable
    String receipt() {
        return receipt;
    }

    void entered(OffsetDateTime moment) {
        now = moment;
    }

    /** Failures come as the problem that the catalogue names for the constraint, or for the state of the database. */
    public Future<RowSet<Row>> query(String sql, Tuple args) {
        return connection.preparedQuery(sql).execute(args).recover(Failures::translated);
    }

    /** The single row of a statement, or the problem where there is none. */
    public Future<Row> row(String sql, Tuple args, String problemCode) {
        return query(sql, args)
                .compose(rows -> rows.size() == 0
                        ? Future.failedFuture(Problem.of(problemCode))
                        : Future.succeededFuture(rows.iterator().next()));
    }

    /** The first event also names the object of the audit row. */
    public void event(Event event) {
        if (events.isEmpty()) {
            object(event.aggregate(), event.aggregateId(), event.version());
        }
        events.add(event);
    }

    /** Names the object of the audit row where no event does. */
    public void object(String type, UUID id, long version) {
        audit.put("object_type", type).put("object_id", id.toString()).put("object_version", version);
    }

    /**
     * The measure of this change, by which a policy tells what has to be approved by whom. What is not said counts as more
     * than every threshold.
     *
     * @param amount of money in CNY, or null
     * @param count of things, or null
     */
    public void weighs(@Nullable BigDecimal amount, @Nullable Long count) {
        this.amount = amount;
        this.count = count;
    }

    @Nullable
    BigDecimal amount() {
        return amount;
    }

    @Nullable
    Long count() {
        return count;
    }

    /** The object that was there before; null where the change made it, which its answer tells by a Location. */
    @Nullable
    UUID touched(Reply reply) {
        String id = audit.path("object_id").textValue();
        return id == null || reply.location() != null ? null : UUID.fromString(id);
    }

    @Nullable
    String objectType() {
        return audit.path("object_type").textValue();
    }

    /** Of the object, after the change. */
    long version() {
        return audit.path("object_version").longValue();
    }

    /** Names the approval that the audit row is about. */
    void approval(UUID id) {
        audit.put("approval_id", id.toString());
    }

    /** Another kind than an ordinary write, e.g. {@code sign-in} or {@code setting}. */
    public void kind(String kind) {
        audit.put("kind", kind);
    }

    /** A name for the audit where the caller is not signed in yet. */
    public void actor(UUID subject, String name) {
        audit.put("actor", subject.toString()).put("actor_name", name);
    }

    /**
     * Refuses the caller although this transaction stays: what it counted and its audit row are kept, e.g. of a sign-in that
     * failed. For refusals that undo what was done, fail instead.
     */
    public Future<Reply> refuse(Problem problem) {
        refusal = problem;
        code(problem);
        return Future.succeededFuture(Reply.empty());
    }

    @Nullable
    Problem refusal() {
        return refusal;
    }

    void code(Problem problem) {
        ArrayNode args = audit.put("code", problem.code()).putArray("args");
        problem.args().forEach(args::add);
    }

    List<Event> events() {
        return events;
    }

    boolean saysWhatItDid() {
        return audit.has("object_id") || audit.has("row_count");
    }

    /** The audit row as far as Java knows it. */
    ObjectNode audit() {
        Principal who = call.principal();
        Call.Meta meta = call.meta();
        ObjectNode row = Json.object()
                .put("id", auditId.toString())
                .put("kind", "write")
                .put("operation", call.operationId())
                .put("actor", who.subject().toString())
                .put("audience", who.audience().name())
                .put("actor_name", who.name())
                .put("session", who.session() == null ? null : who.session().toString())
                .put("address", meta.address())
                .put("request_id", meta.requestId())
                .put("purpose", meta.purpose())
                .put("key", call.mode() == Call.Mode.EXECUTE ? meta.idempotencyKey() : null);
        if (call.approval() != null && call.approval().id() != null) {
            row.put("approval_id", call.approval().id().toString());
        }
        row.setAll(audit);
        return row;
    }

    ObjectNode auditFields() {
        return audit;
    }
}
