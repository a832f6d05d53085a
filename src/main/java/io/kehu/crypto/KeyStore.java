package io.kehu.crypto;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Consumer;
import javax.crypto.Mac;
import org.bouncycastle.crypto.params.Ed25519PrivateKeyParameters;
import org.bouncycastle.crypto.params.Ed25519PublicKeyParameters;
import org.jspecify.annotations.Nullable;

/**
 * The keys of an installation, in a folder beside the database and never in it:
 *
 * <pre>
 * master.json   {version, masters: {id: base64 of 32 bytes}}               the root; may stand on another medium
 * keys.json     {version, master, epochs, index, tokens: {number: wrapped}, signing, sealing: {kid: {public, private?}}, ...}
 * </pre>
 *
 * <p>Everything secret in {@code keys.json} is wrapped by the master key (AES-256-GCM, bound to its kind and number).
 * Folder 0700, files 0400. Files are replaced whole (temporary file, fsync, rename, fsync of the folder); a change of
 * the master writes {@code master.json} with old and new, then {@code keys.json}, then {@code master.json} with the new
 * alone, so a crash between any two steps loses nothing. A change is visible in memory only once it is on disk. All nodes
 * share the folder: each looks at it now and then ({@link #reload}), and at once when it meets a key it does not know.
 *
 * <p>All methods that write or read files block: call them at start or from a worker.
 */
public final class KeyStore {
    /** Length of every key, in bytes. */
    public static final int KEY_BYTES = 32;

    private static final int FORMAT = 1;
    /** A version travels as one byte in blind indexes and stored answers. */
    private static final int VERSION_MAX = 255;

    /** Between two looks at the files for a key that is not known. */
    private static final long SEEK_NANOS = 1_000_000_000L;
    /** A master that changes between the readings of the two files is there at the next one. */
    private static final int READINGS = 3;

    private static final String MASTER_FILE = "master.json";
    private static final String KEYS_FILE = "keys.json";

    private final KeyFolder folder;
    private final SecureRandom random = new SecureRandom();
    private volatile Keys keys;
    private long soughtNanos = System.nanoTime() - SEEK_NANOS;

    private KeyStore(KeyFolder folder, boolean mayCreate) {
        this.folder = folder;
        boolean there = folder.has(KEYS_FILE) || folder.has(MASTER_FILE);
        if (!there && !mayCreate) {
            throw new Refused("there are no keys in " + folder);
        }
        if (!there) {
            folder.create();
        }
        folder.check();
        // A second node that starts at the same moment waits here and then finds the keys of the first.
        this.keys = there ? load() : folder.alone(() -> folder.has(KEYS_FILE) ? load() : create());
    }

    /**
     * Opens the keys of a folder, or makes new ones where there are none and that is allowed.
     *
     * @throws Refused with one line for people: no keys, readable by others, malformed, short or guessable keys
     */
    public static KeyStore openOrCreate(Path folder, boolean mayCreate) {
        return new KeyStore(new KeyFolder(folder), mayCreate);
    }

    /** The keys cannot be used; the message is one line for people and holds no secret. */
    public static final class Refused extends RuntimeException {
        Refused(String message) {
            super(message, null, false, false);
        }
    }

    /** The kinds of versioned secret keys; the largest version counts. */
    public enum Kind {
        /** Wraps data keys; a new epoch now and then lets old backups be shredded. */
        EPOCHS,
        /** Makes blind indexes. */
        INDEX,
        /** Makes name tokens; a new one fills a second column. */
        TOKENS;

        private String field() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** All keys at one moment: not changed once published, so that a reader never sees half a rotation. */
    private static final class Keys {
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

    /** An Ed25519 pair; the private half is dropped when the next pair takes over. */
    record SigningKey(
            String kid,
            Ed25519PublicKeyParameters publicKey,
            @Nullable Ed25519PrivateKeyParameters privateKey) {
        @Override
        public String toString() {
            return "SigningKey";
        }
    }

    /** The version that new values are made with. */
    public int current(Kind kind) {
        return keys.of(kind).lastKey();
    }

    /** One key, or null when it was destroyed or never was. */
    byte @Nullable [] key(Kind kind, int version) {
        return keys.of(kind).get(version);
    }

    /**
     * The same, after a look at the files where the key is not known: another node may have just made it. That is two files
     * of some kilobytes, read at most once a second and on an event loop too: to answer a reader who comes with a new
     * epoch's row before the next {@link #reload} is worth it.
     */
    byte @Nullable [] sought(Kind kind, int version) {
        byte[] known = key(kind, version);
        return known == null ? seek(kind, version) : known;
    }

    private synchronized byte @Nullable [] seek(Kind kind, int version) {
        long now = System.nanoTime();
        if (key(kind, version) == null && now - soughtNanos >= SEEK_NANOS) {
            soughtNanos = now;
            try {
                reload();
            } catch (Refused e) {
                return null; // as unknown as before; the next reload says why
            }
        }
        return key(kind, version);
    }

    /** HMAC-SHA256 under a key that stays in this room; IllegalArgumentException when there is none of that version. */
    public Mac mac(Kind kind, int version) {
        byte[] key = key(kind, version);
        if (key == null) {
            throw new IllegalArgumentException("no key of that version");
        }
        return Sha256.mac(key);
    }

    /** The pair that signs now, with its private half. */
    SigningKey signer() {
        Keys now = keys;
        return Objects.requireNonNull(now.signing.get(now.kid));
    }

    /** Every pair ever used for tokens, oldest first. */
    Map<String, SigningKey> signing() {
        return Collections.unmodifiableMap(keys.signing);
    }

    /** The pair that signs what is kept, such as seals of the audit; made when it is first asked for. Blocks then. */
    SigningKey sealer() {
        Keys now = keys.sealing.isEmpty() ? change(k -> addSealing(k, false)) : keys;
        return Objects.requireNonNull(now.sealing.get(now.sealingKid));
    }

    /** Every such pair, oldest first: old public halves stay, because seals are checked for years. */
    Map<String, SigningKey> sealing() {
        return Collections.unmodifiableMap(keys.sealing);
    }

    /** A new pair for what is kept; the private half of the one before goes now. */
    public String rotateSealing() {
        return change(k -> addSealing(k, true)).sealingKid;
    }

    /**
     * Starts a new version; what the older ones made stays readable, and a sweep rewraps the data keys of older epochs.
     *
     * @return its number
     */
    public int rotate(Kind kind) {
        return change(k -> append(k, kind)).of(kind).lastKey();
    }

    /**
     * Starts versions up to this one; does nothing where it is there, so that a rotation may be taken up again.
     *
     * @throws Refused where the files do not hold {@code known}: a copy from before it, whose successor would be another key
     */
    public void rotateTo(Kind kind, int version, int known) {
        change(k -> {
            if (k.of(kind).lastKey() < known) {
                throw new Refused(folder + " holds no " + kind.field() + " " + known + ": it is an older copy");
            }
            while (k.of(kind).lastKey() < version) {
                append(k, kind);
            }
        });
    }

    /**
     * Destroys an old version. For an epoch: every data key still wrapped by it, in backups too, is lost for ever.
     *
     * @throws IllegalArgumentException for the current version
     */
    public void destroy(Kind kind, int version) {
        change(k -> {
            if (version == k.of(kind).lastKey()) {
                throw new IllegalArgumentException("the current version of a key cannot be destroyed");
            }
            k.of(kind).remove(version);
        });
    }

    /** A new signing pair; tokens of the one before stay valid until the next rotation, its private half goes now. */
    public String rotateSigning() {
        return change(this::addSigning).kid;
    }

    /** A name for the master key in force, which says nothing about it. */
    public String masterId() {
        return keys.masterId;
    }

    /**
     * Replaces the master key and wraps everything with the new one. Died it before its end, it is called again: whatever
     * state the files were left in, they open, and after it they hold one master key.
     */
    public synchronized void rotateMaster() {
        keys = folder.alone(() -> {
            Keys old = load();
            Keys next = load();
            next.master = freshKey();
            next.masterId = freshId();
            writeMasters(old, next);
            writeKeys(next);
            writeMasters(next);
            return next;
        });
    }

    /** Reads the files again, after another node has changed them. */
    public synchronized void reload() {
        keys = load();
    }

    @Override
    public String toString() {
        return "KeyStore";
    }

    // ---- changing

    private synchronized Keys change(Consumer<Keys> change) {
        Keys changed = folder.alone(() -> {
            Keys next = load(); // from the files, because another node may have changed them meanwhile
            change.accept(next);
            writeKeys(next);
            return next;
        });
        keys = changed;
        return changed;
    }

    private void append(Keys to, Kind kind) {
        NavigableMap<Integer, byte[]> versions = to.of(kind);
        int next = versions.isEmpty() ? 1 : versions.lastKey() + 1;
        if (next > VERSION_MAX) {
            throw new IllegalStateException("a key has no version after " + VERSION_MAX);
        }
        versions.put(next, freshKey());
    }

    private void addSigning(Keys to) {
        to.kid = addPair(to.signing);
    }

    private void addSealing(Keys to, boolean another) {
        if (another || to.sealing.isEmpty()) {
            to.sealingKid = addPair(to.sealing);
        }
    }

    private String addPair(Map<String, SigningKey> pairs) {
        pairs.replaceAll((kid, pair) -> new SigningKey(kid, pair.publicKey(), null));
        Ed25519PrivateKeyParameters secret = new Ed25519PrivateKeyParameters(random);
        String kid = freshId();
        pairs.put(kid, new SigningKey(kid, secret.generatePublicKey(), secret));
        return kid;
    }

    private Keys create() {
        Keys fresh = new Keys();
        fresh.master = freshKey();
        fresh.masterId = freshId();
        for (Kind kind : Kind.values()) {
            append(fresh, kind);
        }
        addSigning(fresh);
        writeMasters(fresh);
        writeKeys(fresh);
        return fresh;
    }

    private byte[] freshKey() {
        byte[] key = new byte[KEY_BYTES];
        random.nextBytes(key);
        return key;
    }

    private String freshId() {
        byte[] id = new byte[6];
        random.nextBytes(id);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(id);
    }

    // ---- files

    private Keys load() {
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
        if (wrapped == null) {
            return new SigningKey(kid, publicKey(point), null);
        }
        var secret = new Ed25519PrivateKeyParameters(unwrap(master, use, kid, wrapped), 0);
        if (!Arrays.equals(point, secret.generatePublicKey().getEncoded())) {
            throw new Refused(folder + "/" + KEYS_FILE + " holds a signing key whose two halves do not match");
        }
        return new SigningKey(kid, publicKey(point), secret);
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
            if (!version.matches("[1-9][0-9]{0,2}") || Integer.parseInt(version) > VERSION_MAX) {
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

    private void writeMasters(Keys... holders) {
        ObjectNode content = Json.object().put("version", FORMAT);
        ObjectNode masters = content.putObject("masters");
        for (Keys holder : holders) {
            masters.put(holder.masterId, Base64.getEncoder().encodeToString(holder.master));
        }
        folder.write(MASTER_FILE, content);
    }

    private void writeKeys(Keys next) {
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
        });
    }

    private static String wrap(Keys next, String kind, String id, byte[] key) {
        return Base64.getEncoder().encodeToString(Vault.seal(next.master, context(kind, id), key));
    }
}
