package io.kehu.crypto;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import java.io.IOException;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Public keys as a JSON Web Key Set (RFC 7517; Ed25519 as RFC 8037 says): what others need to check tokens or seals, and no
 * secret.
 */
public final class KeySet {
    private static final int POINT_BYTES = 32;

    private KeySet() {}

    /**
     * Writes a set.
     *
     * @param keys 32 bytes each, by their ids
     */
    public static String write(Map<String, byte[]> keys) {
        ObjectNode set = Json.object();
        ArrayNode list = set.putArray("keys");
        keys.forEach((kid, key) -> list.addObject()
                .put("kty", "OKP")
                .put("crv", "Ed25519")
                .put("alg", "EdDSA")
                .put("use", "sig")
                .put("kid", kid)
                .put("x", encode(key)));
        return set.toPrettyString();
    }

    /** Reads a set; IllegalArgumentException for anything else. */
    public static Map<String, byte[]> read(byte[] bytes) {
        try {
            Map<String, byte[]> keys = new LinkedHashMap<>();
            for (JsonNode key : Json.MAPPER.readTree(bytes).path("keys")) {
                byte[] point = Base64.getUrlDecoder().decode(key.path("x").asText());
                if (!key.path("crv").asText().equals("Ed25519") || point.length != POINT_BYTES) {
                    throw new IllegalArgumentException("holds a key that is not Ed25519");
                }
                keys.put(key.path("kid").asText(), point);
            }
            if (keys.isEmpty()) {
                throw new IllegalArgumentException("holds no keys");
            }
            return keys;
        } catch (IOException e) {
            throw new IllegalArgumentException("is not a set of keys", e);
        }
    }

    /** The name that a public half gives itself (RFC 7638; its required members as RFC 8037, appendix A.3): 43 characters. */
    static String thumbprint(byte[] point) {
        String members = "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"" + encode(point) + "\"}";
        return encode(Sha256.of(members));
    }

    private static String encode(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }
}
