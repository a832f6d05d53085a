package io.kehu.iam.factor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.OptionalLong;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class TotpTest {
    private static final byte[] SECRET = "12345678901234567890".getBytes(StandardCharsets.US_ASCII);

    /** RFC 6238, appendix B, the rows of SHA-1. */
    @Test
    void theCodesAreThoseOfTheStandard() {
        assertThat(List.of(
                        code(59), code(1_111_111_109), code(1_111_111_111), code(1_234_567_890), code(2_000_000_000L)))
                .containsExactly("94287082", "07081804", "14050471", "89005924", "69279037");
        assertThat(code(20_000_000_000L)).isEqualTo("65353130");
    }

    private static String code(long seconds) {
        return Totp.code(SECRET, Totp.step(seconds), 8);
    }

    /** RFC 4226, appendix D. */
    @Test
    void theCountedCodesAreThoseOfTheStandard() {
        List<String> codes = java.util.stream.LongStream.range(0, 10)
                .mapToObj(step -> Totp.code(SECRET, step, 6))
                .toList();
        assertThat(codes)
                .containsExactly(
                        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
                        "520489");
    }

    /** RFC 4648, section 10, without padding. */
    @Test
    void secretsAreWrittenAsAppsReadThem() {
        assertThat(List.of("", "f", "fo", "foo", "foob", "fooba", "foobar"))
                .extracting(text -> Totp.base32(text.getBytes(StandardCharsets.US_ASCII)))
                .containsExactly("", "MY", "MZXQ", "MZXW6", "MZXW6YQ", "MZXW6YTB", "MZXW6YTBOI");
        assertThat(Totp.url("Kehu", "li.na", SECRET))
                .isEqualTo("otpauth://totp/Kehu:li.na?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Kehu"
                        + "&algorithm=SHA1&digits=6&period=30");
    }

    @Property
    void aCodeIsGoodOneStepEitherWayAndNoFurther(
            @ForAll @Size(Totp.SECRET_BYTES) byte[] secret,
            @ForAll @LongRange(min = 0, max = 4_000_000_000L) long now) {
        long step = Totp.step(now);
        for (long off = -1; off <= 1; off++) {
            OptionalLong found = Totp.match(secret, Totp.code(secret, step + off, 6), now);
            assertThat(found).isPresent();
            assertThat(Totp.code(secret, found.getAsLong(), 6)).isEqualTo(Totp.code(secret, step + off, 6));
        }
        for (long far : new long[] {-3, -2, 2, 3}) {
            String code = Totp.code(secret, step + far, 6);
            boolean same = Totp.match(secret, code, now).isPresent();
            // Of a million codes two may be the same by chance.
            assertThat(same)
                    .isEqualTo(List.of(-1L, 0L, 1L).stream()
                            .anyMatch(off -> Totp.code(secret, step + off, 6).equals(code)));
        }
        assertThat(Totp.match(secret, "12345", now)).isEmpty();
    }
}
