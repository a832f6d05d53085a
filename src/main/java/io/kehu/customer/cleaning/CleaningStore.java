package io.kehu.customer.cleaning;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.Collection;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of cleanings, which are jobs, and of the customers they look at. */
final class CleaningStore {
    static final String KIND = "customer.cleaning";

    private static final String FIND = """
            SELECT id, state, rows_read, rows_accepted, rows_rejected, units_done, units_total, cancel_asked, error_code,
                created_at, started_at, ended_at, position::text AS position, params::text AS params
            FROM kehu.job WHERE id = $1 AND owner_id = $2 AND kind = '""" + KIND + "'";
    private static final String CUSTOMERS = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM customer.customer c
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            """;
    private static final String COUNT = "SELECT count(*) AS n FROM customer.customer c ";

    private final Database database;

    CleaningStore(Database database) {
        this.database = database;
    }

    /** A cleaning as its owner sees it. */
    record Cleaning(
            UUID id,
            String state,
            ObjectNode params,
            ObjectNode position,
            long read,
            long changed,
            long refused,
            @Nullable Integer percent,
            boolean cancelAsked,
            @Nullable String errorCode,
            OffsetDateTime createdAt,
            @Nullable OffsetDateTime startedAt,
            @Nullable OffsetDateTime endedAt) {
        private static Cleaning from(Row row) {
            Long total = row.getLong("units_total");
            return new Cleaning(
                    row.getUUID("id"),
                    row.getString("state"),
                    Json.read(row.getString("params")),
                    Json.read(row.getString("position")),
                    row.getLong("rows_read"),
                    row.getLong("rows_accepted"),
                    row.getLong("rows_rejected"),
                    total == null || total == 0 ? null : (int) Math.min(100, 100 * row.getLong("units_done") / total),
                    row.getBoolean("cancel_asked"),
                    row.getString("error_code"),
                    row.getOffsetDateTime("created_at"),
                    row.getOffsetDateTime("started_at"),
                    row.getOffsetDateTime("ended_at"));
        }

        boolean isDryRun() {
            return params.path("dryRun").asBoolean();
        }
    }

    /** Fails with {@code quality.cleaningNotFound}, also for another person's. */
    Future<Cleaning> find(Call call, UUID id) {
        return database.row(call, FIND, Tuple.of(id, call.principal().subject()), "quality.cleaningNotFound")
                .map(Cleaning::from);
    }

    Future<Cleaning> find(Tx tx, UUID id) {
        return tx.row(FIND, Tuple.of(id, tx.principal().subject()), "quality.cleaningNotFound")
                .map(Cleaning::from);
    }

    /** How many customers of the filter are in the caller's scope, behind one. */
    Future<Long> count(Call call, Filter filter, Moment moment, long after) {
        Where where = scope(call, filter, moment).and("c.seq > ?", after);
        return database.row(call, COUNT + where.sql(), where.values(), "server.failure")
                .map(row -> row.getLong("n"));
    }

    /** The next of them in the order of entry. */
    Future<RowSet<Row>> next(Call call, Filter filter, Moment moment, long after, int limit) {
        Where where = scope(call, filter, moment).and("c.seq > ?", after);
        return database.query(
                call, CUSTOMERS + where.sql() + " ORDER BY c.seq LIMIT " + where.bind(limit), where.values());
    }

    /** Some of them, as far as they are in the caller's scope. */
    Future<RowSet<Row>> some(Call call, Collection<UUID> ids) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL")
                .and("c.id = ANY (?)", (Object) ids.toArray(UUID[]::new));
        return database.query(call, CUSTOMERS + where.sql() + " ORDER BY c.seq", where.values());
    }

    private static Where scope(Call call, Filter filter, Moment moment) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
        filter.into(where, moment);
        return where;
    }
}
