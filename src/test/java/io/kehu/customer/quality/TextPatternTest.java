package io.kehu.customer.quality;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.TestKehu;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TextPatternTest {
    private static final long SEED = System.nanoTime();
    private static final String[] PARTS = {
        "9", "A", "a", "X", "H", "?", "*", "-", "b", "\\9", ".", "+", "(", "]", "$", "9{2}", "X{0,3}", "中"
    };
    private static final String SIGNS = "09AZazb-.+(]$中\u3007\uD842\uDFB7 ";

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "A9{4} | J6621 | true",
                "A9{4} | J662 | false",
                "A9{4} | j6621 | false",
                "9{5} | 123456 | false",
                "H{2,4} | 欧阳娜娜 | true",
                "H{2,4} | 𠮷野 | true",
                "H{2,4} | Li | false",
                "*@*.a{2,6} | a@b.example.com | true",
                "*@*.a{2,6} | a@b | false",
                "\\\\A\\\\9? | A9x | true",
                "\\\\A\\\\9? | B9x | false",
                "X* | '' | false"
            })
    void aPatternFitsTheWholeText(String pattern, String text, boolean fits) throws Exception {
        assertThat(TextPattern.of(pattern.replace("\\\\", "\\")).fits(text)).isEqualTo(fits);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{2}", "9{", "9{}", "9{a}", "9{2,1}", "9}", "\\", "9{60}9{60}9{60}9{21}", "9\u0007"})
    void whatIsNoPatternIsRefused(String pattern) {
        assertThatThrownBy(() -> TextPattern.of(pattern)).isInstanceOf(TextPattern.Fault.class);
    }

    @Test
    void theWorstPatternIsDoneWithTheLongestTextAtOnce() throws Exception {
        TextPattern pattern = TextPattern.of("*X{0,60}*X{0,60}*X{0,60}*9*");
        String text = "a".repeat(400);
        Assertions.assertTimeout(
                Duration.ofSeconds(1), () -> assertThat(pattern.fits(text)).isFalse());
    }

    @Test
    void theDatabaseAndTheProgramAgree() throws Exception {
        System.out.println("TextPatternTest: seed " + SEED);
        Random random = new Random(SEED);
        try (TestKehu kehu = TestKehu.start()) {
            int hits = 0;
            for (int round = 0; round < 300; round++) {
                StringBuilder pattern = new StringBuilder();
                for (int i = 0; i <= random.nextInt(5); i++) {
                    String part = PARTS[random.nextInt(PARTS.length)];
                    pattern.append(pattern.indexOf("*") >= 0 && part.equals("*") ? "?" : part);
                }
                List<TextPattern> patterns = List.of(TextPattern.of(pattern.toString()), TextPattern.of("99"));
                List<String> texts = new ArrayList<>();
                for (int i = 0; i < 20; i++) {
                    StringBuilder text = new StringBuilder();
                    int length = random.nextInt(6);
                    int[] signs = SIGNS.codePoints().toArray();
                    for (int j = 0; j < length; j++) {
                        text.appendCodePoint(signs[random.nextInt(signs.length)]);
                    }
                    texts.add(text.toString());
                }
                List<Boolean> ours = texts.stream()
                        .map(text -> patterns.stream().anyMatch(one -> one.fits(text)))
                        .toList();
                List<Boolean> theirs = kehu
                        .sql(
                                "SELECT t COLLATE \"C\" ~ ? AS fits FROM unnest(?::text[]) WITH ORDINALITY u(t, n) ORDER BY n",
                                TextPattern.regex(patterns),
                                texts.toArray(String[]::new))
                        .stream()
                        .map(row -> (Boolean) row.get("fits"))
                        .toList();
                assertThat(theirs).as(pattern + " " + texts).isEqualTo(ours);
                hits += (int) ours.stream().filter(fits -> fits).count();
            }
            assertThat(hits).isGreaterThan(100);
        }
    }
}
