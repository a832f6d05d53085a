package io.kehu.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.kehu.bus.Call;
import io.kehu.bus.Principal.Audience;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The contract: what a sound one becomes, and that a faulty one stops the start with all its defects named. */
class ContractTest {
    private static final String SOUND = """
            post:
              operationId: makeThing
              tags: [room]
              x-kind: command
              x-audience: [staff, partner]
              x-permission: thing:make
              x-step-up: 10
              x-idempotency: required
              x-body-limit: 2000
              x-timeout: 700
              x-pool: heavy
              requestBody:
                required: true
                content:
                  application/json:
                    schema: {$ref: '#/components/schemas/Draft'}
              responses:
                '201': {description: Made.}
                default: {$ref: 'kehu.yaml#/components/responses/Problem'}
            get:
              operationId: listThings
              tags: [room]
              x-kind: query
              x-audience: [public]
              x-pool: search
              x-stale-ok: true
              parameters:
                - {name: kinds, in: query, explode: false, schema: {type: array, maxItems: 2, items: {type: string, enum: [a, b]}}}
              responses:
                default: {$ref: 'kehu.yaml#/components/responses/Problem'}
            """;

    /** A contract of one path, /v1/things/{thingId}. */
    private static Contract contract(String operations, String components) {
        return Contract.load(
                3000,
                name -> yaml(
                        name.equals("kehu.yaml")
                                ? """
                        openapi: 3.1.0
                        x-files: [room.yaml]
                        paths: {}
                        components:
                          schemas: {}
                          responses:
                            Problem:
                              description: A problem.
                              content: {application/problem+json: {schema: {type: object}}}
                        """
                                : "paths:\n  /v1/things/{thingId}:\n"
                                        + """
                                parameters:
                                  - {name: thingId, in: path, required: true, schema: {type: string, format: uuid, maxLength: 36}}
                                """.indent(4)
                                        + operations.indent(4) + "components:\n  schemas:\n"
                                        + components.indent(4)));
    }

    private static final String DRAFT =
            "Draft: {type: object, additionalProperties: false, properties:" + " {name: {type: string, maxLength: 5}}}";

    private static JsonNode yaml(String text) {
        try {
            return new YAMLMapper().readTree(text);
        } catch (IOException e) {
            throw new UncheckedIOException(text, e);
        }
    }

    private static List<String> defects(String operations, String components) {
        Contract.Defective failure =
                catchThrowableOfType(Contract.Defective.class, () -> contract(operations, components));
        return failure == null ? List.of() : failure.defects();
    }

    @Test
    void everyWordOfTheContractIsRead() {
        List<Operation> operations = contract(SOUND, DRAFT).operations();
        Operation make = operations.get(0);
        assertThat(make.id()).isEqualTo("makeThing");
        assertThat(make.method()).isEqualTo("POST");
        assertThat(make.path()).isEqualTo("/v1/things/{thingId}");
        assertThat(make.address()).isEqualTo("room");
        assertThat(make.kind()).isEqualTo(Operation.Kind.COMMAND);
        assertThat(make.audience()).containsExactlyInAnyOrder(Audience.STAFF, Audience.PARTNER);
        assertThat(make.permission()).isEqualTo("thing:make");
        assertThat(make.stepUpMinutes()).isEqualTo(10);
        assertThat(make.idempotency()).isEqualTo(Operation.Idempotency.REQUIRED);
        assertThat(make.bodyLimitBytes()).isEqualTo(2000);
        assertThat(make.timeoutMillis()).isEqualTo(700);
        assertThat(make.lane()).isEqualTo(Call.Lane.HEAVY);
        assertThat(make.bodyRequired()).isTrue();
        Operation list = operations.get(1);
        assertThat(list.isPublic()).isTrue();
        assertThat(list.staleOk()).isTrue();
        assertThat(list.idempotency()).isEqualTo(Operation.Idempotency.NONE);
        assertThat(list.bodyLimitBytes()).isEqualTo(1 << 20);
        assertThat(list.timeoutMillis()).isEqualTo(3000);
        assertThat(list.parameters()).extracting(Parameter::name).containsExactly("thingId", "kinds");
    }

    @Test
    void theFilesBecomeOneDocumentWithoutReferencesToOthers() {
        String bundle = contract(SOUND, DRAFT).bytes().toString();
        assertThat(bundle)
                .contains("\"#/components/schemas/Draft\"", "\"#/components/responses/Problem\"")
                .doesNotContain("x-files", ".yaml");
    }

    static Stream<Arguments> faults() {
        String make = SOUND.substring(0, SOUND.indexOf("get:"));
        return Stream.of(
                change("x-pool: heavy", "x-color: red", "unknown word x-color"),
                change("x-kind: command", "", "x-kind is missing"),
                change("x-kind: command", "x-kind: wish", "x-kind does not know"),
                change("x-kind: command", "x-kind: 5", "x-kind does not know"),
                change("x-audience: [staff, partner]", "", "x-audience is missing"),
                change(
                        "x-audience: [staff, partner]",
                        "x-audience: [staff, ghosts]",
                        "x-audience does not know ghosts"),
                change("x-audience: [staff, partner]", "x-audience: [public, staff]", "is for everybody"),
                change("x-permission: thing:make", "", "x-permission is missing"),
                change("x-permission: thing:make", "x-permission: make", "x-permission must be domain:verb"),
                change("x-permission: thing:make", "x-permission: 5", "x-permission must be domain:verb"),
                change("x-step-up: 10", "x-step-up: soon", "x-step-up must be a number"),
                change("x-step-up: 10", "x-approval: Two Eyes", "x-approval must be the code of a policy"),
                change("x-step-up: 10", "x-approval: two-eyes", "x-approval needs the response 202"),
                change("x-step-up: 10", "x-approval: two-eyes", "x-approval is for commands of staff"),
                change("x-step-up: 10", "x-approval-shows: [name]", "x-approval-shows is a list, beside x-approval"),
                change("x-step-up: 10", "x-approval-shows: [ghost]", "names ghost, which the body does not have"),
                change("x-idempotency: required", "x-idempotency: maybe", "x-idempotency does not know"),
                change("x-idempotency: required", "x-idempotency: [none]", "x-idempotency does not know"),
                change("x-body-limit: 2000", "x-body-limit: 9999999999", "x-body-limit must be a number"),
                change("x-timeout: 700", "x-timeout: 0", "x-timeout must be a number"),
                change("x-pool: heavy", "x-pool: swimming", "x-pool does not know swimming"),
                change("x-pool: heavy", "x-stale-ok: true", "x-stale-ok is true or false, on a query"),
                change("operationId: makeThing", "", "operationId must be verb + noun"),
                change("operationId: makeThing", "operationId: listThings", "listThings is declared twice"),
                change("tags: [room]", "tags: [room, house]", "exactly one tag"),
                change("post:", "patch:", "an update needs the If-Match parameter"),
                change("post:", "patch:", "application/merge-patch+json"),
                change("post:", "put:\n  x-stale-ok: false", "x-stale-ok is true or false, on a query"),
                change("x-kind: command", "x-kind: upload", "an upload takes application/octet-stream"),
                change("x-kind: command", "x-kind: query", "only commands of a known caller"),
                change("x-kind: command", "x-kind: stream", "a download and a stream are a GET"),
                change("application/json:", "text/plain:", "the body must be application/json"),
                change("schemas/Draft'", "schemas/Lost'", "leads nowhere"),
                change("explode: false, ", "", "must say explode: false"),
                change("in: query, explode", "in: matrix, explode", "must be in path, query, header or cookie"),
                change("maxItems: 2, ", "", "is an array without maxItems"),
                change("name: kinds", "name: thingId", "thingId is declared twice"),
                change("type: string, enum: [a, b]", "type: string", "is an unbounded string"),
                change("type: string, enum: [a, b]", "type: integer, minimum: 1", "is an unbounded integer"),
                change("type: string, enum: [a, b]", "type: string, format: phone", "format the bridge does not know"),
                change(
                        "type: string, enum: [a, b]",
                        "type: string, maxLength: 3, pattern: '['",
                        "a pattern that is none"),
                change("type: string, enum: [a, b]", "type: object", "must be a string, an integer"),
                change("  x-kind: query", "  x-kind: query\n  requestBody: {$ref: '#/nowhere'}", "leads nowhere"),
                Arguments.of("unknown word trace", SOUND + "trace: {}\n", DRAFT),
                Arguments.of(
                        "the default response must be Problem", make.substring(0, make.indexOf("    default:")), DRAFT),
                Arguments.of(
                        "the default response must be Problem",
                        make.substring(0, make.indexOf("    default:")) + "    default: {description: Whatever.}\n",
                        DRAFT),
                body("additionalProperties: false, ", "", "must be closed"),
                body("additionalProperties: false, ", "additionalProperties: true, ", "must be closed"),
                body("additionalProperties: false, ", "additionalProperties: {type: boolean}, ", "unbounded map"),
                body("type: string, maxLength: 5", "type: string", "is an unbounded string"),
                body(
                        "type: string, maxLength: 5",
                        "type: [integer, string], minimum: 1, maximum: 2",
                        "unbounded string"),
                body("type: string, maxLength: 5", "type: array, items: {type: boolean}", "is an unbounded array"),
                body("type: string, maxLength: 5", "type: array, maxItems: 3", "has no type"),
                body("type: string, maxLength: 5", "type: integer", "is an unbounded number"),
                body("type: string, maxLength: 5", "type: strnig, maxLength: 5", "has an unknown type"),
                body("type: string, maxLength: 5", "type: string, maxLength: 5, format: cow", "a format nobody checks"),
                body("type: string, maxLength: 5", "type: string, maxLength: 5, x-mask: true", "unknown word x-mask"),
                body("type: string, maxLength: 5", "$ref: '#/components/schemas/Draft'", "holds itself"),
                body(
                        "type: object, additionalP",
                        "type: array, maxItems: 1, additionalP",
                        "the body must be an object"));
    }

    private static Arguments change(String from, String to, String defect) {
        assertThat(SOUND).contains(from);
        return Arguments.of(defect, SOUND.replace(from, to), DRAFT);
    }

    private static Arguments body(String from, String to, String defect) {
        assertThat(DRAFT).contains(from);
        return Arguments.of(defect, SOUND, DRAFT.replace(from, to));
    }

    @ParameterizedTest
    @MethodSource("faults")
    void aFaultyContractIsRefused(String defect, String operations, String components) {
        assertThat(defects(operations, components)).anyMatch(d -> d.contains(defect), defect);
    }

    @Test
    void allDefectsAreNamedAtOnce() {
        String operations = SOUND.replace("x-kind: command", "x-kind: wish")
                .replace("x-stale-ok: true", "x-colour: blue")
                .replace("maxItems: 2, ", "");
        assertThat(defects(operations, DRAFT.replace("maxLength: 5", "minLength: 5")))
                .anyMatch(d -> d.contains("x-kind does not know"))
                .anyMatch(d -> d.contains("x-colour"))
                .anyMatch(d -> d.contains("maxItems"))
                .anyMatch(d -> d.contains("unbounded string"));
    }

    @Test
    void aFileThatIsMissingOrNamesAPathTwiceIsADefect() {
        ObjectNode main = (ObjectNode) yaml("{openapi: 3.1.0, paths: {}, components: {responses: {}}}");
        assertThatThrownBy(() -> Contract.load(3000, name -> main.deepCopy())).hasMessageContaining("x-files");
        JsonNode named = yaml("{x-files: [a.yaml, b.yaml], paths: {}, components: {}}");
        assertThatThrownBy(() -> Contract.load(
                        3000, name -> name.equals("kehu.yaml") ? named.deepCopy() : yaml("{paths: {/v1/a: {}}}")))
                .hasMessageContaining("b.yaml: paths /v1/a is declared twice");
    }

    @Test
    void theDocumentIsKeptOnceHoweverManySchemasAreCompiledFromIt() {
        Contract contract = Contract.load(3000);
        JsonNode branch = contract.body("createBranch").getRefSchemaNode("/components/schemas/Id");
        assertThat(branch)
                .isNotNull()
                .isSameAs(contract.body("createStaff").getRefSchemaNode("/components/schemas/Id"));
    }

    @Test
    void theShippedContractIsSound() {
        assertThat(Contract.load(3000).operations()).isNotEmpty();
    }
}
