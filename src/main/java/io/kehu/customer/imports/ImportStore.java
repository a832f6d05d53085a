package io.kehu.customer.imports;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of imports: jobs of one kind, of one owner, and what was wrong with their rows. */
final class ImportStore {
    static final String KIND = "customer.import";

    private static final String FIND = """
            SELECT id, state, rows_read, rows_accepted, rows_rejected, units_done, units_total, cancel_asked, error_code, error_args,
                created_at, started_at, ended_at, position::text AS position, params ->> 'dryRun' = 'true' AS dry_run,
                (rows_read / greatest(extract(epoch FROM coalesce(ended_at, kehu.now()) - started_at), 0.001))::bigint AS rate
            FROM kehu.job WHERE id = $1 AND owner_id = $2 AND kind = 'customer.import'""";
    private static final String ADD = """
            INSERT INTO customer.import_error (import_id, place, line, field, code, args)
            SELECT $1, $2 + e.place, e.line, e.field, e.code, string_to_array(e.args, chr(31))
            FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY AS e(line, field, code, args, place)""";
    private static final String LIST = """
            SELECT place, line, field, code, args FROM customer.import_error
            WHERE import_id = $1 AND place > $2 ORDER BY place LIMIT $3""";

    private final Database database;

    ImportStore(Database database) {
        this.database = database;
    }

    /** An import as its owner sees it. */
    record Import(
            UUID id,
            String state,
            boolean dryRun,
            long read,
            long accepted,
            long rejected,
            ObjectNode position,
            @Nullable Long rate,
            @Nullable Integer percent,
            boolean cancelAsked,
            @Nullable String errorCode,
            List<String> errorArgs,
            OffsetDateTime createdAt,
            @Nullable OffsetDateTime startedAt,
            @Nullable OffsetDateTime endedAt) {
        private static Import from(Row row) {
            Long total = row.getLong("units_total");
            String[] args = row.getArrayOfStrings("error_args");
            return new Import(
                    row.getUUID("id"),
                    row.getString("state"),
                    Boolean.TRUE.equals(row.getBoolean("dry_run")),
                    row.getLong("rows_read"),
                    row.getLong("rows_accepted"),
                    row.getLong("rows_rejected"),
                    Json.read(row.getString("position")),
                    row.getLong("rate"),
                    total == null || total == 0 ? null : (int) Math.min(100, 100 * row.getLong("units_done") / total),
                    row.getBoolean("cancel_asked"),
                    row.getString("error_code"),
                    args == null ? List.of() : List.of(args),
                    row.getOffsetDateTime("created_at"),
                    row.getOffsetDateTime("started_at"),
                    row.getOffsetDateTime("ended_at"));
        }
    }

    /** One line of the errors. */
    record Fault(long line, String field, String code, List<String> args) {}

    /** Fails with {@code import.notFound}, also for another person's. */
    Future<Import> find(Call call, UUID id) {
        return database.row(call, FIND, Tuple.of(id, call.principal().subject()), "import.notFound")
                .map(Import::from);
    }

    Future<Import> find(Tx tx, UUID id) {
        return tx.row(FIND, Tuple.of(id, tx.principal().subject()), "import.notFound")
                .map(Import::from);
    }

    /** Keeps faults behind the {@code before} that are there. */
    Future<?> add(Tx tx, UUID id, long before, List<Fault> faults) {
        if (faults.isEmpty()) {
            return Future.succeededFuture();
        }
        Tuple values = Tuple.of(id, before);
        values.addArrayOfLong(faults.stream().map(Fault::line).toArray(Long[]::new))
                .addArrayOfString(faults.stream().map(Fault::field).toArray(String[]::new))
                .addArrayOfString(faults.stream().map(Fault::code).toArray(String[]::new))
                .addArrayOfString(faults.stream()
                        .map(fault -> String.join("\u001f", fault.args))
                        .toArray(String[]::new));
        return tx.query(ADD, values);
    }

    Future<RowSet<Row>> list(UUID id, long after, int limit) {
        return database.query(Call.Lane.POINT, LIST, Tuple.of(id, after, limit));
    }
}
