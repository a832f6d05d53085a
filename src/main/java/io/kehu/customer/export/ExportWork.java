package io.kehu.customer.export;

import io.kehu.blob.Blobs;
import io.kehu.blob.Pulled;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Vault;
import io.kehu.customer.bulk.CellText;
import io.kehu.customer.filter.Moment;
import io.kehu.job.JobRun;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.time.ZoneId;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes the file of one export: a page of customers is read, opened and written on, and goes to the store before the next is read.
 * A file is whole or not there, so a run that comes after a crash begins anew; what the one before had written expires unclaimed.
 */
final class ExportWork {
    private static final Logger LOG = LoggerFactory.getLogger(ExportWork.class);
    private static final String PURPOSE = "customer-export";
    private static final long CALL_MILLIS = 15_000;
    private static final long MAX_BYTES = 8L << 30;

    private final ExportStore store;
    private final Blobs blobs;
    private final Vault vault;
    private final Database database;
    private final Clock clock;
    private final ZoneId zone;
    private final int pageRows;
    private final int fileHours;
    private final int smallestGroup;

    ExportWork(
            ExportStore store,
            Blobs blobs,
            Vault vault,
            Database database,
            Clock clock,
            ZoneId zone,
            int pageRows,
            int fileHours,
            int smallestGroup) {
        this.store = store;
        this.blobs = blobs;
        this.vault = vault;
        this.database = database;
        this.clock = clock;
        this.zone = zone;
        this.pageRows = pageRows;
        this.fileHours = fileHours;
        this.smallestGroup = smallestGroup;
    }

    /** What a file is written of. */
    interface Pieces {
        /** The next bytes, null after the last; one call at a time. */
        Future<@Nullable Buffer> next();

        /** In the file so far. */
        long rows();

        /** Who is in the file, where it names anybody. */
        default ExportStore.Seqs seqs() {
            return new ExportStore.Seqs();
        }

        /** Customers who were left out. */
        default long suppressed() {
            return 0;
        }
    }

    /** Fails with {@code export.rightsChanged}, {@code export.grew}. */
    Future<Void> run(JobRun run) {
        if (run.position().has("file")) {
            return Future.succeededFuture();
        }
        return run.done(0).compose(v -> store.ofJob(run.call(), run.id())).compose(export -> {
            export.mustBeOpenTo(run.principal());
            return run.total(export.counted())
                    .compose(v -> password(run, export))
                    .compose(password -> write(run, export, password));
        });
    }

    private Future<String> password(JobRun run, Export export) {
        return export.isArchive()
                ? store.secret(run.call(), export.id())
                        .map(secret ->
                                new String(vault.openSystem(ExportService.SEALED_FOR, secret), StandardCharsets.UTF_8))
                : Future.succeededFuture("");
    }

    private Future<Void> write(JobRun run, Export export, String password) {
        Moment moment = Moment.at(clock.now(), zone);
        String watermark = CellText.watermark(
                export.id().toString(),
                run.principal().name() + " " + Json.instant(clock.now()) + " " + export.purpose());
        Pieces file = export.kind().equals(Export.ANALYSIS)
                ? new AnalysisFile(run, export, store, moment, watermark, smallestGroup)
                : new ExportFile(run, export, store, moment, watermark, password, pageRows);
        Blobs.Draft draft = Blobs.Draft.of(
                export.makerId(), PURPOSE, Export.permission(export.kind()), export.fileName(), MAX_BYTES);
        return blobs.write(draft, new Pulled(file::next)).compose(made -> keep(run, export, made, file));
    }

    /** The file, its request and the end of the work become one in one transaction. */
    private Future<Void> keep(JobRun run, Export export, Blobs.Facts made, Pieces written) {
        long rows = written.rows();
        String id = export.id().toString();
        return run.chunk(tx -> store.file(tx, export, made, rows, written.suppressed(), fileHours)
                .compose(v -> store.inIt(tx, export.id(), written.seqs()))
                .map(v -> {
                    Event event = Event.of("export.made", export.id(), 1, Export.READ)
                            .within(export.branchId(), export.makerId())
                            .with("rows", rows);
                    Database.Chunk audited =
                            new Database.Chunk("export", rows, ExportStore.bytes(made.sha256()), id, id, event);
                    return new JobRun.Step(
                            audited, run.position().put("file", true), new JobRun.Progress(rows, rows, 0, rows));
                }));
    }

    // ---- files whose time is over

    /** From now on this node deletes them, until it stops. */
    void start(Kernel kernel, int everyMillis) {
        kernel.every(
                everyMillis,
                this::sweep,
                failure -> LOG.warn("files of exports stay longer: {}", failure.getMessage()));
    }

    private Future<Void> sweep() {
        return store.expired().compose(rows -> {
            Future<Void> done = Future.succeededFuture();
            for (var row : rows) {
                UUID export = row.getUUID("export_id");
                UUID blob = row.getUUID("blob_id");
                done = done.compose(v -> drop(export, blob));
            }
            return done;
        });
    }

    private Future<Void> drop(UUID export, UUID blob) {
        Call call = Call.internal("deleteExportFile", Call.Lane.JOB, CALL_MILLIS);
        return database.write(
                        call,
                        tx -> store.drop(tx, export, blob).map(v -> {
                            tx.object("export", export, 1);
                            return Reply.empty();
                        }))
                .<Void>mapEmpty()
                .recover(failure -> {
                    Problem problem = Problem.in(failure);
                    return problem != null && problem.code().equals("request.stale")
                            ? Future.succeededFuture()
                            : Future.failedFuture(failure);
                });
    }
}
