package io.kehu.ops.inbox;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Problems;
import io.kehu.bus.Reply;
import io.kehu.outgoing.CodeChannel;
import io.kehu.sql.Clock;
import io.vertx.core.Future;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** The way of codes to phones: shown in demo and test mode, none at all in production. */
class InboxTest {
    private static final String PHONE = "+8613800138000";

    private static Future<Reply> read(CodeChannel codes) {
        return new InboxService(codes).read(Call.internal("readDemoInbox", Call.Lane.POINT, 1_000));
    }

    private static String problem(Future<?> failed) {
        assertThat(failed.failed()).isTrue();
        return ((Problem) failed.cause()).code();
    }

    @Test
    void inProductionNoCodeIsSentAndNothingIsThere() {
        CodeChannel none = CodeChannel.of(true, new Clock());
        assertThat(problem(none.ready())).isEqualTo("code.channelMissing");
        assertThat(problem(none.send("factor", Ids.next(), PHONE, "123456"))).isEqualTo("code.channelMissing");
        assertThat(problem(read(none))).isEqualTo("request.unknownPath");
        assertThat(Problems.of("request.unknownPath").status()).isEqualTo(404);
    }

    @Test
    void elsewhereTheNewestHundredAreShown() {
        CodeChannel shown = CodeChannel.of(false, new Clock());
        assertThat(shown.ready().succeeded()).isTrue();
        UUID last = null;
        for (int i = 0; i < 101; i++) {
            last = Ids.next();
            assertThat(shown.send("factor", last, PHONE, String.format("%06d", i))
                            .succeeded())
                    .isTrue();
        }
        ObjectNode answer = Json.read(read(shown).result().body().toString());
        List<String> codes = new ArrayList<>();
        answer.get("items").forEach(item -> codes.add(item.get("code").textValue()));
        assertThat(codes).hasSize(100).startsWith("000100").endsWith("000001");
        assertThat(answer.at("/items/0/id").textValue()).isEqualTo(String.valueOf(last));
    }
}
