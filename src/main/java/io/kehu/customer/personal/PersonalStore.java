package io.kehu.customer.personal;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL over the views that say what there is about a customer. */
final class PersonalStore {
    private static final String CLASS = "C2";
    private static final int PAGE = 5_000;
    /** Of the rows of a page in memory, where it is more than one row. */
    private static final int BYTES = 1_000_000;
    /** As many rows of a page as are not too long together. Each page sorts all that is left, so of short rows there are many in one. */
    private static final String PIECE = """
            SELECT * FROM (
                SELECT p.*, count(*) OVER () AS read, row_number() OVER w AS place,
                       sum(octet_length(p.item) + coalesce(octet_length(p.sealed), 0)) OVER w AS bytes
                FROM (%s) p WINDOW w AS (ORDER BY p.at, p.id, p.customer_id ROWS UNBOUNDED PRECEDING)) q
            WHERE q.bytes <= %d OR q.place = 1 ORDER BY q.at, q.id, q.customer_id""";
    /** What the bank thinks of somebody, and the names of its staff, are not for himself. */
    private static final Set<String> NOT_HIS =
            Set.of("tier", "lifecycle", "risk", "annualIncome", "assets", "liabilities", "managerId", "staffId");

    /** A section's own view, or the one for the overview where it has none. */
    private static final String SECTIONS = """
            SELECT DISTINCT ON (section) section, name FROM (
                SELECT regexp_replace(c.relname, '^(personal|overview)_', '') AS section, c.relname::text AS name
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'customer' AND c.relkind = 'v' AND c.relname ~ '^(personal|overview)_[a-z_]+$'
                  AND has_table_privilege(c.oid, 'SELECT')) v
            ORDER BY section, name DESC""";

    private static final String KEYS = """
            SELECT s.id, k.epoch, k.wrapped, kehu.now() AS now
            FROM customer.sides($1) s(id) LEFT JOIN kehu.data_key k ON k.subject_id = s.id""";
    private static final String ROOT =
            "SELECT c.id FROM customer.customer c WHERE c.id = customer.root($1) AND c.deleted_at IS NULL";
    private static final String VERSION = "SELECT version FROM customer.customer WHERE id = $1";
    private static final String COUNT = """
            INSERT INTO customer.personal_export AS e (subject_id, day, used)
            VALUES ($1, (kehu.now() AT TIME ZONE $2)::date, 1)
            ON CONFLICT (subject_id, day) DO UPDATE SET used = e.used + 1 WHERE e.used < $3
            RETURNING used""";

    private final Database database;
    private final Vault vault;
    private final String zone;

    PersonalStore(Database database, Vault vault, String zone) {
        this.database = database;
        this.vault = vault;
        this.zone = zone;
    }

    /** Fails with {@code customer.notFound}. */
    Future<UUID> root(Call call, UUID side) {
        return database.row(call, ROOT, Tuple.of(side), "customer.notFound").map(row -> row.getUUID("id"));
    }

    Future<Long> version(Tx tx, UUID customer) {
        return tx.row(VERSION, Tuple.of(customer), "customer.notFound").map(row -> row.getLong("version"));
    }

    /** Counts one file; {@code personal.quota} where the day's quota is used up. */
    Future<Void> count(Tx tx, int perDay) {
        return tx.row(COUNT, Tuple.of(tx.principal().subject(), zone, perDay), "personal.quota")
                .mapEmpty();
    }

    private record Section(String name, String view) {}

    /** @param own whether the customer himself asks */
    Future<Reading> begin(Call call, UUID customer, boolean own) {
        return database.query(call, SECTIONS, Tuple.tuple())
                .compose(sections -> database.query(call, KEYS, Tuple.of(customer))
                        .map(keys -> {
                            Deque<Section> left = new ArrayDeque<>();
                            sections.forEach(row -> {
                                if (!own || row.getString("name").startsWith("personal_")) {
                                    left.add(new Section(row.getString("section"), row.getString("name")));
                                }
                            });
                            return new Reading(call, customer, own, left, keys);
                        }));
    }

    /** One document on its way, section by section and page by page. */
    final class Reading {
        private final Call call;
        private final UUID customer;
        private final boolean own;
        private final Deque<Section> left;
        private final List<UUID> sides = new ArrayList<>();
        private final List<Row> keys = new ArrayList<>();
        private final OffsetDateTime at;
        private @Nullable Section now;
        private @Nullable Row last;
        private boolean begun;
        private boolean first = true;
        private boolean ended;

        private Reading(Call call, UUID customer, boolean own, Deque<Section> left, RowSet<Row> keys) {
            this.call = call;
            this.customer = customer;
            this.own = own;
            this.left = left;
            keys.forEach(row -> {
                sides.add(row.getUUID("id"));
                this.keys.add(row);
            });
            this.at = this.keys.get(0).getOffsetDateTime("now");
        }

        OffsetDateTime at() {
            return at;
        }

        /** The next piece of the document; null behind its end. */
        Future<@Nullable Buffer> next() {
            if (ended) {
                return Future.succeededFuture(null);
            }
            String before = "";
            if (!begun) {
                begun = true;
                before = "{\"format\":\"kehu.personal-data/1\",\"customerId\":\"" + customer + "\",\"exportedAt\":\""
                        + Json.instant(at) + "\",\"sections\":{";
            }
            if (now == null) {
                now = left.poll();
                if (now == null) {
                    ended = true;
                    return Future.succeededFuture(Buffer.buffer(before + "}}"));
                }
                before += (first ? "" : ",") + "\"" + camel(now.name) + "\":[";
                first = false;
                last = null;
            }
            Buffer piece = Buffer.buffer(before);
            boolean follows = last != null;
            return page(now).map(rows -> piece.appendBuffer(items(rows, follows)));
        }

        private Future<RowSet<Row>> page(Section section) {
            boolean sealed = section.view.startsWith("personal_");
            String rows = "SELECT v.customer_id, v.at, v.id, coalesce(v.item, '{}')::text AS item, "
                    + (sealed ? "v.sealed, v.sealed_for" : "NULL::bytea AS sealed, NULL::text AS sealed_for")
                    + " FROM customer." + section.view + " v WHERE v.customer_id = ANY($1)"
                    + (last == null ? "" : " AND (v.at, v.id, v.customer_id) > ($2, $3, $4)")
                    + " ORDER BY v.at, v.id, v.customer_id LIMIT " + PAGE;
            Tuple values = Tuple.tuple().addArrayOfUUID(sides.toArray(UUID[]::new));
            if (last != null) {
                values.addOffsetDateTime(last.getOffsetDateTime("at"))
                        .addUUID(last.getUUID("id"))
                        .addUUID(last.getUUID("customer_id"));
            }
            return database.query(call, PIECE.formatted(rows, BYTES), values);
        }

        private Buffer items(RowSet<Row> rows, boolean follows) {
            Buffer text = Buffer.buffer();
            boolean more = follows;
            for (Row row : rows) {
                text.appendString(more ? "," : "").appendBuffer(Json.write(json -> item(json, row)));
                more = true;
                last = row;
            }
            long read = rows.size() == 0 ? 0 : rows.iterator().next().getLong("read");
            if (read == rows.size() && read < PAGE) {
                now = null;
                text.appendString("]");
            }
            return text;
        }

        private void item(JsonGenerator json, Row row) throws IOException {
            json.writeStartObject();
            json.writeStringField("id", row.getUUID("id").toString());
            json.writeStringField("customerId", row.getUUID("customer_id").toString());
            json.writeStringField("at", Json.instant(row.getOffsetDateTime("at")));
            fields(json, Json.read(row.getString("item")));
            Buffer sealed = row.getBuffer("sealed");
            if (sealed != null && sealed.length() > 0) {
                opened(json, row, sealed);
            }
            json.writeEndObject();
        }

        private void opened(JsonGenerator json, Row row, Buffer sealed) throws IOException {
            for (Row key : keys) {
                if (key.getUUID("id").equals(row.getUUID("customer_id")) && key.getBuffer("wrapped") != null) {
                    Vault.Key open = vault.key(
                            key.getUUID("id"),
                            key.getInteger("epoch"),
                            key.getBuffer("wrapped").getBytes());
                    byte[] plain = vault.open(open, row.getString("sealed_for"), CLASS, sealed.getBytes());
                    personal(json, new String(plain, StandardCharsets.UTF_8));
                }
            }
        }

        private void personal(JsonGenerator json, String plain) throws IOException {
            JsonNode node = null;
            if (plain.startsWith("{")) {
                try {
                    node = Json.parse(Buffer.buffer(plain));
                } catch (Problem e) {
                    // A text that only looks like it.
                    node = null;
                }
            }
            if (node instanceof ObjectNode object) {
                fields(json, object);
            } else {
                json.writeStringField("text", plain);
            }
        }

        private void fields(JsonGenerator json, ObjectNode object) throws IOException {
            for (var field : object.properties()) {
                String name = camel(field.getKey());
                if (own && NOT_HIS.contains(name)) {
                    continue;
                }
                json.writeFieldName(name);
                JsonNode value = field.getValue();
                if (value.isBigDecimal()) {
                    BigDecimal money = value.decimalValue(); // without its zeros, as it was read
                    json.writeString(money.setScale(Math.max(2, money.scale())).toPlainString());
                } else {
                    json.writeTree(value);
                }
            }
        }
    }

    private static String camel(String snake) {
        StringBuilder name = new StringBuilder();
        for (String word : snake.split("_", -1)) {
            name.append(
                    name.isEmpty() || word.isEmpty()
                            ? word
                            : Character.toUpperCase(word.charAt(0)) + word.substring(1));
        }
        return name.toString();
    }
}
