package io.kehu.customer.export.format;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** One JSON object a line; what is not known is left out. Numbers are texts, as everywhere in the contract. */
final class JsonLinesWriter implements RowWriter {
    private final Mark mark;
    private final OutputStream out;
    private List<Column> columns = List.of();
    private final StringBuilder line = new StringBuilder(512);

    JsonLinesWriter(UUID export, OutputStream out) {
        this.mark = new Mark(export);
        this.out = out;
    }

    @Override
    public void begin(List<Column> given) {
        columns = given;
    }

    @Override
    public void row(List<@Nullable String> cells) throws IOException {
        line.append('{');
        for (int i = 0; i < cells.size(); i++) {
            String cell = cells.get(i);
            if (cell != null && !cell.isEmpty()) {
                field(columns.get(i).title(), cell);
            }
        }
        flush();
    }

    private void field(String name, String value) {
        if (line.length() > 1) {
            line.append(',');
        }
        line.append('"').append(name).append("\":");
        if (mark.bit()) {
            line.append(' ');
        }
        line.append('"');
        JsonStringEncoder.getInstance().quoteAsString(value, line);
        line.append('"');
    }

    private void flush() throws IOException {
        out.write(line.append("}\n").toString().getBytes(StandardCharsets.UTF_8));
        line.setLength(0);
    }

    @Override
    public void end(String watermark) throws IOException {
        line.append('{');
        field("kehuExport", watermark);
        flush();
    }
}
