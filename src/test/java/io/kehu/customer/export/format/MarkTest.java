package io.kehu.customer.export.format;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.customer.bulk.CellText;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class MarkTest {
    private static final List<RowWriter.Column> COLUMNS = List.of(
            new RowWriter.Column("id", false),
            new RowWriter.Column("name", false),
            new RowWriter.Column("assets", true),
            new RowWriter.Column("note", false));

    private static byte[] file(String format, String encoding, UUID id, int rows) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        RowWriter writer = RowWriter.of(format, encoding, id, out);
        writer.begin(COLUMNS);
        for (int i = 0; i < rows; i++) {
            writer.row(Arrays.asList("r" + i, i % 3 == 0 ? "𠮷, \"野\"" : "张三", i % 2 == 0 ? "12.50" : null, "=1+" + i));
        }
        writer.end(CellText.watermark(id.toString(), "who when why"));
        return out.toByteArray();
    }

    @Test
    void eachFormatKeepsTheMarkAlsoWhereTheLastLinesAreCutOff() throws IOException {
        long seed = System.nanoTime();
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        for (String format : List.of("csv", "jsonl", "xlsx", "docx", "pdf")) {
            for (String encoding : List.of("utf-8", "utf-8-bom", "gb18030")) {
                UUID id = new UUID(random.nextLong(), random.nextLong());
                byte[] file = file(format, encoding, id, 80);
                assertThat(Mark.find(file)).as(format + encoding).contains(id);
                if (format.equals("csv") || format.equals("jsonl")) {
                    for (int cut = 0; cut < 40; cut++) {
                        assertThat(Mark.find(Arrays.copyOf(file, file.length * 4 / 5 - cut)))
                                .as(format + encoding + cut)
                                .contains(id);
                    }
                    assertThat(Mark.find(Arrays.copyOf(file, 40))).isEmpty();
                }
            }
        }
    }

    @Test
    void anApostropheIsPutBeforeWhatCalculatesAndTakenAwayAgain() {
        for (String text : List.of("=1", "+1", "-1", "@A", "\t=1", "\r1", "＝1", "'=1", "''+1", "'x", "x=1", "", "'")) {
            String neutral = CellText.neutral(text);
            assertThat(neutral)
                    .doesNotStartWith("=")
                    .doesNotStartWith("+")
                    .doesNotStartWith("-")
                    .doesNotStartWith("@")
                    .doesNotStartWith("\t")
                    .doesNotStartWith("\r")
                    .doesNotStartWith("＝");
            assertThat(CellText.plain(neutral)).isEqualTo(text);
        }
    }

    @Test
    void aPageShowsARareCharacterAsAMarkAndHoldsItInItsText() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        UUID id = UUID.randomUUID();
        RowWriter writer = RowWriter.of("pdf", "utf-8", id, out);
        writer.begin(List.of(new RowWriter.Column("name", false)));
        for (int i = 0; i < 200; i++) {
            writer.row(Arrays.asList("𠮷" + "张".repeat(300)));
        }
        writer.end(CellText.watermark(id.toString(), "who"));
        String pdf = out.toString(java.nio.charset.StandardCharsets.ISO_8859_1);
        int at = Integer.parseInt(pdf.substring(pdf.indexOf("startxref") + 10, pdf.indexOf("%%EOF"))
                .strip());
        assertThat(pdf).startsWith("%PDF-1.7").contains("/UniGB-UCS2-H");
        assertThat(pdf.substring(at)).startsWith("xref");
        // Every object begins where the table says.
        String[] lines = pdf.substring(at).split("\n");
        for (int object = 1; object < Integer.parseInt(lines[1].split(" ")[1]); object++) {
            int offset = Integer.parseInt(lines[2 + object].substring(0, 10));
            assertThat(pdf.substring(offset)).startsWith(object + " 0 obj");
        }
        String page = inflated(out.toByteArray(), pdf.indexOf("stream\n") + 7);
        assertThat(page).contains("/ActualText<FEFFD842DFB7>", "<3013> Tj");
    }

    @Test
    void aPageHoldsTheDotInANameAndTheLettersThatItsFontHasNot() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        RowWriter writer = RowWriter.of("pdf", "utf-8", UUID.randomUUID(), out);
        writer.begin(List.of(new RowWriter.Column("name", false)));
        for (String name : List.of("买·艾", "ئاب", "Én", "䶮€")) {
            writer.row(Arrays.asList(name));
        }
        writer.end("end");
        String pdf = out.toString(java.nio.charset.StandardCharsets.ISO_8859_1);
        assertThat(inflated(out.toByteArray(), pdf.indexOf("stream\n") + 7))
                .contains("<4E70> Tj /Span<</ActualText<FEFF00B7>>>BDC <30FB> Tj EMC <827E> Tj ")
                .contains("/Span<</ActualText<FEFF062606270628>>>BDC <301330133013> Tj EMC ")
                .contains("/Span<</ActualText<FEFF00C9>>>BDC <3013> Tj EMC <006E> Tj ")
                .contains("<4DAE20AC> Tj ");
    }

    private static String inflated(byte[] pdf, int from) throws IOException {
        try (var in =
                new java.util.zip.InflaterInputStream(new java.io.ByteArrayInputStream(pdf, from, pdf.length - from))) {
            return new String(in.readAllBytes(), java.nio.charset.StandardCharsets.US_ASCII);
        }
    }
}
