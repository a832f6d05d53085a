package io.kehu.customer.quality;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Codes of one national standard with their names, as the resources beside this class have them.
 *
 * @param code regions, industries or occupations
 * @param standard with its year where it has one
 * @param version counts the editions of the resource
 */
public record Dictionary(
        String code, String standard, int version, String nameEn, String nameZh, Map<String, Entry> entries) {

    /**
     * One code.
     *
     * @param parent null at the top
     * @param nameEn null where only the Chinese name is known
     */
    public record Entry(
            String code,
            @Nullable String parent,
            String nameZh,
            @Nullable String nameEn) {}

    public static final Dictionary REGIONS = read("regions", "GB/T 2260", "Administrative regions", "行政区划");
    public static final Dictionary INDUSTRIES = read("industries", "GB/T 4754-2017", "Industries", "国民经济行业分类");
    public static final Dictionary OCCUPATIONS = read("occupations", "GB/T 6565-2015", "Occupations", "职业分类");
    static final List<Dictionary> ALL = List.of(REGIONS, INDUSTRIES, OCCUPATIONS);

    static @Nullable Dictionary of(String code) {
        return ALL.stream().filter(one -> one.code.equals(code)).findFirst().orElse(null);
    }

    /** Whether a code of a customer is one, as far down as the dictionary goes: divisions, and sub-major groups. */
    public boolean knows(String given) {
        return switch (code) {
            case "industries" -> entries.containsKey(given.substring(0, Math.min(3, given.length())));
            case "occupations" ->
                entries.containsKey((given.substring(0, Math.min(3, given.length())) + "00000").substring(0, 5));
            default -> entries.containsKey(given);
        };
    }

    /** All its codes. */
    static String[] codes(String code) {
        Dictionary dictionary = of(code);
        return dictionary == null ? new String[0] : dictionary.entries.keySet().toArray(String[]::new);
    }

    private static Dictionary read(String code, String standard, String nameEn, String nameZh) {
        Map<String, Entry> entries = new LinkedHashMap<>();
        for (String line : lines("/io/kehu/customer/quality/" + code + ".txt")) {
            String[] f = line.split("\\|", -1);
            entries.put(f[0], new Entry(f[0], f[1].isEmpty() ? null : f[1], f[2], f[3].isEmpty() ? null : f[3]));
        }
        return new Dictionary(code, standard, 1, nameEn, nameZh, entries);
    }

    private static List<String> lines(String resource) {
        List<String> lines = new ArrayList<>();
        try (InputStream in = Dictionary.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new IllegalStateException(resource + " is missing");
            }
            BufferedReader reader = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (!line.isBlank() && line.charAt(0) != '#') {
                    lines.add(line);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return lines;
    }

    void head(JsonGenerator json) throws IOException {
        json.writeStringField("code", code);
        json.writeStringField("standard", standard);
        json.writeNumberField("version", version);
        json.writeStringField("nameEn", nameEn);
        json.writeStringField("nameZh", nameZh);
        json.writeNumberField("size", entries.size());
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        head(json);
        json.writeArrayFieldStart("entries");
        for (Entry entry : entries.values()) {
            json.writeStartObject();
            json.writeStringField("code", entry.code);
            if (entry.parent != null) {
                json.writeStringField("parent", entry.parent);
            }
            json.writeStringField("nameZh", entry.nameZh);
            if (entry.nameEn != null) {
                json.writeStringField("nameEn", entry.nameEn);
            }
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }
}
