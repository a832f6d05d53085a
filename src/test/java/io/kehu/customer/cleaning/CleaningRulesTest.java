package io.kehu.customer.cleaning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.customer.cleaning.CleaningRules.Action;
import java.time.LocalDate;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CleaningRulesTest {
    private static final LocalDate TODAY = LocalDate.of(2026, 3, 1);

    private static ObjectNode person(String more) {
        return Json.read(
                "{\"kind\": \"person\", \"lifecycle\": \"new\", \"tier\": \"mass\", \"name\": \"张三\"" + more + "}");
    }

    @ParameterizedTest
    @CsvSource({
        "' 张　三 ', 张三",
        "Ｊｏｈｎ　 Smith, John Smith",
        "中国（上海）有限公司, 中国（上海）有限公司",
        "阿依古丽·买买提, 阿依古丽·买买提",
        "'张\u200B三', 张三",
        "人民路１２号  ３单元, 人民路12号 3单元",
        "𠮷 田, 𠮷田"
    })
    void textLosesNeedlessBlanksAndWidthAndNothingElse(String text, String tidy) {
        assertThat(CleaningRules.tidied(text)).isEqualTo(tidy);
        assertThat(CleaningRules.tidied(tidy)).isEqualTo(tidy);
    }

    @ParameterizedTest
    @CsvSource({
        "北京市朝阳区建国路1号, 110105",
        "吉林省长春市朝阳区红旗街, 220104",
        "北京市东城区东长安街, 110101",
        "山西省晋城市城区凤台街, 140502",
        "江苏省苏州市昆山市前进路, 320583",
        "苏州市某路, 320500",
        "广东省东莞市南城, 441900",
        "朝阳区建国路1号, ''",
        "某处, ''"
    })
    void aRegionIsThatOfAnAddressOnlyWhereItNamesOneBeyondDoubt(String line, String code) {
        assertThat(Objects.requireNonNullElse(CleaningRules.region(line), "")).isEqualTo(code);
    }

    @Test
    void whoHasNoRegionIsGivenThatOfTheAddressAndWhoHasOneKeepsIt() {
        ObjectNode filled = Objects.requireNonNull(CleaningRules.cleaned(
                Action.FILL_REGION, person(", \"addresses\": [{\"line\": \"北京市海淀区中关村\"}]"), TODAY));
        assertThat(filled.path("regionCode").asText()).isEqualTo("110108");
        assertThat(filled.at("/addresses/0/regionCode").asText()).isEqualTo("110108");
        assertThat(CleaningRules.cleaned(Action.FILL_REGION, filled, TODAY)).isNull();
        ObjectNode kept = Objects.requireNonNull(CleaningRules.cleaned(
                Action.FILL_REGION,
                person(", \"regionCode\": \"310101\", \"addresses\": [{\"line\": \"北京市海淀区中关村\"}]"),
                TODAY));
        assertThat(kept.path("regionCode").asText()).isEqualTo("310101");
    }

    @Test
    void codesThatNoStandardHasAreDroppedAndOthersStay() {
        ObjectNode clean = Objects.requireNonNull(CleaningRules.cleaned(
                Action.DROP_UNKNOWN_CODES, person(", \"regionCode\": \"110199\", \"occupation\": \"20503\""), TODAY));
        assertThat(clean.has("regionCode")).isFalse();
        assertThat(clean.path("occupation").asText()).isEqualTo("20503");
        assertThat(CleaningRules.cleaned(Action.DROP_UNKNOWN_CODES, clean, TODAY))
                .isNull();
    }

    @Test
    void theRulesOfEntryBringOldContactsIntoTheirNormalForm() {
        ObjectNode clean = Objects.requireNonNull(CleaningRules.cleaned(
                Action.APPLY_RULES, person(", \"phones\": [{\"number\": \"138 0000 0001\"}]"), TODAY));
        assertThat(clean.at("/phones/0/number").asText()).isEqualTo("+8613800000001");
        assertThatThrownBy(() -> CleaningRules.cleaned(
                        Action.APPLY_RULES, person(", \"phones\": [{\"number\": \"12\"}]"), TODAY))
                .isInstanceOf(Problem.class);
    }
}
