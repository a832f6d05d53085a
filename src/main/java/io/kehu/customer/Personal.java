package io.kehu.customer;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.crypto.Mask;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What is personal about a customer, class C2, in the contract's shape: exactly the bytes that are sealed. Who only looks
 * never makes a tree of them: they are copied, masked, from the opened bytes into those of the answer.
 */
public final class Personal {
    /** The personal fields of the contract; all others are facts. */
    static final Set<String> FIELDS = Set.of("name", "documents", "phones", "emails", "addresses", "externalIds");

    /** Nothing: a customer without any, or one whose key is gone. */
    static final Personal NONE = new Personal("{}".getBytes(StandardCharsets.UTF_8));

    private final byte[] json;

    Personal(byte[] json) {
        this.json = json;
    }

    static Personal of(ObjectNode fields) {
        return new Personal(fields.toString().getBytes(StandardCharsets.UTF_8));
    }

    /** What a line of a list shows: the name, and masked the first document and the first phone. */
    record Head(
            @Nullable String name,
            @Nullable String maskedDocument,
            @Nullable String maskedPhone) {}

    /** The arrays, of objects or of texts: which field of an object is masked, how, and the word that unmasks it. */
    private enum Part {
        DOCUMENTS("documents", "number", "idNumber"),
        PHONES("phones", "number", "phone"),
        EMAILS("emails", "", "email"),
        ADDRESSES("addresses", "line", "address"),
        EXTERNAL_IDS("externalIds", "id", "externalId");

        private final String field;
        private final String secret;
        private final String word;

        Part(String field, String secret, String word) {
            this.field = field;
            this.secret = secret;
            this.word = word;
        }

        static @Nullable Part of(String field) {
            for (Part part : values()) {
                if (part.field.equals(field)) {
                    return part;
                }
            }
            return null;
        }

        /** The masked form, which depends on the type of a document. */
        String masked(String secret, String type) {
            return switch (this) {
                case DOCUMENTS -> type.endsWith("resident_id") ? Mask.idNumber(secret) : Mask.passport(secret);
                case PHONES -> Mask.phone(secret);
                case EMAILS -> Mask.email(secret);
                case ADDRESSES -> Mask.address(secret);
                case EXTERNAL_IDS -> Mask.passport(secret);
            };
        }
    }

    /** One object of an array as names and values in turn. */
    private record Item(List<String> pairs) {
        static Item read(JsonParser in) throws IOException {
            List<String> pairs = new ArrayList<>(8);
            while (in.nextToken() != JsonToken.END_OBJECT) {
                pairs.add(in.currentName());
                in.nextToken();
                pairs.add(in.getText());
            }
            return new Item(pairs);
        }

        String value(String name) {
            for (int i = 0; i < pairs.size(); i += 2) {
                if (pairs.get(i).equals(name)) {
                    return pairs.get(i + 1);
                }
            }
            return "";
        }

        String masked(Part part) {
            return part.masked(value(part.secret), value("type"));
        }
    }

    /** The bytes to be sealed. */
    byte[] bytes() {
        return json;
    }

    /** As a tree of its own, to be changed or looked into; empty arrays and absent ones are both possible. */
    ObjectNode tree() {
        return Json.read(new String(json, StandardCharsets.UTF_8));
    }

    /** The fields of {@code Customer} of the contract, into an object that is open; arrays also where they are empty. */
    void write(JsonGenerator out, Set<String> unmasked) throws IOException {
        Set<Part> absent = EnumSet.allOf(Part.class);
        try (JsonParser in = Json.own(json)) {
            in.nextToken();
            while (in.nextToken() == JsonToken.FIELD_NAME) {
                String field = in.currentName();
                in.nextToken();
                Part part = Part.of(field);
                if (part == null) {
                    out.writeStringField(field, in.getText());
                } else {
                    absent.remove(part);
                    write(in, out, part, unmasked.contains(part.word));
                }
            }
        }
        for (Part part : absent) {
            out.writeArrayFieldStart(part.field);
            out.writeEndArray();
        }
    }

    private static void write(JsonParser in, JsonGenerator out, Part part, boolean full) throws IOException {
        out.writeArrayFieldStart(part.field);
        while (in.nextToken() != JsonToken.END_ARRAY) {
            if (in.currentToken() == JsonToken.VALUE_STRING) {
                out.writeString(full ? in.getText() : part.masked(in.getText(), ""));
                continue;
            }
            Item item = Item.read(in);
            out.writeStartObject();
            for (int i = 0; i < item.pairs.size(); i += 2) {
                String name = item.pairs.get(i);
                boolean hidden = !full && name.equals(part.secret);
                out.writeStringField(name, hidden ? item.masked(part) : item.pairs.get(i + 1));
            }
            out.writeEndObject();
        }
        out.writeEndArray();
    }

    /** Reads no further than to the last of the three: in what is sealed they stand first. */
    Head head() {
        String name = null;
        String document = null;
        String phone = null;
        try (JsonParser in = Json.own(json)) {
            in.nextToken();
            while ((name == null || document == null || phone == null) && in.nextToken() == JsonToken.FIELD_NAME) {
                String field = in.currentName();
                JsonToken value = in.nextToken();
                Part part = Part.of(field);
                if (field.equals("name")) {
                    name = in.getText();
                } else if (part != Part.DOCUMENTS && part != Part.PHONES) {
                    in.skipChildren();
                } else if (value == JsonToken.START_ARRAY && in.nextToken() == JsonToken.START_OBJECT) {
                    String masked = Item.read(in).masked(part);
                    document = part == Part.DOCUMENTS ? masked : document;
                    phone = part == Part.PHONES ? masked : phone;
                    skipRest(in);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return new Head(name, document, phone);
    }

    /** The name and nothing else; reads no further than to it. */
    @Nullable
    String name() {
        try (JsonParser in = Json.own(json)) {
            in.nextToken();
            while (in.nextToken() == JsonToken.FIELD_NAME) {
                String field = in.currentName();
                in.nextToken();
                if (field.equals("name")) {
                    return in.getText();
                }
                in.skipChildren();
            }
            return null;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** To the end of the array whose first object was read. */
    private static void skipRest(JsonParser in) throws IOException {
        while (in.nextToken() != JsonToken.END_ARRAY) {
            in.skipChildren();
        }
    }

    @Override
    public String toString() {
        return "Personal"; // nothing of it in a log
    }
}
