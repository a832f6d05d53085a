package io.kehu.customer.connector;

import io.kehu.customer.FieldSourceStore;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Of two sources that say different things of one field, which one is believed: staff before all others, where a line does not
 * say otherwise. Pure.
 */
final class PrecedenceRules {
    private static final String ANY = "*";

    private final Map<String, List<String>> orders = new HashMap<>();

    /** @param lines {@code field=best>second>...}; the field {@code *} stands for all that have no line */
    PrecedenceRules(List<String> lines) {
        for (String line : lines) {
            int equals = line.indexOf('=');
            if (equals < 1) {
                throw new IllegalArgumentException("connectors.precedence: not field=source>source: " + line);
            }
            orders.put(line.substring(0, equals).strip(), sources(line.substring(equals + 1)));
        }
    }

    private static List<String> sources(String text) {
        List<String> sources = new ArrayList<>();
        for (String source : text.split(">", -1)) {
            sources.add(source.strip());
        }
        if (!sources.contains(FieldSourceStore.STAFF)) {
            sources.add(0, FieldSourceStore.STAFF);
        }
        return sources;
    }

    /** A source that no line names comes after those that it names; of equals the last one to speak is believed. */
    boolean stays(String field, String said, String says) {
        List<String> order = orders.getOrDefault(field, orders.getOrDefault(ANY, List.of(FieldSourceStore.STAFF)));
        return rank(order, said) < rank(order, says);
    }

    private static int rank(List<String> order, String source) {
        int rank = order.indexOf(source);
        return rank < 0 ? order.size() : rank;
    }
}
