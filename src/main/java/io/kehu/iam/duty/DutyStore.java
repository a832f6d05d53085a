package io.kehu.iam.duty;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.UUID;

/** SQL of duties that are kept apart. */
final class DutyStore {
    private static final String COLUMNS = "id, first, second, reason, built_in, version, valid_from";
    private static final String LOCK_RIGHTS = "SELECT iam.lock_rights()";
    private static final String INSERT =
            "INSERT INTO iam.duty_conflict (id, first, second, reason) VALUES ($1, $2, $3, $4) RETURNING " + COLUMNS;
    private static final String DELETE = "DELETE FROM iam.duty_conflict WHERE id = $1 RETURNING " + COLUMNS;

    private final Database database;

    DutyStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = Where.ofAll();
        if (!page.after().isEmpty()) {
            where.and(
                    "(first COLLATE \"C\", second COLLATE \"C\") > (?, ?)",
                    page.after().get(0),
                    page.after().get(1));
        }
        String sql = "SELECT " + COLUMNS + " FROM iam.duty_conflict " + where.sql()
                + " ORDER BY first COLLATE \"C\", second COLLATE \"C\" LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<DutyConflict> insert(Tx tx, DutyConflict pair) {
        return tx.query(LOCK_RIGHTS, Tuple.tuple())
                .compose(v -> tx.row(
                        INSERT, Tuple.of(pair.id(), pair.first(), pair.second(), pair.reason()), "server.failure"))
                .map(DutyConflict::from);
    }

    Future<DutyConflict> delete(Tx tx, UUID id) {
        return tx.query(LOCK_RIGHTS, Tuple.tuple())
                .compose(v -> tx.row(DELETE, Tuple.of(id), "duty.notFound"))
                .map(DutyConflict::from);
    }
}
