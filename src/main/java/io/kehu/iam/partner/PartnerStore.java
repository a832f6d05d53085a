package io.kehu.iam.partner;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/** SQL of partners and their keys. */
final class PartnerStore {
    private static final String COLUMNS =
            "id, name, purpose, state, permissions, networks, branch_id, request_key, rights, version, valid_from";
    private static final String FIND = "SELECT " + COLUMNS + " FROM iam.partner WHERE id = $1";
    private static final String LOCK = FIND + " FOR UPDATE";
    private static final String SHARE = FIND + " FOR SHARE";
    private static final String INSERT = """
            INSERT INTO iam.partner (id, name, purpose, permissions, networks, branch_id, request_key)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING\s""" + COLUMNS;
    private static final String UPDATE = """
            UPDATE iam.partner
            SET purpose = $2, state = $3, permissions = $4, networks = $5, branch_id = $6, rights = rights + $7, request_key = $8
            WHERE id = $1 RETURNING\s""" + COLUMNS;
    /** The keys are part of what a partner is: its version counts their changes too. */
    private static final String TOUCH =
            "UPDATE iam.partner SET rights = rights + $2 WHERE id = $1 RETURNING " + COLUMNS;

    private static final String KEY_COLUMNS = "id, partner_id, secret_hash, expires_at, valid_from";
    private static final String LIVE_KEYS =
            "SELECT " + KEY_COLUMNS + " FROM iam.partner_key WHERE expires_at > kehu.now() ";
    private static final String KEYS = LIVE_KEYS + "AND partner_id = $1 ORDER BY valid_from, id";
    private static final String SHARE_KEY = LIVE_KEYS + "AND id = $1 FOR SHARE";
    private static final String DELETE_EXPIRED =
            "DELETE FROM iam.partner_key WHERE partner_id = $1 AND expires_at <= kehu.now()";
    /** Into a free place; none where both are taken. */
    private static final String INSERT_KEY = """
            INSERT INTO iam.partner_key (id, partner_id, place, secret_hash, expires_at)
            SELECT $1, $2, min(free.place), $3, kehu.now() + make_interval(days => $4)
            FROM (VALUES (1), (2)) AS free(place)
            WHERE NOT EXISTS (SELECT FROM iam.partner_key k WHERE k.partner_id = $2 AND k.place = free.place)
            HAVING min(free.place) IS NOT NULL
            RETURNING\s""" + KEY_COLUMNS;

    private static final String DELETE_KEY =
            "DELETE FROM iam.partner_key WHERE partner_id = $1 AND id = $2 RETURNING id";

    private final Database database;

    PartnerStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = Where.ofAll();
        if (!page.after().isEmpty()) {
            where.and("name > ?", page.after().get(0));
        }
        String sql = "SELECT " + COLUMNS + " FROM iam.partner " + where.sql() + " ORDER BY name LIMIT "
                + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<Partner> find(Call call, UUID id) {
        return database.row(call, FIND, Tuple.of(id), "partner.notFound").map(Partner::from);
    }

    Future<Partner> locked(Tx tx, UUID id) {
        return tx.row(LOCK, Tuple.of(id), "partner.notFound").map(Partner::from);
    }

    /** The partner as it stays until the end of the transaction. */
    Future<Optional<Partner>> shared(Tx tx, UUID id) {
        return tx.query(SHARE, Tuple.of(id))
                .map(rows -> rows.size() == 0
                        ? Optional.empty()
                        : Optional.of(Partner.from(rows.iterator().next())));
    }

    Future<Partner> insert(Tx tx, Partner draft) {
        return tx.row(
                        INSERT,
                        Tuple.of(
                                draft.id(),
                                draft.name(),
                                draft.purpose(),
                                draft.permissions().toArray(String[]::new),
                                draft.networks().toArray(String[]::new),
                                draft.branchId(),
                                draft.requestKey()),
                        "server.failure")
                .map(Partner::from);
    }

    Future<Partner> update(Tx tx, Partner before, Partner after) {
        return tx.row(
                        UPDATE,
                        Tuple.of(
                                after.id(),
                                after.purpose(),
                                after.state(),
                                after.permissions().toArray(String[]::new),
                                after.networks().toArray(String[]::new),
                                after.branchId(),
                                after.hasRightsOf(before) ? 0L : 1L,
                                after.requestKey()),
                        "partner.notFound")
                .map(Partner::from);
    }

    Future<Partner> touch(Tx tx, UUID id, boolean rights) {
        return tx.row(TOUCH, Tuple.of(id, rights ? 1L : 0L), "partner.notFound").map(Partner::from);
    }

    // Keys

    Future<List<PartnerKey>> keys(Call call, UUID partner) {
        return database.query(call, KEYS, Tuple.of(partner)).map(PartnerStore::keys);
    }

    Future<List<PartnerKey>> keys(Tx tx, UUID partner) {
        return tx.query(KEYS, Tuple.of(partner)).map(PartnerStore::keys);
    }

    private static List<PartnerKey> keys(RowSet<Row> rows) {
        List<PartnerKey> keys = new ArrayList<>();
        rows.forEach(row -> keys.add(PartnerKey.from(row)));
        return keys;
    }

    Future<Boolean> isLive(Tx tx, UUID key) {
        return tx.query(SHARE_KEY, Tuple.of(key)).map(rows -> rows.size() > 0);
    }

    Future<PartnerKey> insertKey(Tx tx, UUID id, UUID partner, Buffer hash, int days) {
        return tx.query(DELETE_EXPIRED, Tuple.of(partner))
                .compose(v -> tx.row(INSERT_KEY, Tuple.of(id, partner, hash, days), "partner.keysTaken"))
                .map(PartnerKey::from);
    }

    Future<Void> deleteKey(Tx tx, UUID partner, UUID key) {
        return tx.row(DELETE_KEY, Tuple.of(partner, key), "partner.keyNotFound").mapEmpty();
    }
}
