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

/** AudienceSessions of every audience and their tokens: what all ways in end with, whatever they asked for before. */
public final class AudienceSessions {
    private final SessionStore store;
    private final Tokens tokens;

    /** Whom a session is of. */
    public record Bearer(UUID subject, Principal.Audience audience, long rights) {}

    /** An access token that lives as long as its session. */
    public record Grant(String accessToken, long seconds) {}

    /** Writes further fields of an answer. */
    @FunctionalInterface
    public interface Fields {
        void write(JsonGenerator json) throws IOException;
    }

    private AudienceSessions(SessionStore store, Tokens tokens) {
        this.store = store;
        this.tokens = tokens;
    }

    public static AudienceSessions of(Kernel kernel) {
        return new AudienceSessions(
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
        UUID session = Ids.next();
        OffsetDateTime end = tx.now().plus(tokens.lives().absolute());
        tx.object("session", session, 1);
        return store.begin(tx, session, who, end, null).compose(v -> issue(tx, who, session, end, inCookie, more));
    }

    /** Begins a session that has one access token and ends with it, limited to some of its bearer's permissions. */
    public Future<Grant> grant(Tx tx, Bearer who, List<String> scopes) {
        UUID session = Ids.next();
        OffsetDateTime end = tx.now().plus(tokens.lives().access());
        tx.object("session", session, 1);
        return store.begin(tx, session, who, end, scopes)
                .map(v -> new Grant(access(tx, who, session, end), tokens.seconds(tx.now(), end)));
    }

    private String access(Tx tx, Bearer who, UUID session, OffsetDateTime end) {
        return tokens.access(who.subject(), who.audience(), session, who.rights(), tx.now(), end);
    }

    /** A fresh pair; the refresh token goes into a cookie where the caller is a web page, else into the body. */
    private Future<Reply> issue(Tx tx, Bearer who, UUID session, OffsetDateTime end, boolean inCookie, Fields more) {
        String refresh = Tokens.refresh();
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
     * Changes a refresh token of one audience into a new pair, by the rules of {@link SessionService#refresh}: one that comes
     * again ends its session, and that stays although the caller is refused.
     *
     * @param bearer who the subject is today; empty where it may not come in any more
     */
    public Future<Reply> rotate(
            Tx tx, String token, Principal.Audience audience, Function<UUID, Future<Optional<Bearer>>> bearer) {
        Buffer hash = Tokens.hash(token);
        return store.refreshOf(tx, hash, audience).compose(row -> {
            UUID session = row.getUUID("session_id");
            UUID subject = row.getUUID("subject_id");
            tx.kind("sign-in");
            tx.actor(subject, audience.name());
            tx.object("session", session, 1);
            if (isOver(row, tx)) {
                return Future.failedFuture(Problem.of("auth.refreshInvalid"));
            }
            if (row.getOffsetDateTime("used_at") != null) {
                return store.end(tx, session, "reuse").compose(v -> tx.refuse(Problem.of("auth.refreshInvalid")));
            }
            if (!row.getOffsetDateTime("expires_at").isAfter(tx.now())) {
                return Future.failedFuture(Problem.of("auth.refreshInvalid"));
            }
            return bearer.apply(subject)
                    .compose(who -> who.isEmpty()
                            ? Future.failedFuture(Problem.of("auth.refreshInvalid"))
                            : store.use(tx, hash, session)
                                    .compose(v -> issue(
                                            tx,
                                            who.get(),
                                            session,
                                            row.getOffsetDateTime("ends_at"),
                                            false,
                                            json -> {})));
        });
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
        return store.endAll(tx, subject, rights, why);
    }
}
