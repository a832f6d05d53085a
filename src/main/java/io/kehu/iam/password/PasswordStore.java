package io.kehu.iam.password;

import io.kehu.bus.Call;
import io.kehu.iam.session.Sessions;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/** SQL of passwords and of their resets. */
final class PasswordStore {
    private static final String ACCOUNT = "SELECT " + Account.COLUMNS + " FROM iam.staff s WHERE s.id = $1";
    private static final String FORMER = "SELECT iam.former_passwords($1, $2)";
    /** Two passwords of one person never share an instant, also when the clock stands still. */
    private static final String SET = """
            UPDATE iam.staff SET password_hash = $2, must_change = false, rights = rights + 1,
                   password_at = greatest(kehu.now(), password_at + interval '1 microsecond')
            WHERE id = $1 %s RETURNING id, rights, version, branch_id""";
    /** The password that was looked at must still be the one that counts. */
    private static final String CHANGE = SET.formatted("AND password_hash = $3");

    private static final String RENEW = SET.formatted("");
    /** The old password is worth nothing any more, and stays the last one somebody had: password_at is not touched. */
    private static final String CLOSE = """
            UPDATE iam.staff SET password_hash = $2, rights = rights + 1 WHERE id = $1
            RETURNING id, rights, version, branch_id""";

    private static final String FORGET_FACTORS = "SELECT iam.forget_factors($1)";
    private static final String TURN_OUT =
            "UPDATE iam.staff SET rights = rights + 1 WHERE id = $1 RETURNING id, rights, version, branch_id";

    private static final String LOCK = """
            SELECT s.state, EXISTS (SELECT FROM iam.federated_identity f WHERE f.staff_id = s.id) AS elsewhere
            FROM iam.staff s WHERE s.id = $1 FOR UPDATE OF s""";
    /** One for each person: the next one makes the one before worthless. */
    private static final String MAKE = """
            INSERT INTO iam.password_reset AS r (staff_id, token_hash, made_by, expires_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (staff_id) DO UPDATE SET token_hash = excluded.token_hash, made_by = excluded.made_by,
                expires_at = excluded.expires_at, used_at = NULL""";

    private static final String OPEN = "r.token_hash = $1 AND r.used_at IS NULL AND r.expires_at > kehu.now()";
    private static final String FIND = "SELECT " + Account.COLUMNS + """
             FROM iam.password_reset r JOIN iam.staff s ON s.id = r.staff_id AND s.state = 'active'
            WHERE\s""" + OPEN;
    private static final String LOCK_ACTIVE = "SELECT FROM iam.staff WHERE id = $1 AND state = 'active' FOR UPDATE";
    private static final String USE = "UPDATE iam.password_reset r SET used_at = kehu.now() WHERE " + OPEN;

    /** Why the sessions ended. */
    private static final String WHY = "password";

    private final Database database;
    private final Sessions sessions;

    PasswordStore(Database database, Sessions sessions) {
        this.database = database;
        this.sessions = sessions;
    }

    Future<Account> account(Call call, UUID id) {
        return database.row(call, ACCOUNT, Tuple.of(id), "auth.revoked").map(Account::from);
    }

    /** Hashes of the last passwords of an account, the newest first; the one that counts now among them. */
    Future<List<String>> former(UUID id, int most) {
        return database.query(Call.Lane.POINT, FORMER, Tuple.of(id, most)).map(rows -> {
            List<String> hashes = new ArrayList<>();
            rows.forEach(row -> hashes.add(row.getString(0)));
            return hashes;
        });
    }

    /** Sets a password if the old one still counts, and makes worthless all that was issued under it. */
    Future<Row> change(Tx tx, Account account, String hash, UUID ownSession) {
        return tx.row(CHANGE, Tuple.of(account.id(), hash, account.hash()), "auth.passwordWrong")
                .compose(row -> sessions.endOthers(tx, row.getUUID("id"), row.getLong("rights"), WHY, ownSession)
                        .map(row));
    }

    private Future<Row> endAll(Tx tx, Row row) {
        return sessions.endAll(tx, row.getUUID("id"), row.getLong("rights"), WHY)
                .map(row);
    }

    // Resets

    /** Whom a reset is for: state, and whether the password is kept elsewhere. */
    Future<Row> locked(Tx tx, UUID staff) {
        return tx.row(LOCK, Tuple.of(staff), "staff.notFound");
    }

    /** Closes an account to everybody but the bearer of a token. */
    Future<Row> close(Tx tx, UUID staff, String noPassword, Buffer tokenHash, OffsetDateTime end) {
        return tx.query(MAKE, Tuple.of(staff, tokenHash, tx.principal().subject(), end))
                .compose(v -> tx.row(CLOSE, Tuple.of(staff, noPassword), "staff.notFound"))
                .compose(row -> endAll(tx, row));
    }

    /** Takes all second factors from an account, with the codes for recovery, and ends its sessions. */
    Future<Row> forgetFactors(Tx tx, UUID staff) {
        return tx.query(FORGET_FACTORS, Tuple.of(staff))
                .compose(v -> tx.row(TURN_OUT, Tuple.of(staff), "staff.notFound"))
                .compose(row -> endAll(tx, row));
    }

    /** The account that a token opens now. */
    Future<Optional<Account>> opened(Buffer tokenHash) {
        return database.query(Call.Lane.POINT, FIND, Tuple.of(tokenHash)).map(rows -> {
            for (Row row : rows) {
                return Optional.of(Account.from(row));
            }
            return Optional.empty();
        });
    }

    /** Takes a token, at most once whoever tries at the same time; whether it was still there to be taken. */
    Future<Boolean> use(Tx tx, Account account, Buffer tokenHash) {
        return tx.query(LOCK_ACTIVE, Tuple.of(account.id()))
                .compose(active -> active.size() == 0
                        ? Future.succeededFuture(false)
                        : tx.query(USE, Tuple.of(tokenHash)).map(used -> used.rowCount() == 1));
    }

    Future<Row> renew(Tx tx, Account account, String hash) {
        return tx.row(RENEW, Tuple.of(account.id(), hash), "staff.notFound").compose(row -> endAll(tx, row));
    }
}
