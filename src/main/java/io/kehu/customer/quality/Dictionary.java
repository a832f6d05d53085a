package io.kehu.customer.quality;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
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
     * @param level from 1, the top
     * @param nameEn null where only the Chinese name is known
     */
    public record Entry(
            String code,
            @Nullable String parent,
            int level,
            String nameZh,
            @Nullable String nameEn) {
        void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeStringField("code", code);
            if (parent != null) {
                json.writeStringField("parent", parent);
            }
            json.writeNumberField("level", level);
            json.writeStringField("nameZh", nameZh);
            if (nameEn != null) {
                json.writeStringField("nameEn", nameEn);
            }
            json.writeEndObject();
        }
    }

    private static final Pattern BLANKS = Pattern.compile("[\\s\\p{Zs}]+");

    public static final Dictionary REGIONS = read("regions", 1, "GB/T 2260", "Administrative regions", "行政区划");
    public static final Dictionary INDUSTRIES = read("industries", 2, "GB/T 4754-2017", "Industries", "国民经济行业分类");
    public static final Dictionary OCCUPATIONS = read("occupations", 1, "GB/T 6565-2015", "Occupations", "职业分类");
    static final List<Dictionary> ALL = List.of(REGIONS, INDUSTRIES, OCCUPATIONS);

    static @Nullable Dictionary of(String code) {
        return ALL.stream().filter(one -> one.code.equals(code)).findFirst().orElse(null);
    }

    /** Whether a code of a customer is one: of occupations as far down as the dictionary goes, which is sub-major groups. */
    public boolean knows(String given) {
        return entries.containsKey(
                code.equals("occupations")
                        ? (given.substring(0, Math.min(3, given.length())) + "00000").substring(0, 5)
                        : given);
    }

    /** What people choose a code by: the code, a blank, and its name; of a region behind the names of those above it. */
    public List<String> labels() {
        return entries.values().stream().map(this::label).toList();
    }

    private String label(Entry entry) {
        StringBuilder name = new StringBuilder(entry.nameZh);
        if (code.equals("regions")) {
            for (Entry above = above(entry); above != null; above = above(above)) {
                name.insert(0, above.nameZh);
            }
        }
        return name.insert(0, entry.code + ' ').toString();
    }

    private @Nullable Entry above(Entry entry) {
        return entry.parent == null ? null : entries.get(entry.parent);
    }

    /** The code of a text that was chosen by {@link #labels()}, or of a code with its own name alone; any other text as it is. */
    public String chosen(String text) {
        List<String> parts = BLANKS.splitAsStream(text).toList();
        Entry entry = parts.size() == 2 ? entries.get(parts.get(0)) : null;
        boolean named = entry != null
                && (entry.nameZh.equals(parts.get(1)) || label(entry).equals(entry.code + ' ' + parts.get(1)));
        return named ? parts.get(0) : text;
    }

    /** All its codes. */
    static String[] codes(String code) {
        Dictionary dictionary = of(code);
        return dictionary == null ? new String[0] : dictionary.entries.keySet().toArray(String[]::new);
    }

    /**
     * Its entries by code.
     *
     * @param parent only those right below it; null for all
     * @param level only those of it; 0 for all
     * @param search only those whose code begins so or whose name has it; null for all
     * @param after only those behind this code; empty for all
     */
    List<Entry> select(@Nullable String parent, int level, @Nullable String search, String after, int most) {
        String sought = search == null ? "" : search.strip().toLowerCase(Locale.ROOT);
        return entries.values().stream()
                .filter(entry -> parent == null || parent.equals(entry.parent))
                .filter(entry -> level == 0 || level == entry.level)
                .filter(entry -> sought.isEmpty()
                        || entry.code.toLowerCase(Locale.ROOT).startsWith(sought)
                        || entry.nameZh.contains(sought)
                        || (entry.nameEn != null
                                && entry.nameEn.toLowerCase(Locale.ROOT).contains(sought)))
                .filter(entry -> entry.code.compareTo(after) > 0)
                .sorted(Comparator.comparing(Entry::code))
                .limit(most)
                .toList();
    }

    private static Dictionary read(String code, int version, String standard, String nameEn, String nameZh) {
        Map<String, Entry> entries = new LinkedHashMap<>();
        for (String line : lines("/io/kehu/customer/quality/" + code + ".txt")) {
            String[] f = line.split("\\|", -1);
            Entry above = entries.get(f[1]);
            entries.put(
                    f[0],
                    new Entry(
                            f[0],
                            above == null ? null : above.code,
                            above == null ? 1 : above.level + 1,
                            f[2],
                            f[3].isEmpty() ? null : f[3]));
        }
        return new Dictionary(code, standard, version, nameEn, nameZh, entries);
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
            entry.toJson(json);
        }
        json.writeEndArray();
        json.writeEndObject();
    }
}
