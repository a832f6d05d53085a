package io.kehu.bus;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class WireTest {
    @Test
    void aProblemCrossesTheBusWithWhatItsCallerNeeds() {
        Problem sent = new Problem("auth.stepUp", List.of("5"), List.of())
                .with(Json.object().put("maxAge", 300));
        Wire.Outcome outcome = new Wire.Outcome(null, sent);
        byte[] bytes = Json.bytes(Wire.SentOutcome.of(outcome));
        Wire.Outcome back = Json.read(bytes, Wire.SentOutcome.class).outcome();
        Problem problem = back.problem();
        assertThat(problem).isNotNull();
        assertThat(problem.code()).isEqualTo("auth.stepUp");
        assertThat(problem.args()).containsExactly("5");
        assertThat(problem.members()).isEqualTo(sent.members());
    }
}
