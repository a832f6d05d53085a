package io.kehu.iam.passkey;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.webauthn4j.WebAuthnManager;
import com.webauthn4j.converter.util.ObjectConverter;
import com.webauthn4j.credential.CredentialRecordImpl;
import com.webauthn4j.data.AuthenticationData;
import com.webauthn4j.data.AuthenticationParameters;
import com.webauthn4j.data.AuthenticationRequest;
import com.webauthn4j.data.PublicKeyCredentialParameters;
import com.webauthn4j.data.PublicKeyCredentialType;
import com.webauthn4j.data.RegistrationData;
import com.webauthn4j.data.RegistrationParameters;
import com.webauthn4j.data.RegistrationRequest;
import com.webauthn4j.data.attestation.authenticator.AAGUID;
import com.webauthn4j.data.attestation.authenticator.AttestedCredentialData;
import com.webauthn4j.data.attestation.authenticator.AuthenticatorData;
import com.webauthn4j.data.attestation.authenticator.COSEKey;
import com.webauthn4j.data.attestation.statement.COSEAlgorithmIdentifier;
import com.webauthn4j.data.client.CollectedClientData;
import com.webauthn4j.data.client.Origin;
import com.webauthn4j.server.ServerProperty;
import io.kehu.bus.Json;
import io.kehu.iam.passkey.Passkey.Credential;
import java.security.interfaces.RSAPublicKey;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * What the W3C calls the Relying Party: says what browsers shall ask of a device, and checks what the device answers (Web
 * Authentication Level 3, sections 7.1 and 7.2). Computes only, about a millisecond for a signature, and remembers nothing: that
 * a challenge was given and is used once, and that a counter grows, is decided by the database.
 */
final class RelyingParty {
    /** In the order of preference: ES256, EdDSA, and RS256 for devices that have nothing else (section 5.4). */
    private static final List<PublicKeyCredentialParameters> ALGORITHMS = List.of(
            kind(COSEAlgorithmIdentifier.ES256),
            kind(COSEAlgorithmIdentifier.EdDSA),
            kind(COSEAlgorithmIdentifier.RS256));
    /** NIST SP 800-131A; and no more than a check may cost. */
    private static final int RSA_BITS_MIN = 2_048;

    private static final int RSA_BITS_MAX = 4_096;
    private static final String TYPE = "public-key";

    private final String id;
    private final Set<Origin> origins;
    private final long timeoutMillis;
    private final ObjectConverter converter = new ObjectConverter();
    /** Looks at no attestation: none is asked for, and every make of device will do. */
    private final WebAuthnManager library = WebAuthnManager.createNonStrictWebAuthnManager(converter);

    /** What a device made. */
    record Created(
            byte[] challenge,
            byte[] credentialId,
            byte[] publicKey,
            long signCount,
            boolean backupEligible,
            boolean backedUp,
            List<String> transports) {}

    /** What a device signed, as it came: nothing in it is proven. */
    record Assertion(byte[] challenge, byte[] credentialId, byte @Nullable [] userHandle, AuthenticationData data) {}

    /** What a device says beside its signature. */
    record Signed(long count, boolean backedUp) {}

    /**
     * One for a domain and the pages that use it.
     *
     * @param id the domain, e.g. bank.example
     * @param origins of the pages, e.g. https://staff.bank.example
     */
    RelyingParty(String id, List<String> origins, long timeoutMillis) {
        this.id = id;
        this.origins = origins.stream().map(Origin::create).collect(Collectors.toUnmodifiableSet());
        this.timeoutMillis = timeoutMillis;
    }

    private static PublicKeyCredentialParameters kind(COSEAlgorithmIdentifier algorithm) {
        return new PublicKeyCredentialParameters(PublicKeyCredentialType.PUBLIC_KEY, algorithm);
    }

    /**
     * PublicKeyCredentialCreationOptionsJSON (section 5.1.8): a credential that is found without a name and opened by a
     * fingerprint, a face or a PIN.
     *
     * @param handle how devices know the person
     * @param existing what the person has already, so that no device makes a second one
     */
    ObjectNode creationOptions(byte[] challenge, byte[] handle, String username, List<Credential> existing) {
        ObjectNode options = Json.object();
        options.putObject("rp").put("id", id).put("name", id);
        // The device may show this to others, so it holds no more than the name to sign in with.
        options.putObject("user").put("id", text(handle)).put("name", username).put("displayName", username);
        options.put("challenge", text(challenge));
        ArrayNode kinds = options.putArray("pubKeyCredParams");
        ALGORITHMS.forEach(kind ->
                kinds.addObject().put("type", TYPE).put("alg", kind.getAlg().getValue()));
        options.put("timeout", timeoutMillis);
        list(options.putArray("excludeCredentials"), existing);
        options.putObject("authenticatorSelection")
                .put("residentKey", "required")
                .put("requireResidentKey", true)
                .put("userVerification", "required");
        return options.put("attestation", "none");
    }

    /**
     * PublicKeyCredentialRequestOptionsJSON (section 5.1.9).
     *
     * @param allowed the passkeys of the person who is asked for; empty where it is the passkey that tells who it is
     */
    ObjectNode requestOptions(byte[] challenge, List<Credential> allowed) {
        ObjectNode options = Json.object()
                .put("challenge", text(challenge))
                .put("timeout", timeoutMillis)
                .put("rpId", id);
        list(options.putArray("allowCredentials"), allowed);
        return options.put("userVerification", "required");
    }

    private static void list(ArrayNode array, List<Credential> credentials) {
        for (Credential credential : credentials) {
            ObjectNode item = array.addObject().put("type", TYPE).put("id", text(credential.id()));
            credential.transports().forEach(item.putArray("transports")::add);
        }
    }

    /**
     * Checks a RegistrationResponseJSON. Empty where anything is wrong; the challenge in it is for the caller to know.
     */
    Optional<Created> created(JsonNode credential) {
        JsonNode response = credential.get("response");
        try {
            List<String> transports = StreamSupport.stream(
                            response.path("transports").spliterator(), false)
                    .map(JsonNode::textValue)
                    .toList();
            RegistrationData data = library.parse(
                    new RegistrationRequest(bytes(response, "attestationObject"), bytes(response, "clientDataJSON")));
            byte[] challenge = challenge(data.getCollectedClientData());
            library.verify(data, new RegistrationParameters(expected(challenge), ALGORITHMS, true, true));
            AuthenticatorData<?> authenticator =
                    Objects.requireNonNull(data.getAttestationObject()).getAuthenticatorData();
            AttestedCredentialData made = Objects.requireNonNull(authenticator.getAttestedCredentialData());
            if (!isOfGoodSize(made.getCOSEKey())) {
                return Optional.empty();
            }
            return Optional.of(new Created(
                    challenge,
                    made.getCredentialId(),
                    converter.getCborMapper().writeValueAsBytes(made.getCOSEKey()),
                    authenticator.getSignCount(),
                    authenticator.isFlagBE(),
                    authenticator.isFlagBS(),
                    transports));
        } catch (RuntimeException e) {
            // What strangers send fails in ways that the library names and in others; each of them proves nothing.
            return Optional.empty();
        }
    }

    private static boolean isOfGoodSize(COSEKey key) {
        return !(key.getPublicKey() instanceof RSAPublicKey rsa)
                || (rsa.getModulus().bitLength() >= RSA_BITS_MIN
                        && rsa.getModulus().bitLength() <= RSA_BITS_MAX);
    }

    /** Reads an AuthenticationResponseJSON. Empty where it is none. */
    Optional<Assertion> read(JsonNode credential) {
        JsonNode response = credential.get("response");
        try {
            byte[] credentialId = bytes(credential, "id");
            byte[] handle = response.path("userHandle").isTextual() ? bytes(response, "userHandle") : null;
            AuthenticationData data = library.parse(new AuthenticationRequest(
                    credentialId,
                    handle,
                    bytes(response, "authenticatorData"),
                    bytes(response, "clientDataJSON"),
                    bytes(response, "signature")));
            return Optional.of(new Assertion(challenge(data.getCollectedClientData()), credentialId, handle, data));
        } catch (RuntimeException e) {
            return Optional.empty();
        }
    }

    /**
     * Checks that this credential signed it, here, for a page of ours, with its person present and verified. Empty where
     * anything is wrong. That the challenge is one of ours and that the counter grew is for the caller to know.
     */
    Optional<Signed> signed(Assertion assertion, Credential credential) {
        try {
            COSEKey key = converter.getCborMapper().readValue(credential.publicKey(), COSEKey.class);
            // The counter of 0 keeps the library from judging by what may be old by now.
            CredentialRecordImpl known = new CredentialRecordImpl(
                    null,
                    true,
                    credential.backupEligible(),
                    null,
                    0,
                    new AttestedCredentialData(AAGUID.ZERO, credential.id(), key),
                    null,
                    null,
                    null,
                    null);
            AuthenticationParameters wanted = new AuthenticationParameters(
                    expected(assertion.challenge), known, List.of(credential.id()), true, true);
            library.verify(assertion.data, wanted);
            AuthenticatorData<?> authenticator = Objects.requireNonNull(assertion.data.getAuthenticatorData());
            return Optional.of(new Signed(authenticator.getSignCount(), authenticator.isFlagBS()));
        } catch (RuntimeException e) {
            return Optional.empty();
        }
    }

    /** A page in a frame of a page elsewhere is none of ours: without top origins the library refuses it. */
    private ServerProperty expected(byte[] challenge) {
        return ServerProperty.builder()
                .rpId(id)
                .origins(origins)
                .challenge(() -> challenge)
                .build();
    }

    private static byte[] challenge(@Nullable CollectedClientData client) {
        return Objects.requireNonNull(client).getChallenge().getValue();
    }

    private static byte[] bytes(JsonNode node, String field) {
        return Base64.getUrlDecoder().decode(node.get(field).textValue());
    }

    private static String text(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }
}
