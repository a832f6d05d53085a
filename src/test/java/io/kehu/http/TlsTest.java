package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Certificate;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** TLS and HTTP/2 by setting, with certificates that are renewed while the node runs. */
class TlsTest {
    private static final char[] PASSWORD = "changeit".toCharArray();

    @TempDir
    Path folder;

    /** A certificate of its own for 127.0.0.1, made by the JDK. */
    private KeyStore selfSigned(String name) throws IOException, GeneralSecurityException, InterruptedException {
        Path store = folder.resolve(name + ".p12");
        Process keytool = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "keytool")
                                .toString(),
                        "-genkeypair",
                        "-alias",
                        "kehu",
                        "-keyalg",
                        "EC",
                        "-groupname",
                        "secp256r1",
                        "-validity",
                        "2",
                        "-dname",
                        "CN=127.0.0.1",
                        "-ext",
                        "SAN=ip:127.0.0.1",
                        "-storetype",
                        "PKCS12",
                        "-storepass",
                        new String(PASSWORD),
                        "-keystore",
                        store.toString())
                .inheritIO()
                .start();
        assertThat(keytool.waitFor()).isZero();
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(store)) {
            keys.load(in, PASSWORD);
        }
        return keys;
    }

    private Path pem(String name, String kind, byte[] der) throws IOException {
        String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
        return Files.writeString(
                folder.resolve(name), "-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n");
    }

    private Path certificate(KeyStore keys) throws IOException, GeneralSecurityException {
        return pem("cert.pem", "CERTIFICATE", keys.getCertificate("kehu").getEncoded());
    }

    private Path key(KeyStore keys) throws IOException, GeneralSecurityException {
        return pem("key.pem", "PRIVATE KEY", keys.getKey("kehu", PASSWORD).getEncoded());
    }

    /** A client with connections of its own that trusts this certificate alone. */
    private static HttpClient trusting(KeyStore keys) throws IOException, GeneralSecurityException {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("kehu", keys.getCertificate("kehu"));
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return HttpClient.newBuilder().sslContext(context).build();
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
        KeyStore first = selfSigned("first");
        TestKehu kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_TLS_CERTIFICATE", certificate(first).toString(),
                "KEHU_HTTP_TLS_KEY", key(first).toString(),
                "KEHU_HTTP_TLS_RELOAD_MILLIS", "100"));
        try {
            Caller caller = kehu.caller("administrator");
            HttpClient before = trusting(first);
            assertThat(branches(before, kehu, caller).statusCode()).isEqualTo(200);

            KeyStore second = selfSigned("second");
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
            assertThat(branches(trusting(first), kehu, caller).statusCode()).isEqualTo(200);

            key(second);
            Awaitility.await().ignoreExceptionsInstanceOf(IOException.class).untilAsserted(() -> {
                HttpResponse<String> answer = branches(trusting(second), kehu, caller);
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
        KeyStore keys = selfSigned("store");
        TestKehu kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_TLS_CERTIFICATE", certificate(keys).toString(),
                "KEHU_HTTP_TLS_KEY", key(keys).toString()));
        try {
            HttpClient client = trusting(keys);
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
