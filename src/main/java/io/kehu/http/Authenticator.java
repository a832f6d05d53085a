package io.kehu.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Network;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.RequestSignature;
import io.kehu.crypto.Sha256;
import io.kehu.crypto.Signer;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * Step 2 of a request: from access token to {@link Principal}. A signature check is a thousand times the cost of a memory
 * look-up, so verified tokens are remembered by their SHA-256, never beyond their expiry; expiry and revocation are checked
 * every time all the same. What a caller may do is never read from the token but from PostgreSQL, remembered by session.
 */
public final class Authenticator {
    /** What {@code iam} publishes: one row for a session that is alive, none otherwise. */
    private static final String PRINCIPAL = """
            SELECT p.subject_id, p.audience, p.version, p.name, p.branch_id, p.permissions, p.scope, p.branch_ids, p.networks,
                   p.factor_at, g.customer_ids, g.good_until, iam.request_key(p.subject_id) AS request_key
            FROM iam.principal($1) p CROSS JOIN LATERAL iam.granted(p.subject_id) g""";

    /** What {@code iam} publishes: how a subject can show that he is still himself. */
    private static final String METHODS = "SELECT iam.step_up_methods($1)";

    private static final String REDEEM = """
            DELETE FROM kehu.stream_ticket WHERE ticket_hash = $1 AND good_until > kehu.now() RETURNING session_id""";

    private final Database database;
    private final Clock clock;
    private final Signer signer;
    private final Revocations revocations;
    private final Cache<Fingerprint, Verified> verified;
    private final Cache<UUID, Principal> principals;
    private final WorkerExecutor workers;
    private final AtomicInteger queued = new AtomicInteger();
    private final int maxQueued;

    /**
     * Bounds of the memory and of the checking.
     *
     * @param rememberedTokens verified tokens kept
     * @param rememberedPrincipals principals kept
     * @param workers threads that check signatures
     * @param maxQueued checks that may wait; more are refused
     */
    public record Options(int rememberedTokens, int rememberedPrincipals, int workers, int maxQueued) {}

    /** SHA-256 of a token. */
    private record Fingerprint(long a, long b, long c, long d) {
        static Fingerprint of(String token) {
            ByteBuffer hash = ByteBuffer.wrap(Sha256.of(token));
            return new Fingerprint(hash.getLong(), hash.getLong(), hash.getLong(), hash.getLong());
        }
    }

    /** What a token said, and by which pair. */
    private record Verified(Signer.Claims claims, String kid) {}

    public Authenticator(
            Vertx vertx, Database database, Clock clock, Signer signer, Revocations revocations, Options options) {
        this.database = database;
        this.clock = clock;
        this.signer = signer;
        this.revocations = revocations;
        this.maxQueued = options.maxQueued();
        this.verified =
                Caffeine.newBuilder().maximumSize(options.rememberedTokens()).build();
        // A minute is a second line of defence; what counts is that revocations drop entries at once.
        this.principals = Caffeine.newBuilder()
                .maximumSize(options.rememberedPrincipals())
                .expireAfterWrite(Duration.ofMinutes(1))
                .build();
        this.workers = vertx.createSharedWorkerExecutor("kehu-verify", options.workers());
        // A revocation of nobody in particular means that the scopes of many have changed.
        revocations.onRevoked(ids -> {
            if (ids.contains(Principal.NOBODY)) {
                principals.invalidateAll();
                return;
            }
            principals.invalidateAll(ids);
            principals.asMap().values().removeIf(p -> ids.contains(p.subject()));
        });
    }

    /**
     * The caller behind a token.
     *
     * <p>Fails with {@code auth.tokenInvalid}, {@code auth.tokenExpired}, {@code auth.revoked}, {@code
     * request.tooManyRequests} (too many unknown tokens at once) or {@code server.unavailable}.
     */
    public Future<Principal> authenticate(String token) {
        Fingerprint fingerprint = Fingerprint.of(token);
        Verified known = verified.getIfPresent(fingerprint);
        if (known != null && signer.stands(known.kid, known.claims.expiresAt())) {
            return principal(known.claims);
        }
        Signer.Peek peek = signer.peek(token);
        if (!peek.liveAt(clock.millis() / 1000)) {
            return Future.failedFuture(Problem.of("auth.tokenExpired"));
        }
        return check(() -> signer.verify(token)).compose(fresh -> {
            verified.put(fingerprint, new Verified(fresh, peek.kid()));
            return principal(fresh);
        });
    }

    /** Off the event loop, among no more than may wait. */
    private <T> Future<T> check(Callable<T> signature) {
        if (queued.incrementAndGet() > maxQueued) {
            queued.decrementAndGet();
            return Future.failedFuture(Problem.of("request.tooManyRequests", "1"));
        }
        return workers.executeBlocking(signature, false).onComplete(done -> queued.decrementAndGet());
    }

    /** Fails with {@code auth.signatureInvalid} where a caller has to sign requests and has not signed this one. */
    Future<Void> vouched(Principal principal, HttpServerRequest request, Buffer body) {
        String key = principal.requestKey();
        if (key == null) {
            return Future.succeededFuture();
        }
        RequestSignature.Request signed = Gate.signed(request, body);
        return check(() -> RequestSignature.isBy(key, signed, clock.millis() / 1000))
                .compose(good ->
                        good ? Future.succeededFuture() : Future.failedFuture(Problem.of("auth.signatureInvalid")));
    }

    /** When the token ends that was just accepted, in epoch milliseconds. */
    public long endsMillis(String token) {
        return signer.peek(token).expiresAt() * 1000;
    }

    /**
     * The caller behind a one-use ticket, which is gone afterwards. Fails with {@code event.ticketInvalid} or {@code
     * auth.revoked}.
     */
    public Future<Principal> redeem(String ticket) {
        return database.query(Call.Lane.POINT, REDEEM, Tuple.of(Buffer.buffer(Sha256.of(ticket))))
                .compose(rows -> rows.size() == 0
                        ? Future.failedFuture(Problem.of("event.ticketInvalid"))
                        : load(rows.iterator().next().getUUID(0)));
    }

    /** What {@link #isGood} compares with: asked before somebody is let in. */
    long heard() {
        return revocations.heard();
    }

    /**
     * Whether somebody who was let in may stay, with the rights he had then: for what lives longer than a request.
     *
     * @param heard what {@link #heard} said before
     */
    public boolean isGood(Principal principal, long endsMillis, long heard) {
        return clock.millis() < Math.min(endsMillis, principal.goodUntil())
                && principal.session() != null
                && !revocations.isBlind()
                && !revocations.changedSince(principal.subject(), heard)
                && !revocations.isRevoked(principal.subject(), principal.version(), principal.session());
    }

    private Future<Principal> principal(Signer.Claims claims) {
        if (!claims.liveAt(clock.millis() / 1000)) {
            return Future.failedFuture(Problem.of("auth.tokenExpired"));
        }
        if (revocations.isRevoked(claims.subject(), claims.version(), claims.session())) {
            return Future.failedFuture(Problem.of("auth.revoked"));
        }
        Principal known = revocations.isBlind() ? null : principals.getIfPresent(claims.session());
        if (known != null
                && isOf(claims.subject(), claims.audience(), claims.version(), known)
                && clock.millis() < known.goodUntil()) {
            return Future.succeededFuture(known);
        }
        return anew(claims.session(), claims.subject(), claims.audience(), claims.version());
    }

    private Future<Principal> anew(UUID session, UUID subject, Principal.Audience audience, long version) {
        boolean blind = revocations.isBlind();
        long heard = revocations.heard();
        return load(session).compose(principal -> {
            if (!isOf(subject, audience, version, principal)) {
                return Future.failedFuture(Problem.of("auth.revoked"));
            }
            if (!blind) {
                principals.put(session, principal);
                if (heard != revocations.heard()) {
                    // What was heard while it was read may be what it does not know yet.
                    principals.invalidate(session);
                }
            }
            return Future.succeededFuture(principal);
        });
    }

    /** What the token says must be what PostgreSQL says of its session, also where that is remembered. */
    private static boolean isOf(UUID subject, Principal.Audience audience, long version, Principal principal) {
        return principal.subject().equals(subject)
                && principal.audience() == audience
                && principal.version() == version;
    }

    /**
     * The caller, where he proved a factor within so many minutes. One that looks too old is read anew first: it may have been
     * proven a moment ago at another node. Fails with {@code auth.stepUp}, which says by which methods he can prove one.
     *
     * @param minutes 0 for any age
     */
    Future<Principal> proven(Principal known, int minutes) {
        UUID session = known.session();
        if (session == null || isProven(known, minutes)) {
            return Future.succeededFuture(known);
        }
        return anew(session, known.subject(), known.audience(), known.version())
                .compose(principal -> isProven(principal, minutes)
                        ? Future.succeededFuture(principal)
                        : database.query(Call.Lane.POINT, METHODS, Tuple.of(principal.subject()))
                                .compose(rows -> Future.failedFuture(
                                        stepUp(minutes, rows.iterator().next().getArrayOfStrings(0)))));
    }

    private boolean isProven(Principal principal, int minutes) {
        return minutes == 0 || clock.millis() - principal.factorAt() <= minutes * 60_000L;
    }

    private static Problem stepUp(int minutes, String[] methods) {
        ObjectNode members = Json.object().put("maxAge", minutes * 60);
        ArrayNode names = members.putArray("methods");
        Stream.of(methods).forEach(names::add);
        return Problem.of("auth.stepUp", Integer.toString(minutes)).with(members);
    }

    private Future<Principal> load(UUID session) {
        return database.query(Call.Lane.POINT, PRINCIPAL, Tuple.of(session)).compose(rows -> {
            if (rows.size() == 0) {
                return Future.failedFuture(Problem.of("auth.revoked"));
            }
            Row row = rows.iterator().next();
            UUID[] branches = row.getArrayOfUUIDs("branch_ids");
            String[] networks = row.getArrayOfStrings("networks");
            OffsetDateTime goodUntil = row.getOffsetDateTime("good_until");
            return Future.succeededFuture(new Principal(
                    row.getUUID("subject_id"),
                    Principal.Audience.valueOf(row.getString("audience")),
                    session,
                    row.getLong("version"),
                    row.getString("name"),
                    row.getUUID("branch_id"),
                    Set.of(row.getArrayOfStrings("permissions")),
                    Principal.Scope.valueOf(row.getString("scope")),
                    branches == null ? List.of() : List.of(branches),
                    List.of(row.getArrayOfUUIDs("customer_ids")),
                    networks == null
                            ? List.of()
                            : Stream.of(networks).map(Network::of).toList(),
                    row.getOffsetDateTime("factor_at").toInstant().toEpochMilli(),
                    goodUntil == null ? Long.MAX_VALUE : goodUntil.toInstant().toEpochMilli(),
                    row.getString("request_key")));
        });
    }

    public Future<Void> close() {
        return workers.close();
    }
}
