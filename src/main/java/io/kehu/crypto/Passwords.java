package io.kehu.crypto;

import io.kehu.bus.Problem;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Keeps passwords as Argon2id (RFC 9106) in the PHC string format, e.g. {@code $argon2id$v=19$m=47104,t=1,p=1$salt$hash}
 * (OWASP: m >= 46 MiB for t=1, p=1). A hash takes about 30 ms of a core, so hashes are computed on workers of their own
 * and begin at even intervals, however many are wanted: that bounds what sign-ins can take from everybody else. A few may
 * wait for their turn, more are answered 429. One object per node, or the bounds would not be the node's.
 */
public final class Passwords {
    /** OWASP Password Storage Cheat Sheet, for one pass. */
    public static final int MEMORY_KIB_MIN = 47_104;

    /** What a setting may ask for; only production insists on {@link #MEMORY_KIB_MIN}. */
    private static final int MEMORY_KIB_LEAST = 1_024;

    /** Longest password, in code points: more is refused before any work. */
    public static final int LENGTH_MAX = 128;

    /** What a stored hash may ask of this machine; more is not ours. */
    private static final int MEMORY_KIB_MAX = 262_144;

    private static final int ITERATIONS_MAX = 10;
    private static final int LANES_MAX = 4;
    private static final int SALT_BYTES = 16;
    private static final int HASH_BYTES = 32;
    private static final Pattern PHC = Pattern.compile("\\$argon2id\\$v=19\\$m=([1-9]\\d{0,6}),t=([1-9]\\d?),p=([1-9])"
            + "\\$([A-Za-z0-9+/]{11,86})\\$([A-Za-z0-9+/]{22,86})");

    private final int memoryKib;
    private final int waitingMax;
    private final long intervalNanos;
    private final Vertx vertx;
    private final WorkerExecutor workers;
    /** One for each worker, so that whoever runs finds one. */
    private final BlockingQueue<Argon2id> generators;

    private final AtomicInteger waiting = new AtomicInteger();
    private final AtomicLong nextTurn = new AtomicLong(System.nanoTime());
    private final SecureRandom random = new SecureRandom();
    private final String absent;

    /**
     * What hashing may take of a node.
     *
     * @param memoryKib for new hashes, at least 1,024, in production {@link #MEMORY_KIB_MIN}; each worker keeps it in the
     *     heap
     * @param workers hashes computed at once
     * @param perSecond hashes begun in a second
     * @param queue hashes that may wait for their turn or a worker; more fail with {@code request.tooManyRequests}
     */
    public record Options(int memoryKib, int workers, int perSecond, int queue) {
        public Options {
            if (memoryKib < MEMORY_KIB_LEAST
                    || memoryKib > MEMORY_KIB_MAX
                    || workers < 1
                    || perSecond < 1
                    || queue < 0) {
                throw new IllegalArgumentException("password hashing needs " + MEMORY_KIB_LEAST + " to "
                        + MEMORY_KIB_MAX + " KiB of memory, at least one worker and one hash a second");
            }
        }
    }

    public Passwords(Vertx vertx, Options options) {
        this.memoryKib = options.memoryKib;
        this.waitingMax = options.workers + options.queue;
        this.intervalNanos = TimeUnit.SECONDS.toNanos(1) / options.perSecond;
        this.vertx = vertx;
        this.workers = vertx.createSharedWorkerExecutor("kehu-passwords", options.workers, 10, TimeUnit.SECONDS);
        this.generators = new ArrayBlockingQueue<>(options.workers);
        for (int i = 0; i < options.workers; i++) {
            generators.add(new Argon2id(memoryKib));
        }
        byte[] nothing = new byte[SALT_BYTES + HASH_BYTES];
        random.nextBytes(nothing);
        this.absent = phc(Arrays.copyOf(nothing, SALT_BYTES), Arrays.copyOfRange(nothing, SALT_BYTES, nothing.length));
    }

    /** A hash that no password has: verify against it where there is no account, and both cost the same. */
    public String absent() {
        return absent;
    }

    /** Hashes a new password. Fails with {@code request.tooManyRequests} when the queue is full. */
    public Future<String> hash(String password) {
        return onWorker(generator -> {
            byte[] salt = new byte[SALT_BYTES];
            random.nextBytes(salt);
            return phc(salt, generator.hash(bytes(password), salt, memoryKib, 1, 1, HASH_BYTES));
        });
    }

    /**
     * Whether this is the password of a stored hash; also of other parameters, up to a bound. Takes the time of one hash
     * whatever the answer. Fails with {@code request.tooManyRequests} when the queue is full, and with
     * IllegalStateException for a stored hash that is none.
     */
    public Future<Boolean> verify(String password, String phc) {
        Matcher parts = PHC.matcher(phc);
        if (!parts.matches()) {
            return Future.failedFuture(new IllegalStateException("a stored password hash is malformed"));
        }
        int memory = Integer.parseInt(parts.group(1));
        int iterations = Integer.parseInt(parts.group(2));
        int lanes = Integer.parseInt(parts.group(3));
        if (memory < 8 * lanes || memory > MEMORY_KIB_MAX || iterations > ITERATIONS_MAX || lanes > LANES_MAX) {
            return Future.failedFuture(new IllegalStateException("a stored password hash asks for too much"));
        }
        // A password too long to be anybody's still costs a hash, so that the time says nothing.
        boolean possible = length(password) <= LENGTH_MAX;
        return onWorker(generator -> {
            byte[] secret = bytes(possible ? password : "");
            byte[] wanted = Base64.getDecoder().decode(parts.group(5));
            byte[] salt = Base64.getDecoder().decode(parts.group(4));
            byte[] given = generator.hash(secret, salt, memory, iterations, lanes, wanted.length);
            return MessageDigest.isEqual(wanted, given) && possible;
        });
    }

    /** Whether a hash should be made anew at the next sign-in, because the setting has changed. */
    public boolean rehashDue(String phc) {
        return !phc.startsWith("$argon2id$v=" + Argon2id.VERSION + "$m=" + memoryKib + ",t=1,p=1$");
    }

    /** Hashes running or waiting now, for a metric. */
    public int waiting() {
        return waiting.get();
    }

    /** Whether one more would be refused now: to refuse it before anything is done for it. */
    public boolean full() {
        return waiting.get() >= waitingMax;
    }

    public Future<Void> close() {
        return workers.close();
    }

    private <T> Future<T> onWorker(Function<Argon2id, T> work) {
        if (waiting.incrementAndGet() > waitingMax) {
            waiting.decrementAndGet();
            return Future.failedFuture(Problem.of("request.tooManyRequests", "1"));
        }
        long millis = TimeUnit.NANOSECONDS.toMillis(untilTurn());
        Future<T> done = millis == 0
                ? workers.executeBlocking(() -> withGenerator(work), false)
                : vertx.timer(millis).compose(v -> workers.executeBlocking(() -> withGenerator(work), false));
        return done.onComplete(ended -> waiting.decrementAndGet());
    }

    /** Takes the next turn; how many nanoseconds it is away. No more than wait are ever given one. */
    private long untilTurn() {
        long now = System.nanoTime();
        long turn = nextTurn.getAndUpdate(next -> Math.max(next - now, 0) + now + intervalNanos);
        return Math.max(turn - now, 0);
    }

    /**
     * Whoever signs in can wait, so that nobody else has to: the JVM maps the lowest priority to one of the system only with
     * {@code -XX:ThreadPriorityPolicy=1 -XX:JavaPriority1_To_OSPriority=19}.
     */
    @SuppressWarnings("ThreadPriorityCheck") // nothing is right or wrong by it, only sooner or later
    private <T> T withGenerator(Function<Argon2id, T> work) throws InterruptedException {
        Thread.currentThread().setPriority(Thread.MIN_PRIORITY);
        Argon2id generator = generators.take();
        try {
            return work.apply(generator);
        } finally {
            generators.add(generator);
        }
    }

    private String phc(byte[] salt, byte[] hash) {
        Base64.Encoder base64 = Base64.getEncoder().withoutPadding();
        return "$argon2id$v=" + Argon2id.VERSION + "$m=" + memoryKib + ",t=1,p=1$" + base64.encodeToString(salt) + "$"
                + base64.encodeToString(hash);
    }

    private static byte[] bytes(String password) {
        return normal(password).getBytes(StandardCharsets.UTF_8);
    }

    private static String normal(String password) {
        return Normalizer.normalize(password, Normalizer.Form.NFKC);
    }

    private static int length(String text) {
        return text.codePointCount(0, text.length());
    }

    // ---- rules

    /**
     * What a new password must be.
     *
     * <p>{@link #NIST}: SP 800-63B-4, 3.1.1: length, a block list, nothing else, no rotation. {@link #MLPS3}: what
     * assessors of GB/T 22239 level 3 ask for: 8 characters of three of four classes, changed every 90 days.
     */
    public enum Profile {
        NIST(0),
        MLPS3(90);

        /** After how many days a password must be changed; 0 for never. */
        public final int rotationDays;

        Profile(int rotationDays) {
            this.rotationDays = rotationDays;
        }

        public boolean rotationDue(long changedAtMillis, long nowMillis) {
            return rotationDays > 0 && nowMillis - changedAtMillis >= TimeUnit.DAYS.toMillis(rotationDays);
        }
    }

    /**
     * Checks a new password against a profile; empty means it will do.
     *
     * @param pointer where the password stands in the body
     * @param secondFactor whether the account has one
     * @param own words that must not make up the password: the sign-in name, the bank's names
     * @return codes field.passwordShort (least length), field.passwordLong (most), field.passwordCharacters (control
     *     characters, lone surrogates), field.passwordCommon, field.passwordOwn, field.passwordClasses
     */
    public static List<Problem.FieldError> faults(
            Profile profile, String pointer, String password, boolean secondFactor, List<String> own) {
        List<Problem.FieldError> faults = new ArrayList<>();
        int raw = length(password);
        if (raw > LENGTH_MAX) {
            return List.of(new Problem.FieldError(pointer, "field.passwordLong", List.of("" + LENGTH_MAX)));
        }
        String normal = normal(password);
        int least = profile == Profile.NIST && !secondFactor ? 15 : 8;
        if (length(normal) < least) {
            faults.add(new Problem.FieldError(pointer, "field.passwordShort", List.of("" + least)));
        }
        if (normal.codePoints()
                .anyMatch(c -> Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE)) {
            faults.add(new Problem.FieldError(pointer, "field.passwordCharacters", List.of()));
        }
        if (profile == Profile.MLPS3 && classes(normal) < 3) {
            faults.add(new Problem.FieldError(pointer, "field.passwordClasses", List.of("3")));
        }
        String folded = normal.toLowerCase(Locale.ROOT);
        Set<String> words = CommonPasswords.words(
                own.stream().map(word -> normal(word).toLowerCase(Locale.ROOT)).toList());
        boolean common = CommonPasswords.isCommon(folded, Set.of());
        if (common) {
            faults.add(new Problem.FieldError(pointer, "field.passwordCommon", List.of()));
        }
        if (words.stream().anyMatch(word -> isLittleMoreThan(word, folded))
                || (!common && CommonPasswords.isCommon(folded, words))) {
            faults.add(new Problem.FieldError(pointer, "field.passwordOwn", List.of()));
        }
        return faults;
    }

    /** What is left beside an own word, also one with look-alikes or backwards, must still be a password of some kind. */
    private static boolean isLittleMoreThan(String word, String folded) {
        String plain = CommonPasswords.undisguised(folded);
        String backwards = new StringBuilder(word).reverse().toString();
        return Stream.of(folded, CommonPasswords.squeezed(folded), plain, CommonPasswords.squeezed(plain))
                .anyMatch(
                        form -> (form.contains(word) || form.contains(backwards)) && length(folded) - length(word) < 8);
    }

    /** Upper case, lower case, digits, the rest (where a script has no case its letters count as the rest). */
    private static int classes(String password) {
        int seen = 0;
        for (int c : password.codePoints().toArray()) {
            seen |= Character.isUpperCase(c) ? 1 : Character.isLowerCase(c) ? 2 : Character.isDigit(c) ? 4 : 8;
        }
        return Integer.bitCount(seen);
    }

    /** The lines of a resource of this package that say something. */
    static List<String> lines(String resource) {
        try (InputStream in = Passwords.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new IllegalStateException(resource + " is missing");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .filter(line -> !line.isBlank() && !line.startsWith("# "))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
