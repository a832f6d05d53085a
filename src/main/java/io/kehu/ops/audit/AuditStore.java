package io.kehu.ops.audit;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of the audit, which is only read here. Restored months are read like live ones. */
final class AuditStore {
    private static final String COLUMNS = """
            a.at, a.xid::text AS xid, a.id, a.kind, a.operation, a.actor, a.audience, a.actor_name, a.session, a.address,
            a.request_id, a.purpose, a.approval_id, a.object_type, a.object_id, a.object_version, a.code, a.args, a.row_count,
            a.rows_hash, a.first_id, a.last_id, a.changes::text AS changes, a.leaf""";
    private static final String SEAL =
            "number, incarnation, from_xid::text AS from_xid, to_xid::text AS to_xid, row_count, root, previous, hash, kid,"
                    + " signature, sealed_at";

    private static final String FIND = "SELECT " + COLUMNS + " FROM kehu.audit_readable a WHERE a.id = $1";
    private static final String PLACE =
            "SELECT a.incarnation, a.xid::text AS xid, a.ord, a.leaf FROM kehu.audit_readable a WHERE a.id = $1";
    private static final String SEAL_OVER = "SELECT " + SEAL + """
             FROM kehu.audit_seal WHERE incarnation = $1 AND from_xid <= $2::text::xid8 AND to_xid > $2::text::xid8
            ORDER BY number DESC LIMIT 1""";
    private static final String NEWEST = "SELECT " + SEAL + " FROM kehu.audit_seal ORDER BY number DESC LIMIT 1";
    private static final String LEAVES = """
            SELECT a.xid::text AS xid, a.ord, a.leaf FROM kehu.audit_readable a
            WHERE a.incarnation = $1 AND a.xid >= $2::text::xid8 AND a.xid < $3::text::xid8 ORDER BY a.xid, a.ord LIMIT $4""";

    /** Of ids that carry their time (UUID version 7): whether their month lies in an archive that is not readable here. */
    private static final String ARCHIVE_OF = """
            SELECT file FROM kehu.audit_archive
            WHERE month = date_trunc('month', uuid_extract_timestamp($1) AT TIME ZONE 'UTC')::date""";

    private static final String ARCHIVE_OF_SEAL =
            "SELECT file FROM kehu.audit_archive WHERE $1 BETWEEN first_seal AND last_seal ORDER BY month LIMIT 1";

    /** What was asked for, beside what the row says anyway; read by leave() as the changes of the row. */
    private static final String NOTE = """
            SELECT kehu.note(jsonb_build_object('table', 'kehu.audit', 'change', 'read', 'after', $1::text::jsonb))""";

    private final Database database;

    AuditStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Tx tx, Page page) {
        Call call = tx.call();
        Where where = Where.ofAll()
                .andIf("a.at >= ?", instant(call, "from"))
                .andIf("a.at < ?", instant(call, "to"))
                .andIf("a.actor = ?", call.optionalId("actor"))
                .andIf("a.object_type = ?", call.text("objectType"))
                .andIf("a.object_id = ?", call.optionalId("objectId"))
                .andIf("a.operation = ?", call.text("operation"))
                .andIf("a.kind = ?", call.text("kind"));
        if (!page.after().isEmpty()) {
            where.and(
                    "(a.at, a.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        String sql = "SELECT " + COLUMNS + " FROM kehu.audit_readable a " + where.sql()
                + " ORDER BY a.at DESC, a.id DESC LIMIT " + where.bind(page.fetch());
        return tx.query(sql, where.values());
    }

    private static @Nullable OffsetDateTime instant(Call call, String name) {
        String text = call.text(name);
        return text == null ? null : OffsetDateTime.parse(text);
    }

    /** Leaves the parameters of the reading in its audit row. */
    Future<Void> note(Tx tx) {
        String asked = tx.call().params().deepCopy().without("cursor").toString();
        return tx.query(NOTE, Tuple.of(asked)).mapEmpty();
    }

    /** Fails with {@code audit.notFound}. */
    Future<Row> find(Call call, UUID id) {
        return database.row(call, FIND, Tuple.of(id), "audit.notFound");
    }

    /** Fails with {@code audit.notFound}. */
    Future<AuditProof.Place> place(Call call, UUID id) {
        return database.row(call, PLACE, Tuple.of(id), "audit.notFound")
                .map(row -> new AuditProof.Place(
                        row.getInteger("incarnation"),
                        row.getString("xid"),
                        row.getInteger("ord"),
                        row.getBuffer("leaf").getBytes()));
    }

    /** Fails with {@code audit.notSealed}. */
    Future<AuditProof.Seal> sealOver(Call call, AuditProof.Place place) {
        return database.row(call, SEAL_OVER, Tuple.of(place.incarnation(), place.xid()), "audit.notSealed")
                .map(AuditProof.Seal::from);
    }

    /** In the order of the tree; one more than were sealed, where there are more. */
    Future<List<AuditProof.Leaf>> leaves(Call call, AuditProof.Seal seal) {
        return database.query(call, LEAVES, Tuple.of(seal.incarnation(), seal.from(), seal.to(), seal.rows() + 1))
                .map(rows -> {
                    List<AuditProof.Leaf> leaves = new ArrayList<>(rows.size());
                    rows.forEach(row -> leaves.add(new AuditProof.Leaf(
                            row.getString("xid"),
                            row.getInteger("ord"),
                            row.getBuffer("leaf").getBytes())));
                    return leaves;
                });
    }

    Future<AuditProof.Seal> newest(Call call) {
        return database.row(call, NEWEST, Tuple.tuple(), "audit.notSealed").map(AuditProof.Seal::from);
    }

    Future<RowSet<Row>> seals(Call call, Page page) {
        Where where = Where.ofAll();
        if (!page.after().isEmpty()) {
            where.and("number < ?", Long.parseLong(page.after().get(0)));
        }
        String sql = "SELECT " + SEAL + " FROM kehu.audit_seal " + where.sql() + " ORDER BY number DESC LIMIT "
                + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<RowSet<Row>> archives(Call call, Page page) {
        Where where = Where.ofAll();
        if (!page.after().isEmpty()) {
            where.and("month < ?", LocalDate.parse(page.after().get(0)));
        }
        String sql = """
                SELECT month, file, sha256, bytes, row_count, first_seal, last_seal, archived_at, EXISTS (
                    SELECT FROM kehu.audit_readable r WHERE r.at >= x.month AT TIME ZONE 'UTC'
                      AND r.at < (x.month + interval '1 month') AT TIME ZONE 'UTC') AS readable
                FROM kehu.audit_archive x\s""" + where.sql() + " ORDER BY month DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    /** The archive in which an entry of this id would lie. */
    Future<Optional<String>> archiveOf(Call call, UUID id) {
        return database.query(call, ARCHIVE_OF, Tuple.of(id)).map(AuditStore::file);
    }

    /** The archive that holds all rows of a seal. */
    Future<Optional<String>> archiveOf(Call call, AuditProof.Seal seal) {
        return database.query(call, ARCHIVE_OF_SEAL, Tuple.of(seal.number())).map(AuditStore::file);
    }

    private static Optional<String> file(RowSet<Row> rows) {
        return rows.size() == 0
                ? Optional.empty()
                : Optional.of(rows.iterator().next().getString("file"));
    }
}
