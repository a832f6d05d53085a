package io.kehu.iam.session;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SignInPolicyTest {
    @Test
    void productionAsksForSecondFactorsUnlessItSaysOff() {
        assertThat(SignIn.policy("by-mode", "production")).isTrue();
        assertThat(SignIn.policy("BY-MODE", "Production")).isTrue();
        assertThat(SignIn.policy("required", "production")).isTrue();
        assertThat(SignIn.policy("off", "production")).isFalse();
    }

    @Test
    void demoAndTestModeAskForThemOnlyWhereTold() {
        for (String mode : new String[] {"demo", "test"}) {
            assertThat(SignIn.policy("by-mode", mode)).as(mode).isFalse();
            assertThat(SignIn.policy("off", mode)).as(mode).isFalse();
            assertThat(SignIn.policy("required", mode)).as(mode).isTrue();
        }
    }
}
