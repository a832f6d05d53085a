package io.kehu.crypto;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.crypto.KeyStore.Kind;
import io.kehu.crypto.KeyStore.Refused;
import io.kehu.crypto.KeyStore.SigningKey;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.TreeMap;
import org.bouncycastle.crypto.params.Ed25519PrivateKeyParameters;
import org.bouncycastle.crypto.params.Ed25519PublicKeyParameters;

/**
 * The two files in which keys lie, and how they are read and written: the master key by itself, and every other key wrapped
 * by it. What is read is checked to the last byte; what is wrong is refused in one line that holds no secret.
 */
final class KeyFiles {
    private static final int FORMAT = 1;
    /** A master that changes between the readings of the two files is there at the next one. */
    private static final int READINGS = 3;

    private static final String MASTER_FILE = "master.json";
    private static final String KEYS_FILE = "keys.json";

    private final KeyFolder folder;

    KeyFiles(KeyFolder folder) {
        this.folder = folder;
    }

    /** All keys at one moment: not changed once published, so that a reader never sees half a rotation. */
    static final class Keys {
        byte[] master = new byte[0];
        String masterId = "";
        final Map<Kind, TreeMap<Integer, byte[]>> versions = new EnumMap<>(Kind.class);
        final LinkedHashMap<String, SigningKey> signing = new LinkedHashMap<>();
        String kid = "";
        final LinkedHashMap<String, SigningKey> sealing = new LinkedHashMap<>();
        String sealingKid = "";

        Keys() {
            for (Kind kind : Kind.values()) {
                versions.put(kind, new TreeMap<>());
            }
        }

        NavigableMap<Integer, byte[]> of(Kind kind) {
            return Objects.requireNonNull(versions.get(kind));
        }
    }

    boolean any() {
        return folder.has(KEYS_FILE) || folder.has(MASTER_FILE);
    }

    boolean whole() {
        return folder.has(KEYS_FILE);
    }

    Keys load() {
        for (int reading = 1; ; reading++) {
            Map<String, byte[]> masters = new HashMap<>();
            JsonNode masterFile = folder.read(MASTER_FILE, FORMAT);
            for (var entry : masterFile.path("masters").properties()) {
                masters.put(entry.getKey(), folder.strong(decode(entry.getValue(), MASTER_FILE), "the master key"));
            }
            JsonNode file = folder.read(KEYS_FILE, FORMAT);
            byte[] master = masters.get(file.path("master").asText());
            if (master != null) {
                return unwrapped(file, master);
            }
            if (reading == READINGS) {
                throw new Refused(folder + "/" + MASTER_FILE + " does not hold the master key of " + KEYS_FILE);
            }
        }
    }

    private Keys unwrapped(JsonNode file, byte[] master) {
        Keys loaded = new Keys();
        loaded.master = master;
        loaded.masterId = file.path("master").asText();
        loaded.kid = file.path("kid").asText();
        for (Kind kind : Kind.values()) {
            loadVersions(file.path(kind.field()), kind, loaded);
        }
        for (var entry : file.path("signing").properties()) {
            loaded.signing.put(entry.getKey(), signingKey(master, "signing", entry.getKey(), entry.getValue()));
        }
        loaded.sealingKid = file.path("sealingKid").asText();
        for (var entry : file.path("sealing").properties()) {
            loaded.sealing.put(entry.getKey(), signingKey(master, "sealing", entry.getKey(), entry.getValue()));
        }
        SigningKey current = loaded.signing.get(loaded.kid);
        if (current == null || current.privateKey() == null) {
            throw new Refused(folder + "/" + KEYS_FILE + " holds no signing key");
        }
        return loaded;
    }

    private SigningKey signingKey(byte[] master, String use, String kid, JsonNode node) {
        byte[] point = decode(node.path("public"), KEYS_FILE);
        JsonNode wrapped = node.get("private");
        long from = node.path("from").asLong(0);
        // A pair without a private half that says nothing else is one that an earlier version rotated away.
        long until = node.path("until").asLong(wrapped == null && use.equals("signing") ? 0 : Long.MAX_VALUE);
        if (wrapped == null) {
            return new SigningKey(kid, publicKey(point), null, from, until);
        }
        var secret = new Ed25519PrivateKeyParameters(unwrap(master, use, kid, wrapped), 0);
        if (!Arrays.equals(point, secret.generatePublicKey().getEncoded())) {
            throw new Refused(folder + "/" + KEYS_FILE + " holds a signing key whose two halves do not match");
        }
        return new SigningKey(kid, publicKey(point), secret, from, until);
    }

    private Ed25519PublicKeyParameters publicKey(byte[] point) {
        try {
            return new Ed25519PublicKeyParameters(point, 0);
        } catch (RuntimeException e) {
            throw new Refused(folder + "/" + KEYS_FILE + " holds a malformed public key");
        }
    }

    private void loadVersions(JsonNode from, Kind kind, Keys into) {
        for (var entry : from.properties()) {
            String version = entry.getKey();
            if (!version.matches("[1-9][0-9]{0,2}") || Integer.parseInt(version) > KeyStore.VERSION_MAX) {
                throw new Refused(folder + "/" + KEYS_FILE + " numbers a key of " + kind.field() + " wrongly");
            }
            into.of(kind).put(Integer.valueOf(version), unwrap(into.master, kind.field(), version, entry.getValue()));
        }
        if (into.of(kind).isEmpty()) {
            throw new Refused(folder + "/" + KEYS_FILE + " holds no key for " + kind.field());
        }
    }

    private byte[] unwrap(byte[] master, String kind, String id, JsonNode wrapped) {
        try {
            byte[] key = Vault.open(master, context(kind, id), decode(wrapped, KEYS_FILE));
            return folder.strong(key, "a key of " + kind);
        } catch (Vault.Tampered e) {
            throw new Refused(folder + "/" + KEYS_FILE + " was altered, or belongs to another master key");
        }
    }

    private static byte[] context(String kind, String id) {
        return ("kehu.keys\0" + kind + "\0" + id).getBytes(StandardCharsets.UTF_8);
    }

    private byte[] decode(JsonNode text, String file) {
        try {
            return Base64.getDecoder().decode(text.asText());
        } catch (IllegalArgumentException e) {
            throw new Refused(folder + "/" + file + " is malformed");
        }
    }

    void writeMasters(Keys... holders) {
        ObjectNode content = Json.object().put("version", FORMAT);
        ObjectNode masters = content.putObject("masters");
        for (Keys holder : holders) {
            masters.put(holder.masterId, Base64.getEncoder().encodeToString(holder.master));
        }
        folder.write(MASTER_FILE, content);
    }

    void writeKeys(Keys next) {
        ObjectNode content = Json.object().put("version", FORMAT).put("master", next.masterId);
        next.versions.forEach((kind, versions) -> {
            ObjectNode into = content.putObject(kind.field());
            versions.forEach(
                    (number, key) -> into.put(number.toString(), wrap(next, kind.field(), number.toString(), key)));
        });
        writePairs(next, "signing", next.signing, content);
        content.put("kid", next.kid);
        writePairs(next, "sealing", next.sealing, content);
        content.put("sealingKid", next.sealingKid);
        folder.write(KEYS_FILE, content);
    }

    private static void writePairs(Keys next, String use, Map<String, SigningKey> pairs, ObjectNode content) {
        ObjectNode into = content.putObject(use);
        pairs.forEach((kid, pair) -> {
            ObjectNode node = into.putObject(kid);
            node.put(
                    "public",
                    Base64.getEncoder().encodeToString(pair.publicKey().getEncoded()));
            if (pair.privateKey() != null) {
                node.put("private", wrap(next, use, kid, pair.privateKey().getEncoded()));
            }
            if (pair.from() > 0) {
                node.put("from", pair.from());
            }
            if (pair.until() < Long.MAX_VALUE) {
                node.put("until", pair.until());
            }
        });
    }

    private static String wrap(Keys next, String kind, String id, byte[] key) {
        return Base64.getEncoder().encodeToString(Vault.seal(next.master, context(kind, id), key));
    }
}
