package io.kehu.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.bus.Principal.Audience;
import io.kehu.bus.Problem;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.UUID;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.crypto.params.Ed25519PrivateKeyParameters;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SignerTest {
    private static final Signer.Claims CLAIMS = new Signer.Claims(
            UUID.fromString("0198f000-0000-7000-8000-000000000001"),
            UUID.fromString("0198f000-0000-7000-8000-000000000002"),
            7,
            Audience.STAFF,
            1_800_000_000L,
            1_800_000_000L,
            1_800_000_300L,
            UUID.fromString("0198f000-0000-7000-8000-000000000003"));

    @TempDir
    private Path folder;

    private KeyStore store;
    private Signer signer;

    @BeforeEach
    void openKeys() {
        store = KeyStore.openOrCreate(folder.resolve("keys"), true);
        signer = new Signer(store, "kehu");
    }

    @Test
    void anIssuedTokenSaysWhatItWasIssuedFor() {
        String token = signer.issue(CLAIMS);

        assertThat(token.length()).isLessThan(700);
        assertThat(signer.verify(token)).isEqualTo(CLAIMS);
        Signer.Peek peek = signer.peek(token);
        assertThat(peek.audience()).isEqualTo(Audience.STAFF);
        assertThat(peek.liveAt(1_799_999_999L)).isFalse();
        assertThat(peek.liveAt(1_800_000_299L)).isTrue();
        assertThat(CLAIMS.liveAt(1_800_000_300L)).isFalse();
    }

    @Test
    void tokensOfBothPairsAreAcceptedWhileOneFollowsTheOtherAndThoseOfARetiredOneNot() {
        String first = signer.issue(CLAIMS);
        long now = CLAIMS.issuedAt();
        store.rotateSigning(now, now + 10, 300);
        String atLast = signer.issue(issuedAt(now + 9));
        String second = signer.issue(issuedAt(now + 10));
        assertThat(signer.peek(first).kid())
                .isEqualTo(signer.peek(atLast).kid())
                .isNotEqualTo(signer.peek(second).kid());
        for (String token : List.of(first, atLast, second)) {
            assertThat(signer.verify(token).session()).isEqualTo(CLAIMS.session());
        }
        assertThat(signer.tokenKeys(now + 309))
                .containsOnlyKeys(signer.peek(first).kid(), signer.peek(second).kid());
        assertThat(signer.tokenKeys(now + 310))
                .containsOnlyKeys(signer.peek(second).kid());

        store.rotateSigning(now + 310, now + 320, 300);
        assertInvalid(first);
        assertInvalid(atLast);
        assertThat(signer.verify(second)).isEqualTo(issuedAt(now + 10));
    }

    /** Even who has stolen it can do nothing with a pair that is retired. */
    @Test
    void aPairThatIsBeingReplacedSignsNothingThatOutlivesIt() {
        Ed25519PrivateKeyParameters stolen = store.signer(0).privateKey();
        String header = text(signer.issue(CLAIMS).split("\\.")[0]);
        long now = CLAIMS.issuedAt();
        store.rotateSigning(now, now + 10, 300);
        String good = payload(issuedAt(now + 10));
        assertThat(signer.verify(signed(header, good, stolen))).isEqualTo(issuedAt(now + 10));
        String longer = payload(issuedAt(now + 11));
        assertInvalid(signed(header, longer, stolen));
        assertThat(signer.stands(store.signer(now).kid(), now + 310)).isTrue();
        assertThat(signer.stands(store.signer(now).kid(), now + 311)).isFalse();
    }

    private String payload(Signer.Claims claims) {
        return text(signer.issue(claims).split("\\.")[1]);
    }

    private static Signer.Claims issuedAt(long second) {
        return new Signer.Claims(
                CLAIMS.subject(),
                CLAIMS.session(),
                CLAIMS.version(),
                CLAIMS.audience(),
                second,
                second,
                second + 300,
                CLAIMS.id());
    }

    @Test
    void everyForgedTokenIsRefused() throws Exception {
        String token = signer.issue(CLAIMS);
        String[] part = token.split("\\.");
        String header = text(part[0]);
        String payload = text(part[1]);
        Ed25519PrivateKeyParameters ours = store.signer(0).privateKey();
        Ed25519PrivateKeyParameters foreign = new Ed25519PrivateKeyParameters(new java.security.SecureRandom());
        String kid = store.signer(0).kid();
        byte[] point = store.signer(0).publicKey().getEncoded();
        List<String> forged = new ArrayList<>();
        // Other headers, all signed with our own key, so that only the header can be the reason.
        for (String other : List.of(
                header.replace("EdDSA", "none"),
                header.replace("EdDSA", "None"),
                header.replace("EdDSA", "HS256"),
                header.replace("EdDSA", "ES256"),
                header.replace("EdDSA", "Ed25519"),
                header.replace("at+jwt", "JWT"),
                header.replace("at+jwt", "application/at+jwt"),
                header.replace(kid, "unknown"),
                header.replace(kid, "../../../dev/null"),
                header.replace(kid, "' OR 1=1 --"),
                header.replace(kid, ""),
                header.replace("\"" + kid + "\"", "null"),
                header.replace("\"" + kid + "\"", "[\"" + kid + "\"]"),
                header.replace("}", ",\"jku\":\"https://evil.example/jwks\"}"),
                header.replace("}", ",\"x5u\":\"https://evil.example/x\"}"),
                header.replace("}", ",\"jwk\":{\"kty\":\"OKP\"}}"),
                header.replace("}", ",\"x5c\":[]}"),
                header.replace("}", ",\"crit\":[\"exp\"]}"),
                header.replace("}", ",\"b64\":false}"),
                header.replace("}", ",\"zip\":\"DEF\"}"),
                header.replace("}", ",\"cty\":\"JWT\"}"),
                header.replace("}", ",\"alg\":\"none\"}"),
                header.replace("{", "{\"kid\":\"x\","),
                header.replace(",", ", "),
                header + " ",
                "{\"alg\":\"EdDSA\"}",
                "{}",
                "[]",
                "null")) {
            forged.add(signed(other, payload, ours));
        }
        // Other payloads with our signature: what we never issue.
        for (String other : List.of(
                payload.replace("\"kehu\"", "\"other\""),
                payload.replace("\"staff\"", "\"public\""),
                payload.replace("\"staff\"", "\"STAFF\""),
                payload.replace("\"staff\"", "[\"staff\"]"),
                payload.replace("\"ver\":7", "\"ver\":-1"),
                payload.replace("\"ver\":7", "\"ver\":7.5"),
                payload.replace("\"ver\":7", "\"ver\":\"7\""),
                payload.replace("\"ver\":7", "\"ver\":99999999999999999999"),
                payload.replace("\"ver\":7", "\"ver\":7,\"ver\":8"),
                payload.replace("\"ver\":7", "\"ver\":7,\"roles\":[\"admin\"]"),
                payload.replace("\"ver\":7,", ""),
                payload.replace("1800000300", "1800003601"),
                payload.replace("1800000300", "1e10"),
                payload.replace("1800000300", "1799999999"),
                payload.replace("0198f000-0000-7000-8000-000000000001", "1-1-1-1-1"),
                payload.replace("0198f000-0000-7000-8000-000000000001", "admin"),
                payload + "{}",
                payload.substring(1),
                "",
                "[]",
                "null")) {
            forged.add(signed(header, other, ours));
        }
        // Signatures that are not ours.
        forged.add(signed(header, payload, foreign));
        forged.add(part[0] + "." + base64(payload.replace("\"ver\":7", "\"ver\":8")) + "." + part[2]);
        forged.add(hs256(header.replace("EdDSA", "HS256"), payload, point));
        forged.add(hs256(header, payload, point));
        forged.add(part[0] + "." + part[1] + ".");
        forged.add(part[0] + "." + part[1]);
        forged.add(base64(header.replace("EdDSA", "none")) + "." + part[1] + ".");
        forged.add(part[0] + "." + part[1] + "." + base64(new byte[64]));
        forged.add(part[0] + "." + part[1] + "." + base64(new byte[63]));
        forged.add(part[0] + "." + part[1] + "." + base64(Arrays.copyOf(decoded(part[2]), 65)));
        forged.add(part[0] + "." + part[1] + "." + base64(plusOrder(decoded(part[2]))));
        forged.add(part[0] + "." + part[1] + "."
                + base64(
                        signer.sign((part[0] + "." + part[1]).getBytes("UTF-8")).bytes()));
        // Other spellings of a good one.
        forged.addAll(List.of(
                token + ".",
                "." + token,
                token + "." + part[2],
                token + "=",
                token + "==",
                token + " ",
                " " + token,
                token + "\n",
                token.replace(".", ".."),
                part[0] + "=." + part[1] + "." + part[2],
                part[0] + "." + part[1] + "==." + part[2],
                token.substring(0, token.length() - 1) + strayBits(token.charAt(token.length() - 1)),
                token.substring(0, token.length() - 2),
                token.toUpperCase(java.util.Locale.ROOT),
                "Bearer " + token,
                "",
                ".",
                "..",
                "a.b.c",
                "张.三.四",
                part[0] + "." + "A".repeat(5_000) + "." + part[2],
                "A".repeat(1_000_000)));

        assertThat(forged).doesNotHaveDuplicates().hasSizeGreaterThan(80).doesNotContain(token);
        forged.forEach(this::assertInvalid);
        assertThat(signer.verify(token)).isEqualTo(CLAIMS);
    }

    @Test
    void aTokenWithAnyCharacterChangedIsRefused() {
        String token = signer.issue(CLAIMS);
        for (int i = 0; i < token.length(); i++) {
            char other = token.charAt(i) == 'A' ? 'B' : 'A';
            assertInvalid(token.substring(0, i) + other + token.substring(i + 1));
        }
    }

    @Test
    void signedDataIsCheckedByAnyPairThereEverWasAndIsNeverAToken() {
        byte[] data = "checkpoint 17".getBytes(StandardCharsets.UTF_8);
        Signer.Signature signature = signer.sign(data);
        byte[] point = signer.publicKeys().get(signature.kid());
        assertThat(store.signing()).doesNotContainKey(signature.kid());
        for (int i = 0; i < 3; i++) {
            store.rotateSigning(i * 1_000, i * 1_000, 300);
            store.rotateSealing();
        }
        assertThat(signer.publicKeys()).hasSize(4);
        assertThat(signer.verify(signature.kid(), data, signature.bytes())).isTrue();
        assertThat(Signer.verify(point, data, signature.bytes())).isTrue();
        assertThat(signer.verify(store.sealer().kid(), data, signature.bytes())).isFalse();
        assertThat(signer.verify("unknown", data, signature.bytes())).isFalse();
        assertThat(signer.verify(signature.kid(), new byte[0], signature.bytes()))
                .isFalse();
        assertThat(signer.verify(signature.kid(), data, new byte[0])).isFalse();
    }

    @Test
    void theJdkAgreesWithOurSignatures() throws Exception {
        String token = signer.issue(CLAIMS);
        byte[] prefix = java.util.HexFormat.of().parseHex("302a300506032b6570032100");
        byte[] spki = Arrays.copyOf(prefix, 44);
        System.arraycopy(store.signer(0).publicKey().getEncoded(), 0, spki, 12, 32);
        var jdk = java.security.Signature.getInstance("Ed25519");
        jdk.initVerify(java.security.KeyFactory.getInstance("Ed25519")
                .generatePublic(new java.security.spec.X509EncodedKeySpec(spki)));
        jdk.update(token.substring(0, token.lastIndexOf('.')).getBytes(StandardCharsets.US_ASCII));

        assertThat(jdk.verify(decoded(token.split("\\.")[2]))).isTrue();
    }

    private void assertInvalid(String token) {
        assertThatThrownBy(() -> signer.verify(token))
                .as(token.substring(0, Math.min(300, token.length())))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo("auth.tokenInvalid"));
    }

    private static String signed(String header, String payload, Ed25519PrivateKeyParameters key) {
        String input = base64(header) + "." + base64(payload);
        byte[] message = input.getBytes(StandardCharsets.US_ASCII);
        byte[] signature = new byte[64];
        key.sign(0, null, message, 0, message.length, signature, 0);
        return input + "." + base64(signature);
    }

    private static String hs256(String header, String payload, byte[] key) throws Exception {
        String input = base64(header) + "." + base64(payload);
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return input + "." + base64(mac.doFinal(input.getBytes(StandardCharsets.US_ASCII)));
    }

    /** The same signature with S + L: valid where S is not checked to be reduced (RFC 8032, 8.4). */
    private static byte[] plusOrder(byte[] signature) {
        byte[] order = java.util.HexFormat.of().parseHex("edd3f55c1a631258d69cf7a2def9de14" + "0".repeat(30) + "10");
        byte[] changed = signature.clone();
        int carry = 0;
        for (int i = 0; i < 32; i++) {
            int sum = (signature[32 + i] & 255) + (order[i] & 255) + carry;
            changed[32 + i] = (byte) sum;
            carry = sum >> 8;
        }
        return changed;
    }

    /** Another last character for the same bytes: 64 bytes leave four bits unused. */
    private static char strayBits(char last) {
        String alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        return alphabet.charAt(alphabet.indexOf(last) + 1);
    }

    private static String base64(String text) {
        return base64(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String base64(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    private static byte[] decoded(String part) {
        return Base64.getUrlDecoder().decode(part);
    }

    private static String text(String part) {
        return new String(decoded(part), StandardCharsets.UTF_8);
    }
}
