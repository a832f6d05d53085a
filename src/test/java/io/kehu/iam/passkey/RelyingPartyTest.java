package io.kehu.iam.passkey;

import static io.kehu.iam.passkey.TestAuthenticator.bytes;
import static io.kehu.iam.passkey.TestAuthenticator.random;
import static io.kehu.iam.passkey.TestAuthenticator.text;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.iam.passkey.Passkey.Credential;
import io.kehu.iam.passkey.RelyingParty.Created;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class RelyingPartyTest {
    private static final RelyingParty BANK =
            new RelyingParty(TestAuthenticator.DOMAIN, List.of(TestAuthenticator.PAGE), 300_000);
    private static final RelyingParty EXAMPLE =
            new RelyingParty("example.org", List.of("https://example.org"), 300_000);

    private static JsonNode vectors() {
        try (InputStream in = RelyingPartyTest.class.getResourceAsStream("/webauthn/vectors.json")) {
            return Json.MAPPER.readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] hex(JsonNode text) {
        return HexFormat.of().parseHex(text.asText());
    }

    /** The fields of a vector as browsers send them. */
    private static ObjectNode response(JsonNode vector, String... fields) {
        ObjectNode response = Json.object();
        for (String field : fields) {
            response.put(field, text(hex(vector.get(field))));
        }
        return response;
    }

    private static ObjectNode credential(String id, ObjectNode response) {
        ObjectNode credential = Json.object().put("id", id);
        credential.set("response", response);
        return credential;
    }

    private static Credential kept(Created made) {
        return new Credential(
                Ids.next(),
                Ids.next(),
                made.credentialId(),
                made.publicKey(),
                made.backupEligible(),
                made.transports());
    }

    private static Created created(TestAuthenticator device) {
        return BANK.created(device.create(BANK.creationOptions(random(32), random(32), "li.na", List.of()), made -> {}))
                .orElseThrow();
    }

    private static boolean isSigned(ObjectNode assertion, Credential by) {
        return BANK.read(assertion).flatMap(read -> BANK.signed(read, by)).isPresent();
    }

    @Test
    void whatTheW3cPublishesAsRightIsRight() {
        JsonNode vector = vectors().get("packed-es256");
        JsonNode registration = vector.get("registration");
        Created made = EXAMPLE.created(credential("AA", response(registration, "clientDataJSON", "attestationObject")))
                .orElseThrow();
        assertThat(made.challenge()).isEqualTo(hex(registration.get("challenge")));
        assertThat(made.credentialId()).isEqualTo(hex(vector.get("credential_id")));
        assertThat(made.signCount()).isZero();
        assertThat(made.backupEligible()).isTrue();
        assertThat(made.backedUp()).isFalse();

        JsonNode authentication = vector.get("authentication");
        RelyingParty.Assertion assertion = EXAMPLE.read(credential(
                        text(made.credentialId()),
                        response(authentication, "clientDataJSON", "authenticatorData", "signature")))
                .orElseThrow();
        assertThat(assertion.challenge()).isEqualTo(hex(authentication.get("challenge")));
        assertThat(assertion.userHandle()).isNull();
        assertThat(EXAMPLE.signed(assertion, kept(made))).hasValue(new RelyingParty.Signed(0, false));
        assertThat(BANK.signed(assertion, kept(made))).isEmpty();
    }

    @Test
    void whatTheW3cPublishesOfPeopleNotVerifiedAndOfFramesIsRefused() {
        for (String name : List.of("none-es256", "none-es256-crossOrigin")) {
            JsonNode registration = vectors().get(name).get("registration");
            assertThat(EXAMPLE.created(credential("AA", response(registration, "clientDataJSON", "attestationObject"))))
                    .as(name)
                    .isEmpty();
        }
    }

    @Test
    void devicesThatSignInOneOfThreeWaysWithKeysOfGoodSizeWillDo() {
        Map.of(
                        "ES256", TestAuthenticator.create(),
                        "EdDSA", TestAuthenticator.eddsa(),
                        "RS256", TestAuthenticator.rsa(2048))
                .forEach((name, device) -> {
                    Credential credential = kept(created(device));
                    ObjectNode asked = BANK.requestOptions(random(32), List.of(credential));
                    assertThat(isSigned(device.get(asked, made -> {}), credential))
                            .as(name)
                            .isTrue();
                    assertThat(isSigned(device.get(asked, made -> made.domain = "evil.test"), credential))
                            .as(name)
                            .isFalse();
                });
        Map.of("ES384", TestAuthenticator.es384(), "a short key", TestAuthenticator.rsa(1024))
                .forEach((name, device) -> assertThat(BANK.created(device.create(
                                BANK.creationOptions(random(32), random(32), "li.na", List.of()), made -> {})))
                        .as(name)
                        .isEmpty());
    }

    @Test
    void noBitOfWhatIsSignedMayBeAnother() {
        TestAuthenticator device = TestAuthenticator.create();
        Credential credential = kept(created(device));
        ObjectNode good = device.get(BANK.requestOptions(random(32), List.of(credential)), made -> {});
        assertThat(isSigned(good, credential)).isTrue();
        int flipped = 0;
        for (String field : List.of("clientDataJSON", "authenticatorData", "signature")) {
            byte[] bytes = bytes(good.get("response").get(field));
            for (int bit = 0; bit < 8 * bytes.length; bit++) {
                byte[] changed = bytes.clone();
                changed[bit / 8] ^= (byte) (1 << bit % 8);
                ObjectNode bad = good.deepCopy();
                ((ObjectNode) bad.get("response")).put(field, text(changed));
                assertThat(isSigned(bad, credential)).as(field + ", bit " + bit).isFalse();
                flipped++;
            }
        }
        assertThat(flipped).isGreaterThan(1_000);
    }

    @Test
    void nobodySignsWithTheKeyOfAnother() {
        TestAuthenticator device = TestAuthenticator.create();
        Credential mine = kept(created(device));
        Credential others = kept(created(TestAuthenticator.create()));
        ObjectNode good = device.get(BANK.requestOptions(random(32), List.of(mine)), made -> {});
        assertThat(isSigned(good, mine)).isTrue();
        assertThat(isSigned(good, others)).isFalse();
        Credential mixed =
                new Credential(mine.passkey(), mine.person(), mine.id(), others.publicKey(), false, List.of());
        assertThat(isSigned(good, mixed)).isFalse();
    }

    /** Whatever strangers send is refused, and breaks nothing: cut, lengthened and random bytes in any of the fields. */
    @Property(tries = 300)
    void rubbishIsRefused(@ForAll @Size(max = 300) byte[] rubbish, @ForAll byte place) {
        TestAuthenticator device = TestAuthenticator.create();
        ObjectNode asked = BANK.requestOptions(random(32), List.of());
        Credential credential = kept(created(device));
        int field = Math.floorMod(place, 5);
        ObjectNode bad = field < 3
                ? device.get(asked, made -> {})
                : device.create(BANK.creationOptions(random(32), random(32), "li.na", List.of()), made -> {});
        String name = List.of("clientDataJSON", "authenticatorData", "signature", "clientDataJSON", "attestationObject")
                .get(field);
        byte[] good = bytes(bad.get("response").get(name));
        byte[] spoilt = place < 0
                ? rubbish
                : Arrays.copyOf(Arrays.copyOf(good, good.length / 2), good.length / 2 + rubbish.length);
        ((ObjectNode) bad.get("response")).put(name, text(spoilt));
        assertThat(field < 3 ? isSigned(bad, credential) : BANK.created(bad).isPresent())
                .isFalse();
    }
}
