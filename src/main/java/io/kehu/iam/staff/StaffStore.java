package io.kehu.iam.staff;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.kehu.sql.FourEyes;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of staff, and of the branches that a new bank begins with. */
final class StaffStore {
    private static final String INSERT_KEY =
            "INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped) VALUES ($1, 'staff', $2, $3)";
    private static final String SELECT = "SELECT " + Staff.COLUMNS + " FROM " + Staff.TABLES + " ";
    private static final String SELECT_WITH_PENDING =
            "SELECT " + Staff.COLUMNS + ", " + FourEyes.pending("s.id") + " FROM " + Staff.TABLES + " ";
    private static final String SELECT_PAST =
            "SELECT " + Staff.COLUMNS + " FROM iam.staff_all s JOIN kehu.data_key k ON k.subject_id = s.id ";
    private static final String LOCK = SELECT + "WHERE s.id = $1 FOR UPDATE OF s";
    private static final String INSERT = """
            INSERT INTO iam.staff (id, username, branch_id, roles, password_hash, must_change, sealed)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING version, valid_from""";
    private static final String UPDATE = """
            UPDATE iam.staff SET branch_id = $2, roles = $3, state = $4, sealed = $5, rights = rights + $6
            WHERE id = $1 RETURNING version, valid_from, rights""";
    private static final String BRANCH = "SELECT state FROM iam.branch WHERE id = $1 FOR SHARE";
    /** In one order, so that two administrators who demote each other wait instead of both succeeding. */
    private static final String LOCK_ADMINISTRATORS =
            "SELECT id FROM iam.staff WHERE state = 'active' AND 'administrator' = ANY (roles) ORDER BY id FOR UPDATE";

    private static final String RIGHTS = "SELECT rights FROM iam.staff WHERE id = $1";
    private static final String REVOKE = "INSERT INTO kehu.revocation (subject_id, min_version) VALUES ($1, $2)";
    private static final String END_SESSIONS = """
            UPDATE iam.session SET revoked_at = kehu.now(), why_revoked = 'staff'
            WHERE subject_id = $1 AND revoked_at IS NULL""";
    /** Whoever made an account alone holds it until somebody else has approved its rights. */
    private static final String HOLD = "INSERT INTO iam.held_account AS h (id, by_id) VALUES ($1, $2)"
            + " ON CONFLICT (id, by_id) DO UPDATE SET by_id = excluded.by_id";

    private static final String RELEASE = "DELETE FROM iam.held_account WHERE id = $1";
    private static final String LOCK_RIGHTS = "SELECT iam.lock_rights()";

    private static final String ANY_BRANCH = "SELECT EXISTS (SELECT FROM iam.branch) AS there";
    private static final String ANY_DEMO = "SELECT EXISTS (SELECT FROM iam.staff WHERE demo) AS there";
    private static final String LOCK_DEMO = "SELECT pg_advisory_xact_lock(hashtext('kehu.demo'))";
    private static final String INSERT_BRANCH =
            "INSERT INTO iam.branch (id, parent_id, code, name, tree, depth) VALUES ($1, $2, $3, $4, $5, $6)";
    private static final String INSERT_DEMO = """
            INSERT INTO iam.staff (id, username, branch_id, roles, password_hash, demo, sealed)
            VALUES ($1, $2, $3, $4, $5, true, $6)""";
    private static final String HEAD = "SELECT id FROM iam.branch WHERE parent_id IS NULL";
    private static final String INSERT_HEAD =
            "INSERT INTO iam.branch (id, code, name, tree, depth) VALUES ($1, 'HQ', '总行', 'HQ!', 0) RETURNING id";

    private final Database database;
    private final Vault vault;

    StaffStore(Database database, Vault vault) {
        this.database = database;
        this.vault = vault;
    }

    /** Those who manage staff see all of it; others what their scope holds. */
    private static Where visible(Principal principal) {
        return principal.may("staff:manage") ? Where.ofAll() : Where.inScopeOf(principal, "s.branch_id", "s.id");
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = visible(call.principal())
                .andIf("s.branch_id = ?", call.optionalId("branchId"))
                .andIf("? = ANY (s.roles)", call.text("role"))
                .andIf("s.state = ?", call.text("state"));
        if (!page.after().isEmpty()) {
            where.and("s.username > ?", page.after().get(0));
        }
        String sql = SELECT + where.sql() + " ORDER BY s.username LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<FourEyes.Found<Staff>> find(Call call, UUID id, @Nullable OffsetDateTime asOf) {
        Where where = visible(call.principal()).and("s.id = ?", id);
        if (asOf != null) {
            where.and("s.valid_from <= ?", asOf).and("s.valid_to > ?", asOf);
        }
        return asOf == null
                ? database.row(call, SELECT_WITH_PENDING + where.sql(), where.values(), "staff.notFound")
                        .map(row -> FourEyes.Found.of(Staff.from(row, vault), row))
                : database.row(call, SELECT_PAST + where.sql(), where.values(), "staff.notFound")
                        .map(row -> new FourEyes.Found<>(Staff.from(row, vault), null));
    }

    Future<Row> locked(Tx tx, UUID id) {
        return tx.row(LOCK, Tuple.of(id), "staff.notFound");
    }

    Future<Void> mustBeOpen(Tx tx, UUID branch) {
        return tx.row(BRANCH, Tuple.of(branch), "staff.branchUnknown")
                .compose(row -> row.getString("state").equals("open")
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of("staff.branchClosed")));
    }

    /** Before any row: changes of rights stand in one line. */
    Future<Void> lockRights(Tx tx) {
        return tx.query(LOCK_RIGHTS, Tuple.tuple()).mapEmpty();
    }

    Future<Void> lockAdministrators(Tx tx) {
        return tx.query(LOCK_ADMINISTRATORS, Tuple.tuple()).mapEmpty();
    }

    Future<Void> mustHaveAdministrator(Tx tx) {
        return tx.row(LOCK_ADMINISTRATORS, Tuple.tuple(), "staff.lastAdministrator")
                .mapEmpty();
    }

    Future<Staff> insert(Tx tx, Staff draft, String passwordHash) {
        Vault.NewKey key = vault.newKey(draft.id());
        return insertKey(tx, key)
                .compose(v -> tx.row(
                        INSERT,
                        Tuple.of(
                                draft.id(),
                                draft.username(),
                                draft.branchId(),
                                draft.roles().toArray(String[]::new),
                                passwordHash,
                                draft.mustChange(),
                                draft.sealed(vault, vault.key(key))),
                        "server.failure"))
                .map(row -> stored(draft, row));
    }

    /** Writes what changed; a change of rights makes every token of before worthless within a second. */
    Future<Staff> update(Tx tx, Row locked, Staff before, Staff after) {
        boolean sameRights = after.hasRightsOf(before);
        Vault.Key key = vault.key(
                before.id(),
                locked.getInteger("epoch"),
                locked.getBuffer("wrapped").getBytes());
        return tx.row(
                        UPDATE,
                        Tuple.of(
                                after.id(),
                                after.branchId(),
                                after.roles().toArray(String[]::new),
                                after.state(),
                                after.sealed(vault, key),
                                sameRights ? 0L : 1L),
                        "staff.notFound")
                .compose(row -> (sameRights
                                ? Future.succeededFuture()
                                : tx.query(REVOKE, Tuple.of(after.id(), row.getLong("rights"))))
                        .compose(v -> after.state().equals("active")
                                ? Future.succeededFuture()
                                : tx.query(END_SESSIONS, Tuple.of(after.id())))
                        .map(v -> stored(after, row)));
    }

    /** What one person did alone with an account is his until another one vouches for its rights. */
    Future<Void> hold(Tx tx, UUID staff) {
        return isApproved(tx)
                ? Future.succeededFuture()
                : tx.query(HOLD, Tuple.of(staff, tx.principal().subject())).mapEmpty();
    }

    /** Another person approved what this account may do, and so that it is somebody's own. */
    Future<Void> release(Tx tx, UUID staff) {
        return isApproved(tx) ? tx.query(RELEASE, Tuple.of(staff)).mapEmpty() : Future.succeededFuture();
    }

    private static boolean isApproved(Tx tx) {
        Call.Approval approval = tx.call().approval();
        return approval != null && approval.id() != null;
    }

    Future<Long> rights(Tx tx, UUID id) {
        return tx.row(RIGHTS, Tuple.of(id), "staff.notFound").map(row -> row.getLong("rights"));
    }

    // What a new bank begins with

    Future<Boolean> anyBranch() {
        return ask(ANY_BRANCH);
    }

    Future<Boolean> anyDemo() {
        return ask(ANY_DEMO);
    }

    private Future<Boolean> ask(String question) {
        return database.query(Call.Lane.JOB, question, Tuple.tuple()).map(StaffStore::there);
    }

    private static boolean there(RowSet<Row> rows) {
        return rows.iterator().next().getBoolean("there");
    }

    /** Whether there is a branch, asked by one node at a time. */
    Future<Boolean> anyBranchLocked(Tx tx) {
        return tx.query(LOCK_DEMO, Tuple.tuple())
                .compose(v -> tx.query(ANY_BRANCH, Tuple.tuple()))
                .map(StaffStore::there);
    }

    Future<Void> insertBranch(Tx tx, UUID id, @Nullable UUID parent, String code, String name, String tree, int depth) {
        return tx.query(INSERT_BRANCH, Tuple.of(id, parent, code, name, tree, depth))
                .mapEmpty();
    }

    Future<Void> insertDemo(Tx tx, Staff staff, String passwordHash) {
        Vault.NewKey key = vault.newKey(staff.id());
        return insertKey(tx, key)
                .compose(v -> tx.query(
                        INSERT_DEMO,
                        Tuple.of(
                                staff.id(),
                                staff.username(),
                                staff.branchId(),
                                staff.roles().toArray(String[]::new),
                                passwordHash,
                                staff.sealed(vault, vault.key(key)))))
                .mapEmpty();
    }

    /** The head office, made where there is none. */
    Future<UUID> headOffice(Tx tx, UUID idIfNew) {
        return tx.query(HEAD, Tuple.tuple())
                .compose(rows ->
                        rows.size() > 0 ? Future.succeededFuture(rows) : tx.query(INSERT_HEAD, Tuple.of(idIfNew)))
                .map(rows -> rows.iterator().next().getUUID("id"));
    }

    private static Future<RowSet<Row>> insertKey(Tx tx, Vault.NewKey key) {
        return tx.query(INSERT_KEY, Tuple.of(key.subject(), key.epoch(), Buffer.buffer(key.wrapped())));
    }

    private static Staff stored(Staff staff, Row row) {
        return new Staff(
                staff.id(),
                staff.username(),
                staff.name(),
                staff.phone(),
                staff.branchId(),
                staff.roles(),
                staff.state(),
                staff.mustChange(),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }
}
