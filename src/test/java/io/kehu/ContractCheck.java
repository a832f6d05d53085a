package io.kehu;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.networknt.schema.Schema;
import io.kehu.bus.Json;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.contract.Routes;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.http.HttpResponse;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Holds every answer of every test against the contract: the status is declared, the body fits its schema and has no
 * property that is not declared (schemas of answers are open for clients, and closed here), the common headers are there.
 */
final class ContractCheck {
    private static final Contract CONTRACT = Contract.load(3000, ContractCheck::closed);
    private static final Routes ROUTES = new Routes(CONTRACT.operations());
    private static final Map<String, Schema> SCHEMAS = new ConcurrentHashMap<>();

    private ContractCheck() {}

    private static JsonNode closed(String name) {
        try (InputStream in = ContractCheck.class.getResourceAsStream("/openapi/" + name)) {
            JsonNode node = new YAMLMapper().readTree(in);
            close(node.path("components").path("schemas"));
            return node;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void close(JsonNode node) {
        if (node instanceof ObjectNode object && object.has("properties") && !object.has("additionalProperties")) {
            object.put("unevaluatedProperties", false);
        }
        node.forEach(ContractCheck::close);
    }

    static void check(String method, String pathAndQuery, HttpResponse<byte[]> response) throws IOException {
        String path = pathAndQuery.contains("?") ? pathAndQuery.substring(0, pathAndQuery.indexOf('?')) : pathAndQuery;
        if (!path.startsWith("/v1/")) {
            return;
        }
        String where = method + " " + path + " answered " + response.statusCode();
        assertThat(response.headers().firstValue("Kehu-Request-Id")).as(where).isPresent();
        assertThat(response.headers().firstValue("Cache-Control")).as(where).contains("no-store");
        assertThat(response.headers().firstValue("X-Content-Type-Options"))
                .as(where)
                .contains("nosniff");
        assertThat(response.statusCode())
                .as(where + ": " + new String(response.body()))
                .isNotEqualTo(500);
        Routes.Match match = ROUTES.find(method, path);
        boolean failed = response.statusCode() >= 400;
        if (failed) {
            assertThat(response.headers().firstValue("Content-Type")).as(where).contains("application/problem+json");
            conforms("/components/schemas/Problem", response.body(), where);
        } else if (match != null && match.operation() != null) {
            success(match.operation(), response, where);
        }
    }

    private static void success(Operation operation, HttpResponse<byte[]> response, String where) throws IOException {
        String pointer = "/paths/" + operation.path().replace("~", "~0").replace("/", "~1") + "/"
                + operation.method().toLowerCase(Locale.ROOT) + "/responses/" + response.statusCode();
        JsonNode declared = CONTRACT.document().at(pointer);
        assertThat(declared.isMissingNode())
                .as(where + ", which the contract does not declare")
                .isFalse();
        if (declared.path("$ref").isTextual()) {
            pointer = declared.get("$ref").textValue().substring(1);
            declared = CONTRACT.document().at(pointer);
        }
        receipt(operation, response, where);
        JsonNode content = declared.path("content");
        if (content.isMissingNode()) {
            assertThat(response.body()).as(where).isEmpty();
            return;
        }
        String type = response.headers().firstValue("Content-Type").orElse("");
        String mediaType = type.contains(";") ? type.substring(0, type.indexOf(';')) : type;
        assertThat(content.has(mediaType) || content.has("*/*"))
                .as(where + " with the undeclared type " + mediaType)
                .isTrue();
        if (mediaType.equals("application/json")) {
            conforms(pointer + "/content/application~1json/schema", response.body(), where);
        }
    }

    /** What a command left in the audit; a dry run leaves nothing. */
    private static void receipt(Operation operation, HttpResponse<byte[]> response, String where) {
        String receipt = response.headers().firstValue("Kehu-Receipt").orElse("");
        boolean stays = operation.kind() == Operation.Kind.COMMAND
                && response.headers().firstValue("Dry-Run").isEmpty();
        if (stays || !receipt.isEmpty()) {
            assertThat(receipt).as(where + ", its receipt").matches("[0-9a-f-]{36}:[0-9a-f]{64}");
        }
    }

    private static void conforms(String pointer, byte[] body, String where) throws IOException {
        Schema schema = SCHEMAS.computeIfAbsent(pointer, CONTRACT::schema);
        JsonNode node = Json.MAPPER.readTree(body);
        assertThat(schema.validate(node)).as(where + ": " + node).isEmpty();
    }
}
