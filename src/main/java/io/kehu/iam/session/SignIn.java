package io.kehu.iam.session;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.iam.staff.Staff;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * What every way in for staff comes to once the first step is good (a password, a directory, an identity provider): a session,
 * or a challenge where the person has a second factor to show. NIST SP 800-63B, section 2.2.
 */
public final class SignIn {
    private final SessionStore store;
    private final Sessions sessions;
    private final Duration challengeLife;
    private final boolean policy;

    /**
     * Somebody whose first step is good.
     *
     * @param rights the version of them
     * @param mustChange whether the password is to be changed before anything else
     * @param proven whether whoever vouches for him has seen a second factor
     */
    public record Entrant(Staff staff, long rights, boolean mustChange, boolean proven) {}

    /**
     * What the second step of a person is.
     *
     * @param methods by which it can be taken, the best first; none where he has no factor
     * @param mustEnrol whether a role asks for a factor that he has not
     */
    record Step(List<String> methods, boolean mustEnrol) {
        boolean isDue(boolean proven) {
            return !proven && !methods.isEmpty();
        }
    }

    /**
     * A sign-in that waits for its second step.
     *
     * @param hash of what its owner brought
     * @param rights of then: the challenge is worth nothing once they have changed
     */
    public record Pending(Buffer hash, UUID staff, String username, long rights, boolean cookie) {
        @Override
        public String toString() {
            return "Pending[" + staff + "]";
        }
    }

    private SignIn(SessionStore store, Sessions sessions, Duration challengeLife, boolean policy) {
        this.store = store;
        this.sessions = sessions;
        this.challengeLife = challengeLife;
        this.policy = policy;
    }

    public static SignIn of(Kernel kernel) {
        return new SignIn(
                new SessionStore(kernel.database(), kernel.vault()),
                Sessions.of(kernel),
                Duration.ofMinutes(kernel.number("auth.challengeMinutes")),
                policy(kernel.text("auth.secondFactor"), kernel.text("mode")));
    }

    /** Whether roles that ask for a second factor get one. Production says so unless it is switched off in as many words. */
    static boolean policy(String setting, String mode) {
        return setting.equalsIgnoreCase("required")
                || (setting.equalsIgnoreCase("by-mode") && mode.equalsIgnoreCase("production"));
    }

    /**
     * Opens a session, or asks for the second step: a refusal that stays and says how. Problems: auth.factorRequired.
     *
     * @param cookie whether the refresh token is to be a cookie
     */
    public Future<Reply> enter(Tx tx, Entrant who, boolean cookie) {
        return step(tx, who.staff().id()).compose(step -> enter(tx, who, step, cookie));
    }

    Future<Step> step(Tx tx, UUID staff) {
        return store.step(tx, staff);
    }

    Future<Reply> enter(Tx tx, Entrant who, Step step, boolean cookie) {
        return step.isDue(who.proven) ? ask(tx, who, step, cookie) : open(tx, who, step, cookie);
    }

    private Future<Reply> ask(Tx tx, Entrant who, Step step, boolean cookie) {
        String challenge = Ids.secret();
        OffsetDateTime end = tx.now().plus(challengeLife);
        ObjectNode members = Json.object()
                .put("challenge", challenge)
                .put("expiresAt", end.toInstant().toString());
        ArrayNode methods = members.putArray("methods");
        step.methods.forEach(methods::add);
        tx.object("staff", who.staff().id(), 0);
        return store.addChallenge(tx, Tokens.hash(challenge), who, cookie, end)
                .compose(v -> tx.refuse(Problem.of("auth.factorRequired").with(members)));
    }

    private Future<Reply> open(Tx tx, Entrant who, Step step, boolean cookie) {
        Staff staff = who.staff;
        boolean held = policy && !who.proven;
        return sessions.open(
                tx,
                new Sessions.Bearer(staff.id(), staff.username(), Principal.Audience.STAFF, who.rights),
                held,
                cookie,
                json -> signedIn(json, who, held && step.mustEnrol));
    }

    /** The rest of {@code SignedIn} of the contract. */
    private static void signedIn(JsonGenerator json, Entrant who, boolean mustEnrol) throws IOException {
        Staff staff = who.staff;
        json.writeBooleanField("mustChangePassword", who.mustChange);
        json.writeBooleanField("mustEnrolFactor", mustEnrol);
        json.writeObjectFieldStart("staff");
        json.writeStringField("id", staff.id().toString());
        json.writeStringField("username", staff.username());
        json.writeStringField("name", staff.name());
        json.writeStringField("branchId", staff.branchId().toString());
        Json.strings(json, "roles", staff.roles());
        json.writeEndObject();
    }

    // The second step

    /** Counts a try at a challenge, whatever comes of it; empty where it is unknown, used, over, or tried too often. */
    public Future<Optional<Pending>> take(String challenge) {
        return store.takeChallenge(Tokens.hash(challenge));
    }

    /** The challenge without a try, for sending a code. */
    public Future<Optional<Pending>> look(String challenge) {
        return store.challenge(Tokens.hash(challenge));
    }

    /** Uses a challenge up and opens its session; empty where it is over by now, or the person may not come in any more. */
    public Future<Optional<Reply>> finish(Tx tx, Pending pending) {
        return store.useChallenge(tx, pending)
                .compose(entrant -> entrant.isEmpty()
                        ? Future.succeededFuture(Optional.empty())
                        : step(tx, pending.staff)
                                .compose(step -> open(tx, entrant.get(), step, pending.cookie))
                                .map(Optional::of));
    }

    /**
     * Opens a session for somebody who has shown both factors in one step, e.g. a passkey that asked for his finger; empty where
     * he may not come in.
     */
    public Future<Optional<Reply>> openProven(Tx tx, UUID staff, boolean cookie) {
        return store.entrant(tx, staff)
                .compose(entrant -> entrant.isEmpty()
                        ? Future.succeededFuture(Optional.empty())
                        : step(tx, staff)
                                .compose(step -> open(tx, entrant.get(), step, cookie))
                                .map(Optional::of));
    }
}
