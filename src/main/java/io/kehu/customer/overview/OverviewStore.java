package io.kehu.customer.overview;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.customer.CustomerBrief;
import io.kehu.customer.CustomerSeals;
import io.kehu.sql.Database;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * SQL of the sections. All of them are one statement: one each would take a dozen connections at once for what together is a
 * few dozen look-ups in indexes. Of a record of several sides each side is looked up by itself, so that the newest come in the
 * order of an index, and a customer of ten years costs no more than a new one.
 */
final class OverviewStore {
    private static final int SHOWN = 5;
    private static final int COUNTED = 100;

    private static final String VIEWS = """
            SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'customer' AND c.relkind = 'v' AND c.relname = ANY ($1)""";

    /** The newest of a section, and in a row of its own how many there are. */
    private static final String PART = """
            (SELECT '%1$s' AS section, NULL::int AS rows, o.id, o.at, o.item::text AS item, %2$s AS other
             FROM customer.overview_%1$s o%3$s o.customer_id = i.id ORDER BY o.at DESC, o.id DESC LIMIT 5)
            UNION ALL
            SELECT '%1$s', count(*)::int, NULL, NULL, NULL, NULL
            FROM (SELECT FROM customer.overview_%1$s o%3$s o.customer_id = i.id LIMIT 101) n
            """;

    private static final String OTHER =
            " JOIN customer.customer c ON c.id = customer.root((o.item ->> 'customerId')::uuid) ";

    private static final String WHOLE = "SELECT w.id AS root, u.section, u.rows, u.id, u.at, u.item, u.other, "
            + CustomerBrief.COLUMNS + """

            FROM (SELECT c.id FROM customer.customer c %s AND c.id = customer.root(%s)) w
            CROSS JOIN LATERAL customer.sides(w.id) i(id)
            CROSS JOIN LATERAL (%s) u
            LEFT JOIN customer.customer c ON c.id = u.other
            """ + CustomerBrief.JOINS;

    private final Database database;
    private final CustomerSeals seals;
    /** Which sections have a view; asked once, because only a migration makes one. */
    private volatile @Nullable Set<Section> there;

    OverviewStore(Database database, CustomerSeals seals) {
        this.database = database;
        this.seals = seals;
    }

    /**
     * What the caller may see.
     *
     * @param root the record that the id stands for; null where no section was asked for
     */
    record Sections(@Nullable UUID root, Map<Section, Shown> shown) {}

    /** The newest of one section, and how many there are up to one more than are counted. */
    record Shown(long rows, List<Item> items) {
        static Shown empty() {
            return new Shown(0, new ArrayList<>());
        }

        /** Those of several sides together. */
        Shown with(Item item) {
            items.add(item);
            return this;
        }

        Shown and(long more) {
            return new Shown(rows + more, items);
        }

        void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeStringField("count", rows > COUNTED ? COUNTED + "+" : Long.toString(rows));
            json.writeArrayFieldStart("items");
            items.sort(Comparator.comparing(Item::at).thenComparing(Item::key).reversed());
            for (Item item : items.subList(0, Math.min(SHOWN, items.size()))) {
                item.toJson(json);
            }
            json.writeEndArray();
            json.writeEndObject();
        }
    }

    /**
     * @param item JSON as the owner of the data made it
     * @param other the customer it concerns beside this one
     */
    record Item(
            UUID id,
            OffsetDateTime at,
            String item,
            @Nullable CustomerBrief other) {
        String key() {
            return id.toString();
        }

        private void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeStringField("id", key());
            json.writeStringField("at", Json.instant(at));
            json.writeFieldName("item");
            if (other == null) {
                json.writeRawValue(item);
            } else {
                var fields = Json.read(item);
                fields.remove("customerId");
                json.writeStartObject();
                json.writeFieldName("customer");
                other.toJson(json);
                for (var field : fields.properties()) {
                    json.writeFieldName(field.getKey());
                    json.writeTree(field.getValue());
                }
                json.writeEndObject();
            }
            json.writeEndObject();
        }
    }

    /** All that the caller may see of a customer in scope. Fails with {@code customer.notFound}. */
    Future<Sections> sections(Call call, UUID customer) {
        return there(call).compose(known -> {
            Map<Section, Shown> shown = new EnumMap<>(Section.class);
            Set<Section> asked = EnumSet.noneOf(Section.class);
            for (Section section : Section.values()) {
                if (!known.contains(section)) {
                    shown.put(section, Shown.empty());
                } else if (call.principal().may(section.permission())) {
                    shown.put(section, Shown.empty());
                    asked.add(section);
                }
            }
            return asked.isEmpty()
                    ? Future.succeededFuture(new Sections(null, shown))
                    : read(call, customer, asked, shown);
        });
    }

    private Future<Sections> read(Call call, UUID customer, Set<Section> asked, Map<Section, Shown> shown) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
        String scope = where.sql();
        String parts = String.join(
                "UNION ALL ",
                asked.stream().map(section -> part(section, scope)).toList());
        String sql = WHOLE.formatted(scope, where.bind(customer), parts);
        return database.query(call, sql, where.values())
                .compose(rows -> rows.size() == 0
                        ? Future.failedFuture(Problem.of("customer.notFound"))
                        : Future.succeededFuture(gathered(rows, shown)));
    }

    private static String part(Section section, String scope) {
        return switch (section.other()) {
            case NONE -> PART.formatted(section.field(), "NULL::uuid", " WHERE");
            case ANYBODY -> PART.formatted(section.field(), "c.id", OTHER + scope + " AND");
            case SOMEBODY_ELSE -> PART.formatted(section.field(), "c.id", OTHER + scope + " AND c.id <> w.id AND");
        };
    }

    private Sections gathered(RowSet<Row> rows, Map<Section, Shown> shown) {
        UUID root = null;
        for (Row row : rows) {
            root = row.getUUID("root");
            Section section = Section.of(row.getString("section"));
            Shown before = shown.getOrDefault(section, Shown.empty());
            Integer count = row.getInteger("rows");
            shown.put(section, count == null ? before.with(item(row)) : before.and(count));
        }
        return new Sections(root, shown);
    }

    private Item item(Row row) {
        return new Item(
                row.getUUID("id"),
                row.getOffsetDateTime("at"),
                row.getString("item"),
                row.getUUID("other") == null ? null : CustomerBrief.from(row, seals));
    }

    private Future<Set<Section>> there(Call call) {
        if (there != null) {
            return Future.succeededFuture(there);
        }
        String[] names =
                EnumSet.allOf(Section.class).stream().map(Section::view).toArray(String[]::new);
        return database.query(call, VIEWS, Tuple.of((Object) names)).map(rows -> {
            Set<Section> found = EnumSet.noneOf(Section.class);
            rows.forEach(row -> found.add(Section.of(row.getString(0).substring("overview_".length()))));
            there = found;
            return found;
        });
    }
}
