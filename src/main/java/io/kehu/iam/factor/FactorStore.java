package io.kehu.iam.factor;

import io.kehu.bus.Call;
import io.kehu.crypto.Vault;
import io.kehu.iam.staff.Staff;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/** SQL of second factors, their codes, and of fresh proof in a session. */
final class FactorStore {
    private static final String TABLE = "iam.factor_secret";
    private static final String LIST =
            "SELECT " + Factor.COLUMNS + " FROM iam.factor f WHERE f.staff_id = $1 ORDER BY f.made_at, f.id";
    private static final String STANDING = """
            SELECT iam.step_up_methods($1) AS methods, iam.must_enrol($1) AS must_enrol,
                   (SELECT count(*) FROM iam.recovery_code c WHERE c.staff_id = $1 AND c.used_at IS NULL) AS recovery_codes""";
    private static final String OWNER = "SELECT " + Staff.COLUMNS + " FROM " + Staff.TABLES + " WHERE s.id = $1";
    private static final String FORGET_PENDING =
            "DELETE FROM iam.factor WHERE staff_id = $1 AND kind = $2 AND state = 'pending'";
    private static final String INSERT = """
            INSERT INTO iam.factor AS f (id, staff_id, kind, label, state) VALUES ($1, $2, $3, $4, 'pending')
            RETURNING\s""" + Factor.COLUMNS;
    private static final String INSERT_SECRET = "INSERT INTO iam.factor_secret (factor_id, sealed) VALUES ($1, $2)";
    private static final String SECRETS = "SELECT " + Factor.COLUMNS + """
            , s.sealed, k.subject_id, k.epoch, k.wrapped
            FROM iam.factor f JOIN iam.factor_secret s ON s.factor_id = f.id JOIN kehu.data_key k ON k.subject_id = f.staff_id
            WHERE f.staff_id = $1""";
    private static final String PENDING = SECRETS + " AND f.id = $2 AND f.state = 'pending'"
            + " AND f.made_at > kehu.now() - interval '10 minutes' FOR UPDATE OF f, s";
    private static final String ACTIVE = SECRETS + " AND f.kind = $2 AND f.state = 'active' FOR UPDATE OF s";
    private static final String FORGET_ACTIVE =
            "DELETE FROM iam.factor WHERE staff_id = $1 AND kind = $2 AND state = 'active'";
    private static final String ACTIVATE =
            "UPDATE iam.factor f SET state = 'active' WHERE f.id = $1 RETURNING " + Factor.COLUMNS;
    private static final String REMOVE =
            "DELETE FROM iam.factor f WHERE f.id = $2 AND f.staff_id = $1 RETURNING " + Factor.COLUMNS;
    /** Each step opens once: of many with the same code, one finds an older step here. */
    private static final String STEP =
            "UPDATE iam.factor_secret SET last_step = $2 WHERE factor_id = $1 AND last_step < $2";

    private static final String BEGIN_CODE = "SELECT iam.begin_factor_code($1, $2, $3, $4, $5) AS wait_seconds";
    private static final String TRY_CODE = """
            UPDATE iam.factor_code SET tries = tries + 1
            WHERE factor_id = $1 AND used_at IS NULL AND expires_at > kehu.now() AND tries < 5 RETURNING id, code_hash""";
    private static final String USE_CODE = "UPDATE iam.factor_code SET used_at = kehu.now() WHERE id = $1";
    private static final String FORGET_RECOVERY = "DELETE FROM iam.recovery_code WHERE staff_id = $1";
    private static final String ADD_RECOVERY =
            "INSERT INTO iam.recovery_code (staff_id, code_hash) SELECT $1, unnest($2::bytea[])";
    private static final String USE_RECOVERY = """
            UPDATE iam.recovery_code SET used_at = kehu.now()
            WHERE staff_id = $1 AND code_hash = $2 AND used_at IS NULL""";
    private static final String TELL = "SELECT iam.tell_rights(ARRAY[$1::uuid], false)";
    private static final String PASSWORD = """
            SELECT password_hash FROM iam.staff
            WHERE id = $1 AND state = 'active' AND 'password' = ANY (iam.step_up_methods(id))""";
    private static final String SAME_PASSWORD = PASSWORD + " AND password_hash = $2 FOR SHARE";
    private static final String PROVEN =
            "UPDATE iam.session SET factor_at = kehu.now() WHERE id = $1 AND subject_id = $2 AND revoked_at IS NULL";

    private final Database database;
    private final Vault vault;

    FactorStore(Database database, Vault vault) {
        this.database = database;
        this.vault = vault;
    }

    /** A factor with what is secret about it. */
    @SuppressWarnings("ArrayRecordComponent") // bytes for a moment, never compared
    record Secret(Factor factor, byte[] bytes) {
        @Override
        public String toString() {
            return "Secret[" + factor.id() + "]";
        }
    }

    /** How somebody stands: what he can prove himself by, and whether he needs more. */
    record Standing(List<String> methods, boolean mustEnrol, long recoveryCodes) {}

    Future<List<Factor>> list(Call call, UUID staff) {
        return database.query(call, LIST, Tuple.of(staff)).map(rows -> {
            List<Factor> factors = new ArrayList<>();
            rows.forEach(row -> factors.add(Factor.from(row)));
            return factors;
        });
    }

    Future<Standing> standing(Call call, UUID staff) {
        return database.row(call, STANDING, Tuple.of(staff), "server.failure").map(FactorStore::standing);
    }

    Future<Standing> standing(Tx tx, UUID staff) {
        return tx.row(STANDING, Tuple.of(staff), "server.failure").map(FactorStore::standing);
    }

    private static Standing standing(Row row) {
        return new Standing(
                List.of(row.getArrayOfStrings("methods")), row.getBoolean("must_enrol"), row.getLong("recovery_codes"));
    }

    /** Makes a factor that has to be confirmed, in the place of another one that waits. */
    Future<Factor> insert(Tx tx, UUID id, UUID staff, String kind, String label, byte[] secret) {
        return tx.query(FORGET_PENDING, Tuple.of(staff, kind))
                .compose(v -> tx.row(OWNER, Tuple.of(staff), "auth.revoked"))
                .compose(owner -> tx.row(INSERT, Tuple.of(id, staff, kind, label), "server.failure")
                        .compose(row -> tx.query(
                                        INSERT_SECRET, Tuple.of(id, Buffer.buffer(seal(owner, staff, kind, secret))))
                                .map(v -> Factor.from(row))));
    }

    private byte[] seal(Row owner, UUID staff, String kind, byte[] secret) {
        Vault.Key key = vault.key(
                staff, owner.getInteger("epoch"), owner.getBuffer("wrapped").getBytes());
        return vault.seal(key, TABLE, kind, secret);
    }

    /** The staff member himself; a phone number of his comes from here. */
    Future<Staff> owner(Call call, UUID staff) {
        return database.row(call, OWNER, Tuple.of(staff), "auth.revoked").map(row -> Staff.from(row, vault));
    }

    /** One that waits, and not longer than ten minutes. */
    Future<Secret> pending(Tx tx, UUID staff, UUID factor) {
        return tx.row(PENDING, Tuple.of(staff, factor), "factor.notFound").map(this::secret);
    }

    Future<Optional<Secret>> active(Tx tx, UUID staff, String kind) {
        return tx.query(ACTIVE, Tuple.of(staff, kind))
                .map(rows -> rows.size() == 0
                        ? Optional.empty()
                        : Optional.of(secret(rows.iterator().next())));
    }

    private Secret secret(Row row) {
        Vault.Key key = vault.key(
                row.getUUID("subject_id"),
                row.getInteger("epoch"),
                row.getBuffer("wrapped").getBytes());
        Factor factor = Factor.from(row);
        return new Secret(
                factor,
                vault.open(key, TABLE, factor.kind(), row.getBuffer("sealed").getBytes()));
    }

    /** Lets a confirmed factor count, in the place of one of the same kind. */
    Future<Factor> activate(Tx tx, UUID staff, Factor factor) {
        return tx.query(FORGET_ACTIVE, Tuple.of(staff, factor.kind()))
                .compose(v -> tx.row(ACTIVATE, Tuple.of(factor.id()), "factor.notFound"))
                .map(Factor::from);
    }

    Future<Factor> remove(Tx tx, UUID staff, UUID factor) {
        return tx.row(REMOVE, Tuple.of(staff, factor), "factor.notFound").map(Factor::from);
    }

    /** What these people may do is read anew on every node: whether they are held may have changed. */
    Future<Void> tell(Tx tx, UUID staff) {
        return tx.query(TELL, Tuple.of(staff)).mapEmpty();
    }

    // Codes

    Future<Boolean> useStep(Tx tx, UUID factor, long step) {
        return tx.query(STEP, Tuple.of(factor, step)).map(FactorStore::changedOne);
    }

    private static boolean changedOne(RowSet<Row> rows) {
        return rows.rowCount() == 1;
    }

    /** Begins a code; the seconds to wait where too many were sent. */
    Future<Optional<Integer>> beginCode(Tx tx, UUID id, UUID factor, byte[] hash, OffsetDateTime end, int perHour) {
        return tx.row(BEGIN_CODE, Tuple.of(id, factor, Buffer.buffer(hash), end, perHour), "server.failure")
                .map(row -> Optional.ofNullable(row.getInteger("wait_seconds")));
    }

    /** A code that may be tried once more. */
    record Code(UUID id, Buffer hash) {}

    /** Counts a try at the code that is under way, if there is one. */
    Future<Optional<Code>> tryCode(Tx tx, UUID factor) {
        return tx.query(TRY_CODE, Tuple.of(factor)).map(rows -> {
            for (Row row : rows) {
                return Optional.of(new Code(row.getUUID("id"), row.getBuffer("code_hash")));
            }
            return Optional.empty();
        });
    }

    Future<Void> useCode(Tx tx, UUID code) {
        return tx.query(USE_CODE, Tuple.of(code)).mapEmpty();
    }

    /** New codes for recovery; the old ones are worth nothing. */
    Future<List<String>> renewRecovery(Tx tx, UUID staff) {
        List<String> codes = RecoveryCodes.fresh();
        Buffer[] hashes = codes.stream()
                .map(code -> RecoveryCodes.hash(vault, staff, code))
                .toArray(Buffer[]::new);
        return forgetRecovery(tx, staff)
                .compose(v -> tx.query(ADD_RECOVERY, Tuple.of(staff, (Object) hashes)))
                .map(codes);
    }

    Future<Void> forgetRecovery(Tx tx, UUID staff) {
        return tx.query(FORGET_RECOVERY, Tuple.of(staff)).mapEmpty();
    }

    Future<Boolean> useRecovery(Tx tx, UUID staff, String code) {
        return tx.query(USE_RECOVERY, Tuple.of(staff, RecoveryCodes.hash(vault, staff, code)))
                .map(FactorStore::changedOne);
    }

    // Fresh proof

    /** The hash of the password, where that is what somebody proves himself by. */
    Future<Optional<String>> password(Call call, UUID staff) {
        return database.query(call, PASSWORD, Tuple.of(staff)).map(rows -> {
            for (Row row : rows) {
                return Optional.of(row.getString("password_hash"));
            }
            return Optional.empty();
        });
    }

    Future<Boolean> isStillPassword(Tx tx, UUID staff, String hash) {
        return tx.query(SAME_PASSWORD, Tuple.of(staff, hash)).map(rows -> rows.size() == 1);
    }

    Future<Boolean> proven(Tx tx, UUID session, UUID staff) {
        return tx.query(PROVEN, Tuple.of(session, staff)).map(FactorStore::changedOne);
    }
}
