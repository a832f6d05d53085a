package io.kehu.customer.imports;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Problem;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.function.LongFunction;
import java.util.function.LongUnaryOperator;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVPrinter;
import org.apache.commons.csv.QuoteMode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CsvRowsTest {
    private static final CsvRows.Worker HERE = new CsvRows.Worker() {
        @Override
        public <T> Future<T> run(Callable<T> work) {
            try {
                return Future.succeededFuture(work.call());
            } catch (Exception e) {
                return Future.failedFuture(e);
            }
        }
    };

    /** Bytes in pieces, given while they are wanted; what comes after the file's own bytes is made up on the way. */
    private static final class Pieces implements ReadStream<Buffer> {
        private final byte[] bytes;
        private final long length;
        private final int piece;
        private long at;
        private long demand = Long.MAX_VALUE;
        private boolean giving;
        private Handler<Buffer> handler;
        private Handler<Void> end;
        long given;

        Pieces(byte[] bytes, long from, long length, int piece) {
            this.bytes = bytes;
            this.at = from;
            this.length = length;
            this.piece = piece;
        }

        private void give() {
            if (giving) {
                return;
            }
            giving = true;
            while (demand > 0 && handler != null && at <= length) {
                if (at == length) {
                    at++;
                    end.handle(null);
                    break;
                }
                int count = (int) Math.min(piece, length - at);
                byte[] next = new byte[count];
                Arrays.fill(next, (byte) 'x');
                int real = (int) Math.max(0, Math.min(count, bytes.length - at));
                System.arraycopy(bytes, (int) Math.min(bytes.length, at), next, 0, real);
                at += count;
                given += count;
                handler.handle(Buffer.buffer(next));
            }
            giving = false;
        }

        @Override
        public Pieces exceptionHandler(Handler<Throwable> handler) {
            return this;
        }

        @Override
        public Pieces handler(Handler<Buffer> to) {
            handler = to;
            give();
            return this;
        }

        @Override
        public Pieces pause() {
            demand = 0;
            return this;
        }

        @Override
        public Pieces resume() {
            return fetch(Long.MAX_VALUE);
        }

        @Override
        public Pieces fetch(long amount) {
            demand = amount;
            give();
            return this;
        }

        @Override
        public Pieces endHandler(Handler<Void> to) {
            end = to;
            return this;
        }
    }

    private static LongFunction<ReadStream<Buffer>> source(byte[] bytes, int piece) {
        return from -> new Pieces(bytes, from, bytes.length, piece);
    }

    private static <T> T now(Future<T> future) {
        assertThat(future.isComplete()).isTrue();
        if (future.failed()) {
            throw (RuntimeException) future.cause();
        }
        return future.result();
    }

    private static List<List<String>> all(byte[] bytes, int piece, int batch) {
        CsvRows rows = now(CsvRows.open(source(bytes, piece), null, StandardCharsets.UTF_8, HERE));
        List<List<String>> found = new ArrayList<>();
        found.add(rows.header());
        CsvRows.Batch next;
        do {
            next = now(rows.next(batch));
            next.rows().forEach(row -> found.add(List.of(row.fields())));
        } while (!next.isLast());
        return found;
    }

    private static List<List<String>> all(String text) {
        return all(text.getBytes(StandardCharsets.UTF_8), 7, 3);
    }

    private static String csv(List<List<String>> table, char separator, String lineEnd, QuoteMode mode) {
        StringWriter text = new StringWriter();
        CSVFormat format = CSVFormat.RFC4180
                .builder()
                .setDelimiter(separator)
                .setRecordSeparator(lineEnd)
                .setQuoteMode(mode)
                .get();
        try (CSVPrinter printer = new CSVPrinter(text, format)) {
            printer.printRecords(table);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return text.toString();
    }

    @Provide
    Arbitrary<List<List<String>>> tables() {
        Arbitrary<String> cell = Arbitraries.strings()
                .withChars("ab1 ,;\t\"\r\n张三é\u00a0")
                .ofMaxLength(12)
                // As a whole, not as its two halves.
                .map(text -> text.replace("b", "𠮷"));
        return cell.list().ofMinSize(2).ofMaxSize(6).list().ofMaxSize(30);
    }

    @Property(tries = 300)
    void whatAnotherWriterWroteIsReadBackWhateverThePiecesAndTheBatches(
            @ForAll("tables") List<List<String>> table, @ForAll Random random) {
        char separator = ",;\t".charAt(random.nextInt(3));
        String lineEnd = List.of("\n", "\r\n", "\r").get(random.nextInt(3));
        List<List<String>> whole = new ArrayList<>();
        whole.add(List.of("first", "second", "third"));
        whole.addAll(table);
        QuoteMode mode = random.nextBoolean() ? QuoteMode.ALL : QuoteMode.MINIMAL;
        String text = (random.nextBoolean() ? "\uFEFF" : "") + csv(whole, separator, lineEnd, mode);
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        assertThat(all(bytes, 1 + random.nextInt(40), 1 + random.nextInt(9))).isEqualTo(whole);
    }

    @Property(tries = 200)
    void aReaderGoesOnFromThePositionOfAnyBatch(@ForAll("tables") List<List<String>> table, @ForAll Random random) {
        List<List<String>> whole = new ArrayList<>();
        whole.add(List.of("first", "second"));
        whole.addAll(table);
        byte[] bytes = ("\uFEFF" + csv(whole, ';', "\r\n", QuoteMode.ALL)).getBytes(StandardCharsets.UTF_8);
        List<List<String>> found = new ArrayList<>();
        List<Long> lines = new ArrayList<>();
        ObjectNode position = null;
        CsvRows.Batch batch;
        do {
            CsvRows rows =
                    now(CsvRows.open(source(bytes, 1 + random.nextInt(40)), position, StandardCharsets.UTF_8, HERE));
            assertThat(rows.header()).containsExactly("first", "second");
            batch = now(rows.next(1 + random.nextInt(4)));
            position = batch.position();
            batch.rows().forEach(row -> {
                found.add(List.of(row.fields()));
                lines.add(row.line());
            });
        } while (!batch.isLast());
        assertThat(found).isEqualTo(table);
        assertThat(lines).isEqualTo(lines(table));
        assertThat(batch.bytes()).isEqualTo(bytes.length);
    }

    /** The reader gathers many bytes before it parses; here every record is cut somewhere. */
    @Property(tries = 300)
    void aRecordMayBeCutAnywhere(@ForAll("tables") List<List<String>> table, @ForAll Random random) {
        List<List<String>> whole = new ArrayList<>();
        whole.add(List.of("first", "second"));
        whole.addAll(table);
        String lineEnd = List.of("\n", "\r\n", "\r").get(random.nextInt(3));
        byte[] bytes = ("\uFEFF" + csv(whole, '\t', lineEnd, QuoteMode.MINIMAL)).getBytes(StandardCharsets.UTF_8);
        CsvParser parser = new CsvParser(0, 1, '\0', StandardCharsets.UTF_8);
        List<CsvRows.Row> rows = new ArrayList<>();
        int at = 0;
        while (at < bytes.length) {
            int to = Math.min(bytes.length, at + 1 + random.nextInt(9));
            rows.addAll(parser.parse(Arrays.copyOfRange(bytes, at, to), to == bytes.length));
            at = to;
        }
        assertThat(parser.fault()).isNull();
        assertThat(parser.isOver()).isTrue();
        assertThat(rows.stream().map(row -> List.of(row.fields())).toList()).isEqualTo(whole);
        assertThat(rows.get(rows.size() - 1).end()).isEqualTo(bytes.length);
    }

    /** The line where each record begins, counted by another rule: the line ends in everything before it. */
    private static List<Long> lines(List<List<String>> table) {
        List<Long> lines = new ArrayList<>();
        StringBuilder before = new StringBuilder("h\r\n");
        for (List<String> row : table) {
            lines.add((long) before.toString().split("\r\n|\r|\n", -1).length);
            before.append('"').append(String.join("\",\"", row)).append("\"\r\n");
        }
        return lines;
    }

    @ParameterizedTest
    @ValueSource(strings = {",", ";", "\t"})
    void theSeparatorIsFoundInTheFirstLine(String separator) {
        assertThat(all("name%1$s\"a,b;c;d,e\"%1$scity\nx%1$sy%1$sz".formatted(separator)))
                .containsExactly(List.of("name", "a,b;c;d,e", "city"), List.of("x", "y", "z"));
    }

    @Test
    void emptyLinesAreSkippedAndQuotesInsideAFieldStay() {
        assertThat(all("a,b\n\n5\" pipe,x\r\n\r\n,\n\"\"\n"))
                .containsExactly(List.of("a", "b"), List.of("5\" pipe", "x"), List.of("", ""), List.of(""));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            a,b\\n1,"2\\n3,4\\n5,6     | csv.quoteOpen      | 2 | 0
            a,b\\n1,2\\n"x\\ny",3\\n"4 | csv.quoteOpen      | 5 | 2
            a,b\\n1,2\\n"x" y,3\\n4,5  | csv.quoteMisplaced | 3 | 1""")
    void aFaultNamesItsLineAfterTheRowsBeforeIt(String text, String code, String line, int rowsBefore) {
        byte[] bytes = text.replace("\\n", "\n").strip().getBytes(StandardCharsets.UTF_8);
        CsvRows rows = now(CsvRows.open(source(bytes, 5), null, StandardCharsets.UTF_8, HERE));
        if (rowsBefore > 0) {
            CsvRows.Batch batch = now(rows.next(100));
            assertThat(batch.rows()).hasSize(rowsBefore);
            assertThat(batch.isLast()).isFalse();
        }
        assertProblem(rows.next(100), code, line);
    }

    @Test
    void anotherCharsetIsRefusedWithItsLine() {
        byte[] bytes = "name,city\nx,y\n张三,上海\n".getBytes(Charset.forName("GBK"));
        CsvRows rows = now(CsvRows.open(source(bytes, 100), null, StandardCharsets.UTF_8, HERE));
        assertThat(now(rows.next(10)).rows()).hasSize(1);
        assertProblem(rows.next(10), "csv.encoding", "3");
    }

    @Test
    void anEmptyFileIsRefused() {
        assertProblem(CsvRows.open(source(new byte[0], 1), null, StandardCharsets.UTF_8, HERE), "csv.empty");
        assertProblem(
                CsvRows.open(source("\n\n".getBytes(StandardCharsets.UTF_8), 1), null, StandardCharsets.UTF_8, HERE),
                "csv.empty");
    }

    @Test
    void moreThanFiveHundredColumnsAreRefused() {
        byte[] bytes = ("a,b\n" + ",".repeat(499) + "\n" + ",".repeat(500) + "\n").getBytes(StandardCharsets.UTF_8);
        CsvRows rows = now(CsvRows.open(source(bytes, 100), null, StandardCharsets.UTF_8, HERE));
        assertThat(now(rows.next(10)).rows().get(0).fields()).hasSize(500);
        assertProblem(rows.next(10), "csv.tooManyFields", "3");
    }

    /** It is refused for what its first megabyte shows; the rest of the gigabyte is not even asked for. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', textBlock = """
            a,b\\n1,2  | csv.recordTooLong | 2
            a,b\\n1,"2 | csv.quoteOpen     | 2""")
    void aGigabyteWithoutALineEndIsRefusedEarly(String start, String code, String line) {
        byte[] begin = start.replace("\\n", "\n").strip().getBytes(StandardCharsets.UTF_8);
        List<Pieces> opened = new ArrayList<>();
        CsvRows rows = now(CsvRows.open(
                from -> {
                    opened.add(new Pieces(begin, from, 1L << 30, 65_536));
                    return opened.get(0);
                },
                null,
                StandardCharsets.UTF_8,
                HERE));
        assertProblem(rows.next(1), code, line);
        assertThat(opened.get(0).given).isLessThan(4L << 20);
    }

    @Test
    void aFirstLineWithoutEndIsRefusedEarlyToo() {
        Pieces pieces = new Pieces(new byte[0], 0, 1L << 30, 65_536);
        assertProblem(CsvRows.open(from -> pieces, null, StandardCharsets.UTF_8, HERE), "csv.recordTooLong", "1");
        assertThat(pieces.given).isLessThan(4L << 20);
    }

    private static void assertProblem(Future<?> future, String code, String... args) {
        assertThatThrownBy(() -> now(future)).isInstanceOfSatisfying(Problem.class, problem -> {
            assertThat(problem.code()).isEqualTo(code);
            assertThat(problem.args()).containsExactly(args);
        });
    }

    /** For a look at the speed; asserts nothing about time. */
    public static void main(String[] args) {
        StringBuilder text = new StringBuilder("c0");
        for (int c = 1; c < 20; c++) {
            text.append(",c").append(c);
        }
        int count = 1_000_000;
        byte[] line =
                "\n1234567,zhangsan,1980-01-01,\"Road 5, Flat 3\",Shanghai,13800001111,a,b,c,100.50,x,y,z,true,2020,abc,def,ghi,jkl,mno"
                        .getBytes(StandardCharsets.UTF_8);
        byte[] header = text.toString().getBytes(StandardCharsets.UTF_8);
        byte[] bytes = new byte[header.length + count * line.length];
        System.arraycopy(header, 0, bytes, 0, header.length);
        for (int i = 0; i < count; i++) {
            System.arraycopy(line, 0, bytes, header.length + i * line.length, line.length);
        }
        LongUnaryOperator run = ignored -> {
            CsvRows rows = now(CsvRows.open(source(bytes, 65_536), null, StandardCharsets.UTF_8, HERE));
            long seen = 0;
            CsvRows.Batch batch;
            do {
                batch = now(rows.next(2_000));
                seen += batch.rows().size();
            } while (!batch.isLast());
            return seen;
        };
        for (int i = 0; i < 4; i++) {
            long start = System.nanoTime();
            long seen = run.applyAsLong(0);
            System.out.printf("%,.0f rows/s%n", seen * 1e9 / (System.nanoTime() - start));
        }
    }
}
