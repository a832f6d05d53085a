package io.kehu.customer.erasure;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Signer;
import io.kehu.crypto.Vault;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.sqlclient.Row;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Erases whose grace is over, and in a restored copy whoever was erased before. The entry goes outside before the transaction
 * commits: an erasure that nobody outside knows of cannot be, and one that was noted and did not commit is done at the next look,
 * under the same number. That it may be done is judged by the database.
 */
final class ErasureWork {
    private static final Logger LOG = LoggerFactory.getLogger(ErasureWork.class);
    private static final int CALL_MILLIS = 30_000;
    /** Of one look at which entries a database lacks. */
    private static final int CHUNK = 1_000;

    private final Vertx vertx;
    private final Database database;
    private final ErasureStore store;
    private final ErasureList list;
    private final Signer signer;
    private final Vault vault;
    private final int keepDays;

    ErasureWork(
            Vertx vertx,
            Database database,
            ErasureStore store,
            ErasureList list,
            Signer signer,
            Vault vault,
            int keepDays) {
        this.vertx = vertx;
        this.database = database;
        this.store = store;
        this.list = list;
        this.signer = signer;
        this.vault = vault;
        this.keepDays = keepDays;
    }

    /** From now on this node looks for what is due, until it stops. */
    void start(Kernel kernel, int everyMillis) {
        kernel.every(
                everyMillis,
                this::sweep,
                failure -> LOG.warn("customers will be erased later: {}", failure.getMessage()));
    }

    private Future<Void> sweep() {
        return store.due().compose(ids -> {
            Future<Void> done = Future.succeededFuture();
            for (UUID id : ids) {
                done = done.compose(v -> erase(id)).recover(failure -> {
                    LOG.atWarn()
                            .addKeyValue("deletion", id)
                            .log("an erasure will be tried again: {}", failure.getMessage());
                    return Future.succeededFuture();
                });
            }
            return done;
        });
    }

    private Future<Void> erase(UUID deletion) {
        return database.write(
                        Call.internal("eraseCustomer", Call.Lane.JOB, CALL_MILLIS),
                        tx -> store.take(tx, deletion).compose(row -> {
                            Erasure erasure = entry(row, tx).signed(signer);
                            return note(erasure)
                                    .compose(v -> store.erase(tx, erasure))
                                    .map(v -> {
                                        told(tx, row, erasure);
                                        return Reply.empty();
                                    });
                        }))
                .<Void>mapEmpty()
                .recover(failure -> {
                    Problem problem = Problem.in(failure);
                    // Another node was faster.
                    return problem != null && problem.code().equals("request.stale")
                            ? Future.succeededFuture()
                            : Future.failedFuture(failure);
                });
    }

    private Erasure entry(Row row, Tx tx) {
        return new Erasure(
                row.getUUID("id"),
                row.getUUID("customer_id"),
                ErasureStore.sides(row),
                row.getString("reason"),
                row.getOffsetDateTime("asked_at"),
                row.getUUID("approval_id"),
                tx.now(),
                tx.now().plusDays(keepDays),
                ErasureStore.epochs(row),
                "",
                "");
    }

    private void told(Tx tx, Row row, Erasure erasure) {
        erasure.customerIds().forEach(vault::forget);
        tx.event(Event.of("customer.erased", erasure.customerId(), row.getLong("version") + 1, ErasureService.SEEN_BY)
                .within(row.getUUID("branch_id"), row.getUUID("manager_id"))
                .with("erasureId", erasure.id().toString()));
    }

    private Future<Void> note(Erasure erasure) {
        return vertx.executeBlocking(() -> {
            list.note(erasure);
            return null;
        });
    }

    // ---- after a restore

    /**
     * Erases again what the list outside says and this database does not know; and notes outside what only this database knows,
     * so that a list that was lost grows again.
     *
     * @return a line for the console where something was replayed. Fails with {@link Domain.Unfit} for an entry that was altered
     */
    Future<List<String>> replay() {
        return vertx.executeBlocking(this::noted)
                .compose(noted -> replayed(List.copyOf(noted.values()))
                        .compose(count -> store.missing(List.copyOf(noted.values()))
                                .compose(this::noteAll)
                                .map(v -> count == 0
                                        ? List.<String>of()
                                        : List.of(count
                                                + " customers were erased again: this database is a restored copy"))));
    }

    /** Each entry once, checked; about 0.1 ms each. */
    private Map<UUID, Erasure> noted() throws java.io.IOException {
        Map<UUID, Erasure> noted = new LinkedHashMap<>();
        for (ErasureList.Entry entry : list.all()) {
            if (!entry.torn()) {
                Erasure erasure = read(entry);
                noted.put(erasure.id(), erasure);
            }
        }
        return noted;
    }

    private Erasure read(ErasureList.Entry entry) {
        try {
            Erasure erasure = Erasure.read(entry.text());
            if (erasure.isSigned(signer)) {
                return erasure;
            }
        } catch (IllegalArgumentException e) {
            LOG.error("the list of erasures holds something else: {}", e.getMessage());
        }
        throw new Domain.Unfit("audit.checkpointFolder: line " + entry.line() + " of the list of erasures "
                + entry.file().getFileName() + " was altered; put back the copy that was kept elsewhere");
    }

    private Future<Integer> replayed(List<Erasure> noted) {
        Future<Integer> count = Future.succeededFuture(0);
        for (int from = 0; from < noted.size(); from += CHUNK) {
            List<Erasure> chunk = noted.subList(from, Math.min(noted.size(), from + CHUNK));
            count = count.compose(before -> store.forgotten(chunk).compose(ids -> {
                List<Erasure> again = new ArrayList<>(chunk);
                again.removeIf(erasure -> !ids.contains(erasure.id()));
                return replayEach(again).map(before + again.size());
            }));
        }
        return count;
    }

    private Future<Void> replayEach(List<Erasure> erasures) {
        Future<Void> done = Future.succeededFuture();
        for (Erasure erasure : erasures) {
            done = done.compose(v -> database.write(
                            Call.internal("replayErasure", Call.Lane.JOB, CALL_MILLIS),
                            tx -> store.replay(tx, erasure).map(replayed -> {
                                tx.object("erasure", erasure.id(), 1);
                                return Reply.empty();
                            })))
                    .mapEmpty();
        }
        return done;
    }

    private Future<Void> noteAll(List<Erasure> erasures) {
        Future<Void> done = Future.succeededFuture();
        for (Erasure erasure : erasures) {
            done = done.compose(v -> note(erasure));
        }
        return done;
    }
}
