package io.kehu.customer.identity;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.customer.identity.IdentityRules.Gender;
import java.time.LocalDate;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class IdentityRulesTest {
    private static final LocalDate TODAY = LocalDate.of(2026, 6, 30);
    /** The example of GB 11643-1999. */
    private static final String RESIDENT = "11010519491231002X";
    /** The example of GB 32100-2015. */
    private static final String COMPANY = "91350100M000100Y43";

    @ParameterizedTest
    @ValueSource(strings = {RESIDENT, "440524188001010014", "810000199408230021"})
    void examplesOfResidentNumbersPass(String id) {
        assertThat(IdentityRules.residentId(id, TODAY)).isNull();
    }

    @ParameterizedTest
    @CsvSource({
        "110105194912310021, field.checksum",
        "11010519491231002x, field.format",
        "1101051949123100２X, field.format",
        "11010519491231002, field.format",
        "110105194912310021X, field.format",
        "'', field.format",
        "160105194912310020, field.region",
        "000000194912310020, field.region",
        "110105202602290020, field.date",
        "110105194913310020, field.date",
        "110105194900310020, field.date",
        "110105194912000020, field.date",
        "110105000012310020, field.date",
        "110105999912310020, field.future",
        "110105202607010020, field.future",
        "911124198108030024, field.format",
    })
    void wrongResidentNumbersAreRefusedWithTheReason(String id, String code) {
        assertThat(IdentityRules.residentId(id, TODAY)).isEqualTo(code);
    }

    @Test
    void bornTodayIsNotTheFuture() {
        String id = "11010520260630002";
        assertThat(IdentityRules.residentId(id + IdentityRules.residentCheckCharacter(id), TODAY))
                .isNull();
    }

    @Test
    void everySingleWrongPlaceOfAResidentNumberIsFound() {
        for (int i = 0; i < 18; i++) {
            for (char c : "0123456789X".toCharArray()) {
                String wrong = RESIDENT.substring(0, i) + c + RESIDENT.substring(i + 1);
                if (!wrong.equals(RESIDENT)) {
                    assertThat(IdentityRules.residentId(wrong, TODAY)).as(wrong).isNotNull();
                }
            }
        }
    }

    @Property
    void twoNeighboursExchangedInAResidentNumberAreFound(@ForAll int random) {
        String body = "110105" + "1949" + "1231" + String.format("%03d", Math.floorMod(random, 1000));
        String id = body + IdentityRules.residentCheckCharacter(body);
        for (int i = 0; i < 17; i++) {
            if (id.charAt(i) != id.charAt(i + 1)) {
                String wrong = id.substring(0, i) + id.charAt(i + 1) + id.charAt(i) + id.substring(i + 2);
                assertThat(IdentityRules.residentId(wrong, TODAY)).as(wrong).isNotNull();
            }
        }
    }

    @Property
    void noTextMakesARuleThrow(@ForAll String text) {
        IdentityRules.DOCUMENTS.forEach((kind, rule) -> {
            rule.check(text, TODAY);
            rule.check(IdentityRules.normalDocument(kind, text), TODAY);
        });
        IdentityRules.phone(IdentityRules.normalPhone(text));
        IdentityRules.email(IdentityRules.normalEmail(text));
        IdentityRules.name(IdentityRules.normalName(text));
        IdentityRules.postCode(text);
        IdentityRules.regionCode(text);
    }

    @Test
    void aResidentNumberTellsBirthDateGenderAndRegion() {
        assertThat(IdentityRules.birthDateOf(RESIDENT)).isEqualTo(LocalDate.of(1949, 12, 31));
        assertThat(IdentityRules.genderOf(RESIDENT)).isEqualTo(Gender.FEMALE);
        assertThat(IdentityRules.regionOf(RESIDENT)).isEqualTo("110105");
        assertThat(IdentityRules.genderOf("440524188001010014")).isEqualTo(Gender.MALE);
    }

    @Test
    void permanentResidentsHaveNumbersThatBeginWithNineOrOlderOnesWithLetters() {
        assertThat(IdentityRules.permanentResidentId("911124198108030024", TODAY))
                .isNull();
        assertThat(IdentityRules.permanentResidentId("911124198108030025", TODAY))
                .isEqualTo("field.checksum");
        assertThat(IdentityRules.permanentResidentId("910124198108030024", TODAY))
                .isEqualTo("field.region");
        assertThat(IdentityRules.permanentResidentId("911124198113030024", TODAY))
                .isEqualTo("field.date");
        assertThat(IdentityRules.permanentResidentId("KAZ110090123105", TODAY)).isNull();
        assertThat(IdentityRules.permanentResidentId(RESIDENT, TODAY)).isEqualTo("field.format");
        assertThat(IdentityRules.regionOf("911124198108030024")).isEqualTo("110000");
        assertThat(IdentityRules.birthDateOf("911124198108030024")).isEqualTo(LocalDate.of(1981, 8, 3));
    }

    /** The example of the standard and numbers that well-known companies print on their invoices. */
    @ParameterizedTest
    @ValueSource(
            strings = {COMPANY, "91100000100003962T", "914403001922038216", "9144030071526726XG", "91330100799655058B"})
    void examplesOfCreditCodesPass(String code) {
        assertThat(IdentityRules.creditCode(code)).isNull();
    }

    @ParameterizedTest
    @CsvSource({
        "91350100M000100Y4Z, field.format",
        "91350100M000100Y44, field.checksum",
        "9135010OM000100Y43, field.format",
        "91A50100M000100Y43, field.format",
        "91990100M000100Y43, field.region",
        "91350100M000100Y4, field.format",
        "91350100m000100y43, field.format",
    })
    void wrongCreditCodesAreRefusedWithTheReason(String code, String problem) {
        assertThat(IdentityRules.creditCode(code)).isEqualTo(problem);
    }

    @Test
    void everySingleWrongPlaceOfACreditCodeIsFound() {
        for (int i = 0; i < 18; i++) {
            for (char c : "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".toCharArray()) {
                String wrong = COMPANY.substring(0, i) + c + COMPANY.substring(i + 1);
                if (!wrong.equals(COMPANY)) {
                    assertThat(IdentityRules.creditCode(wrong)).as(wrong).isNotNull();
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "passport, E12345678, true",
        "passport, EA1234567, true",
        "passport, G12345678, true",
        "passport, L898902C3, true",
        "passport, 12345, true",
        "passport, 1234, false",
        "passport, ABCDEFGHI, false",
        "passport, E123456789, false",
        "passport, E1234567<, false",
        "hk_macao_permit, H12345678, true",
        "hk_macao_permit, M1234567801, true",
        "hk_macao_permit, K12345678, false",
        "hk_macao_permit, H123456789, false",
        "taiwan_permit, 01234567, true",
        "taiwan_permit, 0123456789, true",
        "taiwan_permit, 0123456789B, true",
        "taiwan_permit, 012345678, false",
        "other, 5304218, true",
        "other, '12 34', false",
        "other, é, false",
        "other, '', false",
        "other, 123456789012345678901234567890123, false",
    })
    void otherDocumentsHaveTheirShapes(String kind, String number, boolean fine) {
        String answer = IdentityRules.DOCUMENTS.get(kind).check(number, TODAY);
        assertThat(answer).isEqualTo(fine ? null : "field.format");
    }

    @ParameterizedTest
    @CsvSource({
        "138 1234 5678, +8613812345678",
        "１３８１２３４５６７８, +8613812345678",
        "+86-138-1234-5678, +8613812345678",
        "86 13812345678, +8613812345678",
        "008613812345678, +8613812345678",
        "(010) 6552 9988, +861065529988",
        "0755-86013388, +8675586013388",
        "+86 (0)755 86013388, +8675586013388",
        "400-810-8888, +864008108888",
        "+852 2123 4567, +85221234567",
        "0044 20 7946 0958, +442079460958",
        "+1 (415) 555-2671, +14155552671",
    })
    void phonesAreKeptInTheInternationalForm(String written, String e164) {
        assertThat(IdentityRules.normalPhone(written)).isEqualTo(e164);
        assertThat(IdentityRules.phone(e164)).isNull();
        assertThat(IdentityRules.normalPhone(e164)).isEqualTo(e164);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "+", "12812345678", "1381234567", "+12", "+1234567890123456", "110", "+86abc", "+0123456789"
            })
    void whatIsNoPhoneIsRefused(String written) {
        assertThat(IdentityRules.phone(IdentityRules.normalPhone(written))).isEqualTo("field.format");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"a@b.cn", "wang.wei+bank@mail.example", "x_y@sub.domain.com.cn", "a@xn--fiq228c.xn--fiqs8s"})
    void ordinaryMailAddressesPass(String address) {
        assertThat(IdentityRules.email(address)).isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "@",
                "a@",
                "@b.cn",
                "a@b",
                "a b@c.cn",
                "a..b@c.cn",
                ".a@c.cn",
                "a@-b.cn",
                "a@b..cn",
                "a@b.c",
                "a@@b.cn",
                "a@b.cn\n"
            })
    void whatIsNoMailAddressIsRefused(String address) {
        assertThat(IdentityRules.email(address)).isEqualTo("field.format");
    }

    @Test
    void longMailAddressesEndAt254Characters() {
        String domain = ("d".repeat(60) + ".").repeat(4) + "cn";
        String address = "a".repeat(253 - domain.length()) + "@" + domain;
        assertThat(address).hasSize(254);
        assertThat(IdentityRules.email(address)).isNull();
        assertThat(IdentityRules.email("a" + address)).isEqualTo("field.length");
        assertThat(IdentityRules.email("a".repeat(65) + "@b.cn")).isEqualTo("field.format");
    }

    @Test
    void regionsAndPostCodesHaveSixDigits() {
        assertThat(IdentityRules.regionCode("440305")).isNull();
        assertThat(IdentityRules.regionCode("990305")).isEqualTo("field.region");
        assertThat(IdentityRules.regionCode("44030")).isEqualTo("field.format");
        assertThat(IdentityRules.postCode("518000")).isNull();
        assertThat(IdentityRules.postCode("51800")).isEqualTo("field.format");
        assertThat(IdentityRules.postCode("５１８０００")).isEqualTo("field.format");
    }

    @ParameterizedTest
    @ValueSource(strings = {"王", "𠮷田", "䶮㛃", "阿依古丽·买买提", "O'Neil 3rd", "深圳市（南山）有限公司", "😀"})
    void namesOfAllKindsPass(String name) {
        assertThat(IdentityRules.name(name)).isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "王\u0000",
                "王\n伟",
                "\u202E王",
                "王\u200B伟",
                "王\u200D伟",
                "\uFEFF王",
                "\u2066王",
                "王\u0085",
                "王\u2028",
                "王\uFFFF"
            })
    void invisibleCharactersInNamesAreRefused(String name) {
        assertThat(IdentityRules.name(name)).isEqualTo("field.characters");
    }

    @Test
    void halvesOfRareCharactersAreRefused() {
        String rare = "𠮷";
        assertThat(IdentityRules.name("王" + rare.charAt(0))).isEqualTo("field.characters");
        assertThat(IdentityRules.name(rare.charAt(1) + "王")).isEqualTo("field.characters");
    }

    @Test
    void namesAreCountedByCodePoint() {
        assertThat(IdentityRules.name("𠮷".repeat(100))).isNull();
        assertThat(IdentityRules.name("𠮷".repeat(101))).isEqualTo("field.length");
        assertThat(IdentityRules.name("")).isEqualTo("field.length");
        assertThat(IdentityRules.name(" \u3000")).isEqualTo("field.length");
    }

    @Test
    void namesAreSearchedInOneForm() {
        assertThat(IdentityRules.normalName(" 阿依古丽•买买提 ")).isEqualTo("阿依古丽·买买提");
        assertThat(IdentityRules.normalName("阿依古丽・买买提")).isEqualTo("阿依古丽·买买提");
        assertThat(IdentityRules.normalName("ＡＢＣ　（深圳）")).isEqualTo("abc (深圳)");
        assertThat(IdentityRules.normalName("𠮷")).isEqualTo("𠮷");
    }

    @Test
    void documentNumbersAreKeptInUpperCase() {
        assertThat(IdentityRules.normalDocument("resident_id", " 11010519491231002x "))
                .isEqualTo(RESIDENT);
        assertThat(IdentityRules.normalDocument("resident_id", "１１０１０５１９４９１２３１００２ｘ"))
                .isEqualTo(RESIDENT);
        assertThat(IdentityRules.normalDocument("other", "ab1")).isEqualTo("ab1");
    }
}
