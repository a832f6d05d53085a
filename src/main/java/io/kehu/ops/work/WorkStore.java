package io.kehu.ops.work;

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

/** SQL of jobs as people see them: never what a job was asked for, which may be personal. */
final class WorkStore {
    private static final String SELECT = """
            SELECT id, kind, state, owner_id, rows_read, rows_accepted, rows_rejected, units_done, units_total, cancel_asked,
                error_code, created_at, started_at, ended_at
            FROM kehu.job\s""";

    private final Database database;

    WorkStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, Page page, boolean all) {
        Where where = visible(call, all).andIf("state = ?", call.text("state")).andIf("kind = ?", call.text("kind"));
        if (!page.after().isEmpty()) {
            where.and("id < ?", UUID.fromString(page.after().get(0)));
        }
        String sql = SELECT + where.sql() + " ORDER BY id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<Job> find(Call call, UUID id, boolean all) {
        Where where = visible(call, all).and("id = ?", id);
        return database.row(call, SELECT + where.sql(), where.values(), "job.notFound")
                .map(Job::from);
    }

    Future<Job> find(Tx tx, UUID id) {
        return tx.row(SELECT + "WHERE id = $1", Tuple.of(id), "job.notFound").map(Job::from);
    }

    private static Where visible(Call call, boolean all) {
        Where where = Where.ofAll();
        return all ? where : where.and("owner_id = ?", call.principal().subject());
    }
}
