package io.kehu.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.bus.Json;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class KeySetTest {
    /** The key of RFC 8037, appendix A.2, and its thumbprint, appendix A.3. */
    private static final String POINT = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    private static final String THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    private static final byte[] KEY = Base64.getUrlDecoder().decode(POINT);

    @Test
    void aKeyIsNamedByItsThumbprint() {
        assertThat(KeySet.thumbprint(KEY)).isEqualTo(THUMBPRINT);
    }

    @Test
    void aSetHoldsPublicKeysInOrderAndIsReadAgain() {
        Map<String, byte[]> keys = new LinkedHashMap<>();
        keys.put(THUMBPRINT, KEY);
        keys.put("other", new byte[32]);
        String set = KeySet.write(keys);
        assertThat(Json.read(set).at("/keys/0")).isEqualTo(Json.read("""
                {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "%s", "x": "%s"}""".formatted(THUMBPRINT, POINT)));
        assertThat(KeySet.read(set.getBytes(StandardCharsets.UTF_8)))
                .containsExactlyEntriesOf(keys)
                .hasSize(2);
    }

    @Test
    void whatIsNoSetOfKeysIsRefused() {
        for (String text : new String[] {
            "",
            "{}",
            "{\"keys\": []}",
            "{\"keys\": [{\"crv\": \"P-256\", \"x\": \"" + POINT + "\"}]}",
            "{\"keys\": [{\"crv\": \"Ed25519\", \"x\": \"AAAA\"}]}"
        }) {
            assertThatThrownBy(() -> KeySet.read(text.getBytes(StandardCharsets.UTF_8)))
                    .as(text)
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }
}
