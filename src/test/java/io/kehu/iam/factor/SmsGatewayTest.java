package io.kehu.iam.factor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestCertificate;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.crypto.Sha256;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Codes on their way to a gateway, which is a server of the test's own. */
class SmsGatewayTest {
    private static final String SECRET = "gateway-secret-of-thirty-two-and-more";

    @TempDir
    static Path folder;

    /** What the gateway got: signature and body. */
    private record Got(String signature, String body) {}

    private static final List<Got> GOT = new CopyOnWriteArrayList<>();
    private static volatile int status = 202;

    private static Vertx vertx;
    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        vertx = Vertx.vertx();
        TestCertificate certificate = TestCertificate.make(folder);
        HttpServer gateway = TestKehu.await(vertx.createHttpServer(
                        new HttpServerOptions().setSsl(true).setKeyCertOptions(certificate.forVertx()))
                .requestHandler(request -> request.body().onSuccess(body -> {
                    GOT.add(new Got(request.getHeader("Kehu-Signature"), body.toString(StandardCharsets.UTF_8)));
                    request.response().setStatusCode(status).end();
                }))
                .listen(0, "127.0.0.1"));
        kehu = TestKehu.start(Map.of(
                "KEHU_CODES_GATEWAY",
                "https://127.0.0.1:" + gateway.actualPort() + "/codes",
                "KEHU_CODES_GATEWAY_SECRET",
                SECRET,
                "KEHU_OUTGOING_NETWORKS",
                "127.0.0.1/32",
                "KEHU_OUTGOING_PORTS",
                Integer.toString(gateway.actualPort()),
                "KEHU_OUTGOING_TRUST",
                certificate.pem()));
    }

    @AfterAll
    static void stop() {
        kehu.close();
        TestKehu.await(vertx.close());
    }

    private static Answer begin(Caller caller) {
        return caller.send("POST", "/v1/auth/factors/sms", (byte[]) null).is(201);
    }

    private static Caller somebodyWithAPhone() {
        UUID person = kehu.staff(kehu.headOffice(), "risk");
        TestFactors.phone(kehu, person);
        return kehu.signIn(person);
    }

    @Test
    void aCodeGoesToTheGatewaySignedAndNowhereElse() {
        status = 202;
        int before = GOT.size();
        Caller caller = somebodyWithAPhone();
        Answer begun = begin(caller);
        await().until(() -> GOT.size() > before);
        Got got = GOT.get(before);
        JsonNode sent = Json.read(got.body);
        assertThat(sent.get("phone").asText()).isEqualTo("+8613800138000");
        String moment = got.signature.substring(2, got.signature.indexOf(','));
        assertThat(got.signature)
                .isEqualTo("t=" + moment + ",v1="
                        + HexFormat.of()
                                .formatHex(Sha256.mac(SECRET.getBytes(StandardCharsets.UTF_8))
                                        .doFinal((moment + "." + got.body).getBytes(StandardCharsets.UTF_8))));
        assertThat(Long.parseLong(moment))
                .isBetween(System.currentTimeMillis() / 1000 - 60, System.currentTimeMillis() / 1000 + 60);
        kehu.anonymous().get("/v1/demo/inbox").is(404, "request.unknownPath");
        caller.post(
                        begun.header("Location") + "/confirm",
                        Json.object().put("code", sent.get("code").asText()).toString())
                .is(200);
    }

    @Test
    void aGatewayThatRefusesHarmsNothingAndAsksForNoSecondTry() {
        status = 500;
        int before = GOT.size();
        begin(somebodyWithAPhone());
        await().until(() -> GOT.size() > before);
        assertThat(GOT).hasSize(before + 1);
    }
}
