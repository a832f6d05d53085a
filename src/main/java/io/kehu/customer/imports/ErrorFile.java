package io.kehu.customer.imports;

import io.kehu.bus.Problems;
import io.kehu.customer.bulk.CellText;
import io.vertx.core.Handler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** The faults of an import as a csv file, read page by page as fast as somebody takes them. */
final class ErrorFile implements ReadStream<Buffer> {
    private static final int PAGE = 2_000;

    private final ImportStore store;
    private final UUID id;
    private final boolean chinese;
    private @Nullable Handler<Buffer> handler;
    private @Nullable Handler<Void> end;
    private @Nullable Handler<Throwable> failed;
    private long after = -1;
    private long demand;
    private boolean reading;
    private boolean last;
    private boolean over;

    ErrorFile(ImportStore store, UUID id, boolean chinese) {
        this.store = store;
        this.id = id;
        this.chinese = chinese;
    }

    @Override
    public ErrorFile exceptionHandler(@Nullable Handler<Throwable> to) {
        failed = to;
        return this;
    }

    @Override
    public ErrorFile handler(@Nullable Handler<Buffer> to) {
        handler = to;
        return this;
    }

    @Override
    public ErrorFile endHandler(@Nullable Handler<Void> to) {
        end = to;
        return this;
    }

    @Override
    public ErrorFile pause() {
        demand = 0;
        return this;
    }

    @Override
    public ErrorFile resume() {
        return fetch(Long.MAX_VALUE);
    }

    @Override
    public ErrorFile fetch(long amount) {
        demand = demand + amount < 0 ? Long.MAX_VALUE : demand + amount;
        pull();
        return this;
    }

    private void pull() {
        if (reading || over || demand == 0) {
            return;
        }
        if (last) {
            over = true;
            if (end != null) {
                end.handle(null);
            }
            return;
        }
        reading = true;
        store.list(id, after, PAGE).onComplete(done -> {
            reading = false;
            if (done.failed()) {
                over = true;
                if (failed != null) {
                    failed.handle(done.cause());
                }
                return;
            }
            demand = demand == Long.MAX_VALUE ? demand : Math.max(0, demand - 1);
            Buffer page = page(done.result());
            if (handler != null) {
                handler.handle(page);
            }
            pull();
        });
    }

    private Buffer page(RowSet<Row> rows) {
        // With a byte order mark, without which spreadsheets take UTF-8 for something else.
        StringBuilder text = new StringBuilder(after < 0 ? "\ufeffline,column,code,text\r\n" : "");
        for (Row row : rows) {
            after = row.getLong("place");
            List<String> args = Arrays.asList(row.getArrayOfStrings("args"));
            String code = row.getString("code");
            text.append(row.getLong("line"))
                    .append(',')
                    .append(quoted(row.getString("field")))
                    .append(',')
                    .append(code)
                    .append(',')
                    .append(quoted(text(code, args)))
                    .append("\r\n");
        }
        after = Math.max(0, after);
        last = rows.size() < PAGE;
        return Buffer.buffer(text.toString());
    }

    private String text(String code, List<String> args) {
        Map<String, String> fields = Problems.fields(chinese);
        String field = fields.get(code);
        return Problems.fill(
                field != null ? field : Problems.of(code).text(chinese).cause(), args);
    }

    /** What a spreadsheet would calculate gets an apostrophe: names of columns come from whoever made the file. */
    private static String quoted(String text) {
        return '"' + CellText.neutral(text).replace("\"", "\"\"") + '"';
    }
}
