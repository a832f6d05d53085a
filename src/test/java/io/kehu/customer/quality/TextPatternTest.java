package io.kehu.customer.quality;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TextPatternTest {
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
}
