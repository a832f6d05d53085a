package io.kehu.customer.enrichment;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** RFC 9309, with its examples. */
class RobotsRulesTest {
    private static boolean allows(String file, String path) {
        RobotsRules rules = RobotsRules.parse(file, "Kehu");
        assertThat(RobotsRules.from(rules.toJson())).isEqualTo(rules);
        return rules.allows(path);
    }

    @ParameterizedTest
    @CsvSource({
        "/example/page, /example/page, true",
        "/example/page, /example/page/disallowed.gif, false",
        "/example/, /example/other, true",
        "/example/, /elsewhere, true",
    })
    void theLongestRuleDecides(String allowed, String path, boolean expected) {
        String file = "User-Agent: *\nAllow: " + allowed + "\nDisallow: /example/page/disallowed.gif\n";
        assertThat(allows(file, path)).isEqualTo(expected);
    }

    @Test
    void ofTwoAsLongTheOneThatAllowsDecidesInEitherOrder() {
        assertThat(allows("User-agent: *\nDisallow: /a\nAllow: /a", "/a")).isTrue();
        assertThat(allows("User-agent: *\nAllow: /a\nDisallow: /a", "/a")).isTrue();
    }

    @Test
    void theGroupsThatNameTheCrawlerCountAndOthersDoNot() {
        String file = "User-agent: *\nDisallow: /\n\nUser-agent: other\nUser-agent: KEHU/1.0\nDisallow: /x # here\n\n"
                + "user-agent: kehu\r\nDisallow: /y\r\nAllow:\r\nSitemap: https://a.example/s\r\n";
        assertThat(allows(file, "/")).isTrue();
        assertThat(allows(file, "/x/1")).isFalse();
        assertThat(allows(file, "/y")).isFalse();
        assertThat(allows("User-agent: kehubot\nDisallow: /", "/")).isTrue();
        assertThat(allows("User-agent: kehu\n\nUser-agent: *\nDisallow: /", "/"))
                .isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "/path/file-with-a-%2A.html, /path/file-with-a-*.html, true",
        "*.gif$, /a/b.gif, false",
        "*.gif$, /a/b.gif?c, true",
        "/this/*/exactly, /this/is/it/exactly/so, false",
        "/caf%C3%a9, /caf%c3%A9, false",
        "/café, /caf%C3%A9, false",
        "/%61bc, /abc, false",
        "/a%2Fb, /a/b, true",
        "/100%, /100%, false",
    })
    void starsEndsAndEscapesAreMeant(String disallowed, String path, boolean expected) {
        assertThat(allows("\ufeffUser-agent: *\nDisallow: " + disallowed, path)).isEqualTo(expected);
    }

    @Test
    void nothingIsFetchedWhereTheFileIsMeantToBeEndless() {
        String many = "User-agent: *\n" + "Allow: /a\n".repeat(1_001);
        assertThat(RobotsRules.parse(many, "Kehu")).isEqualTo(RobotsRules.CLOSED);
        assertThat(RobotsRules.CLOSED.allows("/a")).isFalse();
        assertThat(allows("User-agent: *\nDisallow: /" + "*a".repeat(499), "/" + "a".repeat(600)))
                .isFalse();
        assertThat(allows("<html>not found</html>", "/a")).isTrue();
    }
}
