package io.kehu.customer.consent;

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
import java.time.OffsetDateTime;
import java.util.HexFormat;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of consents. */
final class ConsentStore {
    private static final String COLUMNS =
            "c.id, c.customer_id, c.purpose, c.channel, c.state, c.source, c.at, c.expires_at, c.document_id,"
                    + " c.interaction_id, c.text_hash, c.version, c.valid_from";
    private static final String INSERT = """
            INSERT INTO customer.consent AS c (id, customer_id, purpose, channel, state, source, at, expires_at, document_id,
                                               interaction_id, text_hash)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING\s""" + COLUMNS;
    private static final String ANSWER = """
            SELECT a.allowed, a.reason, a.consent_id, n.at
            FROM (SELECT kehu.now() AS at) n, customer.contact_answers(ARRAY[$1::uuid], $2, $3, n.at) a""";
    private static final String PURPOSES =
            "SELECT code, name_en, name_zh, allowed_without, always FROM customer.consent_purpose ";

    private final Database database;

    ConsentStore(Database database) {
        this.database = database;
    }

    /** @param customer the record that stands for all its sides, in scope */
    Future<RowSet<Row>> list(Call call, UUID customer, @Nullable OffsetDateTime asOf, Page page) {
        Where where = Where.ofAll().and("c.customer_id IN (SELECT customer.sides(?))", customer);
        where.andIf("c.purpose = ?", call.text("purpose"));
        where.andIf("c.channel = ?", call.text("channel"));
        where.andIf("c.valid_from <= ?", asOf);
        where.andIf("c.valid_to > ?", asOf);
        if (!page.after().isEmpty()) {
            where.and(
                    "(c.at, c.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        String table = asOf == null ? "customer.consent" : "customer.consent_all";
        String sql = "SELECT " + COLUMNS + " FROM " + table + " c " + where.sql()
                + " ORDER BY c.at DESC, c.id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<Consent> insert(Tx tx, Consent draft) {
        String hash = draft.textHash();
        Tuple values = Tuple.of(draft.id(), draft.customerId(), draft.purpose(), draft.channel(), draft.state())
                .addString(draft.source())
                .addOffsetDateTime(draft.at())
                .addOffsetDateTime(draft.expiresAt())
                .addUUID(draft.documentId())
                .addUUID(draft.interactionId())
                .addBuffer(hash == null ? null : Buffer.buffer(HexFormat.of().parseHex(hash)));
        return tx.row(INSERT, values, "server.failure").map(Consent::from);
    }

    Future<Row> answer(Call call, UUID customer) {
        return database.row(
                call, ANSWER, Tuple.of(customer, call.text("purpose"), call.text("channel")), "customer.notFound");
    }

    /** Fails with {@code consent.purposeUnknown}. */
    Future<Void> mustBePurpose(Call call) {
        return database.row(
                        call, PURPOSES + "WHERE code = $1", Tuple.of(call.text("purpose")), "consent.purposeUnknown")
                .mapEmpty();
    }

    Future<RowSet<Row>> purposes(Call call) {
        return database.query(call, PURPOSES + "ORDER BY code", Tuple.tuple());
    }
}
