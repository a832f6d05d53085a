package io.kehu.customer.duplicate;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.bus.Json;
import java.time.LocalDate;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MatchRulesTest {
    private static Profile person(String fields) {
        return Profile.of(Json.read("{\"kind\": \"person\", " + fields + "}"));
    }

    private static MatchRules.Match match(String one, String other) {
        MatchRules.Match match = MatchRules.compare(person(one), person(other));
        assertThat(MatchRules.compare(person(other), person(one)).score())
                .as("the same from both sides")
                .isEqualTo(match.score());
        return match;
    }

    private static final String BORN = ", \"birthDate\": \"1980-04-05\"";

    @ParameterizedTest
    @CsvSource({
        "张三丰, 张三丰, equal",
        "张三丰, 三丰张, order",
        "李明远, 李鸣远, pinyin",
        "张三丰, 李四光, different",
        "sarah bruhn, bruhn sarah, order",
        "sarah bruhn, sara bruhn, near",
        "sarah bruhn, kevin long, different",
        "李明远, li mingyuan, equal",
        "sarah bruhn, sarah long, partly"
    })
    void namesAreHeldAgainstEachOtherByCharactersSoundAndWords(String one, String other, String found) {
        assertThat(match("\"name\": \"" + one + '"', "\"name\": \"" + other + '"')
                        .reasons())
                .singleElement()
                .satisfies(reason -> assertThat(reason.found()).isEqualTo(found));
    }

    @Test
    void aNameAloneIsNoReasonAndWithTheBirthDateItIs() {
        assertThat(match("\"name\": \"欧阳明远\"", "\"name\": \"欧阳明远\"").isPossible())
                .isFalse();
        assertThat(match("\"name\": \"sarah bruhn\"", "\"name\": \"sarah bruhn\"")
                        .isPossible())
                .isFalse();
        MatchRules.Match both = match("\"name\": \"欧阳明远\"" + BORN, "\"name\": \"欧阳明远\"" + BORN);
        assertThat(both.level()).isEqualTo("certain");
    }

    @Test
    void twoResidentIdsSpeakAgainstItAndOneSlipInOneForIt() {
        String id = "\"name\": \"欧阳明远\"" + BORN + ", \"documents\": [{\"type\": \"resident_id\", \"number\": \"%s\"}]";
        assertThat(match(id.formatted("310101198004051234"), id.formatted("440301198004055678"))
                        .isPossible())
                .isFalse();
        MatchRules.Match slip = match(id.formatted("310101198004051234"), id.formatted("310101198004051243"));
        assertThat(slip.reasons().toString()).contains("document, found=near");
        assertThat(slip.level()).isEqualTo("certain");
    }

    @Test
    void twinsAreForSomebodyToLookAt() {
        String home = BORN + ", \"addresses\": [{\"line\": \"12 morgan crescent windsor\", \"postCode\": \"2106\"}]";
        MatchRules.Match twins = match("\"name\": \"anna kowalski\"" + home, "\"name\": \"berthold kowalski\"" + home);
        assertThat(twins.isPossible()).isTrue();
        assertThat(twins.level()).isEqualTo("possible");
    }

    @Test
    void aPersonIsNeverAnOrganisation() {
        Profile firm = Profile.of(Json.read("{\"kind\": \"organisation\", \"name\": \"欧阳明远\"}"));
        assertThat(MatchRules.compare(firm, person("\"name\": \"欧阳明远\"")).isPossible())
                .isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "1980-04-05, 1980-05-04, true",
        "1980-04-05, 1980-04-06, true",
        "1980-04-05, 1908-04-05, true",
        "1980-04-05, 1991-12-30, false"
    })
    void datesAreNearBySwapOrOneDigit(LocalDate one, LocalDate other, boolean near) {
        assertThat(Likeness.isNearDate(one, other)).isEqualTo(near);
    }

    @ParameterizedTest
    @CsvSource({
        "abcd, abcd, true",
        "abcd, abdc, true",
        "abcd, abxd, true",
        "abcd, abd, true",
        "abcd, abcde, true",
        "abcd, dcba, false",
        "abcd, ab, false"
    })
    void aSlipIsOneEdit(String one, String other, boolean slip) {
        assertThat(Likeness.isOneSlip(one, other)).isEqualTo(slip);
        assertThat(Likeness.isOneSlip(other, one)).isEqualTo(slip);
    }

    /** The example of Winkler's paper. */
    @Test
    void jaroWinklerIsAsPublished() {
        assertThat(Likeness.jaroWinkler("martha", "marhta")).isBetween(0.9610, 0.9612);
        assertThat(Likeness.jaroWinkler("dwayne", "duane")).isBetween(0.8399, 0.8401);
    }

    @Test
    void eachUsualErrorLeavesAKeyThatBothHave() {
        String right = "\"name\": \"sarah bruhn\"" + BORN + ", \"phones\": [{\"number\": \"+8613700001234\"}]";
        for (String wrong : new String[] {
            right.replace("sarah bruhn", "bruhn sarah"),
            right.replace("sarah", "sarha"),
            right.replace("1980-04-05", "1980-05-04"),
            right.replace("1980-04-05", "1981-04-05"),
            right.replace("sarah bruhn", "another name")
        }) {
            Set<String> shared = new HashSet<>(BlockKeys.of(person(right)));
            shared.retainAll(BlockKeys.of(person(wrong.replace("+8613700001234", "+8613700001235"))));
            Set<String> byPhone = new HashSet<>(BlockKeys.of(person(right)));
            byPhone.retainAll(BlockKeys.of(person(wrong)));
            assertThat(wrong.contains("another") ? byPhone : shared).as(wrong).isNotEmpty();
        }
    }
}
