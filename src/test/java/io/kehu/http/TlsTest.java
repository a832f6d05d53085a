package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.kehu.TestCertificate;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Certificate;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** TLS and HTTP/2 by setting, with certificates that are renewed while the node runs. */
class TlsTest {
    @TempDir
    Path folder;

    private TestCertificate selfSigned(String name) throws IOException {
        return TestCertificate.make(Files.createDirectory(folder.resolve(name)));
    }

    private Path certificate(TestCertificate certificate) {
        return certificate.certificate(folder.resolve("cert.pem"));
    }

    private Path key(TestCertificate certificate) {
        return certificate.key(folder.resolve("key.pem"));
    }

    private static HttpResponse<String> branches(HttpClient client, TestKehu kehu, Caller caller)
            throws IOException, InterruptedException {
        return client.send(
                HttpRequest.newBuilder(URI.create("https://127.0.0.1:" + kehu.port() + "/v1/branches"))
                        .header("Authorization", "Bearer " + caller.token)
                        .build(),
                HttpResponse.BodyHandlers.ofString());
    }

    @Test
    void aRenewedPairServesNewConnectionsAndHalfAPairDoesNot() throws Exception {
        TestCertificate first = selfSigned("first");
        TestKehu kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_TLS_CERTIFICATE", certificate(first).toString(),
                "KEHU_HTTP_TLS_KEY", key(first).toString(),
                "KEHU_HTTP_TLS_RELOAD_MILLIS", "100"));
        try {
            Caller caller = kehu.caller("administrator");
            HttpClient before = first.trusting();
            assertThat(branches(before, kehu, caller).statusCode()).isEqualTo(200);

            TestCertificate second = selfSigned("second");
            ListAppender<ILoggingEvent> said = new ListAppender<>();
            said.start();
            Logger log = (Logger) LoggerFactory.getLogger(Certificate.class);
            log.addAppender(said);
            certificate(second);
            Awaitility.await()
                    .untilAsserted(() -> assertThat(List.copyOf(said.list))
                            .extracting(ILoggingEvent::getFormattedMessage)
                            .anyMatch(line -> line.contains("the key is not the certificate's")));
            log.detachAppender(said);
            assertThat(branches(first.trusting(), kehu, caller).statusCode()).isEqualTo(200);

            key(second);
            Awaitility.await().ignoreExceptionsInstanceOf(IOException.class).untilAsserted(() -> {
                HttpResponse<String> answer = branches(second.trusting(), kehu, caller);
                assertThat(answer.statusCode()).isEqualTo(200);
                assertThat(answer.version()).isEqualTo(HttpClient.Version.HTTP_2);
            });
            assertThat(branches(before, kehu, caller).statusCode())
                    .as("a connection that is open goes on")
                    .isEqualTo(200);
        } finally {
            kehu.close();
        }
    }

    @Test
    void aNodeDoesNotStartWithTheKeyOfAnotherCertificate() throws Exception {
        Path certificate = certificate(selfSigned("one"));
        Path key = key(selfSigned("other"));
        assertThatThrownBy(() -> TestKehu.start(Map.of(
                        "KEHU_HTTP_TLS_CERTIFICATE", certificate.toString(), "KEHU_HTTP_TLS_KEY", key.toString())))
                .hasMessage("http.tls: the key is not the certificate's");
    }

    @Test
    void aPairOfPemFilesGivesTlsWithHttp2AndTellsBrowsersToStayThere() throws Exception {
        TestCertificate keys = selfSigned("store");
        TestKehu kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_TLS_CERTIFICATE", certificate(keys).toString(),
                "KEHU_HTTP_TLS_KEY", key(keys).toString()));
        try {
            HttpClient client = keys.trusting();
            Caller caller = kehu.caller("administrator");
            HttpRequest.Builder request = HttpRequest.newBuilder(
                            URI.create("https://127.0.0.1:" + kehu.port() + "/v1/branches"))
                    .header("Authorization", "Bearer " + caller.token);

            HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
            assertThat(answer.statusCode()).isEqualTo(200);
            assertThat(answer.version()).isEqualTo(HttpClient.Version.HTTP_2);
            assertThat(answer.headers().firstValue("Strict-Transport-Security")).isPresent();

            HttpRequest large = request.copy()
                    .header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[(1 << 20) + 1]))
                    .build();
            assertThat(client.send(large, HttpResponse.BodyHandlers.ofString()).statusCode())
                    .isEqualTo(413);
            assertThat(client.send(request.build(), HttpResponse.BodyHandlers.ofString())
                            .statusCode())
                    .isEqualTo(200);

            try (RawClient plain = new RawClient(kehu.port())) {
                assertThat(plain.say("GET /v1/branches HTTP/1.1\r\nHost: kehu\r\n\r\n")
                                .isClosed())
                        .isTrue();
            }
        } finally {
            kehu.close();
        }
    }
}
