package io.kehu.customer.export.format;

import io.kehu.customer.bulk.CellText;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** RFC 4180: comma, CR LF, quotes doubled. */
final class CsvWriter implements RowWriter {
    private final Charset charset;
    private final boolean bom;
    private final Mark mark;
    private final OutputStream out;
    private final StringBuilder line = new StringBuilder(256);
    private int width;

    CsvWriter(String encoding, UUID export, OutputStream out) {
        this.charset = encoding.equals("gb18030") ? Charset.forName("GB18030") : StandardCharsets.UTF_8;
        this.bom = encoding.equals("utf-8-bom");
        this.mark = new Mark(export);
        this.out = out;
    }

    /** Whether a cell with this character in it has to be quoted. */
    static boolean mustQuote(char c) {
        return c == '"' || c == ',' || c == '\r' || c == '\n' || c == ';' || c == '\t' || c == ' ';
    }

    @Override
    public void begin(List<Column> columns) throws IOException {
        width = columns.size();
        if (bom) {
            line.append('\ufeff');
        }
        row(new ArrayList<>(columns.stream().map(Column::title).toList()));
    }

    @Override
    public void row(List<@Nullable String> cells) throws IOException {
        for (int i = 0; i < cells.size(); i++) {
            if (i > 0) {
                line.append(',');
            }
            String cell = cells.get(i);
            if (cell != null && !cell.isEmpty()) {
                cell(CellText.neutral(cell));
            }
        }
        line.append("\r\n");
        out.write(line.toString().getBytes(charset));
        line.setLength(0);
    }

    private void cell(String text) {
        boolean needed = text.chars().anyMatch(c -> mustQuote((char) c));
        if (needed || mark.bit()) {
            line.append('"').append(text.replace("\"", "\"\"")).append('"');
        } else {
            line.append(text);
        }
    }

    @Override
    public void end(String watermark) throws IOException {
        List<@Nullable String> last = new ArrayList<>(java.util.Collections.nCopies(width, null));
        last.set(0, watermark);
        row(last);
    }
}
