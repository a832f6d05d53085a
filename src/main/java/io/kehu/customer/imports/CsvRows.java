package io.kehu.customer.imports;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a CSV file (RFC 4180) from a stream of bytes: batch by batch, in bounded memory, each batch with the position
 * after it, from which a later reader goes on. The first record names the columns.
 *
 * <p>Accepts UTF-8 with or without a byte order mark, and GB18030; comma, semicolon or tab, found out from the first record; line ends LF,
 * CRLF and CR; quoted fields with line breaks and doubled quotes; a quote inside an unquoted field as itself. Empty lines
 * are skipped.
 *
 * <p>Fails with {@code csv.empty}, and with the number of the line as its argument: {@code csv.encoding}, {@code
 * csv.quoteOpen} (the line where the quote was opened), {@code csv.quoteMisplaced} (something between a closing quote and the
 * separator), {@code csv.recordTooLong}, {@code csv.tooManyFields}; or as the stream does. The rows before the fault come
 * first, in a batch of their own.
 *
 * <p>Not commons-csv: that pulls from a blocking Reader, knows no bound for one record, and reads a gigabyte without a line
 * end into memory before it says anything.
 */
final class CsvRows implements Table {
    /** One record and one field count; more is not a table of people but a mistake. */
    static final int MAX_RECORD_BYTES = 1 << 20;

    static final int MAX_FIELDS = 500;
    /** Bytes parsed in one piece of work. */
    private static final int WINDOW = 1 << 18;

    private final ReadStream<Buffer> stream;
    private final Worker worker;
    private final CsvParser parser;
    private final Charset charset;
    private List<String> header = List.of();
    private final List<Row> ready = new ArrayList<>();
    private Buffer waiting = Buffer.buffer();
    private boolean ended;
    private @Nullable Throwable broken;
    private @Nullable Promise<Void> filled;

    /** Runs what computes, e.g. {@code JobRun::compute}. */
    @FunctionalInterface
    interface Worker {
        <T> Future<T> run(Callable<T> work);
    }

    /**
     * One record.
     *
     * @param line where it begins, from 1
     * @param fields as many as the record has, which may be more or fewer than the header
     * @param end the byte behind it
     * @param nextLine the number of the line behind it
     * @param faulty the first field that has no value although it should: a formula's, in a workbook; -1 for none
     */
    record Row(long line, String[] fields, long end, long nextLine, int faulty) {
        /** The field, empty where the record is too short. */
        String get(int column) {
            return column < fields.length ? fields[column] : "";
        }
    }

    /**
     * Some rows in order.
     *
     * @param position after the last of them, for {@link CsvRows#open}; the file's bytes so far are its {@code byte}
     * @param isLast nothing follows
     */
    record Batch(List<Row> rows, ObjectNode position, boolean isLast) {
        long bytes() {
            return position.path("byte").longValue();
        }
    }

    private CsvRows(ReadStream<Buffer> stream, Worker worker, CsvParser parser, Charset charset) {
        this.charset = charset;
        this.stream = stream;
        this.worker = worker;
        this.parser = parser;
        stream.pause()
                .exceptionHandler(failure -> {
                    broken = failure;
                    arrived();
                })
                .endHandler(v -> {
                    ended = true;
                    arrived();
                })
                .handler(bytes -> {
                    waiting.appendBuffer(bytes);
                    if (waiting.length() >= WINDOW) {
                        stream.pause();
                        arrived();
                    }
                });
    }

    /**
     * Reads the header and stands before the first row, or at a position.
     *
     * @param source opens the file from a byte on, e.g. {@code from -> readable.read(from, Long.MAX_VALUE)}
     * @param position of an earlier batch of this file; null or an empty object for the beginning
     */
    static Future<CsvRows> open(
            LongFunction<ReadStream<Buffer>> source, @Nullable ObjectNode position, Charset charset, Worker worker) {
        CsvRows rows = new CsvRows(source.apply(0), worker, new CsvParser(0, 1, '\0', charset), charset);
        return rows.next(1).compose(first -> {
            if (first.rows.isEmpty()) {
                return Future.failedFuture(Problem.of("csv.empty"));
            }
            List<String> names =
                    Arrays.stream(first.rows.get(0).fields).map(String::strip).toList();
            CsvRows placed = rows;
            if (position != null && position.has("byte")) {
                long from = position.get("byte").longValue();
                CsvParser parser =
                        new CsvParser(from, position.get("line").longValue(), rows.parser.separator(), charset);
                placed = new CsvRows(source.apply(from), worker, parser, charset);
            }
            placed.header = names;
            return Future.succeededFuture(placed);
        });
    }

    /** How a file is encoded that does not say so, see {@link CsvEncoding}; reads all of it. */
    static Future<Charset> encoding(ReadStream<Buffer> whole) {
        CsvEncoding encoding = new CsvEncoding();
        Promise<Charset> done = Promise.promise();
        whole.exceptionHandler(done::tryFail)
                .endHandler(v -> done.tryComplete(encoding.found()))
                .handler(bytes -> encoding.add(bytes.getBytes()));
        whole.resume();
        return done.future();
    }

    @Override
    public List<String> header() {
        return header;
    }

    char separator() {
        return parser.separator();
    }

    @Override
    public Future<Batch> next(int max) {
        if (ready.size() >= max || parser.isOver()) {
            return batch(max);
        }
        return fill().compose(v -> {
                    byte[] bytes = waiting.getBytes();
                    waiting = Buffer.buffer();
                    boolean last = ended;
                    return worker.run(() -> parser.parse(bytes, last));
                })
                .compose(rows -> {
                    ready.addAll(rows);
                    return next(max);
                });
    }

    private Future<Batch> batch(int max) {
        Problem fault = parser.fault();
        if (ready.isEmpty() && fault != null) {
            return Future.failedFuture(fault);
        }
        int count = Math.min(max, ready.size());
        List<Row> rows = List.copyOf(ready.subList(0, count));
        ready.subList(0, count).clear();
        boolean isLast = ready.isEmpty() && parser.isOver() && fault == null;
        ObjectNode position = Json.object().put("encoding", charset.name());
        if (!rows.isEmpty()) {
            Row row = rows.get(count - 1);
            position.put("byte", row.end).put("line", row.nextLine);
        } else {
            position.put("byte", parser.position()).put("line", parser.line());
        }
        return Future.succeededFuture(new Batch(rows, position, isLast));
    }

    /** Completes when there is a window full of bytes, or the end. */
    private Future<Void> fill() {
        if (broken != null) {
            return Future.failedFuture(broken);
        }
        if (ended || waiting.length() >= WINDOW) {
            return Future.succeededFuture();
        }
        Promise<Void> promise = Promise.promise();
        filled = promise;
        stream.resume();
        return promise.future();
    }

    private void arrived() {
        Promise<Void> promise = filled;
        if (promise != null) {
            filled = null;
            if (broken != null) {
                promise.fail(broken);
            } else {
                promise.complete();
            }
        }
    }
}
