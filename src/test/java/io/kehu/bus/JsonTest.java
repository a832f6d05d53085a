package io.kehu.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vertx.core.buffer.Buffer;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.ZoneOffset;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How values are written into answers. */
class JsonTest {
    private static final long YEAR_0000 = -62_167_219_200L;
    private static final long YEAR_10000 = 253_402_300_800L;

    @Property
    void anInstantIsWrittenAsJavaWritesIt(
            @ForAll @LongRange(min = YEAR_0000, max = YEAR_10000) long seconds,
            @ForAll @IntRange(max = 999_999_999) int nanos,
            @ForAll @IntRange(min = -18, max = 18) int hours) {
        Instant instant = Instant.ofEpochSecond(seconds, nanos);
        assertThat(Json.instant(instant.atOffset(ZoneOffset.ofHours(hours)))).isEqualTo(instant.toString());
    }

    @Test
    void aSecondHasAsManyDigitsAsItNeeds() {
        for (int nanos : new int[] {0, 1, 1_000, 1_000_000, 120_000_000, 123_456_000}) {
            Instant instant = Instant.ofEpochSecond(1_700_000_000L, nanos);
            assertThat(Json.instant(instant.atOffset(ZoneOffset.UTC))).isEqualTo(instant.toString());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"1e400", "-1e400", "1e64", "1e999999999", "1e-999999999", "1e2147483648"})
    void aNumberThatWrittenOutHasMoreDigitsThanOneMayHaveIsRefused(String number) {
        assertThatThrownBy(() -> Json.parse(Buffer.buffer("{\"n\": [" + number + "]}")))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo("request.malformed"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"1e2", "1.50", "-0", "0e9", "0e-999999999", "12345678901234567890.123456789", "1e-30", "9e62"})
    void anotherNumberIsExact(String number) {
        assertThat(Json.parse(Buffer.buffer("[" + number + "]")).get(0).decimalValue())
                .isEqualByComparingTo(new BigDecimal(number));
    }
}
