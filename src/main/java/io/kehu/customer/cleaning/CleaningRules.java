package io.kehu.customer.cleaning;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.customer.identity.CustomerRules;
import io.kehu.customer.quality.Dictionary;
import java.time.LocalDate;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The ways of cleaning, each from the fields of a customer to better ones. Pure; done twice, the second time changes nothing.
 */
final class CleaningRules {
    private static final Pattern SPACES = Pattern.compile("[\\s\\p{Zs}]+");
    /** Nothing to see and nothing to read; joiners (U+200C, U+200D) stay, as some scripts need them. */
    private static final Pattern NOTHING = Pattern.compile("[\u200B\u2060\uFEFF]");

    private static final Pattern SPACE_IN_HAN = Pattern.compile("(\\p{IsHan}) (?=\\p{IsHan})");
    /** From a full-width character to its plain one. */
    private static final int FULL_WIDTH = 0xFEE0;

    private static final Map<String, Dictionary> CODED = Map.of(
            "regionCode", Dictionary.REGIONS, "industry", Dictionary.INDUSTRIES, "occupation", Dictionary.OCCUPATIONS);

    /** What can be done. */
    enum Action {
        /** Names and addresses without needless blanks, with plain letters and digits for full-width ones. */
        TIDY_TEXT,
        /** The rules of entry once more, for what came before they were what they are. */
        APPLY_RULES,
        /** The region of an address, and of who has none, from what the address says. */
        FILL_REGION,
        /** Without codes that their standard does not have. */
        DROP_UNKNOWN_CODES;

        static Action of(String word) {
            return valueOf(word.toUpperCase(Locale.ROOT).replace('-', '_'));
        }
    }

    private CleaningRules() {}

    /**
     * The fields cleaned, and checked as after any change.
     *
     * @param draft of {@code io.kehu.customer.Customer#toDraft}; stays as it is
     * @return null where nothing is to be done
     * @throws io.kehu.bus.Problem {@code request.invalid} where the record fails the rules of entry whatever is cleaned
     */
    static @Nullable ObjectNode cleaned(Action action, ObjectNode draft, LocalDate today) {
        ObjectNode better = draft.deepCopy();
        switch (action) {
            case TIDY_TEXT -> tidy(better);
            case APPLY_RULES -> {}
            case FILL_REGION -> better.path("addresses").forEach(address -> fill((ObjectNode) address));
            case DROP_UNKNOWN_CODES -> {
                drop(better);
                better.path("addresses").forEach(address -> drop((ObjectNode) address));
            }
        }
        if (action != Action.APPLY_RULES && better.equals(draft)) {
            return null;
        }
        ObjectNode checked = CustomerRules.checked(better, field -> false, today);
        return checked.equals(draft) ? null : checked;
    }

    private static void tidy(ObjectNode draft) {
        JsonNode name = draft.path("name");
        if (name.isTextual() && !tidied(name.textValue()).isEmpty()) {
            draft.put("name", tidied(name.textValue()));
        }
        draft.path("addresses").forEach(address -> {
            String line = tidied(address.path("line").asText());
            if (!line.isEmpty()) {
                ((ObjectNode) address).put("line", line);
            }
        });
    }

    /** Full-width brackets and points stay: in Chinese names of companies they are the right ones. */
    static String tidied(String text) {
        StringBuilder plain = new StringBuilder(text.length());
        NOTHING.matcher(text).replaceAll("").codePoints().forEach(c -> {
            boolean full = (c >= 0xFF10 && c <= 0xFF19) || (c >= 0xFF21 && c <= 0xFF3A) || (c >= 0xFF41 && c <= 0xFF5A);
            plain.appendCodePoint(full ? c - FULL_WIDTH : c);
        });
        String single = SPACES.matcher(plain).replaceAll(" ").strip();
        return SPACE_IN_HAN.matcher(single).replaceAll("$1");
    }

    private static void fill(ObjectNode address) {
        if (!address.has("regionCode")) {
            String code = region(address.path("line").asText());
            if (code != null) {
                address.put("regionCode", code);
            }
        }
    }

    /**
     * The region that an address names behind the one above it, or begins with, a county rather than a city; null for none, and where it could
     * be more than one.
     */
    static @Nullable String region(String line) {
        String county = region(line, false);
        String found = county == null ? region(line, true) : county;
        return found == null || found.isEmpty() ? null : found;
    }

    /** The longest name counts: 东城区 is not 城区. Null for none, empty for several. */
    private static @Nullable String region(String line, boolean cities) {
        String found = null;
        int longest = 0;
        for (Dictionary.Entry entry : Dictionary.REGIONS.entries().values()) {
            String parent = entry.parent();
            int length = entry.nameZh().length();
            if (parent == null || length < longest || entry.code().endsWith("00") != cities) {
                continue;
            }
            String above = Objects.requireNonNull(Dictionary.REGIONS.entries().get(parent))
                    .nameZh();
            int from = line.indexOf(above);
            boolean behind = from >= 0 && line.indexOf(entry.nameZh(), from + above.length()) >= 0;
            // No two cities have one name, so a city may come first.
            if (behind || (cities && line.startsWith(entry.nameZh()))) {
                found = length == longest ? "" : entry.code();
                longest = length;
            }
        }
        return found;
    }

    private static void drop(ObjectNode fields) {
        CODED.forEach((field, dictionary) -> {
            if (fields.has(field) && !dictionary.knows(fields.get(field).asText())) {
                fields.remove(field);
            }
        });
    }
}
