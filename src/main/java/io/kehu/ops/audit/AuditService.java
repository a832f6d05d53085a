package io.kehu.ops.audit;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The rules of reading the audit: the whole of it or nothing, and every reading of entries is an entry. */
final class AuditService {
    private static final Logger LOG = LoggerFactory.getLogger(AuditService.class);
    private static final String READ = "audit:read";

    private final Database database;
    private final AuditStore store;
    private final UnaryOperator<byte[]> mac;
    private final WorkerExecutor workers;

    AuditService(Vertx vertx, Database database, AuditStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.mac = mac;
        this.workers = vertx.createSharedWorkerExecutor("kehu-proof", 1);
    }

    /** Entries that fit the filters, newest first. Problems: auth.forbidden, request.cursorInvalid. */
    Future<Reply> list(Call call) {
        mustSeeAll(call.principal());
        Page page = Page.of(call, mac);
        boolean finance = seesFinance(call);
        return reading(
                call,
                tx -> store.list(tx, page)
                        .map(rows -> Reply.ok(page.write(
                                rows,
                                row -> List.of(
                                        row.getOffsetDateTime("at").toString(),
                                        row.getUUID("id").toString()),
                                (json, row) -> AuditEntry.from(row).toJson(json, finance)))));
    }

    /** One entry. Problems: auth.forbidden, audit.notFound, audit.archived. */
    Future<Reply> get(Call call) {
        mustSeeAll(call.principal());
        UUID id = call.id("auditId");
        boolean finance = seesFinance(call);
        return store.find(call, id)
                .recover(failure -> where(call, id, failure))
                .compose(row -> reading(
                        call,
                        tx -> Future.succeededFuture(
                                Reply.ok(json -> AuditEntry.from(row).toJson(json, finance)))));
    }

    /** The reading is in the audit before the entries leave, with what was asked for. */
    private Future<Reply> reading(Call call, Function<Tx, Future<Reply>> read) {
        return database.write(call, tx -> {
            tx.kind("audit-read");
            tx.object("audit", call.params().has("auditId") ? call.id("auditId") : tx.auditId(), 0);
            return store.note(tx).compose(v -> read.apply(tx));
        });
    }

    /**
     * What shows that an entry is in the chain: its leaf, the way to the root, and the seal over it. Problems: auth.forbidden,
     * audit.notFound, audit.archived, audit.notSealed, audit.broken.
     */
    Future<Reply> proof(Call call) {
        mustSeeAll(call.principal());
        UUID id = call.id("auditId");
        return store.place(call, id)
                .recover(failure -> where(call, id, failure))
                .compose(place -> store.sealOver(call, place).compose(seal -> prove(call, id, place, seal)))
                .compose(proof -> store.newest(call).map(newest -> Reply.ok(json -> proof.toJson(json, newest))));
    }

    private Future<AuditProof> prove(Call call, UUID id, AuditProof.Place place, AuditProof.Seal seal) {
        return store.leaves(call, seal)
                .compose(leaves -> leaves.size() == seal.rows()
                        ? workers.executeBlocking(() -> AuditProof.of(id, place, seal, leaves), false)
                                .map(Optional::of)
                        : Future.succeededFuture(Optional.<AuditProof>empty()))
                .compose(proof -> proof.isPresent() && Arrays.equals(proof.get().root(), seal.root())
                        ? Future.succeededFuture(proof.get())
                        : unproven(call, id, seal));
    }

    /** A seal whose rows lie in two months may have lost those of the one that was archived; else rows were altered. */
    private Future<AuditProof> unproven(Call call, UUID id, AuditProof.Seal seal) {
        return store.archiveOf(call, seal).compose(file -> {
            if (file.isPresent()) {
                return Future.failedFuture(Problem.of("audit.archived", file.get()));
            }
            LOG.error("audit entry {} does not lead to the root of seal {}", id, seal.number());
            return Future.failedFuture(Problem.of("audit.broken", Long.toString(seal.number())));
        });
    }

    /** The seals, newest first. Problems: auth.forbidden, request.cursorInvalid. */
    Future<Reply> seals(Call call) {
        mustSeeAll(call.principal());
        Page page = Page.of(call, mac);
        return store.seals(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getLong("number").toString()),
                        (json, row) -> AuditProof.Seal.from(row).toJson(json))));
    }

    /** Months that lie in archives, newest first. Problems: auth.forbidden, request.cursorInvalid. */
    Future<Reply> archives(Call call) {
        mustSeeAll(call.principal());
        Page page = Page.of(call, mac);
        return store.archives(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows, row -> List.of(row.getLocalDate("month").toString()), AuditEntry::archive)));
    }

    /** What is not here may lie in an archive, which is then named. */
    private <T> Future<T> where(Call call, UUID id, Throwable failure) {
        return store.archiveOf(call, id)
                .compose(file ->
                        Future.failedFuture(file.isEmpty() ? failure : Problem.of("audit.archived", file.get())));
    }

    /** Entries are about everybody: who sees a part of the bank sees none of them. */
    private static void mustSeeAll(Principal who) {
        if (who.scope() != Principal.Scope.ALL) {
            throw Problem.of("auth.forbidden", READ);
        }
    }

    private static boolean seesFinance(Call call) {
        return call.principal().may("customer:finance");
    }
}
