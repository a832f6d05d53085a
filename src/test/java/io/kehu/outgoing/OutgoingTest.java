package io.kehu.outgoing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.TestCertificate;
import io.kehu.TestKehu;
import io.kehu.bus.Network;
import io.kehu.outgoing.Outgoing.Refused;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OutgoingTest {
    private static final int MAX_BYTES = 10_000;
    private static final int TIMEOUT_MILLIS = 1_000;
    private static final AtomicInteger TAKEN = new AtomicInteger();

    @TempDir
    static Path folder;

    private static Vertx vertx;
    private static HttpServer server;
    private static TestCertificate certificate;

    @BeforeAll
    static void start() {
        vertx = Vertx.vertx();
        certificate = TestCertificate.make(folder);
        server = TestKehu.await(vertx.createHttpServer(
                        new HttpServerOptions().setSsl(true).setKeyCertOptions(certificate.forVertx()))
                .requestHandler(request -> {
                    TAKEN.incrementAndGet();
                    switch (request.path()) {
                        case "/redirect" ->
                            request.response()
                                    .setStatusCode(302)
                                    .putHeader("Location", "https://127.0.0.1/inwards")
                                    .end("moved");
                        case "/silent" -> {}
                        case "/slow" -> request.response().setChunked(true).write("a little");
                        case "/long" -> request.response().end(Buffer.buffer(new byte[MAX_BYTES + 1]));
                        case "/endless" -> {
                            request.response().setChunked(true);
                            vertx.setPeriodic(
                                    1,
                                    id -> request.response()
                                            .write(Buffer.buffer(new byte[1_000]))
                                            .onFailure(e -> vertx.cancelTimer(id)));
                        }
                        case "/echo" ->
                            request.body()
                                    .onSuccess(body -> request.response()
                                            .setStatusCode(201)
                                            .end(request.method() + " " + request.getHeader("Host") + " "
                                                    + request.getHeader("X-Test") + " " + request.query() + " "
                                                    + body));
                        default -> request.response().end(Buffer.buffer(new byte[MAX_BYTES]));
                    }
                })
                .listen(0, "127.0.0.1"));
    }

    @AfterAll
    static void stop() {
        TestKehu.await(vertx.close());
    }

    private static Outgoing outgoing(String... networks) {
        return new Outgoing(
                vertx,
                new Outgoing.Options(
                        List.of(networks).stream().map(Network::of).toList(),
                        Set.of(443, server.actualPort()),
                        certificate.pem(),
                        TIMEOUT_MILLIS,
                        MAX_BYTES));
    }

    private static URI at(String host, String path) {
        return URI.create("https://" + host + ":" + server.actualPort() + path);
    }

    private static void refused(Outgoing outgoing, URI uri, String why) {
        assertThatThrownBy(() -> TestKehu.await(outgoing.get(uri)))
                .isInstanceOf(Refused.class)
                .hasMessage(why);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "127.0.0.1", "localhost", "169.254.169.254", "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1",
                "0.0.0.0", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
                "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:db8::1]"
            })
    void whatIsNotPublicIsNotCalled(String host) {
        int before = TAKEN.get();
        refused(outgoing(), at(host, "/"), "an address that is not public");
        assertThat(TAKEN).hasValue(before);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "a..b", "-a.example"})
    void whatSomeResolversTakeForAnAddressIsNoName(String host) {
        int before = TAKEN.get();
        assertThatThrownBy(() -> TestKehu.await(outgoing("127.0.0.0/8").get(at(host, "/"))))
                .isInstanceOf(Refused.class)
                .message()
                .isIn("not a name of a server", "not a plain address of a server");
        assertThat(TAKEN).hasValue(before);
    }

    @Test
    void onlyHttpsWithoutAUserToAllowedPortsIsCalled() {
        Outgoing outgoing = outgoing("127.0.0.0/8");
        refused(outgoing, URI.create("http://127.0.0.1:" + server.actualPort() + "/"), "not https");
        refused(outgoing, URI.create("file:///etc/passwd"), "not https");
        refused(outgoing, at("example.com@127.0.0.1", "/"), "not a plain address of a server");
        refused(outgoing, at("user:word@127.0.0.1", "/"), "not a plain address of a server");
        refused(outgoing, at("127.0.0.1", "/#part"), "not a plain address of a server");
        refused(outgoing, URI.create("https://127.0.0.1:22/"), "a port that is not allowed");
    }

    @Test
    void aNamedNetworkIsCalledAndTheAnswerComesBackWhole() {
        Outgoing outgoing = outgoing("127.0.0.0/8");
        assertThat(TestKehu.await(outgoing.get(at("127.0.0.1", "/"))).body().length())
                .isEqualTo(MAX_BYTES);
        Outgoing.Answer answer = TestKehu.await(outgoing.send(
                HttpMethod.POST, at("127.0.0.1", "/echo?a=%20b"), Map.of("X-Test", "1"), Buffer.buffer("body")));
        assertThat(answer.status()).isEqualTo(201);
        assertThat(answer.body().toString()).isEqualTo("POST 127.0.0.1:" + server.actualPort() + " 1 a=%20b body");
    }

    @Test
    void aNameOfWhichOneAddressIsNotOpenIsNotCalled() {
        // localhost is 127.0.0.1 and, where there is IPv6, ::1 too: all of them must be named.
        assertThat(TestKehu.await(outgoing("127.0.0.0/8", "::1/128").get(at("localhost", "/")))
                        .status())
                .isEqualTo(200);
    }

    @Test
    void aCertificateThatNobodyTrustsEndsTheCall() {
        Outgoing strict = new Outgoing(
                vertx,
                new Outgoing.Options(
                        List.of(Network.of("127.0.0.0/8")),
                        Set.of(server.actualPort()),
                        "",
                        TIMEOUT_MILLIS,
                        MAX_BYTES));
        int before = TAKEN.get();
        assertThatThrownBy(() -> TestKehu.await(strict.get(at("127.0.0.1", "/"))))
                .isNotInstanceOf(Refused.class);
        assertThat(TAKEN).hasValue(before);
    }

    @Test
    void redirectsSlowAndHugeAnswersAreRefused() {
        Outgoing outgoing = outgoing("127.0.0.0/8");
        refused(outgoing, at("127.0.0.1", "/redirect"), "a redirect");
        refused(outgoing, at("127.0.0.1", "/silent"), "no answer in time");
        refused(outgoing, at("127.0.0.1", "/slow"), "no answer in time");
        refused(outgoing, at("127.0.0.1", "/long"), "too long an answer");
        refused(outgoing, at("127.0.0.1", "/endless"), "too long an answer");
    }
}
