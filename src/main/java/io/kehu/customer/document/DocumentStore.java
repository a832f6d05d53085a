package io.kehu.customer.document;

import io.kehu.blob.Stored;
import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.customer.CustomerReach.Reached;
import io.kehu.customer.SealedTextStore;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.UUID;

/** SQL of documents; titles are under the keys of the customers they were added to. */
final class DocumentStore {

    private static final String VERSION_COLUMNS = """
            v.id AS version_id, v.number, v.blob_id, v.state, v.scanner, v.finding, v.scanned_at, v.size, v.sha256, v.content_type,
            v.made_by AS added_by, v.made_at AS added_at""";
    private static final String READ = """
            SELECT d.id, d.customer_id, d.type, d.title, d.version, greatest(d.valid_from, v.valid_from) AS since,
                   c.branch_id, c.manager_id, k.epoch, k.wrapped,\s""" + VERSION_COLUMNS + """

            FROM customer.document d
            JOIN customer.document_version v ON v.document_id = d.id AND v.number = d.newest
            JOIN customer.customer c ON c.id = customer.root(d.customer_id)
            LEFT JOIN kehu.data_key k ON k.subject_id = d.customer_id
            """;
    private static final String VERSIONS =
            "SELECT " + VERSION_COLUMNS + " FROM customer.document_version v WHERE v.document_id = $1";

    /** Who counts the documents of a customer counts alone; FOR SHARE on the customer does not make him. */
    private static final String ALONE =
            "SELECT pg_advisory_xact_lock(hashtextextended('customer.document/' || $1::text, 0))";

    private static final String INSERT = """
            INSERT INTO customer.document (id, customer_id, type, title, made_by)
            SELECT $1, $2, $3, $4, $5
            WHERE (SELECT count(*) FROM customer.document d
                   WHERE d.customer_id IN (SELECT customer.sides($6)) AND d.deleted_at IS NULL) < $7
            RETURNING id""";
    private static final String INSERT_VERSION = """
            INSERT INTO customer.document_version (id, document_id, number, blob_id, size, sha256, content_type, made_by)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""";
    private static final String LOCK = "SELECT FROM customer.document WHERE id = $1 FOR UPDATE";
    private static final String RETITLE = "UPDATE customer.document SET title = $2 WHERE id = $1";
    private static final String RENEW = "UPDATE customer.document SET newest = $2 WHERE id = $1";
    private static final String DELETE =
            "UPDATE customer.document SET deleted_at = kehu.now(), deleted_by = $2 WHERE id = $1";
    private static final String JUDGE = """
            UPDATE customer.document_version v SET state = $2, scanner = $3, finding = $4, scanned_at = kehu.now()
            FROM customer.document d JOIN customer.customer c ON c.id = customer.root(d.customer_id)
            WHERE v.id = $1 AND v.state = 'quarantined' AND d.id = v.document_id
            RETURNING d.id, d.version, d.customer_id, c.branch_id, c.manager_id, v.number""";

    /** Looks that were given up because the scanner was away for long. */
    private static final String AGAIN = """
            UPDATE kehu.job j SET state = 'waiting', attempts = 0, ended_at = NULL, error_code = NULL, error_args = NULL
            WHERE j.id IN (
                SELECT g.id FROM kehu.job g JOIN customer.document_version v ON v.id = (g.params ->> 'versionId')::uuid
                WHERE g.kind = 'customer.document-scan' AND g.state = 'failed' AND v.state = 'quarantined'
                  AND g.ended_at < kehu.now() - interval '1 minute'
                ORDER BY g.id LIMIT 100 FOR UPDATE OF g SKIP LOCKED)""";

    private final Database database;
    private final SealedTextStore texts;

    DocumentStore(Database database, Vault vault) {
        this.database = database;
        this.texts = new SealedTextStore(vault, "customer.document");
    }

    Document opened(Row row) {
        String title = texts.open(row.getUUID("customer_id"), row, "title");
        return new Document(
                row.getUUID("id"),
                row.getUUID("customer_id"),
                row.getString("type"),
                title,
                row.getUUID("branch_id"),
                row.getUUID("manager_id"),
                Document.Version.from(row),
                row.getLong("version"),
                row.getOffsetDateTime("since"));
    }

    Future<RowSet<Row>> list(Call call, Reached customer, Page page) {
        Where where = Where.ofAll()
                .and("d.customer_id IN (SELECT customer.sides(?))", customer.id())
                .and("d.deleted_at IS NULL")
                .andIf("d.type = ?", call.text("type"));
        if (!page.after().isEmpty()) {
            where.and("d.id < ?", UUID.fromString(page.after().get(0)));
        }
        return database.query(
                call, READ + where.sql() + " ORDER BY d.id DESC LIMIT " + where.bind(page.fetch()), where.values());
    }

    private static Where within(Principal who, UUID id) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id")
                .and("d.id = ?", id)
                .and("d.deleted_at IS NULL")
                .and("c.deleted_at IS NULL");
    }

    /** Fails with {@code document.notFound}, also out of scope and where it is deleted. */
    Future<Document> find(Call call) {
        Where where = within(call.principal(), call.id("documentId"));
        return database.row(call, READ + where.sql(), where.values(), "document.notFound")
                .map(this::opened);
    }

    /** The same for a change of it, and of nobody else's until the transaction ends. */
    Future<Document> held(Tx tx) {
        Where where = within(tx.principal(), tx.call().id("documentId"));
        // The row before its version: who has waited for it must see the version that came meanwhile.
        return tx.query(LOCK, Tuple.of(tx.call().id("documentId")))
                .compose(v -> tx.row(READ + where.sql() + " FOR SHARE OF c", where.values(), "document.notFound"))
                .map(this::opened);
    }

    Future<Document> again(Tx tx, UUID id) {
        return tx.row(READ + "WHERE d.id = $1", Tuple.of(id), "document.notFound")
                .map(this::opened);
    }

    Future<RowSet<Row>> versions(Call call, Document document, Page page) {
        Tuple values = Tuple.of(document.id(), page.fetch());
        String before = "";
        if (!page.after().isEmpty()) {
            values.addInteger(Integer.parseInt(page.after().get(0)));
            before = " AND v.number < $3";
        }
        return database.query(call, VERSIONS + before + " ORDER BY v.number DESC LIMIT $2", values);
    }

    /** Fails with {@code document.versionNotFound}. */
    Future<Document.Version> version(Call call, Document document, int number) {
        return database.row(
                        call,
                        VERSIONS + " AND v.number = $2",
                        Tuple.of(document.id(), number),
                        "document.versionNotFound")
                .map(Document.Version::from);
    }

    /** Fails with {@code document.tooMany}. */
    Future<UUID> insert(Tx tx, Reached customer, String type, String title, int most, int versions) {
        UUID id = Ids.next();
        return tx.query(ALONE, Tuple.of(customer.id().toString()))
                .compose(v -> texts.seal(tx, customer.side(), title))
                .compose(text -> tx.query(
                        INSERT,
                        Tuple.of(id, customer.side(), type, text, tx.principal().subject(), customer.id())
                                .addInteger(most)))
                .compose(rows -> rows.size() == 1
                        ? Future.succeededFuture(id)
                        : Future.failedFuture(
                                Problem.of("document.tooMany", Integer.toString(most), Integer.toString(versions))));
    }

    /** @return the id of the version */
    Future<UUID> insertVersion(Tx tx, UUID document, int number, UUID blob, Stored stored) {
        UUID id = Ids.next();
        return tx.query(
                        INSERT_VERSION,
                        Tuple.of(id, document, number, blob, stored.size(), stored.sha256())
                                .addString(stored.contentType())
                                .addUUID(tx.principal().subject()))
                .map(id);
    }

    Future<?> renew(Tx tx, UUID document, int number) {
        return tx.query(RENEW, Tuple.of(document, number));
    }

    Future<?> retitle(Tx tx, Document document, String title) {
        return texts.seal(tx, document.customerId(), title)
                .compose(text -> tx.query(RETITLE, Tuple.of(document.id(), text)));
    }

    Future<?> delete(Tx tx, UUID id) {
        return tx.query(DELETE, Tuple.of(id, tx.principal().subject()));
    }

    /** No row where it was judged before, or erased. */
    Future<RowSet<Row>> judge(Tx tx, UUID version, VirusScanner.Verdict verdict) {
        return tx.query(
                JUDGE,
                Tuple.of(
                        version,
                        verdict.finding() == null ? "clean" : "infected",
                        verdict.scanner(),
                        verdict.finding()));
    }

    Future<?> lookAgain() {
        return database.query(Call.Lane.JOB, AGAIN, Tuple.tuple());
    }
}
