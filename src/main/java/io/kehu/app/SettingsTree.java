package io.kehu.app;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The settings before they are typed: the tree of {@code conf/kehu.yaml} with the overlays laid over it. That file names
 * every setting, so it also decides which keys and environment variables exist.
 */
final class SettingsTree {
    private static final String DEFAULTS = "/conf/kehu.yaml";
    private static final YAMLMapper YAML = YAMLMapper.builder(YAMLFactory.builder()
                    .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
                    .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
                    .build())
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .build();
    private static final Map<String, String> ALIASES =
            Map.of("KEHU_PG_URI", "postgresql.uri", "KEHU_REDIS_URI", "redis.uri");

    private final ObjectNode node;
    private final String prefix;

    private SettingsTree(ObjectNode node, String prefix) {
        this.node = node;
        this.prefix = prefix;
    }

    /** The value at a path like {@code auth.accessMinutes}. */
    JsonNode at(String path) {
        return node.requiredAt("/" + path.replace('.', '/'));
    }

    static SettingsTree load(@Nullable Path file, Map<String, String> environment) {
        ObjectNode tree = defaults();
        if (file != null) {
            overlay(tree, read(file), "", file);
        }
        overlay(tree, environment);
        return new SettingsTree(tree, "");
    }

    /** The same tree with other values at these paths. */
    SettingsTree with(Map<String, String> values) {
        SettingsTree changed = new SettingsTree(node.deepCopy(), prefix);
        values.forEach((path, value) -> set(changed.node, path, value));
        return changed;
    }

    private static ObjectNode defaults() {
        try (InputStream in = SettingsTree.class.getResourceAsStream(DEFAULTS)) {
            if (in == null) {
                throw new StartFailure(DEFAULTS + " is missing from the class path; build Kehu again");
            }
            return (ObjectNode) YAML.readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static ObjectNode read(Path file) {
        try {
            JsonNode tree = YAML.readTree(Files.readAllBytes(file));
            if (tree == null || tree.isMissingNode() || tree.isNull()) {
                return JsonNodeFactory.instance.objectNode();
            }
            if (tree instanceof ObjectNode object) {
                return object;
            }
            throw new StartFailure(file + ": must be a YAML map of settings");
        } catch (JsonProcessingException e) {
            String line =
                    e.getLocation() == null ? "" : " line " + e.getLocation().getLineNr();
            throw new StartFailure(file + line + ": is not valid YAML: "
                    + e.getOriginalMessage().lines().findFirst().orElse(""));
        } catch (IOException e) {
            throw new StartFailure(file + ": the settings file cannot be read");
        }
    }

    private static void overlay(ObjectNode tree, ObjectNode values, String prefix, Path file) {
        values.properties().forEach(entry -> {
            String path = prefix + entry.getKey();
            JsonNode known = tree.get(entry.getKey());
            if (known == null) {
                throw new StartFailure(path + ": there is no such setting (in " + file + ")");
            }
            if (known instanceof ObjectNode group) {
                if (!(entry.getValue() instanceof ObjectNode inner)) {
                    throw new StartFailure(path + ": is a group of settings, not a single value (in " + file + ")");
                }
                overlay(group, inner, path + ".", file);
            } else {
                tree.set(entry.getKey(), entry.getValue());
            }
        });
    }

    private static void overlay(ObjectNode tree, Map<String, String> environment) {
        Map<String, String> paths = new TreeMap<>();
        leaves(tree, "", paths);
        paths.putAll(ALIASES);
        // Sorted, so that a start with two faults always names the same one.
        new TreeMap<>(environment).forEach((name, value) -> {
            if (!name.startsWith("KEHU_") || name.equals("KEHU_CONFIG") || madeByKubernetes(name, value)) {
                return;
            }
            String path = paths.get(name);
            if (path == null) {
                throw new StartFailure(name + ": there is no such setting (in the environment)");
            }
            String canonical = variable(path);
            if (!canonical.equals(name) && environment.containsKey(canonical)) {
                throw new StartFailure(name + ": is short for " + canonical + "; set only one of them");
            }
            set(tree, path, value.strip());
        });
    }

    /** For a service called kehu Kubernetes sets variables of its own in every container. */
    private static boolean madeByKubernetes(String name, String value) {
        return name.matches("KEHU_SERVICE_(HOST|PORT.*)")
                || (name.matches("KEHU_PORT(_\\d+_\\w+)?") && (value.contains("://") || name.contains("_PORT_")));
    }

    private static void leaves(ObjectNode tree, String prefix, Map<String, String> into) {
        tree.properties().forEach(entry -> {
            String path = prefix + entry.getKey();
            if (entry.getValue() instanceof ObjectNode group) {
                leaves(group, path + ".", into);
            } else {
                into.put(variable(path), path);
            }
        });
    }

    /** {@code http.idleTimeoutMillis} is {@code KEHU_HTTP_IDLE_TIMEOUT_MILLIS}. */
    static String variable(String path) {
        return "KEHU_"
                + path.replaceAll("([a-z0-9])([A-Z])", "$1_$2")
                        .replace('.', '_')
                        .toUpperCase(Locale.ROOT);
    }

    private static void set(ObjectNode tree, String path, String value) {
        String[] names = path.split("\\.");
        ObjectNode group = tree;
        for (int i = 0; i < names.length - 1; i++) {
            group = (ObjectNode) group.get(names[i]);
        }
        String leaf = names[names.length - 1];
        if (group.get(leaf) instanceof ArrayNode) {
            ArrayNode list = JsonNodeFactory.instance.arrayNode();
            Arrays.stream(value.split(","))
                    .map(String::strip)
                    .filter(v -> !v.isEmpty())
                    .forEach(list::add);
            group.set(leaf, list);
        } else {
            group.put(leaf, value);
        }
    }

    // Reading. Environment values arrive as text, so a number or a truth value may be text; a text may not be a group.

    SettingsTree group(String key) {
        return new SettingsTree((ObjectNode) node.get(key), prefix + key + ".");
    }

    private StartFailure fault(String key, String rule) {
        JsonNode value = node.get(key);
        // A URI that does not parse cannot be masked with certainty, so it is not shown at all.
        String shown = value == null || value.isNull()
                ? "nothing"
                : secret(key) || key.toLowerCase(Locale.ROOT).endsWith("uri") ? "something else" : value.toString();
        return new StartFailure(prefix + key + ": must be " + rule + ", is " + shown + " (environment: "
                + variable(prefix + key) + ")");
    }

    private static boolean secret(String key) {
        return key.equals("secretKey")
                || key.endsWith("Secret")
                || (key.toLowerCase(Locale.ROOT).contains("password") && !key.endsWith("Profile"));
    }

    int millis(String key, int least, int most) {
        return count(key, "milliseconds", least, most);
    }

    int count(String key, String unit, int least, int most) {
        JsonNode value = node.get(key);
        String text = value.isIntegralNumber() || value.isTextual() ? value.asText() : "";
        if (text.matches("-?[0-9]{1,12}")) {
            long number = Long.parseLong(text);
            if (number >= least && number <= most) {
                return (int) number;
            }
        }
        throw fault(key, "a whole number (" + unit + ") from " + least + " to " + most);
    }

    boolean bool(String key) {
        return switch (node.get(key).asText()) {
            case "true" -> true;
            case "false" -> false;
            default -> throw fault(key, "true or false");
        };
    }

    String text(String key) {
        JsonNode value = node.get(key);
        if (value.isNull()) {
            return "";
        }
        if (!value.isValueNode()) {
            throw fault(key, "a text");
        }
        return value.asText();
    }

    String matching(String key, String pattern, String rule) {
        String value = text(key);
        if (!value.matches(pattern)) {
            throw fault(key, rule);
        }
        return value;
    }

    String name(String key) {
        return matching(key, "[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "a name of 1 to 63 letters, digits, '.', '_' or '-'");
    }

    String host(String key) {
        return matching(key, "[A-Za-z0-9.:_-]{1,253}", "an address or host name of 1 to 253 characters");
    }

    Path path(String key) {
        return Path.of(matching(key, "[^\\x00\\r\\n]{1,1000}", "a path of 1 to 1000 characters"));
    }

    String uri(String key, String... schemes) {
        String value = text(key);
        if (value.isEmpty() || parses(value, List.of(schemes))) {
            return value;
        }
        throw fault(key, "a URI with a host that starts with " + schemes[0] + "://");
    }

    private static boolean parses(String uri, List<String> schemes) {
        try {
            URI parsed = URI.create(uri);
            return parsed.getScheme() != null && schemes.contains(parsed.getScheme()) && parsed.getHost() != null;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    ZoneId zone(String key) {
        try {
            return ZoneId.of(text(key));
        } catch (DateTimeException e) {
            throw fault(key, "an IANA time zone like Asia/Shanghai");
        }
    }

    List<String> list(String key, String pattern, String what) {
        List<String> values = new ArrayList<>();
        if (!(node.get(key) instanceof ArrayNode array) || array.size() > 1_000) {
            throw fault(key, "a list of at most 1000 " + what);
        }
        for (JsonNode value : array) {
            if (!value.isTextual() || !value.asText().matches(pattern)) {
                throw fault(key, "a list of at most 1000 " + what);
            }
            values.add(value.asText());
        }
        return List.copyOf(values);
    }

    <E extends Enum<E>> E oneOf(String key, Class<E> type) {
        String value = text(key);
        for (E constant : type.getEnumConstants()) {
            if (word(constant).equals(value.toLowerCase(Locale.ROOT))) {
                return constant;
            }
        }
        throw fault(
                key,
                Arrays.stream(type.getEnumConstants()).map(SettingsTree::word).collect(Collectors.joining(" or ")));
    }

    private static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** The tree as YAML; what must not be seen is replaced by {@code ***}. */
    String masked() {
        ObjectNode copy = node.deepCopy();
        mask(copy);
        try {
            return YAML.writeValueAsString(copy);
        } catch (JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void mask(ObjectNode tree) {
        for (Map.Entry<String, JsonNode> entry : List.copyOf(tree.properties())) {
            if (entry.getValue() instanceof ObjectNode group) {
                mask(group);
            } else if (entry.getValue().isTextual()
                    && !entry.getValue().asText().isEmpty()) {
                String text = entry.getValue().asText();
                tree.put(entry.getKey(), secret(entry.getKey()) ? "***" : Settings.withoutPassword(text));
            }
        }
    }
}
