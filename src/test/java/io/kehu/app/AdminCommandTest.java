package io.kehu.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.TestKehu;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class AdminCommandTest {
    private static String run(Settings settings, Map<String, String> environment, String username) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream print = new PrintStream(out, true, StandardCharsets.UTF_8);
        new CommandLine(new AdminCommand(() -> settings, environment, print))
                .setExecutionExceptionHandler((failure, line, parsed) -> {
                    throw failure;
                })
                .execute("--username", username);
        return out.toString(StandardCharsets.UTF_8);
    }

    @Test
    void theFirstAdministratorOfAnEmptyBankIsMadeAndSignsIn() {
        try (TestKehu kehu = TestKehu.prepare(Map.of("KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000"))) {
            String printed = run(kehu.settings(), Map.of(), "first.one");
            String password = printed.substring(printed.lastIndexOf(": ") + 2).strip();
            kehu.addNode(kehu.settings());
            assertThat(kehu.<Long>value("SELECT count(*) FROM iam.staff")).isEqualTo(1);
            var answer = kehu.anonymous()
                    .post("/v1/auth/login", """
                    {"username": "first.one", "password": "%s"}""".formatted(password))
                    .is(200);
            assertThat(answer.at("/mustChangePassword").asBoolean()).isTrue();
        }
    }

    @Test
    void aPasswordFromTheEnvironmentMustBeAGoodOneAndIsNotPrinted() {
        Settings settings = TestServers.settings();
        assertThat(run(settings, Map.of("KEHU_ADMIN_PASSWORD", "Quiet-Harbour-4711"), "second.one"))
                .contains("second.one")
                .doesNotContain("Harbour");
        assertThatThrownBy(() -> new CommandLine(
                                new AdminCommand(() -> settings, Map.of("KEHU_ADMIN_PASSWORD", "short"), System.out))
                        .<AdminCommand>getCommand()
                        .call())
                .isInstanceOf(StartFailure.class);
    }
}
