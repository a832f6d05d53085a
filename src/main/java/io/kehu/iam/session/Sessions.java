package io.kehu.iam.session;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Signer;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;

/**
 * The one place where sessions begin, go on and end, of every audience: what all ways in come to, whatever they asked for
 * before.
 */
public final class Sessions {
    private final SessionStore store;
    private final Tokens tokens;

    /**
     * Whom a session is of.
     *
     * @param name what the audit may call the subject
     */
    public record Bearer(UUID subject, String name, Principal.Audience audience, long rights) {}

    /** An access token that lives as long as its session. */
    public record Grant(String accessToken, long seconds) {}

    /** Writes further fields of an answer. */
    @FunctionalInterface
    public interface Fields {
        void write(JsonGenerator json) throws IOException;
    }

    private Sessions(SessionStore store, Tokens tokens) {
        this.store = store;
        this.tokens = tokens;
    }

    public static Sessions of(Kernel kernel) {
        return new Sessions(
                new SessionStore(kernel.database(), kernel.vault()),
                new Tokens(new Signer(kernel.keys(), "kehu"), lives(kernel)));
    }

    private static Tokens.Lives lives(Kernel kernel) {
        return new Tokens.Lives(
                Duration.ofMinutes(kernel.number("auth.accessMinutes")),
                Duration.ofMinutes(
                        Math.min(kernel.number("auth.idleMinutes"), 60 * kernel.number("auth.refreshHours"))),
                Duration.ofHours(kernel.number("auth.absoluteHours")));
    }

    /** Begins a session that can be refreshed, and answers with its first pair of tokens. */
    public Future<Reply> open(Tx tx, Bearer who, boolean inCookie, Fields more) {
        return open(tx, who, false, inCookie, more);
    }

    /** The same; with {@code factorPolicy} it is held while its bearer's roles ask for a second factor that he has not. */
    Future<Reply> open(Tx tx, Bearer who, boolean factorPolicy, boolean inCookie, Fields more) {
        UUID session = Ids.next();
        OffsetDateTime end = tx.now().plus(tokens.lives().absolute());
        tx.object("session", session, 1);
        return store.begin(tx, session, who, end, null, factorPolicy)
                .compose(v -> issue(tx, who, session, end, inCookie, more));
    }

    /** How long a session lives without a refresh. */
    Duration idle() {
        return tokens.lives().idle();
    }

    /** Begins a session that has one access token and ends with it, limited to some of its bearer's permissions. */
    public Future<Grant> grant(Tx tx, Bearer who, List<String> scopes) {
        UUID session = Ids.next();
        OffsetDateTime end = tx.now().plus(tokens.lives().access());
        tx.object("session", session, 1);
        return store.begin(tx, session, who, end, scopes, false)
                .map(v -> new Grant(access(tx, who, session, end), tokens.seconds(tx.now(), end)));
    }

    private String access(Tx tx, Bearer who, UUID session, OffsetDateTime end) {
        return tokens.access(who.subject(), who.audience(), session, who.rights(), tx.now(), end);
    }

    /** A fresh pair; the refresh token goes into a cookie where the caller is a web page, else into the body. */
    private Future<Reply> issue(Tx tx, Bearer who, UUID session, OffsetDateTime end, boolean inCookie, Fields more) {
        String refresh = Ids.secret();
        OffsetDateTime refreshEnd = tokens.refreshEnd(tx.now(), end);
        return store.addRefresh(tx, refresh, session, refreshEnd).map(v -> {
            String access = access(tx, who, session, end);
            Reply reply = Reply.ok(json -> {
                json.writeStartObject();
                json.writeStringField("tokenType", "Bearer");
                json.writeStringField("accessToken", access);
                json.writeNumberField("expiresIn", tokens.seconds(tx.now(), end));
                if (!inCookie) {
                    json.writeStringField("refreshToken", refresh);
                }
                json.writeStringField("refreshBefore", refreshEnd.toInstant().toString());
                json.writeStringField("sessionEnds", end.toInstant().toString());
                more.write(json);
                json.writeEndObject();
            });
            return inCookie ? reply.cookie(Tokens.cookie(refresh, tx.now(), refreshEnd)) : reply;
        });
    }

    /**
     * Changes a refresh token of one audience into a new pair. One that was used before has been stolen, or the answer to it
     * has: its session ends, and that stays although the caller is refused. Problems: auth.refreshInvalid.
     *
     * @param bearer who the subject is today; empty where it may not come in any more
     */
    public Future<Reply> rotate(
            Tx tx,
            String token,
            Principal.Audience audience,
            boolean inCookie,
            Function<UUID, Future<Optional<Bearer>>> bearer) {
        Buffer hash = Tokens.hash(token);
        return store.refreshOf(tx, hash, audience)
                .compose(row -> bearer.apply(row.getUUID("subject_id"))
                        .compose(who -> rotate(tx, hash, row, audience, inCookie, who)));
    }

    private Future<Reply> rotate(
            Tx tx, Buffer hash, Row row, Principal.Audience audience, boolean inCookie, Optional<Bearer> bearer) {
        UUID session = row.getUUID("session_id");
        tx.kind("sign-in");
        tx.actor(row.getUUID("subject_id"), bearer.map(Bearer::name).orElse(audience.name()));
        tx.object("session", session, 1);
        boolean over = isOver(row, tx);
        if (!over && row.getOffsetDateTime("used_at") != null) {
            return store.end(tx, session, "reuse").compose(v -> tx.refuse(Problem.of("auth.refreshInvalid")));
        }
        if (over || !row.getOffsetDateTime("expires_at").isAfter(tx.now()) || bearer.isEmpty()) {
            return Future.failedFuture(Problem.of("auth.refreshInvalid"));
        }
        OffsetDateTime end = row.getOffsetDateTime("ends_at");
        return store.use(tx, hash, session).compose(v -> issue(tx, bearer.get(), session, end, inCookie, json -> {}));
    }

    private static boolean isOver(Row row, Tx tx) {
        return row.getOffsetDateTime("revoked_at") != null
                || !row.getOffsetDateTime("ends_at").isAfter(tx.now());
    }

    /** Ends a session on every node within a second. */
    public Future<Void> end(Tx tx, UUID session, String why) {
        return store.end(tx, session, why);
    }

    /** Ends every session of a subject whose version of rights has just become {@code rights}. */
    public Future<Void> endAll(Tx tx, UUID subject, long rights, String why) {
        return store.endAll(tx, subject, rights, why, null);
    }

    /** The same but for one, which goes on after a refresh. */
    public Future<Void> endOthers(Tx tx, UUID subject, long rights, String why, UUID except) {
        return store.endAll(tx, subject, rights, why, except);
    }
}
