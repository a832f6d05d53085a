package io.kehu.customer.filter;

import io.kehu.customer.Fact;
import io.kehu.sql.Where;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A field that conditions may ask about.
 *
 * @param name in the grammar; that of the customer's contract where he has such a field
 * @param sql an expression over {@code customer.customer c}
 * @param reads the column whose changes can change the answer
 * @param permission without which nobody may ask: an answer tells the value
 */
public record FilterField(
        String name,
        Kind kind,
        String sql,
        String reads,
        @Nullable String permission) {

    /** What a field holds, and with it which questions it answers. */
    public enum Kind {
        /** A word of a closed list, or a code: {@code is}, {@code in}, {@code known}. */
        WORD("is", "in", "known"),
        /** GB/T 2260, of which two or four digits stand for all that begin so: {@code is}, {@code in}, {@code known}. */
        REGION("is", "in", "known"),
        /** GB/T 4754, of which a section, division or group stands for all that begin so: {@code is}, {@code in}, {@code known}. */
        INDUSTRY("is", "in", "known"),
        /** A day: {@code from}, {@code to} (both included), {@code known}. */
        DATE("from", "to", "known"),
        /** Full years, today in the bank's zone: {@code from}, {@code to}, {@code known}. */
        AGE("from", "to", "known"),
        /** A moment: {@code from} (included), {@code to} (not). */
        INSTANT("from", "to"),
        /** CNY, as a decimal text: {@code from}, {@code to} (both included), {@code known}. */
        AMOUNT("from", "to", "known"),
        /** A branch: {@code is}, {@code in}, {@code within} (it and those below it). */
        BRANCH("is", "in", "within"),
        /** A member of staff: {@code is}, {@code in}, {@code known}. */
        STAFF("is", "in", "known"),
        /** Codes of tags that hold now: {@code is}, {@code in} (one of them), {@code known} (any tag). */
        TAG("is", "in", "known");

        @SuppressWarnings("ImmutableEnumChecker") // Set.of
        final Set<String> questions;

        Kind(String... questions) {
            this.questions = Set.of(questions);
        }
    }

    private static final Set<String> WORDS =
            Set.of("kind", "lifecycle", "tier", "risk", "gender", "maritalStatus", "occupation", "channel");

    private static final List<FilterField> ALL = Stream.concat(
                    Fact.ALL.stream().map(FilterField::of),
                    Stream.of(
                            new FilterField("age", Kind.AGE, "c.birth_date", "birth_date", null),
                            new FilterField("createdAt", Kind.INSTANT, "c.created_at", "created_at", null),
                            new FilterField("updatedAt", Kind.INSTANT, "c.valid_from", "valid_from", null),
                            new FilterField("branchId", Kind.BRANCH, "c.branch_id", "branch_id", null),
                            new FilterField("managerId", Kind.STAFF, "c.manager_id", "manager_id", null),
                            new FilterField("tags", Kind.TAG, "c.id", "tags", "tag:read")))
            .toList();

    private static final Map<String, FilterField> BY_NAME =
            ALL.stream().collect(Collectors.toUnmodifiableMap(FilterField::name, Function.identity()));

    private static FilterField of(Fact fact) {
        String name = fact.field();
        Kind kind = WORDS.contains(name)
                ? Kind.WORD
                : Fact.AMOUNTS.contains(name)
                        ? Kind.AMOUNT
                        : switch (name) {
                            case "regionCode" -> Kind.REGION;
                            case "industry" -> Kind.INDUSTRY;
                            default -> Kind.DATE;
                        };
        String permission = Fact.AMOUNTS.contains(name) ? "customer:finance" : null;
        return new FilterField(name, kind, "c." + fact.column(), fact.column(), permission);
    }

    /** What a {@code customer.customer c} has there, as an array of texts in the form of the contract; empty for nothing. */
    public String values(Where where, Moment moment) {
        String text = switch (kind) {
            case TAG -> null;
            case AGE -> where.bound("extract(year FROM age(?::date, " + sql + "))::int::text", moment.today());
            case INSTANT -> "to_char(" + sql + " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
            default -> sql + "::text";
        };
        return text == null
                ? "ARRAY(SELECT DISTINCT t.code FROM customer.tag_current t"
                        + " WHERE t.customer_id IN (SELECT customer.sides(" + sql + ")) ORDER BY t.code)"
                : "array_remove(ARRAY[" + text + "], NULL)";
    }

    static @Nullable FilterField named(String name) {
        return BY_NAME.get(name);
    }

    /** All of them, in the order of the contract. */
    public static List<FilterField> all() {
        return ALL;
    }
}
