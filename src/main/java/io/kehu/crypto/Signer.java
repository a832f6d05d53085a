package io.kehu.crypto;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.bouncycastle.crypto.params.Ed25519PublicKeyParameters;
import org.bouncycastle.math.ec.rfc8032.Ed25519;

/**
 * Signs and checks access tokens: compact JWS (RFC 7515) with Ed25519 (RFC 8037), typed as RFC 9068 asks. Strict where
 * those leave room: the header must be, byte for byte, the one this class writes for a pair it knows, so no other
 * algorithm, key reference or extension exists here; base64url without padding in its only spelling; exactly the nine
 * claims of {@link Claims}, each once. It has no clock: the caller compares the times with {@code kehu.now()}.
 *
 * <p>Bouncy Castle's Ed25519, because it checks in 0.1 ms where the provider of JDK 17 needed 1 ms (2 shared x86 cores).
 */
public final class Signer {
    /** Longest token looked at, in characters. */
    public static final int TOKEN_MAX = 2_048;

    /** A token that claims to live longer, in seconds, was not made here. */
    private static final long LIFETIME_MAX_SECONDS = 3_600;

    private static final int SIGNATURE_BYTES = Ed25519.SIGNATURE_SIZE;

    private static final Set<String> MEMBERS = Set.of("sub", "sid", "ver", "aud", "iss", "iat", "nbf", "exp", "jti");
    /** Keeps signatures over data apart from tokens: a token's first byte is never 0. */
    private static final byte[] DATA_DOMAIN = "\0kehu.data\0".getBytes(StandardCharsets.US_ASCII);

    private final KeyStore store;
    private final String issuer;

    public Signer(KeyStore store, String issuer) {
        this.store = store;
        this.issuer = issuer;
    }

    /**
     * What a token says.
     *
     * @param subject {@code sub}, the person
     * @param session {@code sid}, the sign-in
     * @param version {@code ver}, of the subject's rights, 0 or more
     * @param audience {@code aud}: staff, customer or partner
     * @param issuedAt {@code iat}, seconds since 1970
     * @param notBefore {@code nbf}, seconds since 1970
     * @param expiresAt {@code exp}, seconds since 1970; at most an hour after {@code issuedAt}
     * @param id {@code jti}
     */
    public record Claims(
            UUID subject,
            UUID session,
            long version,
            Principal.Audience audience,
            long issuedAt,
            long notBefore,
            long expiresAt,
            UUID id) {
        public Claims {
            if (audience == Principal.Audience.PUBLIC
                    || version < 0
                    || issuedAt < 0
                    || notBefore < issuedAt
                    || expiresAt <= notBefore
                    || expiresAt - issuedAt > LIFETIME_MAX_SECONDS) {
                throw new IllegalArgumentException("claims that no token may carry");
            }
        }

        public boolean liveAt(long epochSeconds) {
            return notBefore <= epochSeconds && epochSeconds < expiresAt;
        }
    }

    /**
     * What an unchecked token claims: enough to refuse it cheaply, nothing to trust.
     *
     * @param kid a pair that is known, and not retired before the token ends
     */
    public record Peek(String kid, Principal.Audience audience, long notBefore, long expiresAt) {
        public boolean liveAt(long epochSeconds) {
            return notBefore <= epochSeconds && epochSeconds < expiresAt;
        }
    }

    /** Signs with the pair of the second in which the token is issued. */
    public String issue(Claims claims) {
        KeyStore.SigningKey pair = store.signer(claims.issuedAt);
        ObjectNode payload = Json.object()
                .put("iss", issuer)
                .put("sub", claims.subject.toString())
                .put("sid", claims.session.toString())
                .put("ver", claims.version)
                .put("aud", claims.audience.name().toLowerCase(Locale.ROOT))
                .put("iat", claims.issuedAt)
                .put("nbf", claims.notBefore)
                .put("exp", claims.expiresAt)
                .put("jti", claims.id.toString());
        String signed = header(pair.kid()) + "." + encode(payload.toString().getBytes(StandardCharsets.UTF_8));
        return signed + "." + encode(sign(pair, signed.getBytes(StandardCharsets.US_ASCII)));
    }

    /**
     * Looks at a token without its signature: some microseconds.
     *
     * @throws Problem {@code auth.tokenInvalid} when it cannot be one of ours
     */
    public Peek peek(String token) {
        Parts parts = parts(token);
        return new Peek(parts.pair.kid(), parts.claims.audience, parts.claims.notBefore, parts.claims.expiresAt);
    }

    /**
     * Checks the signature; about 0.1 ms of CPU, so call it on a worker. Whether the time is right, and whether it was
     * revoked, is the caller's to ask.
     *
     * @throws Problem {@code auth.tokenInvalid}
     */
    public Claims verify(String token) {
        Parts parts = parts(token);
        byte[] signed = token.substring(0, token.lastIndexOf('.')).getBytes(StandardCharsets.US_ASCII);
        if (!verify(parts.pair.publicKey(), signed, parts.signature)) {
            throw invalid();
        }
        return parts.claims;
    }

    /** Whether a token that was verified earlier still stands: its pair may have been retired since. */
    public boolean stands(String kid, long expiresAt) {
        return store.accepts(kid, expiresAt);
    }

    /**
     * The public halves, 32 bytes each, of the pairs that sign tokens, signed those that have not expired, or will sign soon, by
     * id, oldest first.
     *
     * @param second of the bank's clock, since 1970
     */
    public Map<String, byte[]> tokenKeys(long second) {
        Map<String, byte[]> points = new LinkedHashMap<>();
        store.signing().forEach((kid, pair) -> {
            if (pair.until() > second) {
                points.put(kid, pair.publicKey().getEncoded());
            }
        });
        return points;
    }

    // ---- other data

    /** A signature over data, with the id of the pair that made it. */
    @SuppressWarnings("ArrayRecordComponent") // bytes for the database, never compared as records
    public record Signature(String kid, byte[] bytes) {}

    /**
     * Signs data that is kept, such as a seal of the audit: 64 bytes, over {@code "\0kehu.data\0"} and the data. With a pair of
     * its own, so that tokens and seals are rotated apart.
     */
    public Signature sign(byte[] data) {
        KeyStore.SigningKey pair = store.sealer();
        return new Signature(pair.kid(), sign(pair, tagged(data)));
    }

    /** Checks {@link #sign(byte[])} with any pair there ever was, by its id. */
    public boolean verify(String kid, byte[] data, byte[] signature) {
        KeyStore.SigningKey pair = store.sealing().get(kid);
        return pair != null && verify(pair.publicKey(), tagged(data), signature);
    }

    /** The public halves, 32 bytes each, of every pair that ever signed data, by id, oldest first. */
    public Map<String, byte[]> publicKeys() {
        store.sealer();
        Map<String, byte[]> points = new LinkedHashMap<>();
        store.sealing().forEach((kid, pair) -> points.put(kid, pair.publicKey().getEncoded()));
        return points;
    }

    /** The same without a server: for those who hold only the public key, 32 bytes. */
    public static boolean verify(byte[] publicKey, byte[] data, byte[] signature) {
        return verify(new Ed25519PublicKeyParameters(publicKey, 0), tagged(data), signature);
    }

    // ---- reading

    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Parts(KeyStore.SigningKey pair, Claims claims, byte[] signature) {}

    private Parts parts(String token) {
        if (token.length() > TOKEN_MAX) {
            throw invalid();
        }
        int first = token.indexOf('.');
        int second = token.indexOf('.', first + 1);
        if (first < 1 || second < 0 || token.indexOf('.', second + 1) >= 0) {
            throw invalid();
        }
        String header = token.substring(0, first);
        for (KeyStore.SigningKey pair : store.signing().values()) {
            if (header.equals(header(pair.kid()))) {
                byte[] signature = decode(token.substring(second + 1));
                if (signature.length != SIGNATURE_BYTES) {
                    throw invalid();
                }
                Claims claims = claims(decode(token.substring(first + 1, second)));
                if (claims.expiresAt > pair.until()) { // so a pair that is retired has no token that has not expired
                    throw invalid();
                }
                return new Parts(pair, claims, signature);
            }
        }
        throw invalid();
    }

    private Claims claims(byte[] payload) {
        try {
            JsonNode json = Json.parse(Buffer.buffer(payload));
            if (!json.isObject() || json.size() != MEMBERS.size() || !issuer.equals(text(json, "iss"))) {
                throw invalid();
            }
            String audience = text(json, "aud");
            if (!audience.equals(audience.toLowerCase(Locale.ROOT))) {
                throw invalid();
            }
            return new Claims(
                    uuid(json, "sub"),
                    uuid(json, "sid"),
                    number(json, "ver"),
                    Principal.Audience.valueOf(audience.toUpperCase(Locale.ROOT)),
                    number(json, "iat"),
                    number(json, "nbf"),
                    number(json, "exp"),
                    uuid(json, "jti"));
        } catch (IllegalArgumentException | Problem e) {
            throw invalid(); // not JSON, a member missing, a value no token may carry
        }
    }

    private static String text(JsonNode json, String member) {
        JsonNode value = json.get(member);
        if (value == null || !value.isTextual()) {
            throw invalid();
        }
        return value.textValue();
    }

    private static long number(JsonNode json, String member) {
        JsonNode value = json.get(member);
        if (value == null || !value.isIntegralNumber() || !value.canConvertToLong()) {
            throw invalid();
        }
        return value.longValue();
    }

    private static UUID uuid(JsonNode json, String member) {
        String text = text(json, member);
        UUID id = UUID.fromString(text);
        if (!id.toString().equals(text)) { // fromString also takes "1-1-1-1-1"
            throw invalid();
        }
        return id;
    }

    // ---- keys and encodings

    private static String header(String kid) {
        String json = "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"" + kid + "\"}";
        return encode(json.getBytes(StandardCharsets.US_ASCII));
    }

    private static byte[] sign(KeyStore.SigningKey pair, byte[] message) {
        if (pair.privateKey() == null) {
            throw new IllegalStateException("only the current pair signs");
        }
        byte[] signature = new byte[SIGNATURE_BYTES];
        pair.privateKey().sign(Ed25519.Algorithm.Ed25519, null, message, 0, message.length, signature, 0);
        return signature;
    }

    private static boolean verify(Ed25519PublicKeyParameters key, byte[] message, byte[] signature) {
        return signature.length == SIGNATURE_BYTES
                && key.verify(Ed25519.Algorithm.Ed25519, null, message, 0, message.length, signature, 0);
    }

    private static byte[] tagged(byte[] data) {
        byte[] tagged = new byte[DATA_DOMAIN.length + data.length];
        System.arraycopy(DATA_DOMAIN, 0, tagged, 0, DATA_DOMAIN.length);
        System.arraycopy(data, 0, tagged, DATA_DOMAIN.length, data.length);
        return tagged;
    }

    private static String encode(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /** Base64url in the one spelling an encoder gives: no padding, no stray bits at the end. */
    private static byte[] decode(String text) {
        try {
            byte[] bytes = Base64.getUrlDecoder().decode(text);
            if (encode(bytes).equals(text)) {
                return bytes;
            }
        } catch (IllegalArgumentException e) {
            throw invalid();
        }
        throw invalid();
    }

    private static Problem invalid() {
        return Problem.of("auth.tokenInvalid");
    }
}
