package io.kehu.iam.approval;

import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Operations;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Problems;
import io.kehu.bus.Reply;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.crypto.Vault;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Database;
import io.kehu.sql.FourEyes;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.sqlclient.Row;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out what was approved: the node of the last approval at once, else (it died, the database was away) whichever node
 * sweeps first. A lease keeps two nodes from the same work; that the command runs once does not rest on it but on the guarded
 * update in the command's own transaction. Sweeping also ends what has expired.
 */
final class ApprovalWork {
    private static final Logger LOG = LoggerFactory.getLogger(ApprovalWork.class);
    /** What the door for commands seals answers, and so commands, for. */
    static final String SEALED_FOR = "answer";

    private static final long SWEEP_MILLIS = 1_000;
    private static final int SWEEPS_PER_FORGETTING = 600;
    private static final int LEASE_MILLIS = 20_000;
    private static final int CALL_MILLIS = 15_000;
    private static final int MAX_DELAY_MILLIS = 60_000;
    /** Of failures nobody expected; those that pass are bounded by the approval's time. */
    private static final int MAX_ATTEMPTS = 5;
    /** Other failures that say nothing about the command. */
    private static final Set<String> PASSING =
            Set.of("request.unknown", "request.unavailable", "request.tooManyRequests");

    private final Vertx vertx;
    private final Database database;
    private final ApprovalStore store;
    private final Vault vault;
    private final Map<String, Operation> operations;
    private int sweeps;

    ApprovalWork(Vertx vertx, Database database, ApprovalStore store, Vault vault, Contract contract) {
        this.vertx = vertx;
        this.database = database;
        this.store = store;
        this.vault = vault;
        this.operations = contract.operations().stream()
                .filter(operation -> operation.approval() != null)
                .collect(Collectors.toUnmodifiableMap(Operation::id, Function.identity()));
    }

    /** Codes of policies that the contract names. */
    Set<String> policies() {
        return operations.values().stream().map(Operation::approval).collect(Collectors.toUnmodifiableSet());
    }

    /** From now on this node sweeps, until it stops. */
    void start(Kernel kernel) {
        kernel.every(
                SWEEP_MILLIS,
                this::sweep,
                failure -> LOG.warn("approvals will be looked after later: {}", failure.getMessage()));
    }

    private Future<Void> sweep() {
        boolean forgets = sweeps++ % SWEEPS_PER_FORGETTING == 0;
        return store.expired()
                .compose(ids -> each(ids, this::expire))
                .compose(v -> store.approved())
                .compose(ids -> each(ids, this::execute))
                .compose(v -> forgets ? store.forget() : Future.succeededFuture());
    }

    /** One after the other; what fails with one keeps none of the others waiting. */
    private static Future<Void> each(List<UUID> ids, Function<UUID, Future<Void>> work) {
        Future<Void> done = Future.succeededFuture();
        for (UUID id : ids) {
            done = done.compose(v -> work.apply(id)).recover(failure -> {
                LOG.atWarn()
                        .addKeyValue("approval", id)
                        .log("an approval will be looked after later: {}", failure.getMessage());
                return Future.succeededFuture();
            });
        }
        return done;
    }

    private Future<Void> expire(UUID id) {
        return database.write(
                        Call.internal("expireApproval", Call.Lane.JOB, CALL_MILLIS),
                        tx -> ended(tx, store.expire(tx, id)))
                .<Void>mapEmpty()
                .recover(ApprovalWork::unlessFaster);
    }

    private static Future<Reply> ended(Tx tx, Future<?> end) {
        tx.kind("approval");
        return end.map(v -> Reply.empty());
    }

    /** Another node, or a person, was faster. */
    private static Future<Void> unlessFaster(Throwable failure) {
        Problem problem = Problem.in(failure);
        return problem != null && problem.code().equals("request.stale")
                ? Future.succeededFuture()
                : Future.failedFuture(failure);
    }

    /** Carries one out unless somebody else is at it, or it is not to run any more; does not fail for what the command came to. */
    Future<Void> execute(UUID id) {
        return store.lease(id, LEASE_MILLIS).compose(attempt -> {
            if (attempt == 0) {
                return Future.succeededFuture();
            }
            Call reading = Call.internal("executeApproval", Call.Lane.JOB, CALL_MILLIS);
            return store.find(reading, id)
                    .compose(approval -> run(reading, approval))
                    .<Void>mapEmpty()
                    .recover(failure -> failed(id, attempt, failure));
        });
    }

    private Future<Reply> run(Call reading, Approval approval) {
        Operation operation = operations.get(approval.operation());
        if (operation == null) {
            return Future.failedFuture(Problem.of("approval.operationGone"));
        }
        return ApprovalStore.policyVersion(store.reader(reading), approval.policy())
                .compose(version -> store.maker(approval).compose(maker -> {
                    Problem objection = ApprovalRules.objection(approval, maker, operation.permission(), version);
                    return objection != null || maker == null
                            ? Future.failedFuture(objection == null ? Problem.of("approval.makerGone") : objection)
                            : ApprovalStore.content(store.reader(reading), approval.id())
                                    .compose(content -> send(operation, approval, maker, content));
                }));
    }

    private Future<Reply> send(Operation operation, Approval approval, Principal maker, @Nullable Row content) {
        FourEyes.Command command = content == null ? null : command(content);
        if (command == null) {
            return Future.failedFuture(Problem.of("approval.operationGone"));
        }
        Call call = command.call(
                maker,
                operation.lane(),
                new Call.Approval(approval.policy(), approval.id()),
                Math.max(operation.timeoutMillis(), CALL_MILLIS));
        return Operations.ask(vertx, operation.address(), call);
    }

    FourEyes.Command command(Row content) {
        byte[] sealed = ApprovalStore.bytes(content, "command").getBytes();
        return Json.read(vault.openSystem(SEALED_FOR, sealed), FourEyes.Command.class);
    }

    private Future<Void> failed(UUID id, int attempt, Throwable failure) {
        Problem problem = Problem.in(failure);
        boolean passes = problem != null && (Problems.isUndone(problem) || PASSING.contains(problem.code()));
        boolean expected = problem != null && !problem.code().equals("server.failure");
        if (passes || (!expected && attempt < MAX_ATTEMPTS)) {
            LOG.atWarn()
                    .setCause(problem == null ? failure : null)
                    .addKeyValue("approval", id)
                    .log("an approved command will be tried again: {}", failure.getMessage());
            return store.putOff(id, (int) Math.min(MAX_DELAY_MILLIS, 500L << Math.min(attempt, 10)));
        }
        Problem why = expected ? problem : Problem.of("server.failure");
        return database.write(
                        Call.internal("refuseApproval", Call.Lane.JOB, CALL_MILLIS),
                        tx -> ended(tx, store.end(tx, id, "refused", why)))
                .<Void>mapEmpty()
                .recover(ApprovalWork::unlessFaster);
    }
}
