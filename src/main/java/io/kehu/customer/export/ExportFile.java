package io.kehu.customer.export;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.customer.export.format.Archive;
import io.kehu.customer.export.format.RowWriter;
import io.kehu.customer.filter.Moment;
import io.kehu.job.JobRun;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The bytes of one export, page by page. One call at a time. */
final class ExportFile implements ExportWork.Pieces {
    /** How many customers more than were counted, to the hundred and beside, may fit when the file is written. */
    private static final int GROWTH_PERCENT = 1;

    private static final int GROWTH = 10;

    private final JobRun run;
    private final Export export;
    private final ExportStore store;
    private final Moment moment;
    private final String watermark;
    private final int pageRows;
    private final List<ExportColumn> columns;
    private final Customer.View view;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final @Nullable Archive archive;
    private final RowWriter writer;
    private final ExportStore.Seqs seqs = new ExportStore.Seqs();
    private long after;
    private long rows;
    private boolean begun;
    private boolean last;
    private boolean over;

    /** @param password of the archive around it; empty for none */
    ExportFile(
            JobRun run,
            Export export,
            ExportStore store,
            Moment moment,
            String watermark,
            String password,
            int pageRows) {
        this.run = run;
        this.export = export;
        this.store = store;
        this.moment = moment;
        this.watermark = watermark;
        this.pageRows = pageRows;
        this.columns = export.columns();
        this.view = new Customer.View(true, export.unmask());
        this.archive = password.isEmpty() ? null : new Archive(bytes, export.fileName(), password);
        OutputStream out = archive == null ? bytes : archive;
        this.writer = RowWriter.of(export.format(), export.encoding(), export.id(), out);
    }

    @Override
    public long rows() {
        return rows;
    }

    @Override
    public ExportStore.Seqs seqs() {
        return seqs;
    }

    @Override
    public Future<@Nullable Buffer> next() {
        if (over) {
            return Future.succeededFuture();
        }
        if (last) {
            over = true;
            return run.compute(() -> {
                writer.end(watermark);
                if (archive != null) {
                    archive.close();
                }
                return taken();
            });
        }
        return allowed()
                .compose(v -> page())
                .compose(page -> run.compute(() -> write(page)))
                .compose(piece -> run.done(rows).map(v -> piece));
    }

    /** Who has lost a right, or was moved, gets nothing more from this moment on. */
    private Future<Void> allowed() {
        return store.rights(run.principal().subject())
                .compose(version -> version == run.principal().version()
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of("export.rightsChanged")));
    }

    private Future<RowSet<Row>> page() {
        Where where = ExportStore.who(run.principal(), export.filter(), moment)
                .and("c.seq > ?", after)
                .and("c.seq <= ?", export.newest());
        return store.page(run.call(), where, pageRows);
    }

    private Buffer write(RowSet<Row> page) throws Exception {
        if (!begun) {
            begun = true;
            writer.begin(columns.stream().map(ExportColumn::head).toList());
        }
        List<@Nullable String> cells = new ArrayList<>(columns.size());
        for (Row row : page) {
            Customer customer = store.opened(row);
            ObjectNode shown = (ObjectNode) Json.parse(Json.write(json -> customer.toJson(json, view)));
            cells.clear();
            columns.forEach(column -> cells.add(column.of(shown)));
            writer.row(cells);
            after = customer.seq();
            seqs.add(after);
        }
        rows += page.size();
        last = page.size() < pageRows;
        if (rows > export.counted() + export.counted() * GROWTH_PERCENT / 100 + GROWTH) {
            throw Problem.of("export.grew");
        }
        return taken();
    }

    private Buffer taken() {
        Buffer piece = Buffer.buffer(bytes.toByteArray());
        bytes.reset();
        return piece;
    }
}
