package io.kehu.crypto;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.Signature;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.crypto.params.Ed25519PrivateKeyParameters;
import org.bouncycastle.math.ec.rfc8032.Ed25519;

/**
 * What attackers make of a good token, by name. Those named "rightly signed" even have the real key's signature, over what
 * this server never writes: readers that take two spellings of one token for the same disagree with each other some day.
 */
public final class Forgeries {
    /** The order of the base point (RFC 8032, section 5.1): S and S + L satisfy the same equation. */
    private static final BigInteger L =
            BigInteger.TWO.pow(252).add(new BigInteger("27742317777372353535851937790883648493"));

    private final Map<String, String> tokens = new LinkedHashMap<>();
    private final String good;
    private final String header;
    private final String payload;
    private final String signature;
    private final String kid;
    private final KeyStore.SigningKey pair;
    private final Ed25519PrivateKeyParameters stranger = new Ed25519PrivateKeyParameters(new SecureRandom());

    private Forgeries(KeyStore real, String good) {
        this.pair = real.signer(Instant.now().getEpochSecond());
        this.good = good;
        String[] parts = good.split("\\.");
        this.header = decode(parts[0]);
        this.payload = decode(parts[1]);
        this.signature = parts[2];
        this.kid = Json.read(header).get("kid").textValue();
    }

    /**
     * Some ninety of them.
     *
     * @param real the server's own keys
     * @param good a token that it takes
     * @param trap an address where nobody must call
     */
    public static Map<String, String> of(KeyStore real, String good, String trap) {
        Forgeries forgeries = new Forgeries(real, good);
        forgeries.algorithms();
        forgeries.references(trap);
        forgeries.signatures();
        forgeries.claims();
        forgeries.spellings();
        forgeries.shapes();
        return forgeries.tokens;
    }

    private void add(String name, String token) {
        if (token.equals(good) || tokens.put(name, token) != null) {
            throw new IllegalStateException(name + " is nothing new");
        }
    }

    // ---- headers

    private void algorithms() {
        for (String alg : List.of("none", "None", "NONE", "nOnE", "")) {
            String head = encode(header.replace("EdDSA", alg));
            add("alg '" + alg + "' without signature", head + "." + encode(payload) + ".");
            add("alg '" + alg + "' with the old signature", head + "." + encode(payload) + "." + signature);
        }
        add("alg none without typ and kid", encode("{\"alg\":\"none\"}") + "." + encode(payload) + ".");
        add("no alg", signed(stranger, "{\"typ\":\"at+jwt\",\"kid\":\"" + kid + "\"}", payload));
        byte[] raw = pair.publicKey().getEncoded();
        byte[] der = concat(HexFormat.of().parseHex("302a300506032b6570032100"), raw);
        String base64 = Base64.getEncoder().encodeToString(der);
        Map<String, byte[]> spellings = Map.of(
                "raw", raw,
                "base64url", ascii(encode(raw)),
                "hex", ascii(HexFormat.of().formatHex(raw)),
                "DER", der,
                "PEM", ascii("-----BEGIN PUBLIC KEY-----\n" + base64 + "\n-----END PUBLIC KEY-----\n"),
                "kid", ascii(kid));
        spellings.forEach((spelling, key) ->
                add("HS256 keyed with the public key as " + spelling, mac("HS256", "HmacSHA256", key)));
        add("HS512 keyed with the public key", mac("HS512", "HmacSHA512", raw));
        add("HS256 keyed with a guess", mac("HS256", "HmacSHA256", ascii("secret")));
        add("RS256", foreign("RS256", "RSA", 2048, "SHA256withRSA"));
        add("ES256", foreign("ES256", "EC", 256, "SHA256withECDSAinP1363Format"));
        add(
                "ES256 of zeros",
                encode(header.replace("EdDSA", "ES256")) + "." + encode(payload) + "." + encode(new byte[64]));
        for (String alg : List.of("Ed25519", "eddsa", "EdDSA ", "Ed448")) {
            add("rightly signed as alg '" + alg + "'", rightly(header.replace("EdDSA", alg), payload));
        }
    }

    private String mac(String alg, String algorithm, byte[] key) {
        try {
            Mac mac = Mac.getInstance(algorithm);
            mac.init(new SecretKeySpec(key, algorithm));
            String signed = encode(header.replace("EdDSA", alg)) + "." + encode(payload);
            return signed + "." + encode(mac.doFinal(ascii(signed)));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private String foreign(String alg, String keys, int bits, String algorithm) {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance(keys);
            generator.initialize(bits);
            KeyPair own = generator.generateKeyPair();
            String signed = encode(header.replace("EdDSA", alg)) + "." + encode(payload);
            Signature signature = Signature.getInstance(algorithm);
            signature.initSign(own.getPrivate());
            signature.update(ascii(signed));
            return signed + "." + encode(signature.sign());
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Headers that say where else to look for the key, or how else to read. */
    private void references(String trap) {
        String own = encode(stranger.generatePublicKey().getEncoded());
        for (String id :
                List.of("", "unknown", kid + "0", "../../../../etc/passwd", "/dev/null", "' OR '1'='1", trap, "*")) {
            add("kid '" + id + "'", signed(stranger, header.replace(kid, id), payload));
        }
        add("no kid", signed(stranger, "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\"}", payload));
        add("kid as a list", signed(stranger, header.replace("\"" + kid + "\"", "[\"" + kid + "\"]"), payload));
        for (String more : List.of(
                "\"jku\":\"" + trap + "/jwks\"",
                "\"x5u\":\"" + trap + "/cert\"",
                "\"jwk\":{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" + own + "\"}",
                "\"x5c\":[\"" + Base64.getEncoder().encodeToString(ascii("no certificate")) + "\"]",
                "\"x5t#S256\":\"" + own + "\"",
                "\"crit\":[\"exp\"]",
                "\"crit\":[\"b64\"],\"b64\":false",
                "\"b64\":false",
                "\"zip\":\"DEF\"",
                "\"cty\":\"JWT\"",
                "\"kid\":\"" + kid + "\"")) {
            String head = header.replace("}", "," + more + "}");
            add("a stranger's, with " + more, signed(stranger, head, payload));
            add("rightly signed, with " + more, rightly(head, payload));
        }
        add("rightly signed as typ JWT", rightly(header.replace("at+jwt", "JWT"), payload));
        add("rightly signed with a space in the header", rightly(header.replace(",", ", "), payload));
    }

    // ---- signatures

    private void signatures() {
        String signed = good.substring(0, good.lastIndexOf('.') + 1);
        byte[] bytes = Base64.getUrlDecoder().decode(signature);
        add("another pair under the real kid", signed(stranger, header, payload));
        add("no signature", signed);
        add("no third part", signed.substring(0, signed.length() - 1));
        add("a signature of zeros", signed + encode(new byte[64]));
        byte[] identity = new byte[64];
        identity[0] = 1;
        add("a signature of the neutral element", signed + encode(identity));
        add("a signature cut by a byte", signed + encode(Arrays.copyOf(bytes, 63)));
        add("half a signature", signed + encode(Arrays.copyOf(bytes, 32)));
        add("a signature and a byte", signed + encode(Arrays.copyOf(bytes, 65)));
        add("a signature twice", signed + signature + signature);
        add("S and R exchanged", signed + encode(concat(tail(bytes), Arrays.copyOf(bytes, 32))));
        add("S + L", signed + encode(concat(Arrays.copyOf(bytes, 32), littleEndian(s(bytes).add(L)))));
        add("S + 2 L", signed + encode(concat(Arrays.copyOf(bytes, 32), littleEndian(s(bytes).add(L.add(L))))));
        add("-S", signed + encode(concat(Arrays.copyOf(bytes, 32), littleEndian(L.subtract(s(bytes))))));
        byte[] flipped = bytes.clone();
        flipped[0] ^= 1;
        add("a bit of R", signed + encode(flipped));
    }

    private static byte[] tail(byte[] bytes) {
        return Arrays.copyOfRange(bytes, 32, 64);
    }

    private static BigInteger s(byte[] bytes) {
        byte[] big = new byte[33];
        for (int i = 0; i < 32; i++) {
            big[32 - i] = bytes[32 + i];
        }
        return new BigInteger(big);
    }

    private static byte[] littleEndian(BigInteger number) {
        byte[] big = number.toByteArray();
        byte[] little = new byte[32];
        for (int i = 0; i < big.length && i < 32; i++) {
            little[i] = big[big.length - 1 - i];
        }
        return little;
    }

    // ---- claims

    private void claims() {
        ObjectNode claims = Json.read(payload);
        claims.fieldNames().forEachRemaining(claim -> {
            ObjectNode changed = claims.deepCopy();
            if (claims.get(claim).isNumber()) {
                changed.put(claim, claims.get(claim).longValue() + 1);
            } else {
                changed.put(
                        claim,
                        claim.equals("aud") ? "customer" : UUID.randomUUID().toString());
            }
            add("changed " + claim, encode(header) + "." + encode(changed.toString()) + "." + signature);
            ObjectNode without = claims.deepCopy();
            without.remove(claim);
            add("rightly signed without " + claim, rightly(header, without.toString()));
            add(
                    "rightly signed with null for " + claim,
                    rightly(header, claims.deepCopy().putNull(claim).toString()));
        });
        claim("exp as a text", claims.deepCopy().put("exp", claims.get("exp").asText()));
        claim(
                "exp with a fraction",
                claims.deepCopy().put("exp", claims.get("exp").longValue() + 0.5));
        claim(
                "exp in a hundred years",
                claims.deepCopy().put("exp", claims.get("exp").longValue() + 3_155_760_000L));
        claim("exp of 2^64", payload.replace(claims.get("exp").asText(), "18446744073709551616"));
        claim("ver -1", claims.deepCopy().put("ver", -1));
        claim(
                "aud as a list",
                claims.deepCopy().set("aud", Json.object().arrayNode().add("staff")));
        claim("aud public", claims.deepCopy().put("aud", "public"));
        claim("aud in capitals", claims.deepCopy().put("aud", "STAFF"));
        claim(
                "sub in capitals",
                claims.deepCopy().put("sub", claims.get("sub").asText().toUpperCase(Locale.ROOT)));
        claim("sub as SQL", claims.deepCopy().put("sub", "' OR 1=1 --"));
        claim("a claim more", claims.deepCopy().put("permissions", "staff:manage"));
        claim("sub twice", payload.replaceFirst("\\{", "{\"sub\":\"" + UUID.randomUUID() + "\","));
        claim("a BOM before the JSON", "\ufeff" + payload);
        claim("a space before the JSON's end", payload.replaceAll("}$", ",}"));
        claim("a list around the claims", "[" + payload + "]");
        claim("bytes behind the claims", payload + "{}");
        claim("no claims", "{}");
        claim("nothing", "");
    }

    private void claim(String name, Object json) {
        add("rightly signed, " + name, rightly(header, json.toString()));
    }

    // ---- spellings and shapes

    private void spellings() {
        String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        String cut = good.substring(0, good.length() - 1);
        int last = alphabet.indexOf(good.charAt(good.length() - 1));
        add("stray bits at the end", cut + alphabet.charAt(last + 1));
        add("padding", good + "==");
        add("one padding", good + "=");
        String[] parts = good.split("\\.");
        add("padding in the header", parts[0] + "=." + parts[1] + "." + parts[2]);
        add("percent-encoded dots", good.replace(".", "%2E"));
        add("a letter cut", cut);
        add("a letter more", good + "A");
        add("in capitals", good.toUpperCase(Locale.ROOT));
        add("quoted", "\"" + good + "\"");
        add("a space in the middle", good.replaceFirst("\\.", ". "));
        add("two tokens", good + " " + good);
        add("two tokens with a comma", good + "," + good);
        add("a parameter behind it", good + "; scope=all");
        add("a fullwidth letter", "\uff45" + good.substring(1));
        add("emoji", "\ud83d\udd11." + parts[1] + "." + parts[2]);
    }

    private void shapes() {
        String[] parts = good.split("\\.");
        add("a nested token", signed(stranger, header.replace("}", ",\"cty\":\"JWT\"}"), good));
        add("rightly signed, a nested token", rightly(header, good));
        String jwe = encode("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"" + kid + "\"}");
        add("a JWE", jwe + ".." + encode(new byte[12]) + "." + parts[1] + "." + encode(new byte[16]));
        add("JWS as JSON", "{\"payload\":\"" + parts[1] + "\",\"protected\":\"" + parts[0] + "\"}");
        add("a fourth part", good + ".x");
        add("a dot behind it", good + ".");
        add("a dot before it", "." + good);
        add("only dots", "..");
        add("a word", "null");
        add(
                "4 KB",
                parts[0] + "." + encode(payload.replace("}", ",\"x\":\"" + "x".repeat(2_700) + "\"}")) + "."
                        + signature);
        add("2 KB of letters", "A".repeat(2_048));
    }

    // ---- encodings

    private String rightly(String head, String body) {
        return signed(pair.privateKey(), head, body);
    }

    private static String signed(Ed25519PrivateKeyParameters key, String head, String body) {
        String signed = encode(head) + "." + encode(body);
        byte[] message = ascii(signed);
        byte[] signature = new byte[Ed25519.SIGNATURE_SIZE];
        key.sign(Ed25519.Algorithm.Ed25519, null, message, 0, message.length, signature, 0);
        return signed + "." + encode(signature);
    }

    private static byte[] concat(byte[] a, byte[] b) {
        byte[] all = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, all, a.length, b.length);
        return all;
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static String encode(String text) {
        return encode(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String encode(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    private static String decode(String part) {
        return new String(Base64.getUrlDecoder().decode(part), StandardCharsets.UTF_8);
    }
}
