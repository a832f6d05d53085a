package io.kehu.crypto;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.bouncycastle.crypto.params.Ed25519PrivateKeyParameters;
import org.bouncycastle.crypto.signers.Ed25519Signer;
import org.junit.jupiter.api.Test;

class RequestSignatureTest {
    private static final long NOW = 1_790_000_000;
    private static final Ed25519PrivateKeyParameters SECRET =
            new Ed25519PrivateKeyParameters("0123456789abcdef0123456789abcdef".getBytes(StandardCharsets.US_ASCII));
    private static final String KEY = Base64.getUrlEncoder()
            .withoutPadding()
            .encodeToString(SECRET.generatePublicKey().getEncoded());
    private static final byte[] BODY = "{\"name\": \"上海\"}".getBytes(StandardCharsets.UTF_8);

    /** A request whose parts a test may change after it was signed. */
    private static final class Sent {
        final Map<String, String> headers = new HashMap<>();
        String method = "POST";
        String path = "/v1/branches";
        String query = "?limit=5&cursor=a%20b";
        byte[] body = BODY;
        String covered = "\"@method\" \"@path\" \"@query\" \"authorization\" \"content-type\" \"content-digest\"";
        String parameters = ";created=" + NOW + ";keyid=\"k1\"";

        Sent() {
            headers.put("authorization", "Bearer a.b.c");
            headers.put("content-type", "application/json");
            headers.put("content-digest", digest(BODY));
        }

        /** As section 2.5 of RFC 9421 says, written down once more. */
        void sign() {
            StringBuilder base = new StringBuilder();
            for (String component : covered.split(" ")) {
                String name = component.replace("\"", "");
                String value = switch (name) {
                    case "@method" -> method;
                    case "@path" -> path;
                    case "@query" -> query;
                    default -> headers.get(name);
                };
                base.append(component).append(": ").append(value).append('\n');
            }
            String input = "(" + covered + ")" + parameters;
            base.append("\"@signature-params\": ").append(input);
            byte[] bytes = base.toString().getBytes(StandardCharsets.UTF_8);
            Ed25519Signer signer = new Ed25519Signer();
            signer.init(true, SECRET);
            signer.update(bytes, 0, bytes.length);
            headers.put("signature-input", "s1=" + input);
            headers.put("signature", "s1=:" + Base64.getEncoder().encodeToString(signer.generateSignature()) + ":");
        }

        boolean isBy(String key, long now) {
            return RequestSignature.isBy(
                    key, new RequestSignature.Request(method, path, query, headers::get, body), now);
        }
    }

    private static String digest(byte[] body) {
        return "sha-256=:" + Base64.getEncoder().encodeToString(Sha256.start().digest(body)) + ":";
    }

    private static boolean good(Consumer<Sent> before, Consumer<Sent> after) {
        Sent sent = new Sent();
        before.accept(sent);
        sent.sign();
        after.accept(sent);
        return sent.isBy(KEY, NOW);
    }

    private static void changed(Consumer<Sent> after) {
        assertThat(good(sent -> {}, after)).isFalse();
    }

    private static void signedWith(Consumer<Sent> before) {
        assertThat(good(before, sent -> {})).isFalse();
    }

    @Test
    void whatItsHolderSignedIsHis() {
        assertThat(good(sent -> {}, sent -> {})).isTrue();
        assertThat(good(sent -> sent.parameters = ";alg=\"ed25519\";created=" + NOW + ";nonce=\"x\"", sent -> {}))
                .isTrue();
        assertThat(good(
                        sent -> {
                            sent.body = new byte[0];
                            sent.query = "?";
                            sent.headers.remove("content-digest");
                            sent.headers.remove("content-type");
                            sent.covered = "\"@query\" \"@path\" \"@method\" \"authorization\"";
                        },
                        sent -> {}))
                .isTrue();
    }

    @Test
    void whateverIsChangedAfterwardsIsNot() {
        changed(sent -> sent.method = "PUT");
        changed(sent -> sent.path = "/v1/branches/1");
        changed(sent -> sent.query = "?limit=6&cursor=a%20b");
        changed(sent -> sent.body = "{}".getBytes(StandardCharsets.UTF_8));
        changed(sent -> {
            sent.body = "{}".getBytes(StandardCharsets.UTF_8);
            sent.headers.put("content-digest", digest(sent.body));
        });
        changed(sent -> sent.headers.put("authorization", "Bearer a.b.d"));
        changed(sent -> sent.headers.put("idempotency-key", "added"));
        changed(sent -> sent.headers.put("dry-run", "true"));
        changed(sent -> sent.headers.remove("signature"));
        changed(sent -> sent.headers.remove("signature-input"));
        changed(sent -> sent.headers.remove("content-digest"));
        changed(sent -> sent.headers.computeIfPresent("signature-input", (k, v) -> v.replace("k1", "k2")));
        changed(sent -> sent.headers.computeIfPresent("signature", (k, v) -> v.replace("s1=", "s2=")));
        changed(sent -> sent.headers.computeIfPresent("signature", (k, v) -> v + ", " + v));
    }

    @Test
    void whatDoesNotSignEnoughIsNot() {
        for (String left :
                new String[] {"@method", "@path", "@query", "authorization", "content-type", "content-digest"}) {
            signedWith(sent -> sent.covered = sent.covered
                    .replace("\"" + left + "\"", "")
                    .replace("  ", " ")
                    .strip());
        }
        signedWith(sent -> sent.parameters = "");
        signedWith(sent -> sent.parameters = ";keyid=\"k1\"");
        signedWith(sent -> sent.parameters = ";created=\"" + NOW + "\"");
        signedWith(sent -> sent.parameters = ";created=" + (NOW - 61));
        signedWith(sent -> sent.parameters = ";created=" + (NOW + 61));
        signedWith(sent -> sent.parameters = ";created=" + NOW + ";expires=" + (NOW - 1));
        signedWith(sent -> sent.parameters = ";created=" + NOW + ";alg=\"hmac-sha256\"");
        signedWith(sent -> sent.parameters = ";created=" + NOW + ";other=1");
        signedWith(sent -> sent.covered += " \"@method\"");
        signedWith(sent -> sent.covered += " \"absent\"");
        signedWith(sent -> sent.covered += " \"@status\"");
        signedWith(sent -> sent.headers.put("content-digest", digest(new byte[1])));
    }

    @Test
    void anotherKeyAndWhatIsNoKeyOpenNothing() {
        Sent sent = new Sent();
        sent.sign();
        byte[] other = new Ed25519PrivateKeyParameters(new java.security.SecureRandom())
                .generatePublicKey()
                .getEncoded();
        assertThat(sent.isBy(Base64.getUrlEncoder().withoutPadding().encodeToString(other), NOW))
                .isFalse();
        assertThat(RequestSignature.isKey(KEY)).isTrue();
        // The neutral point, which any signature of a kind would fit, and what is no point at all.
        byte[] neutral = new byte[32];
        neutral[0] = 1;
        assertThat(RequestSignature.isKey(
                        Base64.getUrlEncoder().withoutPadding().encodeToString(neutral)))
                .isFalse();
        assertThat(RequestSignature.isKey("A".repeat(42))).isFalse();
        assertThat(RequestSignature.isKey("not base64!")).isFalse();
    }
}
