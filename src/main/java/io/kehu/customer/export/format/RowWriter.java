package io.kehu.customer.export.format;

import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Writes one table as one file, row by row; nothing of it is kept but what the format's end needs. Every writer leaves the mark of
 * the file in it, see {@link Mark}.
 */
public interface RowWriter {
    /**
     * One column.
     *
     * @param number whether its texts are decimal numbers
     */
    record Column(String title, boolean number) {}

    /** Before all rows. */
    void begin(List<Column> columns) throws IOException;

    /** As many cells as columns; null and empty are the same. */
    void row(List<@Nullable String> cells) throws IOException;

    /** After all rows: the line that says whose file it is, and whatever the format ends with. */
    void end(String watermark) throws IOException;

    /**
     * A writer of a format of the contract.
     *
     * @param encoding utf-8, utf-8-bom or gb18030; only csv has a choice
     */
    static RowWriter of(String format, String encoding, UUID export, OutputStream out) {
        return switch (format) {
            case "csv" -> new CsvWriter(encoding, export, out);
            case "jsonl" -> new JsonLinesWriter(export, out);
            case "xlsx" -> new SheetWriter(export, out);
            case "docx" -> new DocumentWriter(export, out);
            case "pdf" -> new PageWriter(export, out);
            default -> throw new IllegalArgumentException(format);
        };
    }

    /** The content type of a format. */
    static String contentType(String format, String encoding) {
        return switch (format) {
            case "csv" -> "text/csv; charset=" + (encoding.equals("gb18030") ? "gb18030" : "utf-8");
            case "jsonl" -> "application/x-ndjson";
            case "xlsx" -> "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
            case "docx" -> "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
            case "pdf" -> "application/pdf";
            default -> throw new IllegalArgumentException(format);
        };
    }
}
