package io.kehu.customer.duplicate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.customer.identity.NameTokens;
import java.text.Normalizer;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What of a customer is held against others, normalised.
 *
 * @param documents type and number, with a bar between
 * @param externals source and id, with a bar between
 * @param address words of all addresses; of Chinese ones the pairs of neighbouring characters
 * @param place post codes and region codes
 */
record Profile(
        String kind,
        NameTokens.@Nullable Parts name,
        @Nullable LocalDate born,
        @Nullable String gender,
        List<String> documents,
        List<String> phones,
        List<String> emails,
        List<String> externals,
        List<String> address,
        List<String> place) {

    /** Of a customer's fields as the contract names them, checked and normalised by the rules of customers. */
    static Profile of(ObjectNode fields) {
        List<String> address = new ArrayList<>();
        List<String> place = new ArrayList<>();
        for (JsonNode one : fields.path("addresses")) {
            words(one.path("line").asText(), address);
            if (one.has("postCode")) {
                place.add(one.get("postCode").asText().strip().toLowerCase(Locale.ROOT));
            }
            if (one.has("regionCode")) {
                place.add(one.get("regionCode").asText());
            }
        }
        if (fields.has("regionCode")) {
            place.add(fields.get("regionCode").asText());
        }
        String name = fields.path("name").textValue();
        String born = fields.path("birthDate").textValue();
        if (born == null) {
            born = fields.path("foundedOn").textValue();
        }
        return new Profile(
                fields.path("kind").asText("person"),
                name == null ? null : NameTokens.parts(name),
                born == null ? null : LocalDate.parse(born),
                fields.path("gender").textValue(),
                pairs(fields.path("documents"), "type", "number"),
                texts(fields.path("phones"), "number"),
                texts(fields.path("emails"), ""),
                pairs(fields.path("externalIds"), "source", "id"),
                address,
                place.stream().distinct().toList());
    }

    private static List<String> pairs(JsonNode list, String first, String second) {
        List<String> pairs = new ArrayList<>();
        list.forEach(one ->
                pairs.add(one.path(first).asText() + '|' + one.path(second).asText()));
        return pairs;
    }

    private static List<String> texts(JsonNode list, String field) {
        List<String> texts = new ArrayList<>();
        list.forEach(one -> texts.add((field.isEmpty() ? one : one.path(field)).asText()));
        return texts;
    }

    /** Words and numbers, folded; Chinese text as pairs of neighbours, for it has no spaces. */
    private static void words(String line, List<String> words) {
        String folded = Normalizer.normalize(line, Normalizer.Form.NFKC).toLowerCase(Locale.ROOT);
        StringBuilder word = new StringBuilder();
        int before = 0;
        for (int i = 0; i <= folded.length(); ) {
            int c = i < folded.length() ? folded.codePointAt(i) : ' ';
            i += Character.charCount(c);
            boolean han = Character.isIdeographic(c);
            if (!han && Character.isLetterOrDigit(c)) {
                word.appendCodePoint(c);
            } else if (!word.isEmpty()) {
                words.add(word.toString());
                word.setLength(0);
            }
            if (han && before != 0) {
                words.add(new StringBuilder()
                        .appendCodePoint(before)
                        .appendCodePoint(c)
                        .toString());
            }
            before = han ? c : 0;
        }
    }

    static String number(String document) {
        return document.substring(document.indexOf('|') + 1);
    }

    static String type(String document) {
        return document.substring(0, document.indexOf('|'));
    }
}
