package io.kehu.iam.passkey;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.webauthn4j.converter.util.ObjectConverter;
import com.webauthn4j.data.attestation.authenticator.COSEKey;
import com.webauthn4j.data.attestation.authenticator.EC2COSEKey;
import com.webauthn4j.data.attestation.authenticator.EdDSACOSEKey;
import com.webauthn4j.data.attestation.authenticator.RSACOSEKey;
import com.webauthn4j.data.attestation.statement.COSEAlgorithmIdentifier;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.crypto.Sha256;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.EdECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.AlgorithmParameterSpec;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.RSAKeyGenParameterSpec;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A device with one passkey, without attestation, and the browser before it. Does what it is asked for, or what a forger
 * would have it do.
 */
public final class TestAuthenticator {
    static final String DOMAIN = "bank.example";
    static final String PAGE = "https://staff.bank.example";
    static final int PRESENT = 0x01;
    static final int VERIFIED = 0x04;
    static final int BACKUP_ELIGIBLE = 0x08;
    static final int BACKED_UP = 0x10;
    private static final int HAS_CREDENTIAL = 0x40;
    private static final String ASSERTION = "webauthn.get";
    private static final String CREATION = "webauthn.create";

    private static final ObjectConverter CONVERTER = new ObjectConverter();
    private static final SecureRandom RANDOM = new SecureRandom();

    final KeyPair keys;
    /** COSE_Key. */
    private final byte[] publicKey;

    private final String algorithm;
    final byte[] id = random(32);
    byte[] handle = new byte[0];
    long count;

    private TestAuthenticator(KeyPair keys, COSEKey publicKey, String algorithm) {
        this.keys = keys;
        this.publicKey = CONVERTER.getCborMapper().writeValueAsBytes(publicKey);
        this.algorithm = algorithm;
    }

    /** Signs with ECDSA on P-256. */
    static TestAuthenticator create() {
        KeyPair keys = pair("EC", new ECGenParameterSpec("secp256r1"));
        COSEKey key = EC2COSEKey.create((ECPublicKey) keys.getPublic(), COSEAlgorithmIdentifier.ES256);
        return new TestAuthenticator(keys, key, "SHA256withECDSA");
    }

    static TestAuthenticator es384() {
        KeyPair keys = pair("EC", new ECGenParameterSpec("secp384r1"));
        COSEKey key = EC2COSEKey.create((ECPublicKey) keys.getPublic(), COSEAlgorithmIdentifier.ES384);
        return new TestAuthenticator(keys, key, "SHA384withECDSA");
    }

    static TestAuthenticator eddsa() {
        KeyPair keys = pair("Ed25519", null);
        COSEKey key = EdDSACOSEKey.create((EdECPublicKey) keys.getPublic(), COSEAlgorithmIdentifier.EdDSA);
        return new TestAuthenticator(keys, key, "Ed25519");
    }

    static TestAuthenticator rsa(int bits) {
        KeyPair keys = pair("RSA", new RSAKeyGenParameterSpec(bits, RSAKeyGenParameterSpec.F4));
        COSEKey key = RSACOSEKey.create((RSAPublicKey) keys.getPublic(), COSEAlgorithmIdentifier.RS256);
        return new TestAuthenticator(keys, key, "SHA256withRSA");
    }

    /** What goes into one answer. */
    static final class Ceremony {
        String type = ASSERTION;
        String page = PAGE;
        String domain = DOMAIN;
        byte[] challenge = new byte[0];

        @Nullable
        Boolean crossOrigin;

        @Nullable
        String topOrigin;

        int flags = PRESENT | VERIFIED;
        long count;
        byte[] id = new byte[0];
        byte @Nullable [] handle;

        @Nullable
        PrivateKey signer;

        byte[] publicKey = new byte[0];
        UnaryOperator<byte[]> signature = bytes -> bytes;
        UnaryOperator<byte[]> signed = bytes -> bytes;
        UnaryOperator<byte[]> client = bytes -> bytes;
    }

    /** What a node needs to have passkeys. */
    public static Map<String, String> settings() {
        return Map.of(
                "KEHU_AUTH_PASSKEYS_RP_ID", DOMAIN, "KEHU_AUTH_PASSKEYS_ORIGINS", PAGE + ", https://bank.example:8443");
    }

    private static KeyPair pair(String kind, @Nullable AlgorithmParameterSpec parameters) {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance(kind);
            if (parameters != null) {
                generator.initialize(parameters);
            }
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    static byte[] random(int bytes) {
        byte[] random = new byte[bytes];
        RANDOM.nextBytes(random);
        return random;
    }

    static String text(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    static byte[] bytes(JsonNode text) {
        return Base64.getUrlDecoder().decode(text.asText());
    }

    private static byte[] sha256(byte[] bytes) {
        return Sha256.start().digest(bytes);
    }

    /** RegistrationResponseJSON for PublicKeyCredentialCreationOptionsJSON. */
    ObjectNode create(JsonNode options, Consumer<Ceremony> forger) {
        Ceremony made = ceremony(options, CREATION);
        handle = bytes(options.at("/user/id"));
        made.publicKey = publicKey;
        forger.accept(made);
        byte[] head = data(made, HAS_CREDENTIAL);
        byte[] data = ByteBuffer.allocate(head.length + 18 + made.id.length + made.publicKey.length)
                .put(head)
                .put(new byte[16])
                .putShort((short) made.id.length)
                .put(made.id)
                .put(made.publicKey)
                .array();
        Map<String, Object> attestation = new LinkedHashMap<>();
        attestation.put("fmt", "none");
        attestation.put("attStmt", Map.of());
        attestation.put("authData", made.signed.apply(data));
        ObjectNode response = Json.object()
                .put("clientDataJSON", text(client(made)))
                .put("attestationObject", text(CONVERTER.getCborMapper().writeValueAsBytes(attestation)));
        response.putArray("transports").add("internal").add("hybrid");
        return credential(made, response);
    }

    /** AuthenticationResponseJSON for PublicKeyCredentialRequestOptionsJSON. */
    ObjectNode get(JsonNode options, Consumer<Ceremony> forger) {
        Ceremony made = ceremony(options, ASSERTION);
        made.count = count == 0 ? 0 : ++count;
        made.handle = handle;
        made.signer = keys.getPrivate();
        forger.accept(made);
        byte[] data = data(made, 0);
        byte[] client = client(made);
        byte[] hash = sha256(client);
        byte[] signature = sign(
                made.signer,
                ByteBuffer.allocate(data.length + hash.length)
                        .put(data)
                        .put(hash)
                        .array());
        ObjectNode response = Json.object()
                .put("clientDataJSON", text(made.client.apply(client)))
                .put("authenticatorData", text(made.signed.apply(data)))
                .put("signature", text(made.signature.apply(signature)));
        if (made.handle != null) {
            response.put("userHandle", text(made.handle));
        }
        return credential(made, response);
    }

    private Ceremony ceremony(JsonNode options, String type) {
        Ceremony made = new Ceremony();
        made.type = type;
        made.challenge = bytes(options.get("challenge"));
        made.count = count;
        made.id = id;
        return made;
    }

    private static ObjectNode credential(Ceremony made, ObjectNode response) {
        ObjectNode credential = Json.object()
                .put("id", text(made.id))
                .put("rawId", text(made.id))
                .put("type", "public-key")
                .put("authenticatorAttachment", "platform");
        credential.putObject("clientExtensionResults");
        credential.set("response", response);
        return credential;
    }

    private static byte[] client(Ceremony made) {
        ObjectNode client = Json.object()
                .put("type", made.type)
                .put("challenge", text(made.challenge))
                .put("origin", made.page);
        if (made.crossOrigin != null) {
            client.put("crossOrigin", made.crossOrigin);
        }
        if (made.topOrigin != null) {
            client.put("topOrigin", made.topOrigin);
        }
        return client.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] data(Ceremony made, int moreFlags) {
        return ByteBuffer.allocate(37)
                .put(sha256(made.domain.getBytes(StandardCharsets.UTF_8)))
                .put((byte) (made.flags | moreFlags))
                .putInt((int) made.count)
                .array();
    }

    private byte[] sign(PrivateKey key, byte[] data) {
        try {
            Signature signature = Signature.getInstance(algorithm);
            signature.initSign(key);
            signature.update(data);
            return signature.sign();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    // Over HTTP

    static JsonNode options(Answer begun) {
        return begun.is(200).at("/publicKey");
    }

    static JsonNode registration(Caller caller) {
        return options(caller.send("POST", "/v1/auth/passkeys/registration", (byte[]) null));
    }

    static JsonNode signIn(TestKehu kehu) {
        return options(kehu.anonymous().send("POST", "/v1/auth/passkeys/sign-in/begin", (byte[]) null));
    }

    static String draft(ObjectNode credential) {
        ObjectNode body = Json.object().put("name", "办公电脑");
        body.set("credential", credential);
        return body.toString();
    }

    static String proof(ObjectNode credential) {
        ObjectNode body = Json.object();
        body.set("credential", credential);
        return body.toString();
    }

    /** A draft of a passkey as a device makes it for this person now. */
    public static String freshDraft(Caller caller) {
        return draft(create().create(registration(caller), made -> {}));
    }

    /** A device with a passkey of this person, whose counter begins there; at 0 it does not count. */
    public static TestAuthenticator of(Caller caller, long count) {
        TestAuthenticator device = create();
        device.count = count;
        caller.post("/v1/auth/passkeys", draft(device.create(registration(caller), made -> {})))
                .is(201);
        return device;
    }

    /** The body of a sign-in that has begun, as this device signs it now. */
    public String freshProof(TestKehu kehu) {
        return proof(get(signIn(kehu), made -> {}));
    }

    /** A row for a passkey that no device has, past the ceremony. */
    public static UUID row(TestKehu kehu, UUID person) {
        UUID passkey = Ids.next();
        kehu.sql(
                "INSERT INTO iam.passkey_handle (staff_id, handle) VALUES (?, ?) ON CONFLICT DO NOTHING",
                person,
                random(32));
        kehu.sql("""
                INSERT INTO iam.passkey (id, staff_id, name, credential_id, public_key, transports, sign_count, backup_eligible, backed_up)
                VALUES (?, ?, '旧手机', ?, ?, '{usb}', 0, false, false)""", passkey, person, random(16), random(77));
        return passkey;
    }
}
