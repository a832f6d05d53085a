package io.kehu.customer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What looks for leaks must be able to find them. */
class NeedlesTest {
    private static final String NAME = "雀丁七";
    private static final String PHONE = "13987650001";

    private final Needles needles = new Needles().add("name", NAME).add("phone", PHONE);

    @ParameterizedTest
    @ValueSource(strings = {"%s", "before %s", "%s behind", "{\"a\": \"%s\"}", "\n%s\n"})
    void aValueIsFoundWhereverItStands(String around) {
        assertThat(needles.in(around.formatted(NAME))).containsExactly("name");
        assertThat(needles.in(around.formatted("+86" + PHONE))).containsExactly("phone");
        assertThat(needles.in(around.formatted(NAME) + around.formatted(PHONE))).containsExactly("name", "phone");
    }

    @Test
    void aValueIsFoundInEveryFormThatOthersPrint() {
        byte[] utf8 = NAME.getBytes(StandardCharsets.UTF_8);
        for (String printed : new String[] {
            "\\x00" + HexFormat.of().formatHex(utf8) + "ff",
            HexFormat.of().withUpperCase().formatHex(utf8),
            "\\u96c0\\u4e01\\u4e03",
            "\\u96C0\\u4E01\\u4E03",
            "\\\\u96c0\\\\u4e01\\\\u4e03",
            "\\351\\233\\200\\344\\270\\201\\344\\270\\203",
            "%E9%9B%80%E4%B8%81%E4%B8%83",
            Base64.getEncoder().encodeToString(("a" + NAME + "b").getBytes(StandardCharsets.UTF_8)),
            Base64.getUrlEncoder().encodeToString(("aa" + NAME).getBytes(StandardCharsets.UTF_8)),
            Base64.getEncoder().encodeToString(utf8)
        }) {
            assertThat(needles.in(printed)).as(printed).containsExactly("name");
        }
        assertThat(needles.in(HexFormat.of().formatHex(PHONE.getBytes(StandardCharsets.UTF_8))))
                .containsExactly("phone");
    }

    @Test
    void whatOnlyBeginsLikeAValueIsNoFinding() {
        assertThat(needles.in("")).isEmpty();
        assertThat(needles.in(NAME.substring(0, 2))).isEmpty();
        assertThat(needles.in("1398765000")).isEmpty();
        assertThat(needles.in("13987650002 雀丁八")).isEmpty();
        assertThatThrownBy(() -> needles.add("short", "1398")).isInstanceOf(IllegalArgumentException.class);
    }
}
