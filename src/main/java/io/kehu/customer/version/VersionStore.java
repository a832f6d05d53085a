package io.kehu.customer.version;

import io.kehu.bus.Call;
import io.kehu.customer.CustomerStore;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.UUID;

/** SQL of the versions of a customer and of the audit that made them. */
final class VersionStore {

    private static final String AUDIT =
            "a.id, a.actor, a.actor_name, a.operation, a.purpose, a.approval_id, a.request_id";

    /**
     * {@code audit_id} of a past row is the audit of the change that ended it, so it made the version after. What made the
     * first is found by its object; of one that came with many others, by the chunk that its id lies in.
     */
    private static final String READ = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped, nullif(c.valid_to, 'infinity') AS until, r.reason AS reason,
              e.id AS e_id, e.actor AS e_actor, e.actor_name AS e_name, e.operation AS e_operation, e.purpose AS e_purpose,
              e.approval_id AS e_approval, e.request_id AS e_request,
              b.id AS b_id, b.actor AS b_actor, b.actor_name AS b_name, b.operation AS b_operation, b.purpose AS b_purpose,
              b.approval_id AS b_approval, b.request_id AS b_request
            FROM customer.customer_all c
            LEFT JOIN customer.sealed_all s ON s.id = c.id AND s.version = c.sealed_version
            LEFT JOIN kehu.data_key k ON k.subject_id = c.id
            LEFT JOIN customer.change_reason r ON r.audit_id = c.audit_id AND r.customer_id = c.id
            LEFT JOIN LATERAL (SELECT %1$s FROM kehu.audit_readable a WHERE a.id = c.audit_id LIMIT 1) e ON true
            LEFT JOIN LATERAL (
                SELECT * FROM (
                    (SELECT %1$s FROM kehu.audit_readable a
                     WHERE c.version = 1 AND a.object_id = c.id AND a.object_type = 'customer' AND a.object_version = 1
                       AND a.kind = 'write' AND a.code IS NULL LIMIT 1)
                    UNION ALL
                    (SELECT %1$s FROM kehu.audit_readable a
                     WHERE c.version = 1 AND a.kind = 'bulk' AND a.object_type = 'customer'
                       AND a.at BETWEEN c.created_at AND c.created_at + interval '1 minute'
                       AND c.id::text BETWEEN a.first_id AND a.last_id ORDER BY a.at LIMIT 1)) o
                LIMIT 1) b ON true
            """.formatted(AUDIT);

    private static final String FORMER = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM customer.customer_all c
            LEFT JOIN customer.sealed_all s ON s.id = c.id AND s.version = c.sealed_version
            LEFT JOIN kehu.data_key k ON k.subject_id = c.id
            WHERE c.id = $1 AND c.version = $2""";

    private final Database database;

    VersionStore(Database database) {
        this.database = database;
    }

    /** The versions of one page, and one more: each is told by how it differs from the one behind it. */
    Future<RowSet<Row>> list(Call call, UUID customer, Page page) {
        Where where = Where.ofAll().and("c.id = ?", customer);
        if (!page.after().isEmpty()) {
            where.and("c.version < ?", Long.parseLong(page.after().get(0)));
        }
        return database.query(
                call,
                READ + where.sql() + " ORDER BY c.version DESC LIMIT " + where.bind(page.fetch()),
                where.values());
    }

    /** Fails with {@code customer.versionUnknown}. */
    Future<Row> former(Tx tx, UUID customer, long version) {
        return tx.row(FORMER, Tuple.of(customer, version), "customer.versionUnknown");
    }
}
