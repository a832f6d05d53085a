package io.kehu.customer.request;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.kehu.crypto.Screen;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerChanges;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What a customer may ask for, and how much of it is shown to whom. */
final class RequestRules {
    private static final String AT = "/change";

    /** Lists of which numbers and addresses are masked. */
    private static final Set<String> MASKED = Set.of("documents", "phones", "emails", "addresses");

    private final CustomerChanges changes;

    RequestRules(CustomerChanges changes) {
        this.changes = changes;
    }

    /** A text without numbers that must not stand in it. Problems: request.invalid. */
    static @Nullable String screened(String pointer, JsonNode text) {
        String said = text.textValue();
        Screen.mustPass(pointer, said);
        return said == null ? null : said.strip();
    }

    /**
     * What is wanted, each value as a change by staff would write it. Problems: request.invalid with pointers below {@code
     * /change}, change.notNew.
     *
     * @param change {@code OwnChange} of the contract
     */
    ObjectNode wanted(Customer customer, ObjectNode change) {
        ObjectNode after = checked(customer, change);
        ObjectNode before = customer.toDraft();
        ObjectNode wanted = Json.object();
        boolean isNew = false;
        for (var field : change.properties()) {
            JsonNode value = after.path(field.getKey());
            wanted.set(field.getKey(), value.isMissingNode() ? field.getValue() : value);
            isNew |= !value.equals(before.path(field.getKey()));
        }
        if (!isNew) {
            throw Problem.of("change.notNew");
        }
        return wanted;
    }

    private ObjectNode checked(Customer customer, ObjectNode change) {
        try {
            return changes.checked(customer, change);
        } catch (Problem problem) {
            throw problem.errors().isEmpty()
                    ? problem
                    : Problem.invalid(problem.errors().stream()
                            .map(e -> new FieldError(AT + e.pointer(), e.code(), e.args()))
                            .toList());
        }
    }

    /** Those fields of a customer that are asked for, masked. */
    static ObjectNode current(ObjectNode masked, ObjectNode wanted) {
        ObjectNode there = Json.object();
        wanted.fieldNames().forEachRemaining(field -> {
            if (masked.has(field)) {
                there.set(field, masked.get(field));
            }
        });
        return there;
    }

    /** Whether something of it is masked from whom it does not concern. */
    static boolean isMasked(ObjectNode wanted) {
        return MASKED.stream().anyMatch(wanted::has);
    }

    /** The customer as he would be, not checked again. */
    static Customer after(Customer customer, ObjectNode wanted) {
        ObjectNode draft = customer.toDraft();
        draft.setAll(wanted.deepCopy());
        return customer.with(draft, customer.branchId(), customer.managerId());
    }

    /**
     * What is asked for.
     *
     * @param masked the customer as he would be
     * @param inFull whether numbers and addresses that the customer does not have yet are shown as they are; those that are
     *     there stay masked in any case
     */
    static ObjectNode shown(Customer customer, ObjectNode masked, ObjectNode wanted, boolean inFull) {
        ObjectNode before = customer.toDraft();
        ObjectNode shown = Json.object();
        wanted.properties().forEach(e -> {
            JsonNode value = masked.path(e.getKey());
            if (inFull && value instanceof ArrayNode list) {
                Set<String> known = new HashSet<>();
                before.path(e.getKey()).forEach(part -> known.add(secret(part)));
                for (int i = 0; i < list.size(); i++) {
                    JsonNode plain = e.getValue().path(i);
                    if (!known.contains(secret(plain))) {
                        list.set(i, plain.deepCopy());
                    }
                }
            }
            shown.set(e.getKey(), e.getValue().isNull() ? e.getValue() : value);
        });
        return shown;
    }

    /** The part of an item that is masked. */
    private static String secret(JsonNode item) {
        return item.isTextual()
                ? item.textValue()
                : item.path("number").asText() + item.path("line").asText();
    }
}
