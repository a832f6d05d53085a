package io.kehu.crypto;

import io.kehu.crypto.KeyFiles.Keys;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
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
 * keys.json     {version, master, epochs, index, tokens: {number: wrapped}, signing, sealing: {kid: {public, private?, from?,
 *               until?}}, kid, sealingKid}; times in seconds since 1970
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

    /** A version travels as one byte in blind indexes and stored answers. */
    static final int VERSION_MAX = 255;

    /** Between two looks at the files for a key that is not known. */
    private static final long SEEK_NANOS = 1_000_000_000L;

    private final KeyFolder folder;
    private final KeyFiles files;
    private final SecureRandom random = new SecureRandom();
    private volatile Keys keys;
    private long soughtNanos = System.nanoTime() - SEEK_NANOS;

    private KeyStore(KeyFolder folder, boolean mayCreate) {
        this.folder = folder;
        this.files = new KeyFiles(folder);
        boolean there = files.any();
        if (!there && !mayCreate) {
            throw new Refused("there are no keys in " + folder);
        }
        if (!there) {
            folder.create();
        }
        folder.check();
        // A second node that starts at the same moment waits here and then finds the keys of the first.
        this.keys = there ? files.load() : folder.alone(() -> files.whole() ? files.load() : create());
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

        String field() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * An Ed25519 pair; the private half is dropped when the next pair has taken over.
     *
     * @param kid the thumbprint of the public half (RFC 7638), or what an earlier version named it
     * @param from when it begins to sign, in seconds since 1970 by the bank's clock
     * @param until when the last it signed has expired; {@link Long#MAX_VALUE} as long as nothing follows it
     */
    record SigningKey(
            String kid,
            Ed25519PublicKeyParameters publicKey,
            @Nullable Ed25519PrivateKeyParameters privateKey,
            long from,
            long until) {
        SigningKey until(long second) {
            return new SigningKey(kid, publicKey, privateKey, from, second);
        }

        SigningKey publicHalf() {
            return new SigningKey(kid, publicKey, null, from, until);
        }

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

    /** The pair that signs tokens of that second, with its private half; all nodes name the same one. */
    SigningKey signer(long second) {
        SigningKey chosen = null;
        for (SigningKey pair : keys.signing.values()) {
            if (pair.privateKey() != null && (chosen == null || pair.from() <= second)) {
                chosen = pair;
            }
        }
        return Objects.requireNonNull(chosen);
    }

    /** The pairs of tokens, oldest first: one, or two while one follows the other; retired ones until the next rotation. */
    Map<String, SigningKey> signing() {
        return Collections.unmodifiableMap(keys.signing);
    }

    /** Whether tokens of a pair that end then may be accepted: a retired pair has none that have not ended. */
    boolean accepts(String kid, long expiresAt) {
        SigningKey pair = keys.signing.get(kid);
        return pair != null && expiresAt <= pair.until();
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

    /**
     * Two pairs of tokens that follow each other.
     *
     * @param kid the newer one
     * @param from when it begins to sign, in seconds since 1970
     * @param until when the last token of the older one has expired, and with it the older one
     */
    public record Succession(String kid, long from, long until) {}

    /** The succession under way, or null where one pair is alone. */
    public @Nullable Succession succession(long now) {
        return succession(keys, now);
    }

    private static @Nullable Succession succession(Keys in, long now) {
        SigningKey newest = Objects.requireNonNull(in.signing.get(in.kid));
        long until = 0;
        for (SigningKey pair : in.signing.values()) {
            until = pair.kid().equals(in.kid) ? until : Math.max(until, pair.until());
        }
        return until > now ? new Succession(newest.kid(), newest.from(), until) : null;
    }

    /**
     * A new pair for tokens, which is known from now on and signs later; does nothing while another succession is under way, so
     * never more than two pairs are live. One write of one file: whoever dies before it has done nothing, after it everything.
     *
     * @param now seconds since 1970, by the bank's clock
     * @param from when the new pair begins to sign: late enough that every node has read it
     * @param lifetime of a token, in seconds: so long afterwards the older pair is retired
     */
    public Succession rotateSigning(long now, long from, long lifetime) {
        Keys changed = change(k -> {
            if (succession(k, now) == null) {
                k.signing.values().removeIf(pair -> pair.until() <= now);
                k.signing.replaceAll((kid, pair) -> pair.until(from + lifetime));
                addSigning(k, from);
            }
        });
        return Objects.requireNonNull(succession(changed, now));
    }

    /** Drops the private halves of pairs that no longer sign. */
    public void endSigning(long now) {
        change(k -> {
            if (Objects.requireNonNull(k.signing.get(k.kid)).from() <= now) {
                k.signing.replaceAll((kid, pair) -> kid.equals(k.kid) ? pair : pair.publicHalf());
            }
        });
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
            Keys old = files.load();
            Keys next = files.load();
            next.master = freshKey();
            next.masterId = freshId();
            files.writeMasters(old, next);
            files.writeKeys(next);
            files.writeMasters(next);
            return next;
        });
    }

    /** Reads the files again, after another node has changed them. */
    public synchronized void reload() {
        keys = files.load();
    }

    @Override
    public String toString() {
        return "KeyStore";
    }

    // ---- changing

    private synchronized Keys change(Consumer<Keys> change) {
        Keys changed = folder.alone(() -> {
            Keys next = files.load(); // from the files, because another node may have changed them meanwhile
            change.accept(next);
            files.writeKeys(next);
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

    private void addSigning(Keys to, long from) {
        to.kid = addPair(to.signing, from);
    }

    private void addSealing(Keys to, boolean another) {
        if (another || to.sealing.isEmpty()) {
            to.sealing.replaceAll((kid, pair) -> pair.publicHalf());
            to.sealingKid = addPair(to.sealing, 0);
        }
    }

    private String addPair(Map<String, SigningKey> pairs, long from) {
        Ed25519PrivateKeyParameters secret = new Ed25519PrivateKeyParameters(random);
        Ed25519PublicKeyParameters point = secret.generatePublicKey();
        String kid = KeySet.thumbprint(point.getEncoded());
        pairs.put(kid, new SigningKey(kid, point, secret, from, Long.MAX_VALUE));
        return kid;
    }

    private Keys create() {
        Keys fresh = new Keys();
        fresh.master = freshKey();
        fresh.masterId = freshId();
        for (Kind kind : Kind.values()) {
            append(fresh, kind);
        }
        addSigning(fresh, 0);
        files.writeMasters(fresh);
        files.writeKeys(fresh);
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
}
