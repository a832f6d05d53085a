package io.kehu.customer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.identity.IdentityRules;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * SQL of lists and searches. First the hits are found, as far as possible in the order of the list and from indexes alone;
 * only those of the page are then read and opened:
 *
 * <pre>
 * SELECT ... FROM (hits: seq in order, LIMIT) h JOIN customer, sealed, data_key
 * hits of a name: one ordered scan of search_token per way to read the text, UNION; of one way the customers themselves
 * </pre>
 *
 * <p>A name alone is found the same way whatever it is: its plan is kept, because to plan it costs three times the search.
 *
 * <p>Several filters at once may have hits everywhere or nowhere, and the planner, which takes them for independent, bets
 * on everywhere: it walks in the order of the list until the page is full, at worst over all customers. So that walk is
 * bounded ({@link Walk}), and where it does not fill the page the hits are gathered from the filters' own indexes.
 */
final class CustomerSearchStore {
    private static final String COLUMNS = CustomerStore.columns(Fact.LISTED);
    private static final String ITEM = "SELECT " + COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM %s
            LEFT JOIN customer.sealed s ON s.id = c.id AND c.deleted_at IS NULL
            LEFT JOIN kehu.data_key k ON k.subject_id = c.id
            ORDER BY %s""";

    /** Some twenty milliseconds of reading at worst; one hit among a thousand fills a page within it. */
    private static final long NEARBY = 20_000;

    /** What can be filtered by, and what names one customer or a few: words of the contract. */
    private static final List<Set<String>> FILTERS = List.of(
            Set.of("kind"),
            Set.of("city"),
            Set.of("tier"),
            Set.of("lifecycle"),
            Set.of("risk"),
            Set.of("ageFrom", "ageTo"),
            Set.of("assetsFrom", "assetsTo"),
            Set.of("managerId"),
            Set.of("branchId"));

    private static final Set<String> LOOKED_UP = Set.of("number", "idNumber", "phone", "email", "externalId");

    private final Database database;
    private final CustomerSeals seals;
    private final UnaryOperator<byte[]> mac;

    CustomerSearchStore(Database database, CustomerSeals seals, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.seals = seals;
        this.mac = mac;
    }

    /** The orders of a list. Every one ends with seq, which makes it total. */
    private enum Sort {
        NEWEST("%s.seq DESC"),
        OLDEST("%s.seq"),
        ASSETS("%s.assets DESC, %<s.seq DESC"),
        UPDATED("%s.valid_from, %<s.seq");

        private final String order;

        Sort(String order) {
            this.order = order;
        }

        static Sort of(ObjectNode terms) {
            return terms.has("sort")
                    ? valueOf(terms.get("sort").textValue().toUpperCase(java.util.Locale.ROOT))
                    : terms.has("updatedSince") ? UPDATED : NEWEST;
        }

        boolean isEntry() {
            return this == NEWEST || this == OLDEST;
        }

        /** Only rows that were entered next to the last one of the page before, or next to the beginning of the list. */
        void near(Where where, List<String> keys) {
            if (this == OLDEST) {
                where.and("c.seq <= ?", (keys.isEmpty() ? 0 : Long.parseLong(keys.get(0))) + NEARBY);
            } else if (keys.isEmpty()) {
                where.and("c.seq > (SELECT max(n.seq) FROM customer.customer n) - ?", NEARBY);
            } else {
                where.and("c.seq > ?", Long.parseLong(keys.get(0)) - NEARBY);
            }
        }

        String by(String alias) {
            return String.format(order, alias);
        }

        /** Rows after the last one of the page before. */
        void after(Where where, List<String> keys, String seq) {
            if (keys.isEmpty()) {
                return;
            }
            switch (this) {
                case NEWEST -> where.and(seq + " < ?", Long.valueOf(keys.get(0)));
                case OLDEST -> where.and(seq + " > ?", Long.valueOf(keys.get(0)));
                case ASSETS ->
                    where.and("(c.assets, c.seq) < (?, ?)", new BigDecimal(keys.get(1)), Long.valueOf(keys.get(0)));
                case UPDATED ->
                    where.and(
                            "(c.valid_from, c.seq) > (?, ?)",
                            OffsetDateTime.parse(keys.get(1)),
                            Long.valueOf(keys.get(0)));
            }
        }

        List<String> keys(Row row) {
            String seq = row.getLong("seq").toString();
            return switch (this) {
                case NEWEST, OLDEST -> List.of(seq);
                case ASSETS -> List.of(seq, row.getBigDecimal("assets").toPlainString());
                case UPDATED -> List.of(seq, row.getOffsetDateTime("valid_from").toString());
            };
        }
    }

    /**
     * One page of what fits all terms and filters.
     *
     * @param terms the parameters of listCustomers or the body of searchCustomers: the names are the same
     * @param today in the bank's zone
     */
    Future<Reply> page(Call call, ObjectNode terms, LocalDate today, Customer.View view) {
        Page page = Page.of(call, mac);
        Sort sort = Sort.of(terms);
        Search search = new Search(call, terms, today, page, sort, alternatives(terms));
        String name = terms.path("name").textValue();
        boolean exact = terms.path("exact").asBoolean();
        Future<RowSet<Row>> found = search.isMixed()
                ? rows(search, Walk.NEAR)
                        .compose(near ->
                                near.size() == page.fetch() ? Future.succeededFuture(near) : rows(search, Walk.NONE))
                : rows(search, Walk.ALL);
        return found.map(rows -> Reply.ok(page.write(rows, sort::keys, (json, row) -> {
            Customer customer =
                    Customer.from(row, Fact.LISTED, seals.open(row, CustomerStore.FIRST_FACT + Fact.LISTED.size()));
            if (name == null || CustomerSeals.isMeant(customer.personal().head().name(), name, exact)) {
                customer.toItem(json, view);
            }
        })));
    }

    /** How far hits are looked for in the order of the list. */
    private enum Walk {
        /** Until the page is full. */
        ALL,
        /** Among the next {@link #NEARBY} in the order of entry. */
        NEAR,
        /** Not at all: what the filters' indexes give is gathered and then sorted. */
        NONE
    }

    /** One request for a page. */
    private record Search(
            Call call, ObjectNode terms, LocalDate today, Page page, Sort sort, List<int[]> alternatives) {
        /** Whether one token or another decides it all, as much for who asks as for what is asked. */
        boolean isNameAlone() {
            return !alternatives.isEmpty()
                    && alternatives.stream().allMatch(tokens -> tokens.length == 1)
                    && filters() == 0
                    && !terms.has("updatedSince")
                    && call.principal().scope() == Principal.Scope.ALL
                    && isWalk();
        }

        /** Whether hits may be far apart although each filter has many. */
        boolean isMixed() {
            return alternatives.isEmpty() && filters() > 1 && isWalk();
        }

        /** Whether the list is in the order of entry and nothing in it is looked up. */
        private boolean isWalk() {
            return sort.isEntry() && LOOKED_UP.stream().noneMatch(terms::has);
        }

        private long filters() {
            return FILTERS.stream()
                    .filter(names -> names.stream().anyMatch(terms::has))
                    .count();
        }
    }

    private Future<RowSet<Row>> rows(Search search, Walk walk) {
        Sort sort = search.sort;
        String seq = search.alternatives.isEmpty() ? "c.seq" : "t0.seq";
        Where where = Where.inScopeOf(search.call.principal(), "c.branch_id", "c.manager_id");
        filter(where, search.terms, search.today);
        look(where, search.terms, search.today);
        if (sort == Sort.ASSETS) {
            where.and("c.assets IS NOT NULL");
        }
        List<String> after = search.page.after();
        sort.after(where, after, seq);
        if (walk == Walk.NEAR) {
            sort.near(where, after);
        }
        String hits = hits(
                where,
                search.alternatives,
                sort,
                walk == Walk.NONE ? "c.seq + 0" : seq,
                where.bind(search.page.fetch()));
        String statement = String.format(ITEM, hits, sort.by("c"));
        return search.isNameAlone()
                ? database.query(Call.Lane.POINT, statement, where.values())
                : database.query(search.call, statement, where.values());
    }

    /** The ways in which tokens can qualify a customer: each of the name, with the last four digits where they are given. */
    private List<int[]> alternatives(ObjectNode terms) {
        List<int[]> alternatives = new ArrayList<>();
        if (terms.has("name")) {
            alternatives.addAll(seals.wanted(
                    terms.get("name").textValue(), terms.path("exact").asBoolean()));
            if (alternatives.isEmpty()) {
                throw Problem.at("/name", "field.tooVague");
            }
        }
        if (terms.has("lastFour")) {
            int token = seals.lastFour(terms.get("lastFour").textValue());
            if (alternatives.isEmpty()) {
                alternatives.add(new int[] {token});
            } else {
                alternatives.replaceAll(tokens -> {
                    int[] more = java.util.Arrays.copyOf(tokens, tokens.length + 1);
                    more[tokens.length] = token;
                    return more;
                });
            }
        }
        return alternatives;
    }

    private static String hits(Where where, List<int[]> alternatives, Sort sort, String seq, String limit) {
        boolean bySeq = sort.isEntry();
        String keys = bySeq ? "" : sort == Sort.ASSETS ? ", c.assets" : ", c.valid_from";
        String order = bySeq ? seq + (sort == Sort.NEWEST ? " DESC" : "") : sort.by("c");
        List<String> ways = new ArrayList<>();
        for (int[] tokens : alternatives) {
            StringBuilder way = new StringBuilder("SELECT ")
                    .append(alternatives.size() == 1 ? COLUMNS : "t0.seq" + keys)
                    .append(" FROM customer.search_token t0");
            for (int i = 1; i < tokens.length; i++) {
                way.append(" JOIN customer.search_token t")
                        .append(i)
                        .append(" ON t")
                        .append(i)
                        .append(".seq = t0.seq");
                way.append(" AND t").append(i).append(".token = ").append(where.bind(tokens[i]));
            }
            String condition = where.sql().isEmpty() ? "WHERE " : where.sql() + " AND ";
            way.append(" JOIN customer.customer c ON c.seq = t0.seq ").append(condition);
            way.append("t0.token = ").append(where.bind(tokens[0]));
            ways.add(way + " ORDER BY " + order + " LIMIT " + limit);
        }
        if (ways.size() == 1) {
            return "(" + ways.get(0) + ") c";
        }
        String seqs = ways.isEmpty()
                ? "SELECT c.seq FROM customer.customer c " + where.sql() + " ORDER BY " + order + " LIMIT " + limit
                : "SELECT u.seq FROM ((" + String.join(") UNION (", ways) + ")) u ORDER BY " + sort.by("u") + " LIMIT "
                        + limit;
        return "(" + seqs + ") h JOIN customer.customer c ON c.seq = h.seq";
    }

    private static void filter(Where where, ObjectNode terms, LocalDate today) {
        if (terms.has("updatedSince")) {
            where.and(
                    "c.valid_from >= ?",
                    OffsetDateTime.parse(terms.get("updatedSince").textValue()));
        } else {
            where.and("c.deleted_at IS NULL");
        }
        where.andIf("c.kind = ?", terms.path("kind").textValue());
        String city = terms.path("city").textValue();
        if (city != null) {
            where.and(
                    switch (city.length()) {
                        case 2 -> "left(c.region_code, 2) = ?";
                        case 4 -> "left(c.region_code, 4) = ?";
                        default -> "c.region_code = ?";
                    },
                    city);
        }
        words(where, "c.tier", terms.path("tier"));
        words(where, "c.lifecycle", terms.path("lifecycle"));
        words(where, "c.risk", terms.path("risk"));
        if (terms.has("ageFrom")) {
            where.and("c.birth_date <= ?", today.minusYears(terms.get("ageFrom").intValue()));
        }
        if (terms.has("ageTo")) {
            where.and("c.birth_date > ?", today.minusYears(terms.get("ageTo").intValue() + 1L));
        }
        where.andIf("c.assets >= ?", money(terms, "assetsFrom"));
        where.andIf("c.assets <= ?", money(terms, "assetsTo"));
        where.andIf("c.manager_id = ?", id(terms, "managerId"));
        where.andIf("c.branch_id = ?", id(terms, "branchId"));
    }

    /** One word can use the order of its index, several cannot: two texts. */
    private static void words(Where where, String column, JsonNode words) {
        if (words.size() == 1) {
            where.and(column + " = ?", words.get(0).textValue());
        } else if (words.size() > 1) {
            where.and(column + " = ANY(?)", (Object)
                    words.valueStream().map(JsonNode::textValue).toArray(String[]::new));
        }
    }

    private void look(Where where, ObjectNode terms, LocalDate today) {
        if (terms.has("number")) {
            long seq = Customer.seqOf(terms.get("number").textValue());
            if (seq < 0) {
                throw Problem.at("/number", IdentityRules.CHECKSUM);
            }
            where.and("c.seq = ?", seq);
        }
        if (terms.has("idNumber")) {
            List<CustomerSeals.Blind> readings =
                    seals.anyDocument(terms.get("idNumber").textValue(), today);
            if (readings.isEmpty()) {
                throw Problem.at("/idNumber", IdentityRules.FORMAT, "idNumber");
            }
            blind(where, "document", readings);
        }
        if (terms.has("phone")) {
            String phone = IdentityRules.normalPhone(terms.get("phone").textValue());
            if (IdentityRules.phone(phone) != null) {
                throw Problem.at("/phone", IdentityRules.FORMAT, "phone");
            }
            blind(where, "phone", List.of(seals.phone(phone)));
        }
        if (terms.has("email")) {
            blind(
                    where,
                    "email",
                    List.of(seals.email(
                            IdentityRules.normalEmail(terms.get("email").textValue()))));
        }
        JsonNode external = terms.path("externalId");
        if (external.isObject()) {
            blind(
                    where,
                    "external",
                    List.of(seals.external(
                            external.get("source").textValue(),
                            external.get("id").textValue())));
        }
    }

    private static void blind(Where where, String kind, List<CustomerSeals.Blind> readings) {
        // The kind is a constant of the program and stands in the text, so that the partial index can be chosen.
        where.and(
                "c.seq IN (SELECT b.seq FROM customer.blind b WHERE b.kind = '" + kind + "' AND b.value = ANY(?))",
                (Object) readings.stream().map(CustomerSeals.Blind::value).toArray(Buffer[]::new));
    }

    private static @Nullable BigDecimal money(ObjectNode terms, String field) {
        String text = terms.path(field).textValue();
        return text == null ? null : new BigDecimal(text);
    }

    private static @Nullable UUID id(ObjectNode terms, String field) {
        String text = terms.path(field).textValue();
        return text == null ? null : UUID.fromString(text);
    }
}
