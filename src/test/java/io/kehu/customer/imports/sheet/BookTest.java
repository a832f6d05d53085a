package io.kehu.customer.imports.sheet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import io.kehu.bus.Problem;
import io.kehu.customer.imports.sheet.Book.SheetRow;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BookTest {
    /** Bytes that a hostile file may cost in all, garbage included; what is held at a time is less. */
    private static final long MAX_ALLOCATED = 64L << 20;

    private static final long SECOND = 1_000_000_000L;

    private static Bytes of(byte[] file) {
        return new Bytes() {
            @Override
            public long size() {
                return file.length;
            }

            @Override
            public byte[] read(long from, int length) {
                return Arrays.copyOfRange(file, (int) from, (int) from + length);
            }
        };
    }

    private static List<SheetRow> rows(byte[] file) throws IOException {
        List<SheetRow> rows = new ArrayList<>();
        try (Book book = Book.open(of(file))) {
            for (SheetRow row = book.next(); row != null; row = book.next()) {
                rows.add(row);
            }
        }
        return rows;
    }

    private static List<String> cells(String row) throws IOException {
        return List.of(rows(new Workbook().sheet("<row r='1'>" + row + "</row>").bytes())
                .get(0)
                .cells());
    }

    private static void isRefused(byte[] file, String code, String... args) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        // Of this thread alone: what else the machine does is not the file's cost.
        long start = threads.getCurrentThreadCpuTime();
        assertThatThrownBy(() -> rows(file)).isInstanceOfSatisfying(Problem.class, problem -> {
            assertThat(problem.code()).isEqualTo(code);
            assertThat(problem.args()).containsExactly(args);
        });
        assertThat(threads.getCurrentThreadCpuTime() - start).isLessThan(SECOND);
        assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(MAX_ALLOCATED);
    }

    /** Texts stand behind the sheet, and are read before it. */
    @Test
    void howFarItIsReadsFromNothingToTheWholeFile() throws IOException {
        StringBuilder sheet = new StringBuilder();
        String[] texts = new String[20_000];
        for (int i = 0; i < texts.length; i++) {
            sheet.append("<row><c t='s'><v>").append(i).append("</v></c></row>");
            texts[i] = "<si><t>" + i * 7919L + "</t></si>";
        }
        byte[] file = new Workbook().sheet(sheet.toString()).texts(texts).bytes();
        try (Book book = Book.open(of(file))) {
            book.next();
            assertThat(book.at()).isLessThan(file.length / 2);
            for (int i = 1; i < texts.length; i++) {
                book.next();
            }
            assertThat(book.next()).isNull();
            assertThat(book.at()).isEqualTo(file.length);
        }
    }

    // ---- what cells say

    @Test
    void everyKindOfCellIsTheTextThatItsOwnerWouldType() throws IOException {
        Workbook book = new Workbook()
                .texts(
                        "<si><t>张三</t></si>",
                        "<si><r><t>上</t></r><r><t xml:space='preserve'> 海</t></r><rPh><t>shang</t></rPh></si>")
                .sheet("""
                        <row r='2'><c r='A2' t='s'><v>0</v></c><c r='B2' t='s'><v>1</v></c><c r='D2' t='inlineStr'><is><t>in&amp;line</t></is></c>
                        <c r='E2' t='b'><v>1</v></c><c r='F2'><v>1.38001380E10</v></c><c r='G2'><v>0.50</v></c><c r='H2' t='d'><v>2020-02-29T00:00:00</v></c>
                        <c r='I2' t='str'><f>A2&amp;B2</f><v>both</v></c><c r='J2'><f>1+1</f><v>2</v></c><c r='K2'/></row>
                        <row r='7'><c t='inlineStr'><is><t>no place</t></is></c><c><v>-7</v></c></row><row r='9'/>""");
        List<SheetRow> rows = rows(book.bytes());
        assertThat(rows).hasSize(2);
        assertThat(rows.get(0).number()).isEqualTo(2);
        assertThat(rows.get(0).cells())
                .containsExactly("张三", "上 海", "", "in&line", "true", "13800138000", "0.5", "2020-02-29", "both", "2");
        assertThat(rows.get(1).number()).isEqualTo(7);
        assertThat(rows.get(1).cells()).containsExactly("no place", "-7");
    }

    @Test
    void aNumberIsADateByItsFormatAlone() throws IOException {
        assertThat(
                        cells(
                                "<c s='1'><v>45292</v></c><c s='2'><v>29221.75</v></c><c s='3'><v>45292</v></c><c><v>45292</v></c>"))
                .containsExactly("2024-01-01", "1980-01-01", "45292", "45292");
        assertThat(
                        cells(
                                "<c s='1'><v>1</v></c><c s='1'><v>59</v></c><c s='1'><v>61</v></c><c s='1'><v>-1</v></c><c s='1'><v>2958466</v></c>"))
                .containsExactly("1900-01-01", "1900-02-28", "1900-03-01", "-1", "2958466");
    }

    @Test
    void aFormulaWithoutAValueAndAnErrorAreTold() throws IOException {
        byte[] file = new Workbook()
                .sheet(
                        "<row><c><v>1</v></c><c><f>A1+1</f></c></row><row><c t='e'><v>#N/A</v></c></row><row><c><f>1</f><v>1</v></c></row>")
                .bytes();
        assertThat(rows(file)).extracting(SheetRow::faulty).containsExactly(1, 0, -1);
    }

    @Test
    void moreTextsThanAreRememberedAreAllFoundAgain() throws IOException {
        SharedTexts texts = new SharedTexts();
        try (texts) {
            int count = 600_000;
            for (int i = 0; i < count; i++) {
                texts.add("text of some length, number " + i);
            }
            texts.seal();
            for (int i = 0; i < count; i += 997) {
                assertThat(texts.get(i)).isEqualTo("text of some length, number " + i);
                assertThat(texts.get(count - 1 - i)).endsWith(" " + (count - 1 - i));
            }
            assertThatThrownBy(() -> texts.get(count)).isInstanceOf(Problem.class);
        }
    }

    // ---- hostile files

    @Test
    void entitiesAreNeitherExpandedNorFetched() {
        String laughs =
                "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>";
        String outside = "<!DOCTYPE l [<!ENTITY c SYSTEM 'file:///etc/passwd'>]>";
        for (String type : List.of(laughs, outside)) {
            String xml = type + "<sst><si><t>&c;</t></si></sst>";
            isRefused(new Workbook().part("xl/sharedStrings.xml", xml).bytes(), "xlsx.unsafe", "entity");
            isRefused(new Workbook().part("xl/worksheets/sheet1.xml", xml).bytes(), "xlsx.unsafe", "entity");
            isRefused(new Workbook().part("_rels/.rels", xml).bytes(), "xlsx.unsafe", "entity");
        }
        isRefused(new Workbook().sheet("<row><c><v>&c;</v></c></row>").bytes(), "xlsx.damaged");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "<row><c t='inlineStr'><is><t>%s</t></is></c></row>",
                "<row x='%s'/>",
                "<!--%s-->",
                "<row><c><v>%s</v></c></row>"
            })
    void aBombOfOneTextIsRefusedBeforeItIsMade(String shape) {
        // Not so alike that its size would give it away.
        StringBuilder digits = new StringBuilder();
        Random random = new Random(7);
        while (digits.length() < 8 << 20) {
            digits.append(random.nextLong() >>> 1);
        }
        byte[] file = new Workbook().sheet(shape.formatted(digits)).bytes();
        isRefused(file, "xlsx.unsafe", "text");
    }

    @Test
    void aBombOfManyRowsIsRefusedByWhatItUnpacksTo() {
        isRefused(new Workbook().sheet("<row/>".repeat(8 << 20)).bytes(), "xlsx.unsafe", "size");
    }

    @Test
    void sizesThatLieAreNotBelieved() {
        byte[] file =
                new Workbook().sheet("<row><c><v>1</v></c></row>".repeat(1_000)).bytes();
        int sheet = directory(file, "xl/worksheets/sheet1.xml");
        ByteBuffer lying = ByteBuffer.wrap(file.clone()).order(ByteOrder.LITTLE_ENDIAN);
        lying.putInt(sheet + 24, 100);
        isRefused(lying.array(), "xlsx.unsafe", "size");
        lying.putInt(sheet + 24, 0xFFFFFFF0);
        isRefused(lying.array(), "xlsx.unsafe", "size");
        lying = ByteBuffer.wrap(file.clone()).order(ByteOrder.LITTLE_ENDIAN);
        lying.putInt(directory(file, "xl/sharedStrings.xml") + 24, 0xFFFFFFF0);
        isRefused(lying.array(), "xlsx.tooLarge", Long.toString(Book.MAX_TEXTS_BYTES));
        lying = ByteBuffer.wrap(file.clone()).order(ByteOrder.LITTLE_ENDIAN);
        lying.putInt(sheet + 20, 0x7FFFFFF0);
        isRefused(lying.array(), "xlsx.damaged");
        lying = ByteBuffer.wrap(file.clone()).order(ByteOrder.LITTLE_ENDIAN);
        lying.putInt(sheet + 16, 1);
        isRefused(lying.array(), "xlsx.damaged");
    }

    private static int directory(byte[] file, String name) {
        ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        int at = bytes.getInt(file.length - 22 + 16);
        while (!new String(file, at + 46, bytes.getShort(at + 28), StandardCharsets.UTF_8).equals(name)) {
            at += 46 + bytes.getShort(at + 28) + bytes.getShort(at + 30) + bytes.getShort(at + 32);
        }
        return at;
    }

    @Test
    void namesThatLeadOutOfTheArchiveAndRelationsOutOfTheFileAreRefused() {
        isRefused(new Workbook().part("../outside", "x").bytes(), "xlsx.unsafe", "path");
        isRefused(new Workbook().part("/etc/passwd", "x").bytes(), "xlsx.unsafe", "path");
        isRefused(new Workbook().part("xl\\..\\x", "x").bytes(), "xlsx.unsafe", "path");
        isRefused(
                new Workbook()
                        .part(
                                "_rels/.rels",
                                "<R><Relationship Type='x/officeDocument' TargetMode='External' Target='https://example.com/a'/></R>")
                        .bytes(),
                "xlsx.unsafe",
                "relation");
    }

    @Test
    void whatIsNoWorkbookOrNotAWholeOneIsDamaged() {
        byte[] whole = new Workbook().sheet("<row><c><v>1</v></c></row>").bytes();
        isRefused(Arrays.copyOf(whole, whole.length - 30), "xlsx.damaged");
        isRefused(Arrays.copyOf(whole, 10), "xlsx.damaged");
        isRefused(new Workbook().without("xl/workbook.xml").bytes(), "xlsx.damaged");
        isRefused(new Workbook().without("xl/worksheets/sheet1.xml").bytes(), "xlsx.damaged");
        isRefused(
                new Workbook()
                        .part("xl/worksheets/sheet1.xml", "<worksheet><row><c>")
                        .bytes(),
                "xlsx.damaged");
        isRefused(new Workbook().sheet("<row><c t='s'><v>0</v></c></row>").bytes(), "xlsx.damaged");
        isRefused(new Workbook().sheet("<row><c><v>1e999999999</v></c></row>").bytes(), "xlsx.damaged");
        isRefused(new Workbook().sheet("<row r='2'/><row r='2'/>").bytes(), "xlsx.damaged");
        isRefused(
                new Workbook()
                        .sheet("<row r='1'><c r='ZZZ1'><v>1</v></c></row>")
                        .bytes(),
                "csv.tooManyFields",
                "1");
    }
}
