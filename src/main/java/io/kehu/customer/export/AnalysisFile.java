package io.kehu.customer.export;

import io.kehu.bus.Problem;
import io.kehu.crypto.Sha256;
import io.kehu.customer.export.format.RowWriter;
import io.kehu.customer.filter.Moment;
import io.kehu.job.JobRun;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Stream;
import javax.crypto.Mac;
import org.jspecify.annotations.Nullable;

/**
 * The bytes of an analysis. Groups are counted by one statement, so they are of one moment and none is smaller in the file than it
 * was found; what is kept meanwhile is one line for each group, at most a {@code smallest}-th of the rows. A pseudonym is a keyed hash
 * of the row's place, and the key is known to this object alone: with it goes the last that could lead from a pseudonym anywhere.
 * Source: Sweeney, k-anonymity, 2002.
 */
final class AnalysisFile implements ExportWork.Pieces {
    private static final int ROWS_AT_ONCE = 5_000;
    private static final int PSEUDONYM_BYTES = 12;

    private final JobRun run;
    private final Export export;
    private final ExportStore store;
    private final Moment moment;
    private final String watermark;
    private final int smallest;
    private final List<AnalysisColumn> classes;
    private final Mac mac;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final RowWriter writer;
    private @Nullable Iterator<Row> groups;
    private List<@Nullable String> cells = new ArrayList<>();
    private long left;
    private long rows;
    private long suppressed;
    private boolean over;

    AnalysisFile(JobRun run, Export export, ExportStore store, Moment moment, String watermark, int smallest) {
        this.run = run;
        this.export = export;
        this.store = store;
        this.moment = moment;
        this.watermark = watermark;
        this.smallest = smallest;
        this.classes = export.classes();
        byte[] key = new byte[32];
        new SecureRandom().nextBytes(key);
        this.mac = Sha256.mac(key);
        this.writer = RowWriter.of(export.format(), export.encoding(), export.id(), bytes);
    }

    @Override
    public long rows() {
        return rows;
    }

    @Override
    public long suppressed() {
        return suppressed;
    }

    @Override
    public Future<@Nullable Buffer> next() {
        if (over) {
            return Future.succeededFuture();
        }
        return counted()
                .compose(found -> run.compute(() -> write(found)))
                .compose(piece -> run.done(rows + suppressed).map(v -> piece));
    }

    private Future<Iterator<Row>> counted() {
        Iterator<Row> found = groups;
        if (found != null) {
            return Future.succeededFuture(found);
        }
        return store.groups(
                        run.call(),
                        ExportStore.who(run.principal(), export.filter(), moment)
                                .and("c.seq <= ?", export.newest()),
                        classes,
                        moment.today(),
                        smallest)
                .map(all -> {
                    groups = all.iterator();
                    return groups;
                });
    }

    private Buffer write(Iterator<Row> found) throws Exception {
        if (rows == 0 && cells.isEmpty()) {
            writer.begin(Stream.concat(
                            Stream.of(new RowWriter.Column("pseudonym", false)),
                            classes.stream().map(column -> new RowWriter.Column(column.name(), false)))
                    .toList());
        }
        for (int i = 0; i < ROWS_AT_ONCE; i++) {
            while (left == 0 && found.hasNext()) {
                take(found.next());
            }
            if (left == 0) {
                writer.end(watermark);
                over = true;
                break;
            }
            left--;
            cells.set(0, pseudonym(rows++));
            writer.row(cells);
        }
        Buffer piece = Buffer.buffer(bytes.toByteArray());
        bytes.reset();
        return piece;
    }

    private void take(Row group) {
        long n = group.getLong(classes.size());
        if (n <= 0) {
            suppressed -= n;
            return;
        }
        if (n < smallest) {
            throw Problem.of("server.failure");
        }
        cells = new ArrayList<>(classes.size() + 1);
        cells.add(null);
        for (int i = 0; i < classes.size(); i++) {
            cells.add(group.getString(i));
        }
        left = n;
    }

    private String pseudonym(long place) {
        byte[] hash = mac.doFinal(ByteBuffer.allocate(Long.BYTES).putLong(place).array());
        return HexFormat.of().formatHex(hash, 0, PSEUDONYM_BYTES);
    }
}
