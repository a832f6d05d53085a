package io.kehu.iam.branch;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.sql.Database;
import io.kehu.sql.FourEyes;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of the branch tree. */
final class BranchStore {
    private static final String COLUMNS = "id, parent_id, code, name, state, tree, depth, version, valid_from";
    private static final String FIND = "SELECT " + COLUMNS + " FROM iam.branch WHERE id = $1";
    private static final String FIND_WITH_PENDING =
            "SELECT " + COLUMNS + ", " + FourEyes.pending("b.id") + " FROM iam.branch b WHERE id = $1";
    private static final String FIND_AS_OF =
            "SELECT " + COLUMNS + " FROM iam.branch_all WHERE id = $1 AND valid_from <= $2 AND valid_to > $2";
    private static final String LOCK = FIND + " FOR UPDATE";
    /** The head office's row stands for the whole tree: whoever changes its shape holds it. */
    private static final String LOCK_TREE = "SELECT id FROM iam.branch WHERE parent_id IS NULL FOR UPDATE";

    private static final String INSERT =
            "INSERT INTO iam.branch (id, parent_id, code, name, tree, depth) VALUES ($1, $2, $3, $4, $5, $6) RETURNING "
                    + COLUMNS;
    private static final String UPDATE =
            "UPDATE iam.branch SET name = $2, state = $3, parent_id = $4, tree = $5, depth = $6 WHERE id = $1 RETURNING "
                    + COLUMNS;
    private static final String MOVE_BELOW = """
            UPDATE iam.branch SET tree = $2 || substr(tree, length($1) + 1), depth = depth + $3
            WHERE tree ^@ $1 AND tree <> $1""";
    private static final String OPEN_CHILD = "SELECT 1 FROM iam.branch WHERE parent_id = $1 AND state = 'open' LIMIT 1";
    /** Scopes are subtrees: every remembered principal is read anew. */
    private static final String FORGET_SCOPES = "INSERT INTO kehu.revocation (subject_id, min_version) VALUES ($1, 0)";

    private final Database database;

    BranchStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = Where.ofAll().andIf("parent_id = ?", call.optionalId("parentId"));
        if (!page.after().isEmpty()) {
            where.and("tree > ?", page.after().get(0));
        }
        String sql = "SELECT " + COLUMNS + " FROM iam.branch " + where.sql() + " ORDER BY tree LIMIT "
                + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<FourEyes.Found<Branch>> find(Call call, UUID id, @Nullable OffsetDateTime asOf) {
        return asOf == null
                ? database.row(call, FIND_WITH_PENDING, Tuple.of(id), "branch.notFound")
                        .map(row -> FourEyes.Found.of(Branch.from(row), row))
                : database.row(call, FIND_AS_OF, Tuple.of(id, asOf), "branch.notFound")
                        .map(row -> new FourEyes.Found<>(Branch.from(row), null));
    }

    Future<Void> lockTree(Tx tx) {
        return tx.query(LOCK_TREE, Tuple.tuple()).mapEmpty();
    }

    Future<Branch> locked(Tx tx, @Nullable UUID id, String problemCode) {
        return tx.row(LOCK, Tuple.of(id), problemCode).map(Branch::from);
    }

    Future<Branch> insert(Tx tx, Branch branch) {
        return tx.row(
                        INSERT,
                        Tuple.of(
                                branch.id(),
                                branch.parentId(),
                                branch.code(),
                                branch.name(),
                                branch.tree(),
                                branch.depth()),
                        "server.failure")
                .map(Branch::from);
    }

    Future<Branch> update(Tx tx, Branch branch) {
        return tx.row(
                        UPDATE,
                        Tuple.of(
                                branch.id(),
                                branch.name(),
                                branch.state(),
                                branch.parentId(),
                                branch.tree(),
                                branch.depth()),
                        "branch.notFound")
                .map(Branch::from);
    }

    /** What is below a branch follows it to its new place. */
    Future<Void> moveBelow(Tx tx, Branch before, Branch after) {
        return tx.query(MOVE_BELOW, Tuple.of(before.tree(), after.tree(), after.depth() - before.depth()))
                .mapEmpty();
    }

    Future<Void> mustHaveNoOpenChildren(Tx tx, Branch branch) {
        return tx.query(OPEN_CHILD, Tuple.of(branch.id()))
                .compose(rows -> rows.size() == 0
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of("branch.hasOpenChildren")));
    }

    Future<Void> forgetScopes(Tx tx) {
        return tx.query(FORGET_SCOPES, Tuple.of(Principal.NOBODY)).mapEmpty();
    }
}
