package io.kehu.customer.request;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.customer.SealedTextStore;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * SQL of requests. One is in the scope of whoever has the customer it is about. Who needs the customer as well locks him first,
 * then the request.
 */
final class RequestStore {
    private static final String READ = """
            SELECT r.id, r.customer_id AS side, c.id AS customer_id, c.branch_id, c.manager_id, r.fields, r.asked, r.state, r.made_at,
                   r.identity, r.decided_by, r.decided_at, r.why, r.version, r.valid_from, k.epoch, k.wrapped
            FROM customer.change_request r
            LEFT JOIN customer.merged m ON m.id = r.customer_id
            JOIN customer.customer c ON c.id = coalesce(m.survivor_id, r.customer_id)
            LEFT JOIN kehu.data_key k ON k.subject_id = r.customer_id
            """;
    private static final String SUPERSEDE = """
            UPDATE customer.change_request SET state = 'superseded'
            WHERE customer_id IN (SELECT customer.sides($1)) AND state = 'open'""";
    private static final String ADD = """
            INSERT INTO customer.change_request (id, customer_id, fields, asked)
            SELECT $1, $2, $3, $4
            WHERE $7 > (SELECT count(*) FROM customer.change_request r
                        WHERE r.customer_id IN (SELECT customer.sides($5))
                          AND (r.made_at AT TIME ZONE $6)::date = (kehu.now() AT TIME ZONE $6)::date)
            RETURNING id""";
    private static final String DECIDE = """
            UPDATE customer.change_request
            SET state = $2, decided_by = $3, decided_at = kehu.now(), identity = $4, why = $5 WHERE id = $1""";
    private static final String WITHDRAW = "UPDATE customer.change_request SET state = 'withdrawn' WHERE id = $1";
    private static final String NOT_FOUND = "change.notFound";

    private final Database database;
    private final SealedTextStore texts;
    private final String zone;

    RequestStore(Database database, SealedTextStore texts, String zone) {
        this.database = database;
        this.texts = texts;
        this.zone = zone;
    }

    private static Where within(Principal who) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id").and("c.deleted_at IS NULL");
    }

    private static Where his(Principal who) {
        return Where.ofAll().and("c.id = customer.root(?)", who.subject()).and("c.deleted_at IS NULL");
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        String state = call.text("state");
        Where where = within(call.principal()).and("r.state = ?", state == null ? "open" : state);
        UUID customer = call.optionalId("customerId");
        if (customer != null) {
            where.and("r.customer_id IN (SELECT customer.sides(customer.root(?)))", customer);
        }
        return page(call, page, where);
    }

    Future<RowSet<Row>> listOwn(Call call, Page page) {
        return page(
                call,
                page,
                his(call.principal())
                        .and(
                                "r.customer_id IN (SELECT customer.sides(customer.root(?)))",
                                call.principal().subject()));
    }

    private Future<RowSet<Row>> page(Call call, Page page, Where where) {
        if (!page.after().isEmpty()) {
            where.and(
                    "(r.made_at, r.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        return database.query(
                call,
                READ + where.sql() + " ORDER BY r.made_at DESC, r.id DESC LIMIT " + where.bind(page.fetch()),
                where.values());
    }

    /** Fails with {@code change.notFound}, also out of scope. */
    Future<Row> find(Call call, UUID id) {
        Where where = within(call.principal()).and("r.id = ?", id);
        return database.row(call, READ + where.sql(), where.values(), NOT_FOUND);
    }

    /** The same within a transaction, not held. */
    Future<Row> seen(Tx tx, UUID id) {
        Where where = within(tx.principal()).and("r.id = ?", id);
        return tx.row(READ + where.sql(), where.values(), NOT_FOUND);
    }

    Future<Row> locked(Tx tx, UUID id) {
        Where where = within(tx.principal()).and("r.id = ?", id);
        return tx.row(READ + where.sql() + " FOR UPDATE OF r", where.values(), NOT_FOUND);
    }

    /** One of the customer who asks; fails with {@code change.notFound}. */
    Future<Row> ownLocked(Tx tx, UUID id) {
        Where where = his(tx.principal()).and("r.id = ?", id);
        return tx.row(READ + where.sql() + " FOR UPDATE OF r", where.values(), NOT_FOUND);
    }

    /** What was asked: {@code change} and perhaps {@code note}; empty where the key is gone. */
    ObjectNode asked(Row row) {
        String text = texts.open(row.getUUID("side"), row, "asked");
        return text == null ? Json.object() : Json.read(text);
    }

    /** Why it was rejected; null where it was not, and where the key is gone. */
    @Nullable
    String why(Row row) {
        return texts.open(row.getUUID("side"), row, "why");
    }

    /**
     * Takes the place of what is open. The customer is held, so one day's requests are counted one by one. Fails with {@code
     * change.quota}.
     *
     * @param root the record that stands for him
     */
    Future<Row> add(Tx tx, UUID id, UUID root, String[] fields, ObjectNode asked, int perDay) {
        UUID side = tx.principal().subject();
        return tx.query(SUPERSEDE, Tuple.of(root))
                .compose(v -> texts.seal(tx, side, asked.toString()))
                .compose(cipher -> tx.row(
                        ADD,
                        Tuple.tuple()
                                .addUUID(id)
                                .addUUID(side)
                                .addArrayOfString(fields)
                                .addBuffer(cipher)
                                .addUUID(root)
                                .addString(zone)
                                .addLong((long) perDay),
                        "change.quota"))
                .compose(v -> again(tx, id));
    }

    /**
     * @param identity how the person was verified; null for a rejected one
     * @param why null for an accepted one
     */
    Future<Row> decide(Tx tx, Row row, String state, @Nullable String identity, @Nullable String why) {
        UUID id = row.getUUID("id");
        Buffer sealed = why == null ? null : texts.seal(texts.key(row.getUUID("side"), row), why);
        return tx.query(DECIDE, Tuple.of(id, state, tx.principal().subject(), identity, sealed))
                .compose(v -> again(tx, id));
    }

    Future<Row> withdraw(Tx tx, Row row) {
        UUID id = row.getUUID("id");
        return tx.query(WITHDRAW, Tuple.of(id)).compose(v -> again(tx, id));
    }

    private static Future<Row> again(Tx tx, UUID id) {
        return tx.row(READ + "WHERE r.id = $1", Tuple.of(id), NOT_FOUND);
    }
}
