package io.kehu.customer.pull;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.vertx.core.buffer.Buffer;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PullRulesTest {
    private static Pull pull(String format, String items) {
        return Pull.draft(new UUID(0, 1), Json.read("""
                        {"url": "https://a.example/x?y=1", "format": "%s", "items": "%s", "intervalMinutes": 5,
                         "watermark": {"parameter": "since", "field": "at"}}""".formatted(format, items)));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "http://a.example/",
                "https://b.example/",
                "https://a.example@b.example/",
                "https://u:p@a.example/",
                "https://a.example/#x",
                "https:///x",
                "https://a.example.evil.example/",
                "https://a.example /",
                "file:///etc/passwd"
            })
    void onlyAPlainHttpsAddressOfANamedServerMayBeAsked(String url) {
        assertThatThrownBy(() -> PullRules.allowed(url, Set.of("a.example")))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo("pull.urlForbidden"));
        assertThat(PullRules.allowed("https://A.example:8443/x?y", Set.of("a.example"))
                        .getPort())
                .isEqualTo(8443);
    }

    @Test
    void theWatermarkGoesAlongEncoded() {
        assertThat(PullRules.question(pull("json", ""), "2026-01-01 10:00+08"))
                .hasToString("https://a.example/x?y=1&since=2026-01-01+10%3A00%2B08");
        assertThat(PullRules.question(pull("json", ""), null)).hasToString("https://a.example/x?y=1");
    }

    @Test
    void rowsStandWhereThePointerSaysOrUnderTheNamesOfTheFirstLine() {
        assertThat(PullAnswer.rows(
                        pull("json", "/data/rows"),
                        Buffer.buffer("{\"data\": {\"rows\": [{\"id\": 7, \"at\": \"1\", \"x\": {}, \"n\": null}]}}"),
                        10))
                .containsExactly(Map.of("id", "7", "at", "1", "x", "", "n", ""));
        assertThat(PullAnswer.rows(pull("csv", ""), Buffer.buffer("id,at\n7,\"1\n\"\n8\n"), 10))
                .containsExactly(Map.of("id", "7", "at", "1\n"), Map.of("id", "8", "at", ""));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{}|pull.answerInvalid",
                "[1]|pull.answerInvalid",
                "[{}|pull.answerInvalid",
                "[{},{},{}]|pull.answerTooLong",
                "[{\"a\":1,\"a\":2}]|pull.answerInvalid"
            })
    void anAnswerOfAnotherFormIsRefused(String body, String code) {
        assertThatThrownBy(() -> PullAnswer.rows(pull("json", ""), Buffer.buffer(body), 2))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo(code));
    }

    @Test
    void theGreatestWatermarkOfNumbersIsTheGreatestNumberAndOfTimesTheLatest() {
        List<Map<String, String>> numbers = List.of(Map.of("at", "9"), Map.of("at", "10"), Map.of("at", "2"));
        assertThat(PullRules.reached(pull("json", ""), numbers, null)).isEqualTo("10");
        assertThat(PullRules.reached(pull("json", ""), numbers, "11")).isEqualTo("11");
        List<Map<String, String>> times = List.of(Map.of("at", "2026-02-01"), Map.of("at", "2026-01-31"));
        assertThat(Objects.requireNonNull(PullRules.reached(pull("json", ""), times, null)))
                .isEqualTo("2026-02-01");
        for (String bad : List.of("", "张三", "x1", "1".repeat(65))) {
            assertThatThrownBy(() -> PullRules.reached(pull("json", ""), List.of(Map.of("at", bad)), null))
                    .isInstanceOf(Problem.class);
        }
    }

    @Test
    void aSecretBelongsToOneServer() {
        assertThat(PullRules.isSameOrigin("https://a.example/x", "https://A.example/y"))
                .isTrue();
        assertThat(PullRules.isSameOrigin("https://a.example/x", "https://a.example:8443/x"))
                .isFalse();
        assertThat(PullRules.isSameOrigin("https://a.example/x", "https://b.example/x"))
                .isFalse();
    }
}
