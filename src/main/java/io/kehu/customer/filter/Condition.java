package io.kehu.customer.filter;

import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One question about one field.
 *
 * @param words for is and in
 * @param known for known; null for other questions
 * @param from the lower bound of a range; null for none
 * @param to the upper bound of a range; null for none
 * @param within whether branches stand for those below them, too
 */
public record Condition(
        FilterField field,
        List<String> words,
        @Nullable Boolean known,
        @Nullable Bound from,
        @Nullable Bound to,
        boolean within)
        implements Filter {

    private static final String TAGGED =
            "c.id IN (SELECT customer.root(t.customer_id) FROM customer.tag_current t WHERE true";

    /** A clock may also be put back. */
    private static final String BETWEEN = " BETWEEN SYMMETRIC ? AND ?";

    private static final String RETAGGED = "c.id IN (SELECT customer.root(t.customer_id) FROM customer.customer_tag t"
            + " WHERE t.starts_at" + BETWEEN + " OR t.ends_at" + BETWEEN
            + " OR t.tag_id IN (SELECT g.id FROM customer.tag g"
            + " WHERE g.usable_from" + BETWEEN + " OR g.usable_until" + BETWEEN + "))";

    /** An end of a range: a value, or so many days from today. */
    sealed interface Bound {}

    /** A value as it was written: a day, a moment, an amount or an age. */
    record Value(String text) implements Bound {}

    /** So many days before today, or after it where negative; for moments so many times 24 hours. */
    record DaysAgo(int days) implements Bound {}

    @Override
    public boolean isRelative() {
        return field.kind() == FilterField.Kind.AGE
                || field.kind() == FilterField.Kind.TAG
                || from instanceof DaysAgo
                || to instanceof DaysAgo;
    }

    /**
     * Customers for whom time alone may have changed the answer between two moments, and perhaps some more: what has crossed a
     * bound lies between where the bound was and where it is, which an index of the column finds.
     *
     * @return a condition with a {@code ?} for each value; null where time changed nothing
     */
    public @Nullable String crossed(Moment before, Moment now, List<Object> values) {
        List<String> ways = new ArrayList<>();
        boolean sameDay = before.today().equals(now.today());
        switch (field.kind()) {
            case TAG -> {
                for (int bound = 0; bound < 4; bound++) {
                    values.addAll(List.of(before.now(), now.now()));
                }
                ways.add(RETAGGED);
            }
            case AGE -> {
                if (!sameDay) {
                    crossed(from, 0, before, now, values, ways);
                    crossed(to, 1, before, now, values, ways);
                }
            }
            case DATE, INSTANT -> {
                boolean days = field.kind() == FilterField.Kind.DATE;
                for (Bound bound : new Bound[] {from, to}) {
                    if (bound instanceof DaysAgo && !(days && sameDay)) {
                        values.add(days ? day(bound, before) : instant(bound, before));
                        values.add(days ? day(bound, now) : instant(bound, now));
                        ways.add(field.sql() + BETWEEN);
                    }
                }
            }
            default -> {}
        }
        return ways.isEmpty() ? null : "(" + String.join(" OR ", ways) + ")";
    }

    /** @param more years that the bound itself is included by */
    private void crossed(
            @Nullable Bound bound, int more, Moment before, Moment now, List<Object> values, List<String> ways) {
        if (bound instanceof Value years) {
            long full = Long.parseLong(years.text) + more;
            values.add(before.today().minusYears(full));
            values.add(now.today().minusYears(full));
            ways.add(field.sql() + BETWEEN);
        }
    }

    String text(Moment moment, List<Object> values) {
        if (known != null) {
            String some = field.kind() == FilterField.Kind.TAG ? tagged("", moment) : field.sql() + " IS NOT NULL";
            return known ? some : "NOT (" + some + ")";
        }
        return switch (field.kind()) {
            case WORD -> oneOf(field.sql(), words.toArray(String[]::new), values);
            case REGION -> beginning(new int[] {2, 4}, values);
            case INDUSTRY -> beginning(new int[] {1, 3, 4}, values);
            case BRANCH, STAFF -> place(values);
            case TAG -> {
                values.add(words.toArray(String[]::new));
                yield tagged(" AND t.code = ANY (?)", moment);
            }
            case AGE -> age(moment.today(), values);
            case DATE -> range("<=", bound -> day(bound, moment), values);
            case INSTANT -> range("<", bound -> instant(bound, moment), values);
            case AMOUNT -> range("<=", bound -> new BigDecimal(((Value) bound).text), values);
        };
    }

    private static String tagged(String how, Moment moment) {
        String who = moment.among() == null
                ? ""
                : " AND t.customer_id IN (SELECT side FROM unnest(" + moment.among()
                        + ") o(id), customer.sides(o.id) side)";
        return TAGGED + how + who + ")";
    }

    /** One word has an order of its own in the indexes; several have none together. */
    private static String oneOf(String sql, Object[] words, List<Object> values) {
        values.add(words.length == 1 ? words[0] : words);
        return sql + (words.length == 1 ? " = ?" : " = ANY (?)");
    }

    /**
     * By the very expressions that have an index.
     *
     * @param lengths of codes that stand for all that begin so; others stand for themselves
     */
    private String beginning(int[] lengths, List<Object> values) {
        List<String> ways = new ArrayList<>();
        List<String> whole = new ArrayList<>(words);
        for (int length : lengths) {
            String[] codes =
                    words.stream().filter(code -> code.length() == length).toArray(String[]::new);
            if (codes.length > 0) {
                whole.removeAll(List.of(codes));
                ways.add(oneOf(String.format(Locale.ROOT, "left(%s, %d)", field.sql(), length), codes, values));
            }
        }
        if (!whole.isEmpty()) {
            ways.add(oneOf(field.sql(), whole.toArray(String[]::new), values));
        }
        return ways.size() == 1 ? ways.get(0) : "(" + String.join(" OR ", ways) + ")";
    }

    private String place(List<Object> values) {
        UUID[] ids = words.stream().map(UUID::fromString).toArray(UUID[]::new);
        if (!within) {
            return oneOf(field.sql(), ids, values);
        }
        values.add(ids);
        return field.sql() + " IN (SELECT unnest(iam.subtree(b)) FROM unnest(?::uuid[]) b)";
    }

    /** Somebody is n years old from the birthday on which n years are full. */
    private String age(LocalDate today, List<Object> values) {
        List<String> ends = new ArrayList<>();
        if (from instanceof Value least) {
            values.add(today.minusYears(Integer.parseInt(least.text)));
            ends.add(field.sql() + " <= ?");
        }
        if (to instanceof Value most) {
            values.add(today.minusYears(Integer.parseInt(most.text) + 1L));
            ends.add(field.sql() + " > ?");
        }
        return "(" + String.join(" AND ", ends) + ")";
    }

    private interface Reading {
        Object of(Bound bound);
    }

    private String range(String upTo, Reading reading, List<Object> values) {
        List<String> ends = new ArrayList<>();
        if (from != null) {
            values.add(reading.of(from));
            ends.add(field.sql() + " >= ?");
        }
        if (to != null) {
            values.add(reading.of(to));
            ends.add(field.sql() + " " + upTo + " ?");
        }
        return "(" + String.join(" AND ", ends) + ")";
    }

    private static LocalDate day(Bound bound, Moment moment) {
        return bound instanceof DaysAgo ago
                ? moment.today().minusDays(ago.days)
                : LocalDate.parse(((Value) bound).text);
    }

    private static OffsetDateTime instant(Bound bound, Moment moment) {
        return bound instanceof DaysAgo ago
                ? moment.now().minusHours(24L * ago.days)
                : OffsetDateTime.parse(((Value) bound).text);
    }
}
