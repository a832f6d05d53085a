package io.kehu.iam.federation;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSVerifier;
import com.nimbusds.jose.crypto.ECDSAVerifier;
import com.nimbusds.jose.crypto.Ed25519Verifier;
import com.nimbusds.jose.crypto.RSASSAVerifier;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.KeyUse;
import com.nimbusds.jose.jwk.OctetKeyPair;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jwt.SignedJWT;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.outgoing.Outgoing;
import io.kehu.sql.Clock;
import io.vertx.core.Future;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One identity provider (OpenID Connect Core 1.0, Discovery 1.0): where to send people, and who they are when they come back.
 * Its documents are fetched when they are needed and kept for an hour; keys are also fetched anew for a token whose key is not
 * known.
 */
final class OidcProvider {
    private static final Logger LOG = LoggerFactory.getLogger(OidcProvider.class);
    private static final long KEPT_NANOS = TimeUnit.HOURS.toNanos(1);
    /** Clocks of two servers differ; expired is expired all the same. */
    private static final long SKEW_SECONDS = 60;

    private static final int RSA_BITS_MIN = 2_048;
    private static final int SUBJECT_MAX = 255;
    /** RFC 8176, section 2: words of the claim amr that tell of more than a password. */
    private static final Set<String> SECOND_FACTORS = Set.of("mfa", "mca", "otp", "hwk", "swk", "sc", "sms");

    private final Settings settings;
    private final Outgoing outgoing;
    private final WorkerExecutor workers;
    private final Clock clock;
    private volatile @Nullable Kept<Endpoints> endpoints;
    private volatile @Nullable Kept<JWKSet> keys;

    /**
     * How Kehu is known at the provider.
     *
     * @param groupsClaim the claim of the id token that lists a person's groups
     * @param createStaff whether somebody unknown becomes staff
     */
    record Settings(
            String name,
            String issuer,
            String clientId,
            String clientSecret,
            String redirectUri,
            String groupsClaim,
            boolean createStaff) {
        @Override
        public String toString() {
            return "OidcProvider[" + name + "]";
        }
    }

    private record Endpoints(URI authorization, URI token, URI keys) {}

    private record Kept<T>(T value, long atNanos) {
        static <T> Kept<T> now(T value) {
            return new Kept<>(value, System.nanoTime());
        }

        boolean isFresh() {
            return System.nanoTime() - atNanos < KEPT_NANOS;
        }
    }

    /** What the provider gave does not prove who somebody is; the message is for the log. */
    private static final class Unproven extends RuntimeException {
        Unproven(String why) {
            super(why, null, false, false);
        }
    }

    /**
     * Speaks to a provider.
     *
     * @param workers check signatures
     */
    OidcProvider(Settings settings, Outgoing outgoing, WorkerExecutor workers, Clock clock) {
        this.settings = settings;
        this.outgoing = outgoing;
        this.workers = workers;
        this.clock = clock;
    }

    boolean isCalled(String name) {
        return settings.name.equals(name);
    }

    /**
     * Where to send the browser (OpenID Connect Core, section 3.1.2.1; RFC 7636, section 4.3). Problems:
     * auth.providerUnavailable.
     *
     * @param challenge the S256 challenge of the verifier
     */
    Future<String> authorizationUrl(String state, String nonce, String challenge) {
        Map<String, String> query = new LinkedHashMap<>();
        query.put("response_type", "code");
        query.put("client_id", settings.clientId);
        query.put("redirect_uri", settings.redirectUri);
        query.put("scope", "openid profile");
        query.put("state", state);
        query.put("nonce", nonce);
        query.put("code_challenge", challenge);
        query.put("code_challenge_method", "S256");
        return endpoints()
                .map(known -> {
                    String base = known.authorization.toString();
                    return base + (known.authorization.getRawQuery() == null ? "?" : "&") + form(query);
                })
                .recover(OidcProvider::unavailable);
    }

    /**
     * Changes a code into the identity it stands for; empty where what came back proves none. Problems:
     * auth.providerUnavailable.
     */
    Future<Optional<Identity>> identity(String code, String verifier, String nonce) {
        Map<String, String> form = new LinkedHashMap<>();
        form.put("grant_type", "authorization_code");
        form.put("code", code);
        form.put("redirect_uri", settings.redirectUri);
        form.put("code_verifier", verifier);
        return endpoints()
                .compose(known -> outgoing.send(
                        HttpMethod.POST,
                        known.token,
                        Map.of(
                                "Authorization", basic(),
                                "Content-Type", "application/x-www-form-urlencoded",
                                "Accept", "application/json"),
                        Buffer.buffer(form(form))))
                .compose(this::idToken)
                .compose(token -> verified(token, nonce))
                .map(Optional::of)
                .recover(failure -> {
                    if (failure instanceof Unproven) {
                        LOG.warn("sign-in by {} failed: {}", settings.name, failure.getMessage());
                        return Future.succeededFuture(Optional.empty());
                    }
                    return unavailable(failure);
                });
    }

    private static <T> Future<T> unavailable(Throwable failure) {
        LOG.warn("an identity provider cannot be used: {}", failure.toString());
        return Future.failedFuture(Problem.of("auth.providerUnavailable"));
    }

    /** RFC 6749, section 2.3.1: both parts form-encoded first. */
    private String basic() {
        String pair = encode(settings.clientId) + ":" + encode(settings.clientSecret);
        return "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
    }

    private static String form(Map<String, String> pairs) {
        return pairs.entrySet().stream()
                .map(pair -> pair.getKey() + "=" + encode(pair.getValue()))
                .collect(Collectors.joining("&"));
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    // Documents of the provider

    private Future<Endpoints> endpoints() {
        Kept<Endpoints> known = endpoints;
        if (known != null && known.isFresh()) {
            return Future.succeededFuture(known.value);
        }
        String base = settings.issuer.endsWith("/")
                ? settings.issuer.substring(0, settings.issuer.length() - 1)
                : settings.issuer;
        return document(URI.create(base + "/.well-known/openid-configuration")).map(document -> {
            // Discovery, section 4.3: a document of another issuer is somebody else's.
            if (!settings.issuer.equals(document.path("issuer").textValue())) {
                throw new IllegalStateException("the provider's document names another issuer");
            }
            Endpoints fresh = new Endpoints(
                    uri(document, "authorization_endpoint"),
                    uri(document, "token_endpoint"),
                    uri(document, "jwks_uri"));
            endpoints = Kept.now(fresh);
            return fresh;
        });
    }

    private static URI uri(ObjectNode document, String name) {
        URI uri = URI.create(document.path(name).asText());
        if (!"https".equals(uri.getScheme())) {
            throw new IllegalStateException("the provider's " + name + " is not https");
        }
        return uri;
    }

    private Future<ObjectNode> document(URI uri) {
        return outgoing.get(uri).map(answer -> {
            if (answer.status() != 200 || !(Json.parse(answer.body()) instanceof ObjectNode document)) {
                throw new IllegalStateException("the provider answered " + answer.status());
            }
            return document;
        });
    }

    private Future<JWKSet> keys(boolean anew) {
        Kept<JWKSet> known = keys;
        if (!anew && known != null && known.isFresh()) {
            return Future.succeededFuture(known.value);
        }
        return endpoints().compose(at -> document(at.keys)).map(document -> {
            try {
                JWKSet fresh = JWKSet.parse(document.toString());
                keys = Kept.now(fresh);
                return fresh;
            } catch (ParseException e) {
                throw new IllegalStateException("the provider's keys cannot be read", e);
            }
        });
    }

    // The id token

    private Future<SignedJWT> idToken(Outgoing.Answer answer) {
        if (answer.status() >= 500) {
            return Future.failedFuture(new IllegalStateException("the provider answered " + answer.status()));
        }
        if (answer.status() != 200) {
            return Future.failedFuture(new Unproven("the provider refused the code"));
        }
        try {
            JsonNode body = Json.parse(answer.body());
            return Future.succeededFuture(SignedJWT.parse(body.path("id_token").asText()));
        } catch (Problem | ParseException e) {
            return Future.failedFuture(new Unproven("no id token that can be read"));
        }
    }

    private Future<Identity> verified(SignedJWT token, String nonce) {
        return keys(false)
                .compose(known -> known.getKeyByKeyId(token.getHeader().getKeyID()) != null
                        ? Future.succeededFuture(known)
                        : keys(true))
                .compose(known -> workers.executeBlocking(() -> isSigned(token, known), false))
                .compose(signed -> signed
                        ? Future.succeededFuture(claims(token, nonce))
                        : Future.failedFuture(new Unproven("the signature does not hold")));
    }

    /** The algorithm is one of three, and the key is of the kind that this algorithm needs: it is never the token's to choose. */
    private static boolean isSigned(SignedJWT token, JWKSet known) {
        JWSAlgorithm algorithm = token.getHeader().getAlgorithm();
        JWK key = known.getKeyByKeyId(token.getHeader().getKeyID());
        if (key == null || (key.getKeyUse() != null && !key.getKeyUse().equals(KeyUse.SIGNATURE))) {
            return false;
        }
        try {
            JWSVerifier verifier;
            if (algorithm.equals(JWSAlgorithm.RS256) && key instanceof RSAKey rsa && rsa.size() >= RSA_BITS_MIN) {
                verifier = new RSASSAVerifier(rsa);
            } else if (algorithm.equals(JWSAlgorithm.ES256)
                    && key instanceof ECKey curve
                    && Curve.P_256.equals(curve.getCurve())) {
                verifier = new ECDSAVerifier(curve);
            } else if (algorithm.equals(JWSAlgorithm.EdDSA)
                    && key instanceof OctetKeyPair pair
                    && Curve.Ed25519.equals(pair.getCurve())) {
                verifier = new Ed25519Verifier(pair);
            } else {
                return false;
            }
            return token.verify(verifier);
        } catch (JOSEException e) {
            return false;
        }
    }

    /** OpenID Connect Core, section 3.1.3.7. */
    private Identity claims(SignedJWT token, String nonce) {
        ObjectNode claims = claims(token);
        long now = clock.millis() / 1000;
        List<String> audience = texts(claims.path("aud"));
        must(settings.issuer.equals(claims.path("iss").textValue()), "another issuer");
        must(audience.contains(settings.clientId), "another audience");
        JsonNode authorized = claims.path("azp");
        must(
                authorized.isMissingNode() ? audience.size() == 1 : settings.clientId.equals(authorized.textValue()),
                "issued to another client");
        must(claims.path("exp").isNumber() && claims.path("exp").asLong() > now, "expired");
        must(claims.path("iat").isNumber() && claims.path("iat").asLong() <= now + SKEW_SECONDS, "from the future");
        must(claims.path("nbf").asLong(now) <= now + SKEW_SECONDS, "not yet valid");
        must(nonce.equals(claims.path("nonce").textValue()), "another nonce");
        String subject = claims.path("sub").asText();
        must(!subject.isEmpty() && subject.length() <= SUBJECT_MAX, "no subject");
        Set<String> groups = new LinkedHashSet<>(texts(claims.path(settings.groupsClaim)));
        must(groups.size() <= Identity.GROUPS_MAX, "too many groups");
        String username = claims.path("preferred_username").asText(subject);
        return new Identity(
                settings.name,
                settings.issuer,
                subject,
                username,
                claims.path("name").asText(username),
                groups,
                settings.createStaff,
                texts(claims.path("amr")).stream().anyMatch(SECOND_FACTORS::contains));
    }

    private static ObjectNode claims(SignedJWT token) {
        try {
            if (Json.parse(Buffer.buffer(token.getPayload().toBytes())) instanceof ObjectNode claims) {
                return claims;
            }
        } catch (Problem e) {
            // Not JSON as we read it: answered below.
        }
        throw new Unproven("claims that cannot be read");
    }

    private static List<String> texts(JsonNode node) {
        if (node.isTextual()) {
            return List.of(node.textValue());
        }
        return node.isArray()
                ? node.valueStream()
                        .filter(JsonNode::isTextual)
                        .map(JsonNode::textValue)
                        .toList()
                : List.of();
    }

    private static void must(boolean holds, String otherwise) {
        if (!holds) {
            throw new Unproven(otherwise);
        }
    }
}
