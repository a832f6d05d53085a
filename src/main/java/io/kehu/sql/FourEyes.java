package io.kehu.sql;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Reply;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What the door for commands knows of approvals, for one transaction: whether a command has to wait for a second person, what
 * is kept of one that has to, and that an approved one runs once. Which rules hold and who decides is {@code iam.approval},
 * whose published functions are asked here.
 */
public final class FourEyes {
    /** Asked before the change: a command that changes the rules is held against those it found. */
    private static final String RULE = "SELECT iam.approval_rule($1)::text";

    private static final String CLAIM = "SELECT iam.claim_approval($1, $2, $3, $4)::text";
    private static final String DEMAND = "SELECT iam.approval_demand($1::text::jsonb, $2, $3)::text";
    private static final String PROPOSE = "SELECT * FROM iam.propose_approval($1::text::jsonb, $2, $3)";
    private static final String SETTLE = "SELECT * FROM iam.settle_approval($1, $2, $3, $4, $5, $6, $7, $8)";
    private static final int MAX_SHOWN = 20;
    private static final String PENDING = "SELECT " + pending("$1::uuid");

    private final Tx tx;
    private final Database.Answers answers;
    private @Nullable String rule;
    private @Nullable String levels;

    FourEyes(Tx tx, Database.Answers answers) {
        this.tx = tx;
        this.answers = answers;
    }

    /**
     * A command as it was given: what was approved, and what runs.
     *
     * @param meta of the request that gave it, without its idempotency key, which has its answer already
     */
    public record Command(
            String operationId, ObjectNode params, @Nullable ObjectNode body, Call.Meta meta) {
        static Command of(Call call) {
            Call.Meta meta = call.meta();
            return new Command(
                    call.operationId(),
                    call.params(),
                    call.body(),
                    new Call.Meta(meta.requestId(), null, meta.ifMatch(), meta.purpose(), meta.address()));
        }

        /** The call that carries the approved command out, for its maker as he is today. */
        public Call call(Principal maker, Call.Lane pool, Call.Approval approval, long timeoutMillis) {
            long deadline = Call.deadlineIn(timeoutMillis);
            return new Call(operationId, params, body, maker, Call.Mode.EXECUTE, pool, meta, approval, deadline);
        }
    }

    /** Sent behind enter(), in the same flight. An approved command takes its approval here, or fails. */
    Future<Void> ask(byte[] hash) {
        Call call = tx.call();
        Call.Approval approval = call.approval();
        if (approval == null) {
            return Future.succeededFuture();
        }
        Future<RowSet<Row>> asked = approval.id() == null
                ? tx.raw(RULE, Tuple.of(approval.policy()))
                : tx.raw(
                        CLAIM,
                        Tuple.of(
                                approval.id(),
                                Buffer.buffer(hash),
                                call.principal().subject(),
                                call.operationId()));
        return asked.map(rows -> {
            rule = approval.id() == null ? text(rows) : null;
            return null;
        });
    }

    /** After the change: finds out who must approve it; ends the approval that it carries out, with what it came to. */
    Future<Reply> weigh(Reply reply) {
        Call.Approval approval = tx.call().approval();
        if (approval == null || tx.refusal() != null || (rule == null && approval.id() == null)) {
            return Future.succeededFuture(reply);
        }
        return approval.id() == null
                ? tx.raw(DEMAND, Tuple.of(rule, tx.amount(), tx.count())).map(rows -> {
                    levels = text(rows);
                    return reply;
                })
                : settle(approval.id(), reply);
    }

    private Future<Reply> settle(UUID approval, Reply reply) {
        Buffer body = reply.body();
        Tuple values = Tuple.of(approval, tx.touched(reply), tx.version(), tx.amount(), tx.count());
        values.addInteger(reply.status())
                .addString(reply.location())
                .addBuffer(body == null ? null : Buffer.buffer(answers.seal().apply(body.getBytes())));
        return tx.raw(SETTLE, values).map(rows -> {
            tx.events().addAll(events("approval.executed", rows.iterator().next()));
            return reply;
        });
    }

    private static @Nullable String text(RowSet<Row> rows) {
        return rows.iterator().next().getString(0);
    }

    boolean demandsApproval() {
        return levels != null;
    }

    /** The answer of a dry run, which says too whether the command would wait. */
    Reply told(Reply reply) {
        Call.Approval approval = tx.call().approval();
        return levels == null || approval == null ? reply : reply.awaiting(approval.policy());
    }

    /** In the second transaction, when the change is undone: keeps the command with all that it was weighed by. */
    Future<Reply> propose(Tx second, byte[] hash, Reply reply) {
        second.kind("approval");
        Call call = tx.call();
        Principal maker = call.principal();
        UUID touched = tx.touched(reply);
        ObjectNode facts = Json.object()
                .put("operation", call.operationId())
                .put("maker", maker.subject().toString())
                .put("maker_name", maker.name())
                .put("session", maker.session() == null ? null : maker.session().toString())
                .put(
                        "branch",
                        Objects.requireNonNull(maker.branchId(), "makers are staff")
                                .toString())
                .put("scope", maker.scope().name())
                .put("object_type", tx.objectType())
                .put("object", touched == null ? null : touched.toString())
                .put("object_version", touched == null ? null : tx.version())
                .put("amount", tx.amount())
                .put("count", tx.count());
        facts.set("rule", Json.read(Objects.requireNonNull(rule)));
        facts.set("levels", Json.parse(Buffer.buffer(Objects.requireNonNull(levels))));
        byte[] command = answers.seal().apply(Json.bytes(Command.of(call)));
        return second.raw(PROPOSE, Tuple.of(facts.toString(), Buffer.buffer(command), Buffer.buffer(hash)))
                .map(rows -> {
                    Row made = rows.iterator().next();
                    UUID id = made.getUUID("id");
                    events("approval.requested", made).forEach(second::event);
                    second.approval(id);
                    return Reply.accepted("/v1/approvals/" + id, json -> {
                        json.writeStartObject();
                        json.writeStringField("approvalId", id.toString());
                        json.writeStringField("state", made.getString("state"));
                        json.writeStringField("policy", made.getString("policy"));
                        json.writeStringField("operationId", call.operationId());
                        json.writeStringField("madeAt", Json.instant(made.getOffsetDateTime("made_at")));
                        json.writeStringField("expiresAt", Json.instant(made.getOffsetDateTime("expires_at")));
                        json.writeEndObject();
                    });
                });
    }

    /**
     * What is told of an approval: once to those who may decide it, once to its maker.
     *
     * @param row id, version, policy, operation, asks (the permission that decides), asks_in (the branch it is decided for, or
     *     null for everywhere) and maker_id, as the functions of iam.approval give them
     */
    public static List<Event> events(String type, Row row) {
        UUID id = row.getUUID("id");
        long version = row.getLong("version");
        Event deciders = Event.of(type, id, version, row.getString("asks")).within(row.getUUID("asks_in"), null);
        Event maker = Event.of(type, id, version, "approval:withdraw").within(null, row.getUUID("maker_id"));
        return List.of(facts(deciders, row), facts(maker, row));
    }

    private static Event facts(Event event, Row row) {
        return event.with("policy", row.getString("policy")).with("operationId", row.getString("operation"));
    }

    // ---- what a resource shows of the changes that wait

    /** A column for the statement that reads a resource: what waits for approval on it as JSON, or null; one index look-up. */
    public static String pending(String idColumn) {
        return "(SELECT jsonb_agg(p.shown)::text FROM (SELECT shown FROM iam.pending_change WHERE object_id = "
                + idColumn + " ORDER BY made_at LIMIT " + MAX_SHOWN + ") p) AS pending_changes";
    }

    /**
     * A column that only says whether something waits. For a statement that many run at any moment: the list, almost always
     * empty, takes a fifth of the database's time for a read by key, this a tenth. {@link #found} adds the list where it is true.
     */
    public static String waits(String idColumn) {
        return "EXISTS (SELECT FROM iam.pending_change w WHERE w.object_id = " + idColumn + ") AS waits";
    }

    /** Something that was read with a {@link #waits} column, with what waits; a second round trip only where something does. */
    public static <T> Future<Found<T>> found(Database database, Call call, T value, UUID id, boolean waits) {
        return waits
                ? database.query(call, PENDING, Tuple.of(id))
                        .map(rows -> Found.of(value, rows.iterator().next()))
                : Future.succeededFuture(new Found<>(value, null));
    }

    /**
     * Something read together with its {@link #pending} column.
     *
     * @param pending what waits for approval on it, as JSON; null for nothing, and for the past
     */
    public record Found<T>(T value, @Nullable String pending) {
        public static <T> Found<T> of(T value, Row row) {
            return new Found<>(value, row.getString("pending_changes"));
        }

        /** The answer that shows the thing, with {@code pendingChanges} as its last field where something waits. */
        public Reply beside(Reply shown, long version) {
            Buffer body = shown.body();
            if (pending == null || body == null) {
                return shown.etag(version);
            }
            Buffer whole = body.getBuffer(0, body.length() - 1)
                    .appendString(",\"pendingChanges\":")
                    .appendString(pending)
                    .appendString("}");
            return new Reply(shown.status(), whole, version + ".p" + letters(pending), null, null, false);
        }

        /** Change with what waits: a reader who knows the version alone has not seen that. */
        private static String letters(String pending) {
            StringBuilder letters = new StringBuilder();
            for (int hash = pending.hashCode(), i = 0; i < 7; i++, hash /= 26) {
                letters.append((char) ('a' + Math.floorMod(hash, 26)));
            }
            return letters.toString();
        }
    }
}
