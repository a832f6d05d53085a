package io.kehu.customer.export.format;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.Charset;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.zip.DeflaterOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * Pages with a table, A4 across (ISO 32000-1). The font is one of those that readers bring along for Chinese (STSong-Light,
 * Adobe-GB1 by the predefined map UniGB-UCS2-H), so none is in the file. That map has no characters from beyond the first plane, as
 * 𠮷, and of it none but Chinese, and not the dot in Uighur names: the dot is drawn by that of Japanese, others as 〓, and what was
 * meant stands in the text itself ({@code /ActualText}), where it is found and copied.
 * Only the offsets of objects are kept; a page is written when it is full.
 */
final class PageWriter implements RowWriter {
    private static final int WIDTH = 842;
    private static final int HEIGHT = 595;
    private static final int MARGIN = 28;
    private static final int SIZE = 8;
    private static final int LEADING = 10;
    private static final int MAX_LINES = 4;
    private static final int FIRST_PAGE = 5;
    private static final int INFO = 4;

    /** What the map has beside ASCII and CJK extension A, but for {@link #UNMAPPED}. */
    private final CharsetEncoder known = Charset.forName("GBK").newEncoder();

    private static final String UNMAPPED = "\u007f·ńňɑɡ";
    private static final String DOTS = "·•‧";

    private final UUID export;
    private final OutputStream out;
    private final List<Long> offsets = new ArrayList<>();
    private final StringBuilder page = new StringBuilder(16_384);
    private List<String> titles = List.of();
    private long written;
    private int pages;
    private int y;
    private String footer = "";

    PageWriter(UUID export, OutputStream out) {
        this.export = export;
        this.out = out;
        for (int i = 0; i < FIRST_PAGE; i++) {
            offsets.add(0L);
        }
    }

    @Override
    public void begin(List<Column> columns) throws IOException {
        titles = columns.stream().map(Column::title).toList();
        write("%PDF-1.7\n%\u00e2\u00e3\u00cf\u00d3\n");
        begin(3);
        write("<</Type/Font/Subtype/Type0/BaseFont/STSong-Light-UniGB-UCS2-H/Encoding/UniGB-UCS2-H/DescendantFonts[<<"
                + "/Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)"
                + "/Supplement 4>>/DW 1000/W[1 95 500]/FontDescriptor<</Type/FontDescriptor/FontName/STSong-Light"
                + "/Flags 6/FontBBox[-25 -254 1000 880]/ItalicAngle 0/Ascent 880/Descent -120/CapHeight 880/StemV 93>>"
                + ">>]>>");
        finish();
        begin(INFO);
        write("<</Producer(Kehu)/" + Mark.PROPERTY + "(" + export + ")>>");
        finish();
        footer = "Kehu-Export " + export;
        head();
    }

    private void head() {
        y = HEIGHT - MARGIN - LEADING;
        draw(new ArrayList<>(titles));
        page.append(String.format(
                Locale.ROOT, "0.5 w %d %d m %d %d l S\n", MARGIN, y + LEADING - 2, WIDTH - MARGIN, y + LEADING - 2));
        y -= 2;
    }

    @Override
    public void row(List<@Nullable String> cells) throws IOException {
        int lines = 1;
        for (String cell : cells) {
            lines = Math.max(lines, lines(cell == null ? "" : cell).size());
        }
        if (y - lines * LEADING < MARGIN + 2 * LEADING) {
            turn();
        }
        draw(cells);
    }

    private void draw(List<@Nullable String> cells) {
        int lines = 1;
        for (int i = 0; i < cells.size(); i++) {
            String cell = cells.get(i);
            List<String> parts = lines(cell == null ? "" : cell);
            lines = Math.max(lines, parts.size());
            for (int k = 0; k < parts.size(); k++) {
                text(MARGIN + i * columnWidth(), y - k * LEADING, parts.get(k));
            }
        }
        y -= lines * LEADING + 2;
    }

    private int columnWidth() {
        return (WIDTH - 2 * MARGIN) / titles.size();
    }

    /** A cell broken by width; what does not fit into {@value #MAX_LINES} lines ends with an ellipsis. */
    private List<String> lines(String cell) {
        int room = (columnWidth() - 4) * 1000 / SIZE;
        List<String> lines = new ArrayList<>();
        StringBuilder line = new StringBuilder();
        int used = 0;
        for (int c : cell.codePoints().toArray()) {
            int width = c > 0 && c < 0x7f ? 500 : 1000;
            if (used + width > room) {
                if (lines.size() == MAX_LINES - 1) {
                    line.setLength(line.offsetByCodePoints(line.length(), line.isEmpty() ? 0 : -1));
                    lines.add(line.append('…').toString());
                    return lines;
                }
                lines.add(line.toString());
                line.setLength(0);
                used = 0;
            }
            line.appendCodePoint(c);
            used += width;
        }
        lines.add(line.toString());
        return lines;
    }

    private void text(int x, int baseline, String text) {
        if (text.isEmpty()) {
            return;
        }
        page.append(String.format(Locale.ROOT, "BT /F1 %d Tf %d %d Td ", SIZE, x, baseline));
        StringBuilder run = new StringBuilder();
        boolean mapped = true;
        for (int c : text.codePoints().toArray()) {
            if (isMapped(c) != mapped) {
                show(run, mapped);
                mapped = !mapped;
            }
            run.appendCodePoint(c);
        }
        show(run, mapped);
        page.append("ET\n");
    }

    private boolean isMapped(int c) {
        boolean plain = (c >= 0x20 && c < 0x7f) || (c >= 0x3400 && c <= 0x4db5);
        // Compatibility and vertical forms are in GBK, but not all in the map.
        boolean form = c >= 0xf900 && c < 0xfe50;
        return plain || (Character.isBmpCodePoint(c) && !form && UNMAPPED.indexOf(c) < 0 && known.canEncode((char) c));
    }

    private void show(StringBuilder run, boolean mapped) {
        if (mapped) {
            show(run);
            return;
        }
        page.append("/Span<</ActualText<FEFF").append(hex(run.toString())).append(">>>BDC ");
        StringBuilder drawn = new StringBuilder();
        run.codePoints().forEach(c -> drawn.append(DOTS.indexOf(c) < 0 ? '〓' : '・'));
        show(drawn);
        page.append("EMC ");
        run.setLength(0);
    }

    private void show(StringBuilder text) {
        if (!text.isEmpty()) {
            page.append('<').append(hex(text.toString())).append("> Tj ");
            text.setLength(0);
        }
    }

    private static String hex(String text) {
        return HexFormat.of().withUpperCase().formatHex(text.getBytes(StandardCharsets.UTF_16BE));
    }

    private void turn() throws IOException {
        closePage();
        head();
    }

    private void closePage() throws IOException {
        pages++;
        text(MARGIN, MARGIN - LEADING, footer + "  ·  " + pages);
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (DeflaterOutputStream deflater = new DeflaterOutputStream(packed)) {
            deflater.write(page.toString().getBytes(StandardCharsets.US_ASCII));
        }
        page.setLength(0);
        int number = offsets.size();
        offsets.add(0L);
        offsets.add(0L);
        begin(number);
        write("<</Type/Page/Parent 2 0 R/MediaBox[0 0 " + WIDTH + ' ' + HEIGHT
                + "]/Resources<</Font<</F1 3 0 R>>>>/Contents " + (number + 1) + " 0 R>>");
        finish();
        begin(number + 1);
        write("<</Filter/FlateDecode/Length " + packed.size() + ">>stream\n");
        out.write(packed.toByteArray());
        written += packed.size();
        write("\nendstream");
        finish();
    }

    @Override
    public void end(String watermark) throws IOException {
        if (y < MARGIN + 4 * LEADING) {
            turn();
        }
        y -= LEADING;
        text(MARGIN, y, watermark);
        closePage();
        begin(2);
        StringBuilder kids = new StringBuilder("<</Type/Pages/Count " + pages + "/Kids[");
        for (int i = 0; i < pages; i++) {
            kids.append(FIRST_PAGE + 2 * i).append(" 0 R ");
        }
        write(kids.append("]>>").toString());
        finish();
        begin(1);
        write("<</Type/Catalog/Pages 2 0 R>>");
        finish();
        long start = written;
        StringBuilder table = new StringBuilder("xref\n0 " + offsets.size() + "\n0000000000 65535 f \n");
        for (long offset : offsets.subList(1, offsets.size())) {
            table.append(String.format(Locale.ROOT, "%010d 00000 n \n", offset));
        }
        String id = export.toString().replace("-", "");
        write(table.append("trailer\n<</Size " + offsets.size() + "/Root 1 0 R/Info " + INFO + " 0 R/ID [<" + id + "><"
                        + id)
                .append(">]>>\nstartxref\n" + start + "\n%%EOF\n")
                .toString());
    }

    private void begin(int object) throws IOException {
        offsets.set(object, written);
        write(object + " 0 obj\n");
    }

    private void finish() throws IOException {
        write("\nendobj\n");
    }

    private void write(String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        out.write(bytes);
        written += bytes.length;
    }
}
