package io.kehu.customer.pull;

import com.fasterxml.jackson.core.JsonPointer;
import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.customer.imports.CsvText;
import io.vertx.core.buffer.Buffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Reads what a source answered. */
final class PullAnswer {
    private PullAnswer() {}

    /** The rows of an answer. Fails with {@code pull.answerInvalid}, {@code pull.answerTooLong}, {@code csv.*}. */
    static List<Map<String, String>> rows(Pull pull, Buffer body, int max) {
        List<Map<String, String>> rows = pull.format().equals("csv") ? csv(body) : json(body, pull.items());
        if (rows.size() > max) {
            throw Problem.of("pull.answerTooLong", Integer.toString(max));
        }
        return rows;
    }

    private static List<Map<String, String>> csv(Buffer body) {
        return body.length() == 0 ? List.of() : CsvText.rows(body.getBytes());
    }

    private static List<Map<String, String>> json(Buffer body, String pointer) {
        JsonNode items;
        try {
            items = Json.parse(body).at(JsonPointer.compile(pointer));
        } catch (Problem problem) {
            throw Problem.of("pull.answerInvalid");
        }
        if (!items.isArray()) {
            throw Problem.of("pull.answerInvalid");
        }
        List<Map<String, String>> rows = new ArrayList<>();
        for (JsonNode item : items) {
            if (!item.isObject()) {
                throw Problem.of("pull.answerInvalid");
            }
            Map<String, String> cells = new HashMap<>();
            item.properties().forEach(member -> {
                JsonNode value = member.getValue();
                cells.put(member.getKey(), value.isValueNode() && !value.isNull() ? value.asText() : "");
            });
            rows.add(cells);
        }
        return rows;
    }
}
