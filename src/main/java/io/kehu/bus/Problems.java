package io.kehu.bus;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The catalogue of everything that can go wrong, read once from {@code problems.yaml}: status, texts in two languages,
 * and the database constraints whose violation means the problem.
 */
public final class Problems {
    private static final Map<String, Entry> ENTRIES = new LinkedHashMap<>();
    private static final Map<String, String> FIELD_TEXTS_ZH = new LinkedHashMap<>();
    private static final Map<String, String> FIELD_TEXTS_EN = new LinkedHashMap<>();
    private static final Map<String, String> BY_CONSTRAINT = new HashMap<>();
    private static final Set<String> UNDONE =
            Set.of("server.unavailable", "server.contended", "server.slow", "server.busy");

    static {
        try (InputStream in = Objects.requireNonNull(Problems.class.getResourceAsStream("/problems.yaml"))) {
            JsonNode root = new YAMLMapper().readTree(in);
            root.get("problems").properties().forEach(e -> {
                JsonNode node = e.getValue();
                List<String> constraints = new ArrayList<>();
                node.path("constraints").forEach(c -> constraints.add(c.textValue()));
                ENTRIES.put(
                        e.getKey(),
                        new Entry(
                                e.getKey(),
                                node.required("status").intValue(),
                                text(node.required("en")),
                                text(node.required("zh")),
                                constraints));
                constraints.forEach(c -> BY_CONSTRAINT.put(c, e.getKey()));
            });
            root.get("fields").properties().forEach(e -> {
                FIELD_TEXTS_EN.put(
                        "field." + e.getKey(), e.getValue().required("en").textValue());
                FIELD_TEXTS_ZH.put(
                        "field." + e.getKey(), e.getValue().required("zh").textValue());
            });
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Problems() {}

    /** Title, cause and remedy in one language; {@code {0}} stands for the first argument. */
    public record Text(String title, String cause, String remedy) {}

    /**
     * One entry of the catalogue.
     *
     * @param constraints names of database constraints whose violation means this problem
     */
    public record Entry(String code, int status, Text en, Text zh, List<String> constraints) {
        public Text text(boolean chinese) {
            return chinese ? zh : en;
        }
    }

    public static List<Entry> all() {
        return List.copyOf(ENTRIES.values());
    }

    public static Map<String, String> fields(boolean chinese) {
        return chinese ? FIELD_TEXTS_ZH : FIELD_TEXTS_EN;
    }

    /** The entry of a code. A code without one is a programming error and reads as {@code server.failure}. */
    public static Entry of(String code) {
        Entry entry = ENTRIES.get(code);
        return entry != null ? entry : Objects.requireNonNull(ENTRIES.get("server.failure"));
    }

    public static @Nullable Problem ofConstraint(@Nullable String constraint) {
        String code = constraint == null ? null : BY_CONSTRAINT.get(constraint);
        return code == null ? null : Problem.of(code);
    }

    /** The rules of the business said no (409, 422), in contrast to faulty input or a resource that is not there. */
    public static boolean isRefusal(Problem problem) {
        int status = of(problem.code()).status();
        return (status == 409 || status == 422) && !problem.code().startsWith("request.");
    }

    /** The database could not do it now: nothing of it was written, and it says nothing about what was asked for. */
    public static boolean isUndone(@Nullable Problem problem) {
        return problem != null && UNDONE.contains(problem.code());
    }

    /** Fills {@code {0}}, {@code {1}}, ... */
    public static String fill(String text, List<String> args) {
        String filled = text;
        for (int i = 0; i < args.size(); i++) {
            filled = filled.replace("{" + i + "}", args.get(i));
        }
        return filled;
    }

    private static Text text(JsonNode node) {
        return new Text(
                node.required("title").textValue(),
                node.required("cause").textValue(),
                node.required("remedy").textValue());
    }
}
