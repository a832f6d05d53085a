package io.kehu.iam.session;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.crypto.Vault;
import io.kehu.iam.staff.Staff;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of sessions, refresh tokens and failed attempts. */
final class SessionStore {
    /** Commits by itself: the count stands before the password is looked at, whatever happens afterwards. */
    private static final String TAKE = "SELECT iam.take_attempt($1, $2)";

    private static final String SETTLE = "SELECT iam.settle_attempt($1, $2, $3)";
    private static final String FORGIVE =
            "UPDATE iam.attempt SET failures = 0, locked_until = NULL WHERE kind = 'account' AND key = $1";
    private static final String ACCOUNT =
            "SELECT id, username, password_hash, state FROM iam.staff WHERE username = $1";
    private static final String STAFF =
            "SELECT " + Staff.COLUMNS + ", s.rights, s.password_at FROM " + Staff.TABLES + " WHERE s.id = $1";
    /** The password that was looked at must still be the one that counts, and its owner be where he may call from. */
    private static final String UNCHANGED =
            STAFF + " AND s.password_hash = $2 AND s.state = 'active' AND iam.staff_may_call(s.id, $3) FOR UPDATE OF s";

    /** From where he may not call from a member of staff has no session that goes on; it stays good where he may. */
    private static final String BEARER =
            "SELECT username, rights FROM iam.staff WHERE id = $1 AND state = 'active' AND iam.staff_may_call(id, $2)";

    private static final String DEMAND_CHANGE = "UPDATE iam.staff SET must_change = true WHERE id = $1";
    private static final String BEGIN = """
            INSERT INTO iam.session (id, subject_id, audience, started_at, seen_at, ends_at, factor_at, address, scopes,
                                     factor_policy)
            VALUES ($1, $2, $3, $4, $4, $5, $4, $6, $7, $8)""";
    private static final String FIND_REFRESH = """
            SELECT r.used_at, r.expires_at, e.id AS session_id, e.subject_id, e.ends_at, e.revoked_at
            FROM iam.refresh r JOIN iam.session e ON e.id = r.session_id
            WHERE r.token_hash = $1 AND e.audience = $2 FOR UPDATE OF r, e""";
    private static final String END_ALL = """
            UPDATE iam.session SET revoked_at = kehu.now(), why_revoked = $2
            WHERE subject_id = $1 AND id IS DISTINCT FROM $3 AND revoked_at IS NULL""";
    private static final String ADD_REFRESH =
            "INSERT INTO iam.refresh (token_hash, session_id, issued_at, expires_at) VALUES ($1, $2, $3, $4)";
    private static final String USE_REFRESH = "UPDATE iam.refresh SET used_at = $2 WHERE token_hash = $1";
    private static final String SEE = "UPDATE iam.session SET seen_at = $2 WHERE id = $1";
    private static final String END = """
            UPDATE iam.session SET revoked_at = kehu.now(), why_revoked = $2 WHERE id = $1 AND revoked_at IS NULL""";
    private static final String REVOKE_SESSION = "INSERT INTO kehu.revocation (session_id) VALUES ($1)";
    private static final String REVOKE_RIGHTS = "INSERT INTO kehu.revocation (subject_id, min_version) VALUES ($1, $2)";
    private static final String ME = "SELECT " + Staff.COLUMNS + """
            , b.code AS branch_code, b.name AS branch_name, e.started_at, e.ends_at
            FROM iam.session e JOIN iam.staff s ON s.id = e.subject_id JOIN kehu.data_key k ON k.subject_id = s.id
            JOIN iam.branch b ON b.id = s.branch_id WHERE e.id = $1""";
    /** An idle one ends with its last refresh token: so long after it was seen. */
    private static String alive(String idleSeconds) {
        return "revoked_at IS NULL AND ends_at > kehu.now() AND seen_at > kehu.now() - make_interval(secs => "
                + idleSeconds + ")";
    }

    private static final String RUNNING = "SELECT " + Session.COLUMNS + " FROM iam.session ";
    private static final String BEARER_OF =
            "SELECT subject_id FROM iam.session WHERE id = $1 AND audience = 'STAFF' AND " + alive("$2")
                    + " FOR UPDATE";
    private static final String STEP = "SELECT iam.factor_methods($1) AS methods, iam.must_enrol($1) AS must_enrol";
    private static final String ADD_CHALLENGE = """
            INSERT INTO iam.factor_challenge (challenge_hash, staff_id, rights, cookie, expires_at)
            VALUES ($1, $2, $3, $4, $5)""";
    /** Commits by itself: the try counts before the code is looked at. */
    private static final String TAKE_CHALLENGE = """
            UPDATE iam.factor_challenge c SET tries = c.tries + 1 FROM iam.staff s
            WHERE c.challenge_hash = $1 AND c.tries < 5 AND c.used_at IS NULL AND c.expires_at > kehu.now()
              AND s.id = c.staff_id
            RETURNING c.challenge_hash, c.staff_id, c.rights, c.cookie, s.username""";

    private static final String CHALLENGE = """
            SELECT c.challenge_hash, c.staff_id, c.rights, c.cookie, s.username
            FROM iam.factor_challenge c JOIN iam.staff s ON s.id = c.staff_id
            WHERE c.challenge_hash = $1 AND c.tries < 5 AND c.used_at IS NULL AND c.expires_at > kehu.now()""";
    private static final String USE_CHALLENGE = """
            UPDATE iam.factor_challenge SET used_at = kehu.now()
            WHERE challenge_hash = $1 AND used_at IS NULL AND expires_at > kehu.now()""";
    private static final String SAME_RIGHTS = STAFF + " AND s.state = 'active' AND s.rights = $2 FOR UPDATE OF s";
    private static final String ENTRANT = STAFF + " AND s.state = 'active' FOR UPDATE OF s";
    private static final String FORGET_CHALLENGES = """
            DELETE FROM iam.factor_challenge WHERE challenge_hash = ANY (ARRAY(
                SELECT challenge_hash FROM iam.factor_challenge WHERE expires_at < kehu.now() - interval '1 day'
                LIMIT 1000 FOR UPDATE SKIP LOCKED))""";
    /** In small batches, a day after they ended; refresh tokens go with their session. */
    private static final String FORGET_SESSIONS = """
            DELETE FROM iam.session WHERE id = ANY (ARRAY(
                SELECT id FROM iam.session WHERE ends_at < kehu.now() - interval '1 day' LIMIT 1000 FOR UPDATE SKIP LOCKED))""";

    private static final String FORGET_ATTEMPTS = """
            DELETE FROM iam.attempt WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM iam.attempt WHERE last_at < kehu.now() - interval '25 hours' AND kind <> 'all'
                LIMIT 1000 FOR UPDATE SKIP LOCKED))""";

    private final Database database;
    private final Vault vault;

    /** What is needed to look at a password. */
    record Account(UUID id, String username, String passwordHash, boolean active) {
        static Optional<Account> first(Iterable<Row> rows) {
            for (Row row : rows) {
                return Optional.of(new Account(
                        row.getUUID("id"),
                        row.getString("username"),
                        row.getString("password_hash"),
                        row.getString("state").equals("active")));
            }
            return Optional.empty();
        }
    }

    /** Somebody who may come in. */
    record Entrant(Staff staff, long rights, OffsetDateTime passwordAt) {}

    SessionStore(Database database, Vault vault) {
        this.database = database;
        this.vault = vault;
    }

    /** free, locked or busy. */
    Future<String> take(Guess guess) {
        return database.query(Call.Lane.POINT, TAKE, guess.keys())
                .map(rows -> rows.iterator().next().getString(0));
    }

    /** The password was not looked at after all. */
    Future<Void> giveBack(Guess guess) {
        return database.query(Call.Lane.POINT, SETTLE, guess.keys("unseen")).mapEmpty();
    }

    /** Ends a booked look outside a transaction. */
    Future<Void> settle(Guess guess, boolean opened) {
        return database.query(Call.Lane.POINT, SETTLE, guess.keys(opened ? "opened" : "failed"))
                .mapEmpty();
    }

    /** The same, where the look opened nothing yet: a second step has to come. */
    Future<Void> giveBack(Tx tx, Guess guess) {
        return tx.query(SETTLE, guess.keys("unseen")).mapEmpty();
    }

    Future<Void> settle(Tx tx, Guess guess, boolean opened) {
        return tx.query(SETTLE, guess.keys(opened ? "opened" : "failed")).mapEmpty();
    }

    Future<Void> forgive(Tx tx, Guess guess) {
        return tx.query(FORGIVE, Tuple.of(guess.account())).mapEmpty();
    }

    Future<Optional<Account>> account(Call call, String username) {
        return database.query(call, ACCOUNT, Tuple.of(username)).map(Account::first);
    }

    Future<Optional<Entrant>> unchanged(Tx tx, Account account) {
        return tx.query(
                        UNCHANGED,
                        Tuple.of(
                                account.id(),
                                account.passwordHash(),
                                tx.call().meta().address()))
                .map(rows -> {
                    for (Row row : rows) {
                        return Optional.of(new Entrant(
                                Staff.from(row, vault), row.getLong("rights"), row.getOffsetDateTime("password_at")));
                    }
                    return Optional.empty();
                });
    }

    Future<Void> demandChange(Tx tx, UUID staff) {
        return tx.query(DEMAND_CHANGE, Tuple.of(staff)).mapEmpty();
    }

    /** A session of any audience; scopes null for all that its bearer may. */
    Future<Void> begin(
            Tx tx,
            UUID session,
            Sessions.Bearer who,
            OffsetDateTime end,
            @Nullable List<String> scopes,
            boolean factorPolicy) {
        return tx.query(
                        BEGIN,
                        Tuple.of(
                                session,
                                who.subject(),
                                who.audience().name(),
                                tx.now(),
                                end,
                                tx.call().meta().address(),
                                scopes == null ? null : scopes.toArray(String[]::new),
                                factorPolicy))
                .mapEmpty();
    }

    Future<Row> refreshOf(Tx tx, Buffer hash, Principal.Audience audience) {
        return tx.row(FIND_REFRESH, Tuple.of(hash, audience.name()), "auth.refreshInvalid");
    }

    Future<Void> endAll(Tx tx, UUID subject, long rights, String why, @Nullable UUID except) {
        return tx.query(END_ALL, Tuple.of(subject, why, except))
                .compose(v -> tx.query(REVOKE_RIGHTS, Tuple.of(subject, rights)))
                .mapEmpty();
    }

    /** A member of staff as the bearer of a session; empty where he may not come in any more. */
    Future<Optional<Sessions.Bearer>> bearer(Tx tx, UUID staff) {
        return tx.query(BEARER, Tuple.of(staff, tx.call().meta().address())).map(rows -> {
            for (Row row : rows) {
                return Optional.of(new Sessions.Bearer(
                        staff, row.getString("username"), Principal.Audience.STAFF, row.getLong("rights")));
            }
            return Optional.empty();
        });
    }

    Future<Void> addRefresh(Tx tx, String refresh, UUID session, OffsetDateTime end) {
        return tx.query(ADD_REFRESH, Tuple.of(Tokens.hash(refresh), session, tx.now(), end))
                .mapEmpty();
    }

    Future<Void> use(Tx tx, Buffer hash, UUID session) {
        return tx.query(USE_REFRESH, Tuple.of(hash, tx.now()))
                .compose(v -> tx.query(SEE, Tuple.of(session, tx.now())))
                .mapEmpty();
    }

    Future<Void> end(Tx tx, UUID session, String why) {
        return tx.query(END, Tuple.of(session, why))
                .compose(v -> tx.query(REVOKE_SESSION, Tuple.of(session)))
                .mapEmpty();
    }

    // Sessions that go on

    Future<RowSet<Row>> running(Call call, UUID subject, Duration idle, Page page) {
        Where where = Where.ofAll().and("subject_id = ?", subject).and(alive("?"), (double) idle.toSeconds());
        if (!page.after().isEmpty()) {
            where.and(
                    "(started_at, id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        String sql = RUNNING + where.sql() + " ORDER BY started_at DESC, id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    /** Whose session this is, held until the end of the transaction. */
    Future<UUID> bearerOf(Tx tx, UUID session, Duration idle) {
        return tx.row(BEARER_OF, Tuple.of(session, (double) idle.toSeconds()), "session.notFound")
                .map(row -> row.getUUID("subject_id"));
    }

    // The second step

    Future<SignIn.Step> step(Tx tx, UUID staff) {
        return tx.row(STEP, Tuple.of(staff), "server.failure")
                .map(row -> new SignIn.Step(List.of(row.getArrayOfStrings("methods")), row.getBoolean("must_enrol")));
    }

    Future<Void> addChallenge(Tx tx, Buffer hash, SignIn.Entrant who, boolean cookie, OffsetDateTime end) {
        return tx.query(ADD_CHALLENGE, Tuple.of(hash, who.staff().id(), who.rights(), cookie, end))
                .mapEmpty();
    }

    Future<Optional<SignIn.Pending>> takeChallenge(Buffer hash) {
        return database.query(Call.Lane.POINT, TAKE_CHALLENGE, Tuple.of(hash)).map(SessionStore::pending);
    }

    Future<Optional<SignIn.Pending>> challenge(Buffer hash) {
        return database.query(Call.Lane.POINT, CHALLENGE, Tuple.of(hash)).map(SessionStore::pending);
    }

    private static Optional<SignIn.Pending> pending(Iterable<Row> rows) {
        for (Row row : rows) {
            return Optional.of(new SignIn.Pending(
                    row.getBuffer("challenge_hash"),
                    row.getUUID("staff_id"),
                    row.getString("username"),
                    row.getLong("rights"),
                    row.getBoolean("cookie")));
        }
        return Optional.empty();
    }

    /** Uses a challenge up; empty where it is over, or its person or his rights are not what they were. */
    Future<Optional<SignIn.Entrant>> useChallenge(Tx tx, SignIn.Pending pending) {
        return tx.query(USE_CHALLENGE, Tuple.of(pending.hash()))
                .compose(used -> used.rowCount() == 0
                        ? Future.succeededFuture(Optional.empty())
                        : tx.query(SAME_RIGHTS, Tuple.of(pending.staff(), pending.rights()))
                                .map(this::entrant));
    }

    /** Somebody who may come in. */
    Future<Optional<SignIn.Entrant>> entrant(Tx tx, UUID staff) {
        return tx.query(ENTRANT, Tuple.of(staff)).map(this::entrant);
    }

    private Optional<SignIn.Entrant> entrant(Iterable<Row> rows) {
        for (Row row : rows) {
            Staff staff = Staff.from(row, vault);
            return Optional.of(new SignIn.Entrant(staff, row.getLong("rights"), staff.mustChange(), false));
        }
        return Optional.empty();
    }

    Future<Row> me(Call call) {
        return database.row(call, ME, Tuple.of(call.principal().session()), "auth.revoked");
    }

    Staff staff(Row row) {
        return Staff.from(row, vault);
    }

    Future<Void> forgetOld() {
        return database.query(Call.Lane.JOB, FORGET_SESSIONS, Tuple.tuple())
                .compose(v -> database.query(Call.Lane.JOB, FORGET_ATTEMPTS, Tuple.tuple()))
                .compose(v -> database.query(Call.Lane.JOB, FORGET_CHALLENGES, Tuple.tuple()))
                .mapEmpty();
    }
}
