package io.kehu.crypto;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.Chars;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;

class MaskTest {
    /** What of an address is its region, as a pattern says it; to look for it that way takes three times as long. */
    private static final Pattern REGION =
            Pattern.compile("^(?:[\\p{IsHan}]{2,8}?(?:省|自治区|特别行政区))?(?:[\\p{IsHan}]{2,8}?(?:市|自治州|地区|盟))?"
                    + "(?:[\\p{IsHan}]{1,8}?(?:区|县|旗|市))?");

    @Property(tries = 2_000)
    void ofAnAddressExactlyItsRegionIsShown(
            @ForAll
                    @CharRange(from = 'a', to = 'b')
                    @Chars({
                        '省', '市', '区', '县', '旗', '盟', '自', '治', '州', '地', '特', '别', '行', '政', '上', '々', '〇', '\ud842',
                        '\udfb7', '1'
                    })
                    @StringLength(max = 30)
                    String line) {
        Matcher region = REGION.matcher(line);
        assertThat(region.find()).isTrue();
        assertThat(Mask.address(line)).isEqualTo((region.end() < line.length() ? region.group() : "") + "***");
    }

    @Test
    void masksLookAsPeopleKnowThem() {
        assertThat(Mask.phone("13812345678")).isEqualTo("138****5678");
        assertThat(Mask.phone("+8613812345678")).isEqualTo("+86138****5678");
        assertThat(Mask.idNumber("11010519491231002X")).isEqualTo("110***********002X");
        assertThat(Mask.passport("E12345678")).isEqualTo("E******78");
        assertThat(Mask.email("zhangsan@example.com")).isEqualTo("z***@example.com");
        assertThat(Mask.address("上海市浦东新区世纪大道100号")).isEqualTo("上海市浦东新区***");
        assertThat(Mask.address("广东省深圳市南山区科技园1栋")).isEqualTo("广东省深圳市南山区***");
        assertThat(Mask.address("10 Downing Street")).isEqualTo("***");
    }

    @Property(tries = 500)
    void noMaskEverRevealsAValueOrMostOfIt(@ForAll @StringLength(max = 40) String value) {
        List<UnaryOperator<String>> masks = List.of(Mask::phone, Mask::idNumber, Mask::passport, Mask::address);
        for (UnaryOperator<String> mask : masks) {
            assertHides(value, mask.apply(value));
        }
    }

    @Property(tries = 500)
    void digitsOfAnyLengthKeepAtLeastTheirMiddleHidden(@ForAll long number) {
        String digits = Long.toUnsignedString(number);
        for (int length = 0; length <= digits.length(); length++) {
            String value = digits.substring(0, length);
            for (String masked : List.of(Mask.phone(value), Mask.idNumber(value), Mask.passport(value))) {
                assertThat(masked.chars().filter(Character::isDigit).count()).isLessThanOrEqualTo(length * 2L / 3);
            }
        }
    }

    @Test
    void shortValuesAreHiddenWhole() {
        for (String value : List.of("", "1", "12", "1234")) {
            for (String masked : List.of(Mask.phone(value), Mask.idNumber(value), Mask.passport(value))) {
                assertThat(masked).isEqualTo("***");
            }
        }
        assertThat(Mask.email("a@b.cn")).isEqualTo("***@b.cn");
        assertThat(Mask.email("@b.cn")).isEqualTo("***");
        assertThat(Mask.email("nobody")).isEqualTo("***");
        assertThat(Mask.address("上海市")).isEqualTo("***");
    }

    private static void assertHides(String value, String masked) {
        assertThat(masked).contains("**");
        if (value.codePointCount(0, value.length()) > 3 && !value.contains("*")) {
            assertThat(masked).isNotEqualTo(value).doesNotContain(value);
        }
    }
}
