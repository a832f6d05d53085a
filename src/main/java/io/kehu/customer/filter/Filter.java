package io.kehu.customer.filter;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.sql.Where;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;

/**
 * Which customers: a tree of conditions.
 *
 * <pre>
 * {"all": [{"field": "tier", "in": ["affluent", "private"]},
 *          {"any": [{"field": "age", "from": 60}, {"field": "tags", "is": "pensioner"}]},
 *          {"not": {"field": "customerSince", "from": {"daysAgo": 365}}}]}
 * </pre>
 *
 * <p>A condition on what is not known does not hold, and its {@code not} does: there are two answers, not three as in SQL. What
 * a filter may cost is bounded by its form: four layers of groups, {@link #MAX_CONDITIONS} conditions, 100 words each.
 */
public sealed interface Filter permits Filter.All, Filter.Any, Filter.Not, Condition {
    /** All conditions of a filter together; more is 400. */
    int MAX_CONDITIONS = 40;

    /** All of these hold. */
    record All(List<Filter> parts) implements Filter {}

    /** One of these holds. */
    record Any(List<Filter> parts) implements Filter {}

    /** This does not hold. */
    record Not(Filter part) implements Filter {}

    /** Nobody is left out. */
    static Filter everybody() {
        return new All(List.of());
    }

    /**
     * Reads what went through the contract's schema {@code CustomerFilter}.
     *
     * <p>Fails with {@code request.invalid} that points at each fault: field.unknown, field.shape (not one question, or one that
     * the field does not answer), field.format, field.date, field.period, field.tooMany.
     *
     * @param at JSON pointer of the filter within the request, for the faults
     */
    static Filter parse(JsonNode json, String at) {
        FilterParser parser = new FilterParser();
        Filter filter = parser.filter(json, at);
        if (!parser.faults().isEmpty()) {
            throw Problem.invalid(parser.faults());
        }
        return filter;
    }

    /** Calls for each condition, in order. */
    default void each(Consumer<Condition> visitor) {
        if (this instanceof All all) {
            all.parts.forEach(part -> part.each(visitor));
        } else if (this instanceof Any any) {
            any.parts.forEach(part -> part.each(visitor));
        } else if (this instanceof Not not) {
            not.part.each(visitor);
        } else if (this instanceof Condition condition) {
            visitor.accept(condition);
        }
    }

    /** Columns of customer.customer (and {@code tags}) whose changes can change the answer. */
    default Set<String> reads() {
        Set<String> columns = new TreeSet<>();
        each(condition -> columns.add(condition.field().reads()));
        return columns;
    }

    /** Whether time alone can change the answer: ages, days ago, tags that end. */
    default boolean isRelative() {
        boolean[] relative = {false};
        each(condition -> relative[0] |= condition.isRelative());
        return relative[0];
    }

    /** Permissions that somebody needs to use this filter, or to see whom it fits. */
    default Set<String> permissions() {
        Set<String> permissions = new TreeSet<>();
        each(condition -> {
            if (condition.field().permission() != null) {
                permissions.add(condition.field().permission());
            }
        });
        return permissions;
    }

    /** Fails with {@code customer.fieldForbidden} where it asks about a field that this caller may not see. */
    default void mustBeOpenTo(Principal who) {
        each(condition -> {
            String permission = condition.field().permission();
            if (permission != null && !who.may(permission)) {
                throw Problem.of("customer.fieldForbidden", condition.field().name());
            }
        });
    }

    /** Adds it to a query on {@code customer.customer c}. */
    default void into(Where where, Moment moment) {
        if (this instanceof All all) {
            // Each on its own, so that an index may serve it.
            all.parts.forEach(part -> part.into(where, moment));
            return;
        }
        List<Object> values = new ArrayList<>();
        String condition = sql(moment, values);
        where.and(condition, values.toArray());
    }

    /** True or false of a {@code customer.customer c}, with its values bound to a query. */
    default String column(Where where, Moment moment) {
        List<Object> values = new ArrayList<>();
        String condition = sql(moment, values);
        return "((" + where.bound(condition, values.toArray()) + ") IS TRUE)";
    }

    /**
     * A condition with a {@code ?} for each value, true or not: unknown counts as not, which {@code IS NOT TRUE} keeps up through
     * every layer, because AND and OR are monotone.
     */
    default String sql(Moment moment, List<Object> values) {
        if (this instanceof Not not) {
            return "((" + not.part.sql(moment, values) + ") IS NOT TRUE)";
        }
        if (this instanceof Condition condition) {
            return condition.text(moment, values);
        }
        boolean all = this instanceof All;
        List<Filter> parts = this instanceof All group ? group.parts : ((Any) this).parts;
        if (parts.isEmpty()) {
            return all ? "true" : "false";
        }
        List<String> texts = new ArrayList<>();
        parts.forEach(part -> texts.add(part.sql(moment, values)));
        return "(" + String.join(all ? " AND " : " OR ", texts) + ")";
    }
}
