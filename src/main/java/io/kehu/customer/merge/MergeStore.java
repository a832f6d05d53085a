package io.kehu.customer.merge;

import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.List;
import java.util.UUID;

/** SQL of merges: the recipe, the links, and under whose seq the blind indexes of a merged record are found. */
final class MergeStore {
    private static final String COLUMNS = """
            m.id, m.survivor_id, m.duplicate_id, m.rule, m.choices::text AS choices, m.survivor_version, m.duplicate_version,
            m.made_by, m.made_at, m.undone_by, m.undone_at, m.version, m.valid_from""";
    /** Who sees the record that stands for the survivor today sees the merge. */
    private static final String READ = "SELECT " + COLUMNS + """

            FROM customer.merge m JOIN customer.customer c ON c.id = customer.root(m.survivor_id)
            """;

    private static final String ROOTS = "SELECT customer.root($1) AS one, customer.root($2) AS other";
    private static final String ONE_ROOT = "SELECT customer.root($1) AS root";

    private static final String INSERT = """
            INSERT INTO customer.merge AS m (id, survivor_id, duplicate_id, rule, choices, survivor_version, duplicate_version,
                                             own, made_by, made_at)
            VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9, $10) RETURNING""" + " " + COLUMNS;
    private static final String LINK = "INSERT INTO customer.merged (id, survivor_id) VALUES ($1, $2)";
    private static final String MOVE_LINKS = "UPDATE customer.merged SET survivor_id = $2 WHERE survivor_id = $1";
    private static final String LEND_BLINDS = """
            UPDATE customer.blind SET seq = $2, side = coalesce(side, seq) WHERE seq = $1""";
    private static final String HIDE = """
            UPDATE customer.customer SET deleted_at = $2 WHERE id = $1 RETURNING version""";

    private static final String UNDO = """
            UPDATE customer.merge AS m SET undone_by = $2, undone_at = $3 WHERE id = $1 RETURNING""" + " " + COLUMNS;
    private static final String UNLINK = "DELETE FROM customer.merged WHERE id = $1";
    private static final String MOVE_SOME_LINKS = "UPDATE customer.merged SET survivor_id = $1 WHERE id = ANY ($2)";
    private static final String GIVE_BLINDS_BACK = """
            UPDATE customer.blind SET seq = $1, side = nullif(side, $1) WHERE side = ANY ($2)""";

    private final Database database;

    MergeStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = inScope(call);
        String customer = call.text("customerId");
        if (customer != null) {
            UUID id = UUID.fromString(customer);
            where.and("(m.survivor_id = ? OR m.duplicate_id = ?)", id, id);
        }
        String inForce = call.text("inForce");
        if (inForce != null) {
            where.and(Boolean.parseBoolean(inForce) ? "m.undone_at IS NULL" : "m.undone_at IS NOT NULL");
        }
        if (!page.after().isEmpty()) {
            where.and("m.place < ?", Long.parseLong(page.after().get(0)));
        }
        String sql = READ.replace("m.valid_from\n", "m.valid_from, m.place\n")
                + where.sql()
                + " ORDER BY m.place DESC LIMIT "
                + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<Merge> find(Call call, UUID id) {
        Where where = inScope(call).and("m.id = ?", id);
        return database.row(call, READ + where.sql(), where.values(), "merge.notFound")
                .map(Merge::from);
    }

    /** The same within a transaction that holds it. */
    Future<Merge> held(Tx tx, UUID id) {
        Where where = inScope(tx.call()).and("m.id = ?", id);
        return tx.row(READ + where.sql() + " FOR UPDATE OF m", where.values(), "merge.notFound")
                .map(Merge::from);
    }

    private static Where inScope(Call call) {
        return Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
    }

    /** The records that two ids stand for today. */
    Future<Row> roots(Tx tx, UUID one, UUID other) {
        return tx.row(ROOTS, Tuple.of(one, other), "customer.notFound");
    }

    /** Fails with {@code merge.underAnother} where the record is itself merged. */
    Future<Void> mustStandForItself(Tx tx, UUID id) {
        return tx.row(ONE_ROOT, Tuple.of(id), "customer.notFound")
                .compose(row -> row.getUUID("root").equals(id)
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of("merge.underAnother")));
    }

    Future<Merge> insert(Tx tx, Merge merge, Buffer own) {
        Tuple values = Tuple.of(
                merge.id(),
                merge.survivorId(),
                merge.duplicateId(),
                merge.rule(),
                merge.choices().toString(),
                merge.survivorVersion());
        values.addLong(merge.duplicateVersion())
                .addBuffer(own)
                .addUUID(merge.madeBy())
                .addOffsetDateTime(merge.madeAt());
        return tx.row(INSERT, values, "server.failure").map(Merge::from);
    }

    /** The duplicate is read as the survivor from here on, with all that were merged into it. Gives its version. */
    Future<Long> join(Tx tx, Customer survivor, Customer duplicate) {
        return tx.query(MOVE_LINKS, Tuple.of(duplicate.id(), survivor.id()))
                .compose(v -> tx.query(LINK, Tuple.of(duplicate.id(), survivor.id())))
                .compose(v -> tx.query(LEND_BLINDS, Tuple.of(duplicate.seq(), survivor.seq())))
                .compose(v -> tx.row(HIDE, Tuple.of(duplicate.id(), tx.now()), "customer.notFound"))
                .map(row -> row.getLong("version"));
    }

    /** The duplicate stands for itself again. Gives its version. */
    Future<Long> part(Tx tx, Customer duplicate, List<Customer> below) {
        Tuple links = Tuple.of(duplicate.id());
        links.addArrayOfUUID(below.stream()
                .map(Customer::id)
                .filter(id -> !id.equals(duplicate.id()))
                .toArray(UUID[]::new));
        Tuple blinds = Tuple.of(duplicate.seq());
        blinds.addArrayOfLong(below.stream().map(Customer::seq).toArray(Long[]::new));
        return tx.query(UNLINK, Tuple.of(duplicate.id()))
                .compose(v -> tx.query(MOVE_SOME_LINKS, links))
                .compose(v -> tx.query(GIVE_BLINDS_BACK, blinds))
                .compose(v -> tx.row(HIDE, Tuple.of(duplicate.id(), (Object) null), "customer.notFound"))
                .map(row -> row.getLong("version"));
    }

    Future<Merge> undone(Tx tx, UUID id) {
        return tx.row(UNDO, Tuple.of(id, tx.principal().subject(), tx.now()), "merge.notFound")
                .map(Merge::from);
    }
}
