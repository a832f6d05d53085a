package io.kehu.sql;

import io.kehu.bus.Principal;
import io.vertx.sqlclient.Tuple;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The conditions of one query, with their bound values. There is no way to make one without saying whose scope it has: a
 * query on customer data that forgets it does not compile.
 */
public final class Where {
    private final List<String> conditions = new ArrayList<>();
    private final List<@Nullable Object> values = new ArrayList<>();

    private Where() {}

    /**
     * Only rows in the principal's scope: one SQL text per shape of scope.
     *
     * @param branchColumn the branch a row belongs to
     * @param ownerColumn the staff member a row is assigned to
     */
    public static Where inScopeOf(Principal principal, String branchColumn, String ownerColumn) {
        return inScopeOf(principal, branchColumn, ownerColumn, null);
    }

    /**
     * The same for customers, of whom single ones may have been given for a while: whoever has none of them has the text and
     * the plan of everybody.
     *
     * @param customerColumn the id of the customer; null where rows are not customers'
     */
    public static Where inScopeOf(
            Principal principal, String branchColumn, String ownerColumn, @Nullable String customerColumn) {
        Where where = new Where();
        List<String> ways = new ArrayList<>();
        boolean single = customerColumn != null && !principal.customers().isEmpty();
        switch (principal.scope()) {
            case ALL -> {
                return where;
            }
            case BRANCH -> ways.add(where.within(branchColumn, principal.branchIds()));
            case OWN -> {
                ways.add(ownerColumn + " = " + where.bind(principal.subject()));
                if (!principal.branchIds().isEmpty()) {
                    ways.add(where.within(branchColumn, principal.branchIds()));
                }
            }
            case NONE -> {
                ways.add("false");
                single = false;
            }
        }
        if (single) {
            ways.add(where.within(customerColumn, principal.customers()));
        }
        where.conditions.add(ways.size() == 1 ? ways.get(0) : "(" + String.join(" OR ", ways) + ")");
        return where;
    }

    /** One branch has an order of its own in every index that begins with it; several have none together. */
    private String within(@Nullable String column, List<UUID> ids) {
        if (ids.size() == 1) {
            return column + " = " + bind(ids.get(0));
        }
        return column + " = ANY(" + bind(ids.toArray(UUID[]::new)) + ")";
    }

    /** For rows that are the same for everybody who may call the operation, e.g. branches. */
    public static Where ofAll() {
        return new Where();
    }

    /** Adds a condition; each {@code ?} in it takes one value. The text is the program's, never the caller's. */
    public Where and(String condition, @Nullable Object... bound) {
        conditions.add(bound(condition, bound));
        return this;
    }

    /** The same text with placeholders, for use outside the conditions. */
    public String bound(String condition, @Nullable Object... bound) {
        StringBuilder text = new StringBuilder();
        int next = 0;
        for (int i = 0; i < condition.length(); i++) {
            char c = condition.charAt(i);
            if (c == '?') {
                values.add(bound[next++]);
                text.append('$').append(values.size());
            } else {
                text.append(c);
            }
        }
        return text.toString();
    }

    /** A condition that is left out where the value is null. */
    public Where andIf(String condition, @Nullable Object value) {
        return value == null ? this : and(condition, value);
    }

    /** {@code WHERE ...}, or nothing. */
    public String sql() {
        return conditions.isEmpty() ? "" : "WHERE " + String.join(" AND ", conditions);
    }

    /** Binds one more value outside the conditions, e.g. for LIMIT, and gives its placeholder. */
    public String bind(Object value) {
        values.add(value);
        return "$" + values.size();
    }

    public Tuple values() {
        return Tuple.from(values);
    }
}
