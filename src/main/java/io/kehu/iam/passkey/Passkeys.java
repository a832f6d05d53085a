package io.kehu.iam.passkey;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Event;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Sha256;
import io.kehu.iam.passkey.Passkey.Credential;
import io.kehu.iam.passkey.RelyingParty.Assertion;
import io.kehu.iam.passkey.RelyingParty.Created;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.WorkerExecutor;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Asks for a passkey and checks what comes back; for the sign-in of this room, and for any other room of iam that wants a
 * factor of somebody it knows:
 *
 * <pre>
 * begin(tx, person)              in a transaction: what the browser shall ask of the device
 * verify(credential, person)     before a transaction: who is proven, if anybody
 * accept(tx, proof)              in the transaction that the proof opens: whether the counter says so too
 * </pre>
 *
 * Challenges are random, known by their hash, and good for one look within a few minutes. Signatures are checked on workers of
 * their own, for which a bounded number may wait.
 */
public final class Passkeys {
    private static final String SIGN_IN = "sign-in";
    private static final String PROVE = "prove";
    private static final String REGISTER = "register";
    /** Of a challenge (section 13.4.3 wants 16), and of a handle. */
    private static final int RANDOM_BYTES = 32;

    private static final SecureRandom RANDOM = new SecureRandom();

    private final PasskeyStore store;
    private final @Nullable RelyingParty party;
    private final Duration life;
    private final WorkerExecutor workers;
    private final int queue;
    private final AtomicInteger waiting = new AtomicInteger();

    /** Somebody whose passkey has signed; worth nothing before {@link #accept}. */
    public record Proof(UUID passkey, UUID person, long signCount, boolean backedUp) {}

    /**
     * A ceremony that has begun.
     *
     * @param options for the browser's {@code PublicKeyCredential.parse...OptionsFromJSON}
     */
    public record Ceremony(ObjectNode options, OffsetDateTime expiresAt) {
        public Reply reply() {
            return Reply.ok(json -> {
                json.writeStartObject();
                json.writeFieldName("publicKey");
                json.writeTree(options);
                json.writeStringField("expiresAt", expiresAt.toInstant().toString());
                json.writeEndObject();
            });
        }
    }

    Passkeys(PasskeyStore store, @Nullable RelyingParty party, Duration life, WorkerExecutor workers, int queue) {
        this.store = store;
        this.party = party;
        this.life = life;
        this.workers = workers;
        this.queue = queue;
    }

    public static Passkeys of(Kernel kernel) {
        Duration life = Duration.ofMinutes(kernel.number("auth.passkeys.ceremonyMinutes"));
        return new Passkeys(
                new PasskeyStore(kernel.database()),
                party(kernel, life.toMillis()),
                life,
                kernel.vertx().createSharedWorkerExecutor("kehu-passkeys", kernel.number("auth.passkeys.workers")),
                kernel.number("auth.passkeys.queue"));
    }

    private static @Nullable RelyingParty party(Kernel kernel, long timeoutMillis) {
        String id = kernel.text("auth.passkeys.rpId");
        List<String> origins = new ArrayList<>();
        kernel.settings().apply("auth.passkeys.origins").forEach(origin -> origins.add(origin.asText()));
        if (!id.isEmpty()) {
            return new RelyingParty(id, origins, timeoutMillis);
        }
        boolean demo = kernel.text("mode").equalsIgnoreCase("demo");
        String scheme = kernel.text("http.tls.certificate").isEmpty() ? "http" : "https";
        // Browsers take localhost for a safe place, and no address.
        String page = scheme + "://localhost:" + kernel.number("http.port");
        return demo ? new RelyingParty("localhost", List.of(page), timeoutMillis) : null;
    }

    private RelyingParty party() {
        if (party == null) {
            throw Problem.of("passkey.off");
        }
        return party;
    }

    /**
     * Begins to prove somebody who is known already. Problems: passkey.off, passkey.notFound (has none).
     */
    public Future<Ceremony> begin(Tx tx, UUID person) {
        RelyingParty known = party();
        byte[] challenge = random();
        return store.credentials(tx, person, false)
                .compose(mine -> mine.isEmpty()
                        ? Future.failedFuture(Problem.of("passkey.notFound"))
                        : add(tx, challenge, PROVE, person)
                                .map(end -> new Ceremony(known.requestOptions(challenge, mine), end)));
    }

    /** Begins a sign-in of whoever has a passkey. Problems: passkey.off. */
    Future<Ceremony> beginSignIn(Tx tx) {
        RelyingParty known = party();
        byte[] challenge = random();
        return add(tx, challenge, SIGN_IN, null)
                .map(end -> new Ceremony(known.requestOptions(challenge, List.of()), end));
    }

    /** Begins to make a passkey. Problems: passkey.off, passkey.tooMany, passkey.passwordFirst. */
    Future<Ceremony> beginRegistration(Tx tx, UUID person, String username) {
        RelyingParty known = party();
        byte[] challenge = random();
        return store.mustHaveRoom(tx, person)
                .compose(v -> store.handle(tx, person, random()))
                .compose(handle -> store.credentials(tx, person, true)
                        .compose(existing -> add(tx, challenge, REGISTER, person)
                                .map(end -> new Ceremony(
                                        known.creationOptions(challenge, handle, username, existing), end))));
    }

    private Future<OffsetDateTime> add(Tx tx, byte[] challenge, String purpose, @Nullable UUID person) {
        OffsetDateTime end = tx.now().plus(life);
        return store.addChallenge(tx, hash(challenge), purpose, person, end).map(end);
    }

    /**
     * Checks what a device signed for somebody who is known already (AuthenticationResponseJSON, Web Authentication Level 3,
     * section 5.1). Takes the challenge, whatever else is wrong; empty where anything is. Problems: passkey.off,
     * request.tooManyRequests.
     */
    public Future<Optional<Proof>> verify(JsonNode credential, UUID person) {
        return verify(credential, PROVE, person);
    }

    /** The same for a sign-in: it is the passkey that tells who it is. */
    Future<Optional<Proof>> verifySignIn(JsonNode credential) {
        return verify(credential, SIGN_IN, null);
    }

    private Future<Optional<Proof>> verify(JsonNode credential, String purpose, @Nullable UUID person) {
        RelyingParty known = party();
        return onWorker(() -> known.read(credential))
                .compose(read -> read.isEmpty()
                        ? Future.succeededFuture(Optional.<Proof>empty())
                        : take(known, read.get(), purpose, person));
    }

    private Future<Optional<Proof>> take(
            RelyingParty known, Assertion assertion, String purpose, @Nullable UUID person) {
        return store.takeChallenge(hash(assertion.challenge()), purpose, person)
                .compose(good -> good ? find(assertion, person) : Future.succeededFuture(Optional.<Credential>empty()))
                .compose(found -> found.isEmpty()
                        ? Future.succeededFuture(Optional.<Proof>empty())
                        : onWorker(() -> known.signed(assertion, found.get())
                                .map(signed -> new Proof(
                                        found.get().passkey(),
                                        found.get().person(),
                                        signed.count(),
                                        signed.backedUp()))));
    }

    /** A device need not say whose a credential is where we know it; what it says must be true (section 7.2, step 6). */
    private Future<Optional<Credential>> find(Assertion assertion, @Nullable UUID person) {
        byte[] handle = assertion.userHandle();
        if (handle == null) {
            return person == null
                    ? Future.succeededFuture(Optional.empty())
                    : store.find(assertion.credentialId(), person);
        }
        return store.find(assertion.credentialId(), handle)
                .map(found -> found.filter(
                        credential -> person == null || credential.person().equals(person)));
    }

    /**
     * Counts the use of a passkey. False where it proves nobody after all: it is gone or locked, or its counter did not grow,
     * which locks it (section 6.1.1: there may be a copy). Whoever is refused for that must be refused by {@link Tx#refuse},
     * so that the lock stays.
     */
    public Future<Boolean> accept(Tx tx, Proof proof) {
        return store.use(tx, proof)
                .compose(used -> used
                        ? Future.succeededFuture(true)
                        : store.lock(tx, proof).map(locked -> {
                            locked.ifPresent(lock ->
                                    tx.event(Event.of("passkey.locked", proof.passkey(), lock.version(), "staff:read")
                                            .within(lock.branch(), null)));
                            return false;
                        }));
    }

    /** Checks what a device made; empty where anything is wrong, but for the challenge. Problems: passkey.off, request.tooManyRequests. */
    Future<Optional<Created>> created(JsonNode credential) {
        RelyingParty known = party();
        return onWorker(() -> known.created(credential));
    }

    /** Whether this was made for a challenge that the person was given, which is then gone. */
    Future<Boolean> isAsked(Tx tx, Created made, UUID person) {
        return store.takeChallenge(tx, hash(made.challenge()), REGISTER, person);
    }

    private <T> Future<T> onWorker(Callable<T> work) {
        if (waiting.incrementAndGet() > queue) {
            waiting.decrementAndGet();
            return Future.failedFuture(Problem.of("request.tooManyRequests", "1"));
        }
        return workers.executeBlocking(work, false).onComplete(done -> waiting.decrementAndGet());
    }

    private static byte[] random() {
        byte[] bytes = new byte[RANDOM_BYTES];
        RANDOM.nextBytes(bytes);
        return bytes;
    }

    private static byte[] hash(byte[] challenge) {
        return Sha256.start().digest(challenge);
    }
}
