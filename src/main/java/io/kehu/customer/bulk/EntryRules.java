package io.kehu.customer.bulk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.customer.Fact;
import io.kehu.customer.bulk.CustomerChunks.Entry;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** What an entry makes of a customer who is there already. Pure. */
final class EntryRules {
    private static final int MAX_PARTS = 5;
    private static final Set<String> AMOUNTS = Fact.ALL.stream()
            .filter(fact -> fact.type().equals("numeric"))
            .map(Fact::field)
            .collect(Collectors.toSet());

    private EntryRules() {}

    static boolean isWithin(Principal who, Customer customer) {
        return who.sees(customer.id(), customer.branchId(), customer.managerId());
    }

    /** What is known, with what is said now: documents by type and external ids by source, other lists as a whole. */
    static ObjectNode merged(Customer there, Entry entry) {
        ObjectNode merged = there.toDraft();
        entry.draft().properties().forEach(e -> {
            String field = e.getKey();
            if (field.equals("documents") || field.equals("externalIds")) {
                merged.set(
                        field, joined(merged.path(field), e.getValue(), field.equals("documents") ? "type" : "source"));
                if (merged.path(field).size() > MAX_PARTS) {
                    throw Problem.at("/" + field, "field.tooMany", Integer.toString(MAX_PARTS));
                }
            } else if (!merged.has(field) || !entry.defaults().contains(field)) {
                merged.set(field, e.getValue());
            }
        });
        return merged;
    }

    private static ArrayNode joined(JsonNode old, JsonNode given, String by) {
        ArrayNode joined = Json.MAPPER.createArrayNode();
        Set<String> taken = new HashSet<>();
        given.forEach(part -> taken.add(part.path(by).asText()));
        for (JsonNode part : old) {
            if (!taken.contains(part.path(by).asText())) {
                joined.add(part);
            }
        }
        for (JsonNode part : given) {
            ObjectNode whole = Json.object();
            for (JsonNode former : old) {
                // The same document keeps what the row does not say of it.
                if (former.path(by).equals(part.path(by))
                        && former.path("number").equals(part.path("number"))) {
                    whole.setAll((ObjectNode) former);
                }
            }
            whole.setAll((ObjectNode) part);
            joined.add(whole);
        }
        return joined;
    }

    /** Amounts are the same however many zeros they end with, parts in whatever order they stand. */
    static boolean isSame(Customer one, Customer other) {
        return values(one).equals(values(other));
    }

    private static Map<String, Object> values(Customer customer) {
        Map<String, Object> values = new HashMap<>();
        customer.toDraft().properties().forEach(e -> {
            JsonNode value = e.getValue();
            if (value.isArray()) {
                Set<JsonNode> parts = new HashSet<>();
                value.forEach(parts::add);
                values.put(e.getKey(), parts);
            } else {
                values.put(
                        e.getKey(),
                        AMOUNTS.contains(e.getKey()) ? new BigDecimal(value.asText()).stripTrailingZeros() : value);
            }
        });
        return values;
    }
}
