package io.kehu;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.bus.Principal.Audience;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.iam.member.TestMembers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Every operation of the contract x every audience: a token of one is worth nothing to the operations of another. */
class AudienceTest {
    private static final Map<Audience, Caller> CALLERS = new EnumMap<>(Audience.class);
    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        CALLERS.put(Audience.STAFF, kehu.caller("administrator"));
        CALLERS.put(Audience.CUSTOMER, TestMembers.caller(kehu));
        CALLERS.put(Audience.PARTNER, aPartner());
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Caller aPartner() {
        Caller administrator = kehu.caller("administrator");
        String path = administrator.post("/v1/partners", """
                {"name": "audience", "purpose": "受众", "permissions": ["event:read"]}""").is(201).header("Location");
        Answer key = administrator.post(path + "/keys", "{\"days\": 1}").is(201);
        Answer token = kehu.anonymous().post("/v1/auth/token", """
                {"grant_type": "client_credentials", "client_id": "%s", "client_secret": "%s"}""".formatted(
                        key.at("/clientId").asText(), key.at("/clientSecret").asText()));
        return kehu.with(token.is(200).at("/access_token").asText());
    }

    @Test
    void tokensAreRefusedByTheOperationsOfOtherAudiences() {
        List<String> wrong = new ArrayList<>();
        int refused = 0;
        for (Operation operation : Contract.load(3000).operations()) {
            for (Map.Entry<Audience, Caller> entry : CALLERS.entrySet()) {
                if (operation.isPublic() || operation.audience().contains(entry.getKey())) {
                    continue;
                }
                String path = operation.path().replaceAll("\\{[^}]*}", "x");
                Answer answer = entry.getValue().send(operation.method(), path, (byte[]) null);
                refused++;
                if (answer.status() != 403 || !answer.code().equals("auth.audience")) {
                    wrong.add(operation.id() + " for " + entry.getKey() + " answered " + answer.status());
                }
            }
        }
        assertThat(wrong).isEmpty();
        assertThat(refused).isGreaterThan(70);
    }

    @Test
    void eachAudienceReachesWhatIsMadeForItAndItsTokensSaySo() {
        Map<Audience, String> own = Map.of(
                Audience.STAFF, "/v1/auth/me",
                Audience.CUSTOMER, "/v1/members/me",
                Audience.PARTNER, "/v1/partners/me");
        own.forEach((audience, path) -> {
            Caller caller = CALLERS.get(audience);
            caller.get(path).is(200);
            byte[] payload = Base64.getUrlDecoder().decode(caller.token.split("\\.")[1]);
            assertThat(Json.read(new String(payload, StandardCharsets.UTF_8))
                            .path("aud")
                            .asText())
                    .isEqualTo(audience.name().toLowerCase(Locale.ROOT));
        });
    }
}
