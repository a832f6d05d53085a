package io.kehu.customer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Reply;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * SQL of lists and searches. First the hits are found, as far as possible in the order of the list and from indexes alone;
 * only those of the page are then read and opened:
 *
 * <pre>
 * SELECT ... FROM (hits: seq in order, LIMIT) h JOIN customer, sealed, data_key
 * hits of a name: one ordered scan of search_token per way to read the text, UNION; of one way the customers themselves
 * hits of several words of one filter: one ordered scan per word, UNION
 * </pre>
 *
 * <p>The plan of a search for a name alone is kept, because to plan it costs three times the search. Who sees all finds it
 * the same way whatever the name is. For others one name may be rare in the bank and another one among many that are not
 * theirs: so a bounded number of those who have it is looked at ({@link Walk#KEPT}), and where that does not decide the page
 * the search is planned for the very values.
 *
 * <p>Several filters at once may have hits everywhere or nowhere, and the planner, which takes them for independent, bets
 * on everywhere: it walks in the order of the list until the page is full, at worst over all customers. So that walk is
 * bounded ({@link Walk#NEAR}), and where it does not fill the page the hits are gathered from the filters' own indexes.
 */
final class CustomerSearchStore {
    /** What {@link CustomerItem} reads by place. */
    private static final String COLUMNS = "c.id, c.seq, c.branch_id, c.manager_id, c.version, c.valid_from, "
            + CustomerStore.columns(CustomerItem.FACTS);

    private static final String ITEM = "SELECT " + COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM %s
            LEFT JOIN customer.sealed s ON s.id = c.id
            LEFT JOIN kehu.data_key k ON k.subject_id = c.id
            ORDER BY %s""";
    /** The same where deleted customers are among the hits. */
    private static final String ITEM_OR_DELETED = "SELECT " + COLUMNS + """
            , s.personal, k.epoch, k.wrapped, c.deleted_at
            FROM %s
            LEFT JOIN customer.sealed s ON s.id = c.id AND c.deleted_at IS NULL
            LEFT JOIN kehu.data_key k ON k.subject_id = c.id
            ORDER BY %s""";

    private static final String NEWEST = "(SELECT max(c.seq) FROM customer.customer c)";

    /** Some twenty milliseconds of reading at worst; one hit among a thousand fills a page within it. */
    private static final long NEARBY = 20_000;
    /** Of those who have a token; to look whether one is in scope takes about a microsecond. */
    private static final int LOOKED_AT = 2_000;

    private final Database database;
    private final CustomerSeals seals;
    private final CustomerTermStore conditions;
    private final UnaryOperator<byte[]> mac;

    CustomerSearchStore(Database database, CustomerSeals seals, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.seals = seals;
        this.conditions = new CustomerTermStore(seals);
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

        /**
         * Only rows that were entered next to the last one of the page before, or next to the beginning of the list.
         *
         * @param newest who can be a hit, an expression
         */
        void near(Where where, List<String> keys, String newest) {
            if (this == OLDEST) {
                where.and("c.seq <= ?", (keys.isEmpty() ? 0 : Long.parseLong(keys.get(0))) + NEARBY);
            } else if (keys.isEmpty()) {
                where.and("c.seq > " + newest + " - ?", NEARBY);
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
     * @param filter which must fit, too: that of the terms, or everybody
     * @param moment of the question
     */
    Future<Reply> page(Call call, ObjectNode terms, Filter filter, Moment moment, Customer.View view) {
        Page page = Page.of(call, mac);
        Sort sort = Sort.of(terms);
        Search search = new Search(call, terms, filter, moment, page, sort, conditions.alternatives(terms));
        String name = terms.path("name").textValue();
        Predicate<@Nullable String> meant = name == null
                ? any -> true
                : CustomerSeals.meant(name, terms.path("exact").asBoolean());
        return found(search)
                .map(rows -> Reply.ok(page.write(rows, sort::keys, (json, row) -> {
                    Personal.Head personal =
                            seals.open(row, CustomerItem.PERSONAL).head();
                    if (meant.test(personal.name())) {
                        CustomerItem.write(json, row, personal, view);
                    }
                })));
    }

    private Future<RowSet<Row>> found(Search search) {
        if (search.isNameAlone() && search.call.principal().scope() != Principal.Scope.ALL) {
            return rows(search, Walk.KEPT)
                    .compose(kept -> isDecided(kept) ? Future.succeededFuture(kept) : rows(search, Walk.ALL));
        }
        if (search.isMixed()) {
            return rows(search, Walk.NEAR)
                    .compose(near -> near.size() == search.page.fetch()
                            ? Future.succeededFuture(near)
                            : rows(search, Walk.NONE));
        }
        return rows(search, Walk.ALL);
    }

    /** Whether the first row is no mark of {@link #keptHits}. */
    private static boolean isDecided(RowSet<Row> rows) {
        return rows.size() == 0 || rows.iterator().next().getLong(CustomerItem.SEQ) != null;
    }

    /** How far hits are looked for in the order of the list. */
    private enum Walk {
        /** Until the page is full. */
        ALL,
        /** Among the next {@link #LOOKED_AT} who have the name, by a plan that is kept. */
        KEPT,
        /** Among the next {@link #NEARBY} in the order of entry. */
        NEAR,
        /** Not at all: what the filters' indexes give is gathered and then sorted. */
        NONE
    }

    /** One request for a page. */
    private record Search(
            Call call, ObjectNode terms, Filter filter, Moment moment, Page page, Sort sort, List<int[]> alternatives) {
        /** Whether one token or another decides it all, as much for who asks as for what is asked. */
        boolean isNameAlone() {
            return !alternatives.isEmpty()
                    && alternatives.stream().allMatch(tokens -> tokens.length == 1)
                    && CustomerTermStore.filters(terms) == 0
                    && !terms.has("updatedSince")
                    && isWalk();
        }

        /** Whether hits may be far apart although each filter has many. */
        boolean isMixed() {
            return alternatives.isEmpty() && CustomerTermStore.filters(terms) > 1 && isWalk();
        }

        /**
         * The filter with several words, where nothing else is asked: each word has an order of its own, and what the
         * newest customers are does not matter then.
         */
        @Nullable
        String words() {
            boolean alone = alternatives.isEmpty()
                    && CustomerTermStore.filters(terms) == 1
                    && !terms.has("updatedSince")
                    && isWalk()
                    && isOfAll();
            return alone ? CustomerTermStore.words(terms) : null;
        }

        /** Whether it is a name among the customers of one manager or one branch, which have an order of their own. */
        boolean isOfOnePlace() {
            Principal who = call.principal();
            return isNameAlone()
                    && (who.scope() == Principal.Scope.OWN
                            || (who.scope() == Principal.Scope.BRANCH
                                    && who.branchIds().size() == 1));
        }

        boolean isOfAll() {
            return call.principal().scope() == Principal.Scope.ALL;
        }

        /** Whether the list is in the order of entry and nothing in it is looked up. */
        private boolean isWalk() {
            return sort.isEntry() && !CustomerTermStore.isLookedUp(terms);
        }

        /** Whether the list also tells of customers who are gone. */
        boolean mayBeDeleted() {
            return terms.has("updatedSince");
        }
    }

    private Future<RowSet<Row>> rows(Search search, Walk walk) {
        Sort sort = search.sort;
        Where where = Where.inScopeOf(search.call.principal(), "c.branch_id", "c.manager_id", "c.id");
        String words = search.words();
        ObjectNode terms =
                words == null ? search.terms : search.terms.deepCopy().without(words);
        String newest = conditions.add(where, terms, search.filter, search.moment);
        if (sort == Sort.ASSETS) {
            where.and("c.assets IS NOT NULL");
        }
        List<String> after = search.page.after();
        boolean first = sort == Sort.NEWEST && after.isEmpty() && !search.mayBeDeleted();
        if (newest == null && search.isOfOnePlace()) {
            newest = "(SELECT max(c.seq) FROM customer.customer c " + where.sql() + ")";
        }
        if (walk == Walk.KEPT) {
            String begin = first && newest != null ? " AND t.seq <= " + newest : "";
            String statement =
                    String.format(ITEM, keptHits(where, search, begin, after), sort.by("c") + " NULLS FIRST");
            return database.query(Call.Lane.POINT, statement, where.values());
        }
        String seq = search.alternatives.isEmpty() ? "c.seq" : "t0.seq";
        sort.after(where, after, seq);
        if (walk == Walk.NEAR) {
            sort.near(where, after, newest == null ? NEWEST : newest);
        }
        if (newest != null && first && !search.alternatives.isEmpty()) {
            where.and("t0.seq <= " + newest);
        }
        String limit = where.bind(search.page.fetch());
        String hits = words == null
                ? hits(where, search, walk == Walk.NONE ? "c.seq + 0" : seq, limit)
                : hitsOfWords(where, search, words, limit);
        String statement = String.format(search.mayBeDeleted() ? ITEM_OR_DELETED : ITEM, hits, sort.by("c"));
        return search.isNameAlone() && search.isOfAll()
                ? database.query(Call.Lane.POINT, statement, where.values())
                : database.query(search.call, statement, where.values());
    }

    private static String hits(Where where, Search search, String seq, String limit) {
        Sort sort = search.sort;
        boolean bySeq = sort.isEntry();
        String keys = bySeq ? "" : sort == Sort.ASSETS ? ", c.assets" : ", c.valid_from";
        String order = bySeq ? seq + (sort == Sort.NEWEST ? " DESC" : "") : sort.by("c");
        List<int[]> alternatives = search.alternatives;
        // Whether somebody is in scope an index may say alone; all else needs the row, and then all of it at once.
        boolean whole = alternatives.size() == 1 && !(search.isNameAlone() && !search.isOfAll());
        List<String> ways = new ArrayList<>();
        for (int[] tokens : alternatives) {
            StringBuilder way = new StringBuilder("SELECT ")
                    .append(whole ? COLUMNS + ", c.deleted_at" : "t0.seq" + keys)
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
        if (whole) {
            return "(" + ways.get(0) + ") c";
        }
        return ways.isEmpty()
                ? ofSeqs("SELECT c.seq FROM customer.customer c " + where.sql() + " ORDER BY " + order + " LIMIT "
                        + limit)
                : ofSeqs(union(ways, sort.by("u"), limit));
    }

    /** One ordered scan per word of the filter. */
    private static String hitsOfWords(Where where, Search search, String field, String limit) {
        List<String> ways = new ArrayList<>();
        search.terms
                .get(field)
                .valueStream()
                .map(JsonNode::textValue)
                .distinct()
                .forEach(word -> {
                    String condition = where.sql().isEmpty() ? "WHERE " : where.sql() + " AND ";
                    ways.add("SELECT c.seq FROM customer.customer c " + condition + "c." + field + " = "
                            + where.bind(word) + " ORDER BY " + search.sort.by("c") + " LIMIT " + limit);
                });
        return ofSeqs(union(ways, search.sort.by("u"), limit));
    }

    /**
     * Hits among the next {@link #LOOKED_AT} who have a token. A way that these do not decide ends with a row of nothing,
     * which comes first of all: there are more, and the page is not full.
     *
     * @param begin a condition on t of a first page
     */
    private static String keptHits(Where where, Search search, String begin, List<String> after) {
        Sort sort = search.sort;
        String limit = where.bind(search.page.fetch());
        String further = after.isEmpty()
                ? begin
                : " AND t.seq " + (sort == Sort.NEWEST ? "< " : "> ") + where.bind(Long.valueOf(after.get(0)));
        List<String> ways = new ArrayList<>();
        for (int[] tokens : search.alternatives) {
            String having = " FROM customer.search_token t WHERE t.token = " + where.bind(tokens[0]) + further
                    + " ORDER BY " + sort.by("t");
            ways.add("(SELECT t0.seq FROM (SELECT t.seq" + having + " LIMIT " + LOOKED_AT + ") t0"
                    + " JOIN customer.customer c ON c.seq = t0.seq " + where.sql()
                    + " ORDER BY " + sort.by("t0") + " LIMIT " + limit + ")"
                    + " UNION ALL (SELECT NULL::bigint" + having + " OFFSET " + LOOKED_AT + " LIMIT 1) LIMIT " + limit);
        }
        return "(" + union(ways, sort.by("u") + " NULLS FIRST", limit)
                + ") h LEFT JOIN customer.customer c ON c.seq = h.seq";
    }

    private static String union(List<String> ways, String order, String limit) {
        return ways.size() == 1
                ? ways.get(0)
                : "SELECT u.seq FROM ((" + String.join(") UNION (", ways) + ")) u ORDER BY " + order + " LIMIT "
                        + limit;
    }

    private static String ofSeqs(String seqs) {
        return "(" + seqs + ") h JOIN customer.customer c ON c.seq = h.seq";
    }
}
