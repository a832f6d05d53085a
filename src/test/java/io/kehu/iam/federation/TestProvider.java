package io.kehu.iam.federation;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.crypto.Ed25519Signer;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.OctetKeyPair;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.jwk.gen.OctetKeyPairGenerator;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import io.kehu.TestCertificate;
import io.kehu.TestKehu;
import io.kehu.bus.Json;
import io.kehu.crypto.Sha256;
import io.vertx.core.MultiMap;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.UnaryOperator;

/** An identity provider of the test's own, which holds Kehu to what a real one would. */
public final class TestProvider implements AutoCloseable {
    public static final String NAME = "bank-sso";
    private static final String CLIENT = "kehu-test";
    private static final String SECRET = "a secret with + and %";
    private static final String REDIRECT = "https://console.example/signed-in";

    private final Vertx vertx = Vertx.vertx();
    private final Map<String, Grant> grants = new ConcurrentHashMap<>();
    private final TestCertificate certificate;
    private HttpServer server;

    /** Changed by tests: the key that signs, the keys that are shown, and what becomes of a token before it is sent. */
    volatile JWK signing = rsa("r1");

    final List<JWK> shown = new ArrayList<>(List.of(signing));
    volatile UnaryOperator<JWTClaimsSet.Builder> claims = UnaryOperator.identity();
    volatile UnaryOperator<String> token = UnaryOperator.identity();
    volatile boolean broken;

    /** Somebody whom the provider knows. */
    record Person(String subject, String username, String name, List<String> groups) {}

    private record Grant(Person person, String nonce, String challenge) {}

    private TestProvider(Path folder) {
        certificate = TestCertificate.make(folder);
    }

    public static TestProvider start(Path folder) {
        TestProvider provider = new TestProvider(folder);
        provider.server = TestKehu.await(provider.vertx
                .createHttpServer(
                        new HttpServerOptions().setSsl(true).setKeyCertOptions(provider.certificate.forVertx()))
                .requestHandler(provider::answer)
                .listen(0, "127.0.0.1"));
        return provider;
    }

    public Map<String, String> settings() {
        return new HashMap<>(Map.of(
                "KEHU_OIDC_NAME",
                NAME,
                "KEHU_OIDC_ISSUER",
                issuer(),
                "KEHU_OIDC_CLIENT_ID",
                CLIENT,
                "KEHU_OIDC_CLIENT_SECRET",
                SECRET,
                "KEHU_OIDC_REDIRECT_URI",
                REDIRECT,
                "KEHU_OIDC_CREATE_STAFF",
                "true",
                "KEHU_OUTGOING_NETWORKS",
                "127.0.0.0/8",
                "KEHU_OUTGOING_PORTS",
                "443," + server.actualPort(),
                "KEHU_OUTGOING_TRUST",
                certificate.pem()));
    }

    String issuer() {
        return "https://127.0.0.1:" + server.actualPort();
    }

    public TestCertificate certificate() {
        return certificate;
    }

    static RSAKey rsa(String id) {
        try {
            return new RSAKeyGenerator(2048).keyID(id).generate();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    static ECKey ec(String id) {
        try {
            return new ECKeyGenerator(Curve.P_256).keyID(id).generate();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    static OctetKeyPair ed(String id) {
        try {
            return new OctetKeyPairGenerator(Curve.Ed25519).keyID(id).generate();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    static Map<String, String> query(String url) {
        Map<String, String> query = new HashMap<>();
        for (String pair : URI.create(url).getRawQuery().split("&")) {
            String[] parts = pair.split("=", 2);
            query.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
        }
        return query;
    }

    /** What happens in the browser: somebody signs in at the provider and is sent back with this code. */
    String authorize(String url, Person person) {
        Map<String, String> query = query(url);
        boolean asIs = url.startsWith(issuer() + "/authorize?")
                && CLIENT.equals(query.get("client_id"))
                && "code".equals(query.get("response_type"))
                && "S256".equals(query.get("code_challenge_method"))
                && REDIRECT.equals(query.get("redirect_uri"))
                && query.get("scope").contains("openid");
        if (!asIs) {
            throw new IllegalStateException("not what a provider takes: " + url);
        }
        String code = UUID.randomUUID().toString();
        grants.put(code, new Grant(person, query.get("nonce"), query.get("code_challenge")));
        return code;
    }

    /** A whole sign-in of somebody in this group, up to the body of its last step. */
    public String proof(TestKehu kehu, String group) {
        TestKehu.Answer begun = kehu.anonymous()
                .send("POST", "/v1/auth/oidc/" + NAME + "/start", (byte[]) null)
                .is(200);
        String url = begun.at("/authorizationUrl").asText();
        return Json.object()
                .put("code", authorize(url, new Person(group, group + ".sso", "单点用户", List.of(group))))
                .put("state", query(url).get("state"))
                .put("flow", begun.at("/flow").asText())
                .toString();
    }

    private void answer(HttpServerRequest request) {
        if (broken) {
            request.response().setStatusCode(500).end();
            return;
        }
        switch (request.path()) {
            case "/.well-known/openid-configuration" ->
                request.response()
                        .end(Json.object()
                                .put("issuer", issuer())
                                .put("authorization_endpoint", issuer() + "/authorize")
                                .put("token_endpoint", issuer() + "/token")
                                .put("jwks_uri", issuer() + "/keys")
                                .toString());
            case "/keys" ->
                request.response()
                        .end(new JWKSet(List.copyOf(shown)).toPublicJWKSet().toString());
            case "/token" -> {
                request.setExpectMultipart(true);
                request.end().onSuccess(v -> token(request, request.formAttributes()));
            }
            default -> request.response().setStatusCode(404).end();
        }
    }

    private void token(HttpServerRequest request, MultiMap form) {
        String pair = new String(
                Base64.getDecoder().decode(request.getHeader("Authorization").substring("Basic ".length())),
                StandardCharsets.UTF_8);
        String[] credentials = pair.split(":", 2);
        Grant grant = form.contains("code") ? grants.remove(form.get("code")) : null;
        boolean right = grant != null
                && CLIENT.equals(URLDecoder.decode(credentials[0], StandardCharsets.UTF_8))
                && SECRET.equals(URLDecoder.decode(credentials[1], StandardCharsets.UTF_8))
                && "authorization_code".equals(form.get("grant_type"))
                && REDIRECT.equals(form.get("redirect_uri"))
                && grant.challenge.equals(
                        Base64.getUrlEncoder().withoutPadding().encodeToString(Sha256.of(form.get("code_verifier"))));
        if (!right) {
            request.response().setStatusCode(400).end("{\"error\": \"invalid_grant\"}");
            return;
        }
        request.response()
                .end(Json.object()
                        .put("access_token", "opaque")
                        .put("token_type", "Bearer")
                        .put("id_token", token.apply(idToken(grant)))
                        .toString());
    }

    private String idToken(Grant grant) {
        Instant now = Instant.now();
        JWTClaimsSet.Builder set = claims.apply(new JWTClaimsSet.Builder()
                .issuer(issuer())
                .audience(CLIENT)
                .subject(grant.person.subject)
                .claim("nonce", grant.nonce)
                .claim("iat", now.getEpochSecond())
                .claim("exp", now.getEpochSecond() + 300)
                .claim("preferred_username", grant.person.username)
                .claim("name", grant.person.name)
                .claim("groups", grant.person.groups));
        return signed(signing, set.build());
    }

    static String signed(JWK key, JWTClaimsSet claims) {
        try {
            JWSSigner signer;
            JWSAlgorithm algorithm;
            if (key instanceof RSAKey rsa) {
                signer = new RSASSASigner(rsa);
                algorithm = JWSAlgorithm.RS256;
            } else if (key instanceof ECKey ec) {
                signer = new ECDSASigner(ec);
                algorithm = JWSAlgorithm.ES256;
            } else {
                signer = new Ed25519Signer((OctetKeyPair) key);
                algorithm = JWSAlgorithm.EdDSA;
            }
            SignedJWT jwt = new SignedJWT(
                    new JWSHeader.Builder(algorithm).keyID(key.getKeyID()).build(), claims);
            jwt.sign(signer);
            return jwt.serialize();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The usual again, after a test has changed it. */
    void reset() {
        claims = UnaryOperator.identity();
        token = UnaryOperator.identity();
        broken = false;
    }

    @Override
    public void close() {
        TestKehu.await(vertx.close());
    }
}
