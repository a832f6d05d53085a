package io.kehu.customer.imports;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.blob.Blobs;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.customer.imports.CsvRows.Batch;
import io.kehu.customer.imports.CsvRows.Row;
import io.kehu.customer.imports.CsvRows.Worker;
import io.kehu.customer.imports.sheet.Book;
import io.kehu.customer.imports.sheet.Book.SheetRow;
import io.kehu.customer.imports.sheet.Bytes;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The rows of a workbook's first sheet. Read on a worker, which waits for the bytes it needs; a later reader begins at the
 * front again and passes over what was read: parsing is a small part of an import.
 */
final class SheetRows implements Table {
    private static final Logger LOG = LoggerFactory.getLogger(SheetRows.class);

    private final Book book;
    private final Worker worker;
    private List<String> header = List.of();
    private long line;
    private @Nullable Problem fault;

    private SheetRows(Book book, Worker worker) {
        this.book = book;
        this.worker = worker;
    }

    /**
     * Reads the header and stands before the first row, or at a position. Fails as {@link Book}, and with {@code csv.empty}.
     *
     * @param position of an earlier batch of this file, or an empty object
     */
    static Future<SheetRows> open(Blobs.Content file, ObjectNode position, Worker worker) {
        Context context = Objects.requireNonNull(Vertx.currentContext(), "jobs run on a context");
        return worker.run(() -> {
            Book book = Book.open(new Ranges(context, file));
            try {
                SheetRow first = book.next();
                if (first == null) {
                    throw Problem.of("csv.empty");
                }
                SheetRows rows = new SheetRows(book, worker);
                rows.header = Arrays.stream(first.cells()).map(String::strip).toList();
                rows.line = first.number();
                long read = position.path("line").longValue();
                while (rows.line + 1 < read) {
                    SheetRow row = book.next();
                    if (row == null) {
                        break;
                    }
                    rows.line = row.number();
                }
                return rows;
            } catch (IOException | RuntimeException e) {
                book.close();
                throw e;
            }
        });
    }

    @Override
    public List<String> header() {
        return header;
    }

    @Override
    public Future<Batch> next(int max) {
        return worker.run(() -> {
            List<Row> rows = new ArrayList<>();
            boolean last = false;
            try {
                while (fault == null && !last && rows.size() < max) {
                    SheetRow row = book.next();
                    last = row == null;
                    if (row != null) {
                        line = row.number();
                        rows.add(row(row));
                    }
                }
            } catch (Problem problem) {
                fault = problem;
            }
            if (fault != null && rows.isEmpty()) {
                throw fault;
            }
            ObjectNode position = Json.object().put("byte", book.at()).put("line", line + 1);
            return new Batch(rows, position, last);
        });
    }

    /** Cells that were left empty at the end are none the less there. */
    private Row row(SheetRow row) {
        String[] cells = row.cells();
        int width = header.size();
        if (cells.length < width) {
            int given = cells.length;
            cells = Arrays.copyOf(cells, width);
            Arrays.fill(cells, given, width, "");
        }
        return new Row(row.number(), cells, book.at(), row.number() + 1L, row.faulty());
    }

    @Override
    public void close() {
        worker.run(() -> {
                    book.close();
                    return book;
                })
                .onFailure(failure ->
                        LOG.warn("the texts of a workbook stay until the process ends: {}", failure.getMessage()));
    }

    /** A stored file by ranges, for a worker that may wait. */
    private static final class Ranges implements Bytes {
        private static final long WAIT_SECONDS = 30;
        private final Context context;
        private final Blobs.Content file;

        Ranges(Context context, Blobs.Content file) {
            this.context = context;
            this.file = file;
        }

        @Override
        public long size() {
            return file.facts().size();
        }

        @Override
        public byte[] read(long from, int length) throws IOException {
            if (length == 0) {
                return new byte[0];
            }
            CompletableFuture<byte[]> done = new CompletableFuture<>();
            context.runOnContext(v -> {
                Buffer all = Buffer.buffer(length);
                ReadStream<Buffer> stream = file.read(from, length);
                stream.exceptionHandler(done::completeExceptionally)
                        .endHandler(end -> done.complete(all.getBytes()))
                        .handler(all::appendBuffer);
                stream.resume();
            });
            try {
                byte[] bytes = done.get(WAIT_SECONDS, TimeUnit.SECONDS);
                if (bytes.length < length) {
                    throw Problem.of("xlsx.damaged");
                }
                return bytes;
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException(e);
            } catch (ExecutionException e) {
                Problem problem = Problem.in(e.getCause());
                if (problem != null) {
                    throw problem;
                }
                throw new IOException(e.getCause());
            } catch (TimeoutException e) {
                throw Problem.of("blob.unavailable");
            }
        }
    }
}
