package io.kehu.contract;

import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SchemaRegistryConfig;
import com.networknt.schema.dialect.Dialect;
import com.networknt.schema.dialect.Dialects;
import com.networknt.schema.path.PathType;
import io.kehu.bus.Call.Lane;
import io.kehu.bus.Json;
import io.kehu.bus.Principal.Audience;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The contract: the files of {@code openapi/} bundled into one document, and every operation in it compiled. Kehu does not
 * start with a contract that says something it does not understand, leaves out a word it needs, or accepts unbounded input;
 * all defects are named at once.
 */
public final class Contract {
    /** Only a name inside the validator; nothing is fetched. */
    static final String BASE = "https://kehu.invalid/openapi.json";

    /** A key that stands twice in a file would silently hide the first. */
    private static final YAMLMapper YAML = new YAMLMapper(YAMLFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build());

    private static final Set<String> METHODS = Set.of("get", "post", "put", "patch", "delete");
    private static final Set<String> WORDS = Set.of(
            "x-kind",
            "x-audience",
            "x-permission",
            "x-approval",
            "x-approval-shows",
            "x-approval-masks",
            "x-step-up",
            "x-idempotency",
            "x-body-limit",
            "x-timeout",
            "x-pool",
            "x-stale-ok");
    private static final Pattern PERMISSION = Pattern.compile("[a-z]+(-[a-z]+)*:[a-z]+(-[a-z]+)*");
    private static final Pattern POLICY = Pattern.compile("[a-z]+(-[a-z]+)*");
    private static final Pattern PLACEHOLDER = Pattern.compile("\\{([^}]*)}");
    private static final int DEFAULT_BODY_LIMIT_BYTES = 1 << 20;
    private static final int MAX_BODY_LIMIT_BYTES = 8 << 20;
    private static final int MAX_TIMEOUT_MILLIS = 60_000;

    private final ObjectNode document;
    private final Buffer bytes;
    private final List<Operation> operations = new ArrayList<>();
    private final Schema whole;

    /** What is wrong with a contract. */
    public static final class Defective extends RuntimeException {
        private final List<String> defects;

        public Defective(List<String> defects) {
            super(
                    "the contract has " + defects.size() + " defects:\n  " + String.join("\n  ", defects),
                    null,
                    false,
                    false);
            this.defects = List.copyOf(defects);
        }

        public List<String> defects() {
            return defects;
        }
    }

    private Contract(ObjectNode document, int defaultTimeoutMillis, List<String> defects) {
        this.document = document;
        this.bytes = Json.write(g -> g.writeTree(document));
        String text = bytes.toString();
        this.whole = SchemaRegistry.withDefaultDialect(
                        Dialect.builder(Dialects.getDraft202012())
                                .format(Parameter.INSTANT)
                                .build(),
                        b -> b.schemas(Map.of(BASE, text))
                                .schemaRegistryConfig(SchemaRegistryConfig.builder()
                                        .formatAssertionsEnabled(true)
                                        .pathType(PathType.JSON_POINTER)
                                        .regularExpressionFactory(pattern ->
                                                Parameter.pattern(pattern).asPredicate()::test)
                                        .build()))
                .getSchema(SchemaLocation.of(BASE));
        Bounds bounds = new Bounds(document, defects);
        bounds.words(document, "");
        document.get("paths").properties().forEach(path -> {
            for (Map.Entry<String, JsonNode> method : path.getValue().properties()) {
                if (METHODS.contains(method.getKey())) {
                    operations.add(operation(path.getKey(), method.getKey(), defaultTimeoutMillis, bounds, defects));
                } else if (!Set.of("parameters", "summary", "description").contains(method.getKey())) {
                    defects.add(path.getKey() + ": unknown word " + method.getKey());
                }
            }
        });
        Set<String> seen = new HashSet<>();
        operations.forEach(o -> {
            if (!seen.add(o.id())) {
                defects.add(o.id() + " is declared twice");
            }
            String route = o.method() + " " + o.path().replaceAll("\\{[^}]*}", "{}");
            if (!seen.add(route)) {
                defects.add(o.id() + ": " + route + " is declared twice");
            }
        });
        if (!defects.isEmpty()) {
            throw new Defective(defects);
        }
    }

    /** Reads {@code openapi/kehu.yaml} and the files it names from the class path. */
    public static Contract load(int defaultTimeoutMillis) {
        return load(defaultTimeoutMillis, name -> {
            try (InputStream in = Contract.class.getResourceAsStream("/openapi/" + name)) {
                if (in == null) {
                    throw new Defective(List.of("openapi/" + name + " is missing"));
                }
                return YAML.readTree(in);
            } catch (IOException e) {
                throw new Defective(List.of("openapi/" + name + " cannot be read: " + e.getMessage()));
            }
        });
    }

    /** Bundles files given by name, so that a test can hand over a contract of its own. */
    public static Contract load(int defaultTimeoutMillis, Function<String, JsonNode> file) {
        ObjectNode document = (ObjectNode) file.apply("kehu.yaml");
        List<String> defects = new ArrayList<>();
        JsonNode names = document.path("x-files");
        document.remove("x-files");
        if (names.isEmpty()) {
            defects.add("kehu.yaml: x-files names no file");
        }
        for (JsonNode name : names) {
            JsonNode part = file.apply(name.textValue());
            merge(document, part, "paths", name.textValue(), defects);
            part.path("components").properties().forEach(group -> {
                ObjectNode components = (ObjectNode) document.get("components");
                if (!components.has(group.getKey())) {
                    components.putObject(group.getKey());
                }
                merge(components, part.get("components"), group.getKey(), name.textValue(), defects);
            });
        }
        localise(document);
        return new Contract(document, defaultTimeoutMillis, defects);
    }

    /** The bundle, as served at {@code /openapi.json}. */
    public Buffer bytes() {
        return bytes;
    }

    public ObjectNode document() {
        return document;
    }

    public List<Operation> operations() {
        return List.copyOf(operations);
    }

    /** The compiled schema of an operation's JSON body, for what comes another way than by a request. */
    public Schema body(String operationId) {
        return operations.stream()
                .filter(operation -> operation.id().equals(operationId))
                .map(Operation::body)
                .filter(Objects::nonNull)
                .findFirst()
                .orElseThrow();
    }

    /** A compiled schema of the bundle, by JSON pointer. */
    public Schema schema(String pointer) {
        // Asked by a location, the registry would read and keep the whole document once more for each of them.
        Schema schema =
                whole.getRefSchema(SchemaLocation.of(BASE + "#" + pointer).getFragment());
        schema.getValidators(); // compiles now instead of at the first request
        return schema;
    }

    private static void merge(ObjectNode into, JsonNode from, String key, String file, List<String> defects) {
        ObjectNode target = (ObjectNode) into.get(key);
        from.path(key).properties().forEach(e -> {
            if (target.has(e.getKey())) {
                defects.add(file + ": " + key + " " + e.getKey() + " is declared twice");
            }
            target.set(e.getKey(), e.getValue());
        });
    }

    /** Components share one name space after bundling: a reference into another file becomes one into the bundle. */
    private static void localise(JsonNode node) {
        if (node instanceof ObjectNode object && object.path("$ref").isTextual()) {
            String ref = object.get("$ref").textValue();
            object.put("$ref", ref.substring(Math.max(0, ref.indexOf('#'))));
        }
        node.forEach(Contract::localise);
    }

    private Operation operation(
            String path, String method, int defaultTimeoutMillis, Bounds bounds, List<String> defects) {
        JsonNode item = document.get("paths").get(path);
        JsonNode node = item.get(method);
        String id = node.path("operationId").asText("");
        String where = id.isEmpty() ? method + " " + path : id;
        if (!id.matches("[a-z][A-Za-z0-9]+")) {
            defects.add(where + ": operationId must be verb + noun");
        }
        String tag = node.path("tags").path(0).asText("");
        if (node.path("tags").size() != 1 || !tag.matches("[a-z]+(\\.[a-z]+)*")) {
            defects.add(where + ": exactly one tag names the domain that serves it");
        }
        node.properties().forEach(e -> {
            if (e.getKey().startsWith("x-") && !WORDS.contains(e.getKey())) {
                defects.add(where + ": unknown word " + e.getKey());
            }
        });
        Operation.Kind kind = word(node, "x-kind", Operation.Kind.class, null, where, defects);
        Set<Audience> audience = EnumSet.noneOf(Audience.class);
        node.path("x-audience").forEach(a -> {
            try {
                audience.add(Audience.valueOf(a.asText().toUpperCase(Locale.ROOT)));
            } catch (IllegalArgumentException e) {
                defects.add(where + ": x-audience does not know " + a.asText());
            }
        });
        if (audience.isEmpty()) {
            defects.add(where + ": x-audience is missing");
        }
        JsonNode permitted = node.path("x-permission");
        String permission = permitted.textValue();
        boolean open = audience.contains(Audience.PUBLIC);
        if (permission == null ? node.has("x-permission") && !permitted.isNull() : !isPermission(permission)) {
            defects.add(where + ": x-permission must be domain:verb");
        }
        if (open ? permission != null : permission == null && !node.has("x-permission")) {
            defects.add(where + (open ? ": a public operation has no x-permission" : ": x-permission is missing"));
        }
        if (open && (audience.size() > 1 || node.has("x-step-up"))) {
            defects.add(where + ": a public operation is for everybody, without x-step-up");
        }
        boolean command = kind == Operation.Kind.COMMAND;
        Operation.Idempotency idempotency = word(
                node,
                "x-idempotency",
                Operation.Idempotency.class,
                command && !open ? Operation.Idempotency.OPTIONAL : Operation.Idempotency.NONE,
                where,
                defects);
        if (idempotency != Operation.Idempotency.NONE && (!command || open)) {
            defects.add(where + ": only commands of a known caller can be idempotent by key");
        }
        String approval = node.path("x-approval").textValue();
        if (node.has("x-approval")) {
            if (approval == null || !POLICY.matcher(approval).matches()) {
                defects.add(where + ": x-approval must be the code of a policy");
            }
            if (!command || !audience.equals(EnumSet.of(Audience.STAFF)) || idempotency == Operation.Idempotency.NONE) {
                defects.add(where + ": x-approval is for commands of staff that take an Idempotency-Key");
            }
            if (bounds.resolve(node.path("responses").path("202")).isMissingNode()) {
                defects.add(where + ": x-approval needs the response 202");
            }
        }
        bounds.shown(node, "x-approval-shows", where);
        bounds.shown(node, "x-approval-masks", where);
        if (kind == Operation.Kind.QUERY && !(method.equals("get") || method.equals("post"))) {
            defects.add(where + ": a query is a GET, or a POST that carries search terms");
        }
        boolean get = method.equals("get");
        if (get && (command || kind == Operation.Kind.UPLOAD)) {
            defects.add(where + ": a GET changes nothing");
        }
        if (!get && (kind == Operation.Kind.DOWNLOAD || kind == Operation.Kind.STREAM)) {
            defects.add(where + ": a download and a stream are a GET");
        }
        JsonNode stale = node.path("x-stale-ok");
        if (!stale.isMissingNode() && !(stale.isBoolean() && kind == Operation.Kind.QUERY)) {
            defects.add(where + ": x-stale-ok is true or false, on a query");
        }
        List<Parameter> parameters = parameters(item, node, path, where, bounds, defects);
        boolean ifMatch = parameters.stream().anyMatch(p -> p.name().equals("If-Match"));
        if (ifMatch && !command) {
            defects.add(where + ": If-Match is for commands");
        }
        if (command && method.equals("patch") && !ifMatch) {
            defects.add(where + ": an update needs the If-Match parameter");
        }
        JsonNode body = bounds.resolve(node.path("requestBody"));
        JsonNode content = body.path("content");
        String bodyType = content.isEmpty() ? null : content.fieldNames().next();
        if (!body.isMissingNode() && (content.size() != 1 || get)) {
            defects.add(where + ": a body has exactly one media type, and a GET has none");
        }
        if (body.isMissingNode() && node.has("x-body-limit")) {
            defects.add(where + ": x-body-limit without a body");
        }
        Schema schema = null;
        if (bodyType != null && kind != Operation.Kind.UPLOAD) {
            if (!bodyType.equals(method.equals("patch") ? "application/merge-patch+json" : "application/json")) {
                defects.add(where + ": the body must be application/json, of a PATCH application/merge-patch+json");
            }
            JsonNode declared = content.path(bodyType).path("schema");
            bounds.check(where, declared, "body", new HashSet<>());
            if (!bounds.resolve(declared).path("type").asText().equals("object")) {
                defects.add(where + ": the body must be an object");
            }
            try {
                schema = schema("/paths/" + path.replace("~", "~0").replace("/", "~1") + "/" + method
                        + "/requestBody/content/" + bodyType.replace("/", "~1") + "/schema");
            } catch (RuntimeException e) {
                defects.add(where + ": the schema of the body cannot be compiled: " + e.getMessage());
            }
        }
        if (kind == Operation.Kind.UPLOAD && !"application/octet-stream".equals(bodyType)) {
            defects.add(where + ": an upload takes application/octet-stream");
        }
        JsonNode problem = document.at("/components/responses/Problem");
        if (problem.isMissingNode()
                || !bounds.resolve(node.path("responses").path("default")).equals(problem)) {
            defects.add(where + ": the default response must be Problem");
        }
        return new Operation(
                id,
                method.toUpperCase(Locale.ROOT),
                path,
                tag,
                kind == null ? Operation.Kind.QUERY : kind,
                audience,
                permission,
                approval,
                bounded(node, "x-step-up", 0, 1440, 0, where, defects),
                idempotency == null ? Operation.Idempotency.NONE : idempotency,
                bounded(node, "x-body-limit", 1, MAX_BODY_LIMIT_BYTES, DEFAULT_BODY_LIMIT_BYTES, where, defects),
                bounded(node, "x-timeout", 100, MAX_TIMEOUT_MILLIS, defaultTimeoutMillis, where, defects),
                lane(node, where, defects),
                node.path("x-stale-ok").asBoolean(),
                parameters,
                schema,
                bodyType,
                body.path("required").asBoolean(),
                ifMatch);
    }

    private static List<Parameter> parameters(
            JsonNode item, JsonNode node, String path, String where, Bounds bounds, List<String> defects) {
        List<Parameter> parameters = new ArrayList<>();
        for (JsonNode list : List.of(item.path("parameters"), node.path("parameters"))) {
            for (JsonNode entry : list) {
                ObjectNode parameter = bounds.resolve(entry).deepCopy();
                JsonNode schema = bounds.resolve(parameter.path("schema")).deepCopy();
                if (schema instanceof ObjectNode array && array.has("items")) {
                    array.set("items", bounds.resolve(array.get("items")));
                }
                parameter.set("schema", schema);
                List<String> found = new ArrayList<>();
                parameters.add(Parameter.of(parameter, found));
                found.forEach(f -> defects.add(where + ": " + f));
            }
        }
        // In the order of the path, so that the n-th value of a route is the n-th path parameter.
        parameters.sort(Comparator.comparingInt(
                p -> p.place() == Parameter.Place.PATH ? path.indexOf("{" + p.name() + "}") : Integer.MAX_VALUE));
        Set<String> names = new HashSet<>();
        parameters.forEach(p -> {
            if (!names.add(p.name())) {
                defects.add(where + ": parameter " + p.name() + " is declared twice");
            }
        });
        List<String> inPath =
                PLACEHOLDER.matcher(path).results().map(m -> m.group(1)).toList();
        List<String> declared = parameters.stream()
                .filter(p -> p.place() == Parameter.Place.PATH)
                .map(Parameter::name)
                .toList();
        if (!declared.equals(inPath)) {
            defects.add(where + ": the parameters of the path are not those that are declared");
        }
        return List.copyOf(parameters);
    }

    private static <E extends Enum<E>> @Nullable E word(
            JsonNode node, String word, Class<E> type, @Nullable E otherwise, String where, List<String> defects) {
        if (!node.has(word)) {
            if (otherwise == null) {
                defects.add(where + ": " + word + " is missing");
            }
            return otherwise;
        }
        for (E constant : type.getEnumConstants()) {
            if (constant.name().toLowerCase(Locale.ROOT).equals(node.get(word).textValue())) {
                return constant;
            }
        }
        defects.add(where + ": " + word + " does not know " + node.get(word));
        return otherwise;
    }

    private static boolean isPermission(String text) {
        return PERMISSION.matcher(text).matches();
    }

    private static Lane lane(JsonNode node, String where, List<String> defects) {
        String value = node.path("x-pool").asText("point");
        if (!Set.of("point", "search", "heavy").contains(value)) {
            defects.add(where + ": x-pool does not know " + value);
            return Lane.POINT;
        }
        return Lane.valueOf(value.toUpperCase(Locale.ROOT));
    }

    private static int bounded(
            JsonNode node, String word, int least, int most, int otherwise, String where, List<String> defects) {
        JsonNode value = node.get(word);
        if (value == null) {
            return otherwise;
        }
        if (!value.isInt() || value.intValue() < least || value.intValue() > most) {
            defects.add(where + ": " + word + " must be a number from " + least + " to " + most);
            return otherwise;
        }
        return value.intValue();
    }
}
