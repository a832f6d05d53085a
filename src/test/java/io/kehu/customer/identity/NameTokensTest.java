package io.kehu.customer.identity;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.crypto.KeyStore;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NameTokensTest {
    @TempDir
    private static Path folder;

    private static KeyStore store;
    private static NameTokens tokens;

    @BeforeAll
    static void openKeys() {
        store = KeyStore.openOrCreate(folder.resolve("keys"), true);
        tokens = new NameTokens(store);
    }

    @ParameterizedTest
    @CsvSource({
        "张三, 张三|张|三|zhangsan|zhang san|ZHANG|san|zs|Zhang  San|' 张 三 '",
        "张三丰, 张三|三丰|张三丰|丰|zhangsan|sanfeng|san feng|zhangsanfeng|zs|zsf|feng",
        "𠮷田, 𠮷|𠮷田|田|tian",
        "王𠮷𠮷, 𠮷𠮷|王𠮷|𠮷|王𠮷𠮷|wang",
        "阿依古丽·买买提, 阿依古丽·买买提|阿依古丽•买买提|阿依古丽・买买提|阿依古丽‧买买提|阿依古丽买买提|买买提|古丽|丽买|提|ayiguli|ay|ayglmmt|maimaiti",
        "单雄信, dan xiong xin|shan|shanxiongxin|sxx|dxx",
        "曾国藩, zengguofan|cengguofan|zgf",
        "仇英, qiuying|chou",
        "解缙, xiejin|jiejin",
        "朴树, piaoshu|pushu|ps",
        "查良镛, zhaliangyong|chaliangyong",
        "区海伦, ouhailun|ohl",
        "任正非, renzhengfei|rzf",
        "华佗, huatuo|ht",
        "盖聂, genie|ge nie",
        "万俟卨, moqi|moqixie|wanqi",
        "尉迟恭, yuchigong|ycg|weichigong",
        "长孙无忌, zhangsunwuji|zhangsun wuji|zswj",
        "令狐冲, linghuchong|lhc",
        "欧阳修, ouyangxiu|ouyang xiu|oyx|欧阳",
        "吕布, lvbu|lubu|lyubu|lv|lb",
        "西安, xian|xi an|xi",
        "ＭＩＣＨＡＥＬ Jordan, michael|mi|micha|jordan michael|JORD|jo",
        "José O'Brien, jose|josé|obrien|o'brien|O’Brien",
        "Alexandria Montgomery, alexandria|alexandri|montgomery alex|alexandria montgomery",
        "Ｊ Smith, j|smith",
        "招商银行ABC分行, 招商|abc|分行|银行|商银行|行ABC分",
        "上海浦东发展银行股份有限公司, 浦东|浦东发展|有限公司|shanghai pudong|shpdfz",
        "某某（上海）贸易有限公司, 某上|上海|(上海)|贸易",
        "Иванов Пётр, иван|Иванов|петр",
    })
    void aNameIsFoundByEveryPromisedForm(String name, String queries) {
        Set<Integer> stored = stored(name);
        for (String query : queries.split("\\|")) {
            assertThat(finds(stored, query)).as("candidate by '%s'", query).isTrue();
            assertThat(NameTokens.matches(name, query)).as("hit by '%s'", query).isTrue();
        }
        assertThat(stored).contains(tokens.exact(name));
    }

    @ParameterizedTest
    @CsvSource({
        "张三, 三张|李|zhangsi|zhan|sz|zsf|san zhang",
        "Alexandria, alexandros|lexa",
        "欧阳修, 欧修|yang ou|阳修欧",
        "王伟, w|wangwe"
    })
    void aNameIsNotAHitForAnotherText(String name, String queries) {
        for (String query : queries.split("\\|")) {
            assertThat(NameTokens.matches(name, query)).as(query).isFalse();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "·", "%_\\", "。，", "\u200B"})
    void aTextWithoutLettersFindsNothing(String query) {
        assertThat(tokens.query(query)).isEmpty();
        assertThat(tokens.of(query)).isEmpty();
        assertThat(NameTokens.matches("张三", query)).isFalse();
    }

    @Test
    void theNumberOfTokensIsBoundedWhateverTheName() {
        assertThat(tokens.of("张三丰")).hasSize(14).doesNotHaveDuplicates();
        assertThat(tokens.of("单绿".repeat(400))).hasSizeLessThanOrEqualTo(NameTokens.TOKENS_MAX);
        assertThat(tokens.of(distinctCharacters(400))).hasSizeLessThanOrEqualTo(NameTokens.TOKENS_MAX);
        assertThat(tokens.of("word ".repeat(100))).hasSizeLessThan(10);
    }

    @Test
    void aHostileSearchTextCostsLittleAndYieldsFewAlternatives() {
        for (String text :
                List.of("an".repeat(8), "ana".repeat(85), "xian".repeat(64), "a".repeat(100_000), "xian ".repeat(50))) {
            assertThat(tokens.query(text)).hasSizeLessThanOrEqualTo(11);
            assertThat(NameTokens.matches("张三", text)).isFalse();
        }
    }

    @Test
    void tokensOfAnotherKeyAreOthers() {
        int[] before = tokens.of("张三丰");
        NameTokens after = new NameTokens(store, store.rotate(KeyStore.Kind.TOKENS));

        assertThat(stored("张三丰")).doesNotContainAnyElementsOf(boxed(after.of("张三丰")));
        assertThat(new NameTokens(store, 1).of("张三丰")).isEqualTo(before);
    }

    private static Set<Integer> stored(String name) {
        return boxed(tokens.of(name));
    }

    private static Set<Integer> boxed(int[] numbers) {
        return Arrays.stream(numbers).boxed().collect(Collectors.toSet());
    }

    private static boolean finds(Set<Integer> stored, String query) {
        return tokens.query(query).stream().anyMatch(all -> all.length > 0 && stored.containsAll(boxed(all)));
    }

    private static String distinctCharacters(int count) {
        StringBuilder name = new StringBuilder();
        for (int i = 0; i < count; i++) {
            name.appendCodePoint(0x4E00 + i * 7);
        }
        return name.toString();
    }
}
