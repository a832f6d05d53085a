package io.kehu.iam.passkey;

import io.kehu.bus.Call;
import io.kehu.iam.passkey.Passkey.Credential;
import io.kehu.iam.passkey.RelyingParty.Created;
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
import org.jspecify.annotations.Nullable;

/** SQL of passkeys and of ceremonies under way. */
final class PasskeyStore {
    private static final String CHECK = "SELECT iam.check_passkeys($1)";
    private static final String ADD_HANDLE =
            "INSERT INTO iam.passkey_handle (staff_id, handle) VALUES ($1, $2) ON CONFLICT (staff_id) DO NOTHING";
    private static final String HANDLE = "SELECT handle FROM iam.passkey_handle WHERE staff_id = $1";
    private static final String LIST =
            "SELECT " + Passkey.COLUMNS + " FROM iam.passkey WHERE staff_id = $1 ORDER BY created_at, id";
    private static final String CREDENTIALS = "SELECT " + Credential.COLUMNS
            + " FROM iam.passkey WHERE staff_id = $1 AND ($2 OR locked_at IS NULL) ORDER BY id";
    /** Both the credential and the person whom the device names must be ours, and belong together. */
    private static final String FIND = "SELECT " + Credential.COLUMNS + " FROM iam.passkey p WHERE p.credential_id = $1"
            + " AND EXISTS (SELECT FROM iam.passkey_handle h WHERE h.staff_id = p.staff_id AND h.handle = $2)";

    private static final String FIND_OF =
            "SELECT " + Credential.COLUMNS + " FROM iam.passkey WHERE credential_id = $1 AND staff_id = $2";
    private static final String INSERT = """
            INSERT INTO iam.passkey (id, staff_id, name, credential_id, public_key, transports, sign_count, backup_eligible,
                                     backed_up)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING\s""" + Passkey.COLUMNS;
    private static final String DELETE =
            "DELETE FROM iam.passkey WHERE id = $1 AND staff_id = $2 RETURNING " + Passkey.COLUMNS;
    /** The same count twice is a copy at work, except of devices that do not count (section 7.2, step 22). */
    private static final String USE = """
            UPDATE iam.passkey SET sign_count = $3, backed_up = $4, last_used_at = kehu.now()
            WHERE id = $1 AND staff_id = $2 AND locked_at IS NULL AND (sign_count < $3 OR (sign_count = 0 AND $3 = 0))
            RETURNING version""";

    private static final String LOCK = """
            UPDATE iam.passkey p SET locked_at = kehu.now() FROM iam.staff s
            WHERE p.id = $1 AND p.staff_id = $2 AND p.locked_at IS NULL AND p.sign_count >= $3 AND p.sign_count > 0
            AND s.id = p.staff_id RETURNING p.version, s.branch_id""";

    private static final String FORGET_CHALLENGES = """
            DELETE FROM iam.passkey_challenge WHERE challenge_hash = ANY (ARRAY(
                SELECT challenge_hash FROM iam.passkey_challenge WHERE expires_at < kehu.now()
                LIMIT 10 FOR UPDATE SKIP LOCKED))""";
    private static final String ADD_CHALLENGE = """
            INSERT INTO iam.passkey_challenge (challenge_hash, purpose, staff_id, expires_at) VALUES ($1, $2, $3, $4)""";
    private static final String TAKE_CHALLENGE = """
            DELETE FROM iam.passkey_challenge WHERE challenge_hash = $1
            RETURNING purpose = $2 AND staff_id IS NOT DISTINCT FROM $3 AND expires_at > kehu.now() AS good""";

    /** Whoever comes in by a directory of the bank has his place from there, at each sign-in. */
    private static final String OWNER = """
            SELECT s.username, s.state = 'active' AND NOT EXISTS (
                       SELECT FROM iam.federated_identity f WHERE f.staff_id = s.id) AS may_enter
            FROM iam.staff s WHERE s.id = $1 FOR UPDATE OF s""";

    private final Database database;

    /** Whom a passkey has proven, and whether that lets him in. */
    record Owner(String username, boolean mayEnter) {}

    /** A passkey that has just been locked, and the branch of its owner. */
    record Locked(long version, UUID branch) {}

    PasskeyStore(Database database) {
        this.database = database;
    }

    Future<List<Passkey>> list(Call call, UUID person) {
        return database.query(call, LIST, Tuple.of(person)).map(rows -> {
            List<Passkey> passkeys = new ArrayList<>();
            rows.forEach(row -> passkeys.add(Passkey.from(row)));
            return passkeys;
        });
    }

    /** Fails where the person may not have one more now. */
    Future<Void> mustHaveRoom(Tx tx, UUID person) {
        return tx.query(CHECK, Tuple.of(person)).mapEmpty();
    }

    /** The person's handle: the one there is, or this one. */
    Future<byte[]> handle(Tx tx, UUID person, byte[] fresh) {
        return tx.query(ADD_HANDLE, Tuple.of(person, Buffer.buffer(fresh)))
                .compose(v -> tx.row(HANDLE, Tuple.of(person), "server.failure"))
                .map(row -> row.getBuffer("handle").getBytes());
    }

    Future<List<Credential>> credentials(Tx tx, UUID person, boolean lockedToo) {
        return tx.query(CREDENTIALS, Tuple.of(person, lockedToo)).map(rows -> {
            List<Credential> credentials = new ArrayList<>();
            rows.forEach(row -> credentials.add(Credential.from(row)));
            return credentials;
        });
    }

    Future<Optional<Credential>> find(byte[] credentialId, byte[] handle) {
        return first(FIND, Tuple.of(Buffer.buffer(credentialId), Buffer.buffer(handle)));
    }

    Future<Optional<Credential>> find(byte[] credentialId, UUID person) {
        return first(FIND_OF, Tuple.of(Buffer.buffer(credentialId), person));
    }

    private Future<Optional<Credential>> first(String sql, Tuple args) {
        return database.query(Call.Lane.POINT, sql, args)
                .map(rows -> rows.size() == 0
                        ? Optional.empty()
                        : Optional.of(Credential.from(rows.iterator().next())));
    }

    Future<Passkey> insert(Tx tx, UUID id, UUID person, String name, Created made) {
        return tx.row(
                        INSERT,
                        Tuple.from(List.of(
                                id,
                                person,
                                name,
                                Buffer.buffer(made.credentialId()),
                                Buffer.buffer(made.publicKey()),
                                made.transports().toArray(String[]::new),
                                made.signCount(),
                                made.backupEligible(),
                                made.backedUp())),
                        "server.failure")
                .map(Passkey::from);
    }

    Future<Passkey> delete(Tx tx, UUID id, UUID person) {
        return tx.row(DELETE, Tuple.of(id, person), "passkey.notFound").map(Passkey::from);
    }

    /** Counts a use. False where the count did not grow, or the passkey is locked or gone. */
    Future<Boolean> use(Tx tx, Passkeys.Proof proof) {
        return tx.query(USE, Tuple.of(proof.passkey(), proof.person(), proof.signCount(), proof.backedUp()))
                .map(rows -> rows.size() > 0);
    }

    /** Locks a passkey whose count did not grow; empty where that is not what was wrong. */
    Future<Optional<Locked>> lock(Tx tx, Passkeys.Proof proof) {
        return tx.query(LOCK, Tuple.of(proof.passkey(), proof.person(), proof.signCount()))
                .map(rows -> {
                    for (Row row : rows) {
                        return Optional.of(new Locked(row.getLong("version"), row.getUUID("branch_id")));
                    }
                    return Optional.empty();
                });
    }

    // Ceremonies under way

    Future<Void> addChallenge(Tx tx, byte[] hash, String purpose, @Nullable UUID person, OffsetDateTime end) {
        return tx.query(FORGET_CHALLENGES, Tuple.tuple())
                .compose(v -> tx.query(ADD_CHALLENGE, Tuple.of(Buffer.buffer(hash), purpose, person, end)))
                .mapEmpty();
    }

    /** Commits by itself: a challenge is gone with its first use, whatever comes of it. True where it was good. */
    Future<Boolean> takeChallenge(byte[] hash, String purpose, @Nullable UUID person) {
        return database.query(Call.Lane.POINT, TAKE_CHALLENGE, Tuple.of(Buffer.buffer(hash), purpose, person))
                .map(PasskeyStore::isGood);
    }

    /** The same in the transaction that uses it. */
    Future<Boolean> takeChallenge(Tx tx, byte[] hash, String purpose, @Nullable UUID person) {
        return tx.query(TAKE_CHALLENGE, Tuple.of(Buffer.buffer(hash), purpose, person))
                .map(PasskeyStore::isGood);
    }

    private static boolean isGood(Iterable<Row> rows) {
        for (Row row : rows) {
            return row.getBoolean("good");
        }
        return false;
    }

    /** The owner of a passkey as he stays until the end of the transaction. */
    Future<Owner> owner(Tx tx, UUID person) {
        return tx.row(OWNER, Tuple.of(person), "auth.passkeyInvalid")
                .map(row -> new Owner(row.getString("username"), row.getBoolean("may_enter")));
    }
}
