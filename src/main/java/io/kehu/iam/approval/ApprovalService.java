package io.kehu.iam.approval;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.kehu.sql.FourEyes;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Looking at what waits, deciding it, and the policies that make it wait. */
final class ApprovalService {
    /** How long the last one who agrees waits for what comes of it. */
    private static final int PATIENCE_SECONDS = 5;

    private static final String POLICY_READ = "approval-policy:read";

    private final Database database;
    private final ApprovalStore store;
    private final ApprovalWork work;
    private final Vault vault;
    private final Map<String, Views> views = new HashMap<>();
    private final UnaryOperator<byte[]> mac;

    /** The fields of one operation's body that an approval shows, and those it masks. */
    private record Views(Set<String> shown, Set<String> masked) {
        static final Views NONE = new Views(Set.of(), Set.of());
    }

    ApprovalService(
            Database database,
            ApprovalStore store,
            ApprovalWork work,
            Vault vault,
            Contract contract,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.work = work;
        this.vault = vault;
        this.mac = mac;
        for (Operation operation : contract.operations()) {
            JsonNode declared = contract.document()
                    .path("paths")
                    .path(operation.path())
                    .path(operation.method().toLowerCase(Locale.ROOT));
            views.put(
                    operation.id(),
                    new Views(names(declared.path("x-approval-shows")), names(declared.path("x-approval-masks"))));
        }
    }

    private static Set<String> names(JsonNode array) {
        Set<String> names = new HashSet<>();
        array.forEach(name -> names.add(name.textValue()));
        return names;
    }

    /** What the caller may see, newest first. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getUUID("id").toString()),
                        (json, row) -> Approval.from(row).item(json))));
    }

    /** Problems: approval.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("approvalId")).compose(approval -> {
            ApprovalRules.mustSee(approval, call.principal());
            return shown(store.reader(call), call.principal(), approval);
        });
    }

    private Future<Reply> shown(ApprovalStore.Reader reader, Principal who, Approval approval) {
        return ApprovalStore.decisions(reader, approval.id())
                .compose(decisions -> ApprovalStore.content(reader, approval.id())
                        .map(content -> Reply.ok(json -> approval.toJson(
                                        json, decisions, fields(content), answer(who, approval, content)))
                                .etag(tag(approval))));
    }

    /** What has expired is another answer than what it was, although nobody has changed it yet. */
    private static String tag(Approval approval) {
        return approval.version() + (approval.state().equals("expired") && approval.endedAt() == null ? ".x" : "");
    }

    private List<ApprovalRules.Field> fields(@Nullable Row content) {
        if (content == null) {
            return List.of();
        }
        FourEyes.Command command = work.command(content);
        Views view = views.getOrDefault(command.operationId(), Views.NONE);
        return ApprovalRules.fields(command.body(), view.shown, view.masked);
    }

    /** It was given to the maker alone, as if the command had run at once. */
    private @Nullable Buffer answer(Principal who, Approval approval, @Nullable Row content) {
        Buffer sealed = content == null ? null : ApprovalStore.bytes(content, "answer");
        return sealed == null || !approval.makerId().equals(who.subject())
                ? null
                : Buffer.buffer(vault.openSystem(ApprovalWork.SEALED_FOR, sealed.getBytes()));
    }

    /**
     * Agrees; carries the command out where this was the last one asked. Problems: approval.notFound, approval.ended,
     * approval.expired, approval.ownChange, approval.notYours, approval.alreadyDecided, approval.sameHand,
     * approval.policyChanged.
     */
    Future<Reply> approve(Call call) {
        AtomicBoolean whole = new AtomicBoolean();
        return database.write(
                        call,
                        tx -> decidable(tx).compose(approval -> {
                            tx.kind("approval");
                            ApprovalRules.Step step = ApprovalRules.agreed(approval);
                            whole.set(step.state().equals("approved"));
                            return store.decide(tx, approval, "approve", reason(call))
                                    .compose(v -> store.step(tx, approval, step))
                                    .compose(v -> after(tx));
                        }))
                .compose(reply -> whole.get() && !reply.replayed() && call.mode() == Call.Mode.EXECUTE
                        ? carriedOut(call, reply)
                        : Future.succeededFuture(reply));
    }

    /** The decision stands whatever comes of this, and the receipt is its own; what does not run now the sweep runs. */
    private Future<Reply> carriedOut(Call call, Reply decided) {
        return work.execute(call.id("approvalId"))
                .timeout(PATIENCE_SECONDS, TimeUnit.SECONDS)
                .compose(v -> get(call))
                .map(shown -> shown.receipt(decided.receipt()))
                .recover(failure -> Future.succeededFuture(decided));
    }

    /**
     * Refuses. Problems: approval.notFound, approval.ended, approval.expired, approval.ownChange, approval.notYours,
     * approval.alreadyDecided, approval.policyChanged.
     */
    Future<Reply> reject(Call call) {
        return database.write(
                call,
                tx -> decidable(tx)
                        .compose(approval -> {
                            tx.kind("approval");
                            return store.decide(tx, approval, "reject", reason(call))
                                    .compose(v -> store.end(tx, approval.id(), "rejected", null));
                        })
                        .compose(v -> after(tx)));
    }

    private static @Nullable String reason(Call call) {
        return call.body() == null ? null : call.body().path("reason").textValue();
    }

    /** The approval, locked, where the caller may decide it now: by the rights that PostgreSQL knows of, not the token's. */
    private Future<Approval> decidable(Tx tx) {
        return store.decider(tx)
                .compose(row -> store.locked(tx, row.getUUID("branch_id")).compose(approval -> {
                    ApprovalRules.mustSee(approval, tx.principal());
                    ApprovalRules.mustDecide(approval, tx.principal(), ApprovalStore.decider(row));
                    return ApprovalStore.policyVersion(tx::query, approval.policy())
                            .compose(version -> version == approval.policyVersion()
                                    ? Future.succeededFuture(approval)
                                    : Future.failedFuture(Problem.of("approval.policyChanged")));
                }));
    }

    /** Takes one's own change back. Problems: approval.notFound, approval.ended, approval.expired. */
    Future<Reply> withdraw(Call call) {
        return database.write(
                call,
                tx -> store.locked(tx, branch(tx.principal()))
                        .compose(approval -> {
                            if (!approval.makerId().equals(tx.principal().subject())) {
                                return Future.failedFuture(Problem.of("approval.notFound"));
                            }
                            ApprovalRules.mustBe(approval, Set.of("pending", "approved"));
                            tx.kind("approval");
                            return store.end(tx, approval.id(), "withdrawn", null);
                        })
                        .compose(v -> after(tx)));
    }

    private static UUID branch(Principal principal) {
        return principal.branchId() == null ? Principal.NOBODY : principal.branchId();
    }

    /** As it stands at the end of this transaction. */
    private Future<Reply> after(Tx tx) {
        return store.locked(tx, branch(tx.principal())).compose(approval -> shown(tx::query, tx.principal(), approval));
    }

    /** Every policy by code. */
    Future<Reply> policies(Call call) {
        return store.policies(call)
                .map(rows -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeArrayFieldStart("items");
                    for (Row row : rows) {
                        Policy.from(row).toJson(json);
                    }
                    json.writeEndArray();
                    json.writeEndObject();
                }));
    }

    /** One policy, now or as of an instant. Problems: policy.notFound, request.asOfTooLate. */
    Future<Reply> policy(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> store.policy(call, asOf))
                .map(policy -> Reply.ok(policy::toJson).etag(policyTag(policy)));
    }

    /** Whether it is in force changes with others too. */
    private static String policyTag(Policy policy) {
        return policy.version() + (policy.inForce() ? ".on" : ".off");
    }

    /**
     * Changes a policy, and ends what was weighed by its older version. Problems: policy.notFound, request.stale,
     * policy.tooFewPeople.
     */
    Future<Reply> changePolicy(Call call) {
        return database.write(
                call,
                tx -> store.lockedPolicy(tx)
                        .compose(before -> Past.mustMatch(call, before.version())
                                .compose(v -> store.update(tx, before.patched(call.json()))))
                        .compose(policy -> (asksMore(call) ? store.mustHavePeople(tx) : Future.<Void>succeededFuture())
                                .compose(v -> store.endOfPolicy(tx, policy))
                                .map(ended -> {
                                    tx.kind("setting");
                                    tx.event(Event.of(
                                                    "approval-policy.changed",
                                                    policy.id(),
                                                    policy.version(),
                                                    POLICY_READ)
                                            .with("code", policy.code()));
                                    ended.forEach(row -> FourEyes.events("approval.refused", row)
                                            .forEach(tx::event));
                                    return Reply.ok(policy::toJson).etag(policyTag(policy));
                                })));
    }

    /** A policy that is switched off, or whose branches change, leaves nobody without those who could decide. */
    private static boolean asksMore(Call call) {
        return call.json().path("enabled").asBoolean() || call.json().has("levels");
    }
}
