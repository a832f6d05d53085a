package io.kehu.bus;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.time.ZoneOffset;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

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
}
