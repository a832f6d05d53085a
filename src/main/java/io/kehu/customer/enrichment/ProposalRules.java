package io.kehu.customer.enrichment;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.Schema;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.contract.Input;
import io.kehu.customer.identity.CustomerRules;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.time.format.ResolverStyle;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What of an answer is news, and which change of the customer it would be. Pure. */
final class ProposalRules {
    /** As many as the contract allows of a list. */
    private static final int MAX_PARTS = 5;

    private static final int MAX_CHARS = 200;
    private static final Map<String, String> LISTS =
            Map.of("address", "addresses", "phone", "phones", "email", "emails");

    private final Schema shape;

    /** @param shape a change of a customer as the contract has it */
    ProposalRules(Schema shape) {
        this.shape = shape;
    }

    /**
     * Field by field what an answer says and the customer does not have; what breaks a rule of customers is left out.
     *
     * @param customer his fields as the contract names them
     */
    Map<String, String> news(JsonNode answer, ArrayNode fields, ObjectNode customer, LocalDate today) {
        Map<String, String> news = new LinkedHashMap<>();
        for (JsonNode one : fields) {
            String field = one.path("field").asText();
            String said = text(answer.at(one.path("pointer").asText()));
            if (said != null && one.has("dateFormat")) {
                said = day(said, one.path("dateFormat").asText());
            }
            String value = said == null ? null : checked(customer, field, said, today);
            if (value != null) {
                news.put(field, value);
            }
        }
        return news;
    }

    private static @Nullable String text(JsonNode node) {
        if (!node.isTextual() && !node.isNumber()) {
            return null;
        }
        String text = node.asText().strip();
        boolean plain = text.codePoints().noneMatch(Character::isISOControl);
        return text.isEmpty() || !plain || text.codePointCount(0, text.length()) > MAX_CHARS ? null : text;
    }

    private static @Nullable String day(String text, String pattern) {
        try {
            return LocalDate.parse(
                            text,
                            DateTimeFormatter.ofPattern(pattern.replace("yyyy", "uuuu"), Locale.ROOT)
                                    .withResolverStyle(ResolverStyle.STRICT))
                    .toString();
        } catch (DateTimeParseException e) {
            return null;
        }
    }

    /** The value as it would stand with the customer; null where it is no news, or not to be had. */
    private @Nullable String checked(ObjectNode customer, String field, String value, LocalDate today) {
        ObjectNode patch = patch(customer, field, value);
        if (patch == null || !Input.faults(shape, patch, true).isEmpty()) {
            return null;
        }
        String name = LISTS.getOrDefault(field, field);
        JsonNode before = customer.path(name);
        try {
            ObjectNode next = customer.deepCopy();
            next.setAll(patch);
            JsonNode after = CustomerRules.checked(next, patch::has, today).path(name);
            if (!LISTS.containsKey(field)) {
                return after.equals(before) ? null : after.textValue();
            }
            String last = part(field, after.path(after.size() - 1));
            for (JsonNode known : before) {
                if (part(field, known).equals(last)) {
                    return null;
                }
            }
            return last;
        } catch (Problem problem) {
            return null;
        }
    }

    private static String part(String field, JsonNode part) {
        return switch (field) {
            case "address" -> part.path("line").asText();
            case "phone" -> part.path("number").asText();
            default -> part.asText();
        };
    }

    /** The change that a value is; null where the customer has it, or no room for it. */
    static @Nullable ObjectNode patch(ObjectNode customer, String field, String value) {
        String name = LISTS.get(field);
        if (name == null) {
            return customer.path(field).asText().equals(value)
                    ? null
                    : Json.object().put(field, value);
        }
        ArrayNode list = Json.MAPPER.createArrayNode();
        for (JsonNode known : customer.path(name)) {
            if (part(field, known).equals(value)) {
                return null;
            }
            list.add(known);
        }
        if (list.size() >= MAX_PARTS) {
            return null;
        }
        switch (field) {
            case "address" -> list.addObject().put("line", value);
            case "phone" -> list.addObject().put("number", value);
            default -> list.add(value);
        }
        return Json.object().set(name, list);
    }
}
