package io.kehu.crypto;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bouncycastle.crypto.params.Ed25519PublicKeyParameters;
import org.bouncycastle.crypto.signers.Ed25519Signer;
import org.bouncycastle.math.ec.rfc8032.Ed25519;
import org.jspecify.annotations.Nullable;

/**
 * Signatures of requests (HTTP Message Signatures, RFC 9421) in one strict profile: one signature, Ed25519, made within the
 * last minute, over method, path, query, the access token, every header that changes what the request means, and the digest of
 * its body (Content-Digest, RFC 9530). What Kehu does not know makes the signature worthless; nothing is passed over.
 *
 * <pre>
 * Content-Digest: sha-256=:...:
 * Signature-Input: s=("@method" "@path" "@query" "authorization" "content-digest");created=1790000000
 * Signature: s=:...:
 * </pre>
 */
public final class RequestSignature {
    /** Headers that change what a request means: signed wherever they are sent. */
    private static final List<String> MEANING =
            List.of("content-type", "idempotency-key", "if-match", "dry-run", "kehu-purpose", "last-event-id", "range");

    private static final int LIFE_SECONDS = 60;
    private static final int MAX_LENGTH = 2_048;

    private static final Pattern INPUT = Pattern.compile(
            "([a-z][a-z0-9_-]{0,31})=(\\(((?:\"[@a-z0-9-]{1,40}\" ?){1,20})\\)((?:;[a-z]{1,10}=(?:\"[!#-~]{0,100}\"|[0-9]{1,12})){1,6}))");

    private static final Pattern PARAMETER = Pattern.compile(";([a-z]+)=(?:\"([^\"]*)\"|([0-9]+))");
    private static final Pattern DIGEST = Pattern.compile("sha-256=:([A-Za-z0-9+/]{43}=):");

    private RequestSignature() {}

    /**
     * What of a request is signed.
     *
     * @param query with its question mark, which alone stands for none
     * @param header the value of a header by its name in small letters; null where it is absent or sent several times
     * @param body its bytes; empty for none
     */
    public record Request(
            String method, String path, String query, Function<String, @Nullable String> header, byte[] body) {}

    /**
     * Whether the holder of a key has made this request. Costs a signature check: not for an event loop.
     *
     * @param publicKey base64url of the 32 bytes of an Ed25519 public key
     * @param nowSeconds the present in epoch seconds
     */
    public static boolean isBy(String publicKey, Request request, long nowSeconds) {
        String input = request.header.apply("signature-input");
        String signature = request.header.apply("signature");
        if (input == null || signature == null || input.length() > MAX_LENGTH || signature.length() > MAX_LENGTH) {
            return false;
        }
        Matcher parts = INPUT.matcher(input);
        if (!parts.matches() || !isFresh(parts.group(4), nowSeconds) || !isTrueDigest(request)) {
            return false;
        }
        List<String> covered =
                new ArrayList<>(List.of(parts.group(3).strip().replace("\"", "").split(" ")));
        byte[] base = covered.containsAll(required(request)) ? base(request, covered, parts.group(2)) : null;
        byte[] made = made(parts.group(1), signature);
        return base != null && made != null && verifies(publicKey, base, made);
    }

    /** Whether a text is base64url of the 32 bytes of an Ed25519 public key that is a point of the curve, and not a weak one. */
    public static boolean isKey(String text) {
        try {
            byte[] bytes = Base64.getUrlDecoder().decode(text);
            return bytes.length == Ed25519.PUBLIC_KEY_SIZE && Ed25519.validatePublicKeyFull(bytes, 0);
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static List<String> required(Request request) {
        List<String> required = new ArrayList<>(List.of("@method", "@path", "@query", "authorization"));
        MEANING.stream().filter(name -> request.header.apply(name) != null).forEach(required::add);
        if (request.body.length > 0) {
            required.add("content-digest");
        }
        return required;
    }

    /** Section 2.5: a line for each component, and the parameters as they came. */
    private static byte @Nullable [] base(Request request, List<String> covered, String parameters) {
        StringBuilder base = new StringBuilder();
        for (String name : covered) {
            String value = switch (name) {
                case "@method" -> request.method.toUpperCase(Locale.ROOT);
                case "@path" -> request.path;
                case "@query" -> request.query;
                default -> name.startsWith("@") ? null : request.header.apply(name);
            };
            if (value == null || covered.indexOf(name) != covered.lastIndexOf(name)) {
                return null;
            }
            base.append('"').append(name).append("\": ").append(value.strip()).append('\n');
        }
        return base.append("\"@signature-params\": ")
                .append(parameters)
                .toString()
                .getBytes(StandardCharsets.UTF_8);
    }

    private static boolean isFresh(String parameters, long now) {
        Matcher each = PARAMETER.matcher(parameters);
        boolean fresh = false;
        while (each.find()) {
            String number = each.group(3);
            switch (each.group(1)) {
                case "created" -> fresh = number != null && Math.abs(now - Long.parseLong(number)) <= LIFE_SECONDS;
                case "expires" -> {
                    if (number == null || Long.parseLong(number) < now) {
                        return false;
                    }
                }
                case "alg" -> {
                    if (!"ed25519".equals(each.group(2))) {
                        return false;
                    }
                }
                case "keyid", "nonce", "tag" -> {}
                default -> {
                    return false;
                }
            }
        }
        return fresh;
    }

    private static boolean isTrueDigest(Request request) {
        String digest = request.header.apply("content-digest");
        if (digest == null) {
            return request.body.length == 0;
        }
        Matcher sha256 = DIGEST.matcher(digest);
        return sha256.matches()
                && java.util.Arrays.equals(
                        Base64.getDecoder().decode(sha256.group(1)),
                        Sha256.start().digest(request.body));
    }

    private static byte @Nullable [] made(String label, String signature) {
        Matcher bytes = Pattern.compile(Pattern.quote(label) + "=:([A-Za-z0-9+/]{86}==):")
                .matcher(signature);
        return bytes.matches() ? Base64.getDecoder().decode(bytes.group(1)) : null;
    }

    private static boolean verifies(String publicKey, byte[] base, byte[] signature) {
        Ed25519Signer signer = new Ed25519Signer();
        signer.init(false, new Ed25519PublicKeyParameters(Base64.getUrlDecoder().decode(publicKey)));
        signer.update(base, 0, base.length);
        return signer.verifySignature(signature);
    }
}
