package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import io.kehu.app.StartFailure;
import io.kehu.app.TestServers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Limits of time and number, each set so low that it is met at once. */
class HttpLimitsTest {
    private static TestKehu kehu;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_HEADER_TIMEOUT_MILLIS", "300",
                "KEHU_HTTP_BODY_TIMEOUT_MILLIS", "300",
                "KEHU_HTTP_IDLE_TIMEOUT_MILLIS", "1000",
                "KEHU_HTTP_MAX_CONNECTIONS", "12",
                "KEHU_HTTP_MAX_CONNECTIONS_PER_ADDRESS", "6",
                "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.0/8",
                "KEHU_AUDIT_ACCESS_LOG_FLUSH_MILLIS", "50"));
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String head(String method, String path, String... headers) {
        return method + " " + path + " HTTP/1.1\r\nHost: kehu\r\nAuthorization: Bearer " + administrator.token + "\r\n"
                + String.join(
                        "",
                        java.util.Arrays.stream(headers).map(h -> h + "\r\n").toList()) + "\r\n";
    }

    @Test
    void aHeadThatDoesNotEndIsCutOff() {
        try (RawClient client = new RawClient(kehu.port())) {
            assertThat(client.say("GET /v1/branches HTTP/1.1\r\nHost: ke").isClosed())
                    .isTrue();
        }
    }

    @Test
    void aConnectionThatNeverSaysAnythingIsClosed() {
        try (RawClient client = new RawClient(kehu.port())) {
            assertThat(client.isClosed()).isTrue();
        }
    }

    @Test
    void aConnectionIsClosedWhenNothingFollows() {
        try (RawClient client = new RawClient(kehu.port())) {
            assertThat(client.say(head("GET", "/v1/branches")).hear().status()).isEqualTo(200);
            assertThat(client.isClosed()).isTrue();
        }
    }

    @Test
    void aBodyThatDoesNotEndIsRefusedAndTheConnectionClosed() {
        try (RawClient client = new RawClient(kehu.port())) {
            client.say(
                    head("POST", "/v1/branches", "Content-Type: application/json", "Content-Length: 200000") + "{\"na");
            RawClient.Answer answer = client.hear();
            assertThat(answer.status()).isEqualTo(408);
            assertThat(answer.code()).isEqualTo("request.bodyTooSlow");
            assertThat(client.isClosed()).isTrue();
        }
    }

    @Test
    void whatATrustedProxySaysOfTheAddressIsBelievedFromTheRight() {
        Map<String, String> cases = Map.of(
                "203.0.113.7", "203.0.113.7",
                "198.51.100.1, 203.0.113.8", "203.0.113.8",
                "198.51.100.1, 203.0.113.9, 127.0.0.3", "203.0.113.9",
                "2001:db8::7", "2001:db8:0:0:0:0:0:7",
                "dead.beef", "127.0.0.1",
                "198.51.100.1, unknown", "127.0.0.1",
                "1.2.3", "127.0.0.1");
        cases.forEach((said, address) ->
                assertThat(addressOf(kehu, "X-Forwarded-For: " + said)).as(said).isEqualTo(address));
        assertThat(addressOf(kehu, "Forwarded: for=203.0.113.7"))
                .as("what a caller can send because these proxies do not write it")
                .isEqualTo("127.0.0.1");
    }

    @Test
    void aProxyThatWritesForwardedIsBelievedInThatHeaderAlone() {
        Map<String, String> cases = Map.of(
                "for=203.0.113.7", "203.0.113.7",
                "for=198.51.100.1;proto=https, FOR=\"203.0.113.8:4711\";by=127.0.0.1", "203.0.113.8",
                "for=203.0.113.9, for=127.0.0.3", "203.0.113.9",
                "proto=https;for=\"[2001:db8::7]:80\"", "2001:db8:0:0:0:0:0:7",
                "for=_hidden", "127.0.0.1",
                "for=198.51.100.1, for=unknown", "127.0.0.1",
                "by=203.0.113.7", "127.0.0.1");
        try (TestKehu forwarded = TestKehu.start(Map.of(
                "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.0/8",
                "KEHU_HTTP_PROXY_HEADER", "forwarded",
                "KEHU_AUDIT_ACCESS_LOG_FLUSH_MILLIS", "50"))) {
            cases.forEach((said, address) -> assertThat(addressOf(forwarded, "Forwarded: " + said))
                    .as(said)
                    .isEqualTo(address));
            assertThat(addressOf(forwarded, "X-Forwarded-For: 203.0.113.7")).isEqualTo("127.0.0.1");
        }
    }

    /** The caller's address as the access log has it. */
    private static Object addressOf(TestKehu kehu, String header) {
        String id = "proxied-" + UUID.randomUUID();
        RawClient.exchange(kehu.port(), head("GET", "/v1/nothing", header, "Kehu-Request-Id: " + id));
        return Awaitility.await()
                .until(
                        () -> kehu.sql("SELECT address FROM kehu.access_log WHERE request_id = ?", id),
                        rows -> rows.size() == 1)
                .get(0)
                .get("address");
    }

    @Test
    void oneAddressHoldsOnlySoManyConnections() {
        List<RawClient> clients = new ArrayList<>();
        try {
            for (int i = 0; i < 10; i++) {
                clients.add(new RawClient(kehu.port()));
            }
            long closed = clients.stream().filter(RawClient::isClosed).count();
            assertThat(closed).isEqualTo(10);
        } finally {
            clients.forEach(RawClient::close);
        }
        Awaitility.await()
                .untilAsserted(() -> assertThat(RawClient.exchange(kehu.port(), head("GET", "/v1/branches"))
                                .status())
                        .isEqualTo(200));
    }

    @Test
    void plainHttpIsServedToOthersOnlyBehindAProxy() {
        assertThatThrownBy(() -> TestServers.settings(Map.of("KEHU_HTTP_HOST", "0.0.0.0")))
                .isInstanceOf(StartFailure.class)
                .hasMessageContaining("http.tls");
    }

    @Test
    void aProxyNetworkThatIsNoneStopsTheStart() {
        assertThatThrownBy(() -> TestKehu.start(Map.of("KEHU_HTTP_TRUSTED_PROXIES", "10.0.0.0/33")))
                .hasMessageContaining("10.0.0.0/33 is not a network");
    }
}
