package io.kehu.customer.bulk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.customer.bulk.CustomerChunks.Entry;
import io.kehu.customer.identity.CustomerRules;
import java.time.LocalDate;
import java.util.HashSet;
import java.util.Set;

/** What an entry makes of a customer who is there already. Pure. */
final class EntryRules {
    private static final int MAX_PARTS = 5;

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

    /** The held fields that would be something else if they were not held. */
    static Set<String> kept(Customer there, Entry entry, LocalDate today) {
        if (entry.held().isEmpty()) {
            return Set.of();
        }
        Set<String> kept = new HashSet<>(entry.held());
        try {
            ObjectNode whole = CustomerRules.checked(merged(there, entry), entry.draft()::has, today);
            kept.retainAll(
                    there.with(whole, there.branchId(), there.managerId()).differing(there));
        } catch (Problem problem) {
            // What does not fit is something else, too.
            kept.removeIf(
                    field -> there.toDraft().path(field).equals(entry.draft().path(field)));
        }
        return kept;
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

    static boolean isSame(Customer one, Customer other) {
        return one.values().equals(other.values());
    }
}
