package io.kehu.customer;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.crypto.Mask;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A person or an organisation as it is, or was.
 *
 * @param seq the order of entry; 0 before the database gave it
 * @param facts what is kept plain: the fields of the contract that are neither personal nor ids, as texts
 * @param personal class C2: name, documents, phones, emails, addresses, externalIds, in the contract's shape and normalised;
 *     empty where the key is gone
 * @param sealedVersion which version of the ciphertext belongs to it
 */
public record Customer(
        UUID id,
        long seq,
        UUID branchId,
        @Nullable UUID managerId,
        ObjectNode facts,
        ObjectNode personal,
        long sealedVersion,
        OffsetDateTime createdAt,
        @Nullable OffsetDateTime deletedAt,
        long version,
        OffsetDateTime since) {

    /** The personal fields of the contract; all others are facts. */
    static final Set<String> PERSONAL = Set.of("name", "documents", "phones", "emails", "addresses", "externalIds");

    /** Facts that only the permission customer:finance shows, filters, sorts and enters. */
    static final Set<String> FINANCE = Set.of("annualIncome", "assets", "liabilities");

    /** Which parts of a customer the reader may see in full. */
    record View(boolean finance, Set<String> unmasked) {
        private String shown(String part, String value, UnaryOperator<String> mask) {
            return unmasked.contains(part) ? value : mask.apply(value);
        }
    }

    /**
     * A new customer of checked fields.
     *
     * @param draft went through {@link CustomerRules#checked}
     */
    public static Customer draft(UUID id, ObjectNode draft, UUID branchId, @Nullable UUID managerId) {
        ObjectNode facts = Json.object();
        ObjectNode personal = Json.object();
        split(draft, facts, personal);
        return new Customer(
                id, 0, branchId, managerId, facts, personal, 1, OffsetDateTime.MIN, null, 1, OffsetDateTime.MIN);
    }

    /** From a row with the columns of {@link CustomerStore#columns} for these facts. */
    static Customer from(Row row, Iterable<Fact> read, ObjectNode personal) {
        ObjectNode facts = Json.object();
        for (Fact fact : read) {
            Object value = row.getValue(fact.column());
            if (value != null) {
                facts.put(fact.field(), value instanceof BigDecimal money ? money.toPlainString() : value.toString());
            }
        }
        return new Customer(
                row.getUUID("id"),
                row.getLong("seq"),
                row.getUUID("branch_id"),
                row.getUUID("manager_id"),
                facts,
                personal,
                row.getLong("sealed_version"),
                row.getOffsetDateTime("created_at"),
                row.getOffsetDateTime("deleted_at"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** This customer with other checked fields and at another place. */
    Customer with(ObjectNode draft, UUID branch, @Nullable UUID manager) {
        ObjectNode newFacts = Json.object();
        ObjectNode newPersonal = Json.object();
        split(draft, newFacts, newPersonal);
        return new Customer(
                id,
                seq,
                branch,
                manager,
                newFacts,
                newPersonal,
                newPersonal.equals(personal) ? sealedVersion : sealedVersion + 1,
                createdAt,
                deletedAt,
                version,
                since);
    }

    private static void split(ObjectNode draft, ObjectNode facts, ObjectNode personal) {
        draft.properties()
                .forEach(e -> (PERSONAL.contains(e.getKey()) ? personal : facts).set(e.getKey(), e.getValue()));
    }

    /** The fields as they could have been entered. */
    ObjectNode toDraft() {
        ObjectNode draft = facts.deepCopy();
        draft.setAll(personal.deepCopy());
        return draft;
    }

    @Nullable
    String fact(String field) {
        return facts.path(field).textValue();
    }

    @Nullable
    BigDecimal money(String field) {
        String text = fact(field);
        return text == null ? null : new BigDecimal(text);
    }

    @Nullable
    LocalDate date(String field) {
        String text = fact(field);
        return text == null ? null : LocalDate.parse(text);
    }

    @Nullable
    String name() {
        return personal.path("name").textValue();
    }

    /** The bank's customer number: the order of entry in ten digits and a check digit (ISO/IEC 7064, MOD 11,10). */
    static String number(long seq) {
        String digits = String.format("%010d", seq);
        return digits + checkDigit(digits);
    }

    /** The order of entry that a number stands for, or -1 where the check digit is wrong. */
    static long seqOf(String number) {
        String digits = number.substring(0, 10);
        return checkDigit(digits) == number.charAt(10) ? Long.parseLong(digits) : -1;
    }

    private static char checkDigit(String digits) {
        int product = 10;
        for (int i = 0; i < digits.length(); i++) {
            int sum = (product + digits.charAt(i) - '0') % 10;
            product = (sum == 0 ? 10 : sum) * 2 % 11;
        }
        return (char) ('0' + (11 - product) % 10);
    }

    /** Everything the view allows, as {@code Customer} of the contract. */
    void toJson(JsonGenerator json, View view) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("number", number(seq));
        text(json, "name", name());
        parts(json, "documents", "number", view, "idNumber", Customer::maskedDocument);
        parts(
                json,
                "phones",
                "number",
                view,
                "phone",
                part -> Mask.phone(part.path("number").asText()));
        json.writeArrayFieldStart("emails");
        for (JsonNode email : personal.path("emails")) {
            json.writeString(view.shown("email", email.asText(), Mask::email));
        }
        json.writeEndArray();
        parts(
                json,
                "addresses",
                "line",
                view,
                "address",
                part -> Mask.address(part.path("line").asText()));
        parts(
                json,
                "externalIds",
                "id",
                view,
                "externalId",
                part -> Mask.passport(part.path("id").asText()));
        facts(json, view, Fact.ALL);
        json.writeStringField("currency", "CNY");
        place(json);
        json.writeStringField("createdAt", createdAt.toInstant().toString());
        json.writeEndObject();
    }

    /** One line of a list, as {@code CustomerItem} of the contract. */
    void toItem(JsonGenerator json, View view) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("number", number(seq));
        if (deletedAt != null) {
            json.writeNumberField("version", version);
            json.writeStringField("since", since.toInstant().toString());
            json.writeBooleanField("deleted", true);
        } else {
            text(json, "name", name());
            JsonNode document = personal.path("documents").path(0);
            text(json, "idNumber", document.isMissingNode() ? null : maskedDocument(document));
            JsonNode phone = personal.path("phones").path(0).path("number");
            text(json, "phone", phone.isMissingNode() ? null : Mask.phone(phone.asText()));
            facts(json, view, Fact.LISTED);
            place(json);
        }
        json.writeEndObject();
    }

    private void facts(JsonGenerator json, View view, Iterable<Fact> shown) throws IOException {
        for (Fact fact : shown) {
            if (view.finance || !FINANCE.contains(fact.field())) {
                text(json, fact.field(), fact(fact.field()));
            }
        }
    }

    private void place(JsonGenerator json) throws IOException {
        json.writeStringField("branchId", branchId.toString());
        text(json, "managerId", managerId == null ? null : managerId.toString());
        json.writeNumberField("version", version);
        json.writeStringField("since", since.toInstant().toString());
    }

    private interface Masking {
        String of(JsonNode part);
    }

    /** An array of objects of which one field is masked. */
    private void parts(JsonGenerator json, String field, String secret, View view, String word, Masking mask)
            throws IOException {
        json.writeArrayFieldStart(field);
        for (JsonNode part : personal.path(field)) {
            json.writeStartObject();
            for (var e : part.properties()) {
                String value = e.getValue().asText();
                boolean hidden = e.getKey().equals(secret) && !view.unmasked.contains(word);
                json.writeStringField(e.getKey(), hidden ? mask.of(part) : value);
            }
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static String maskedDocument(JsonNode document) {
        String number = document.path("number").asText();
        return document.path("type").asText().endsWith("resident_id") ? Mask.idNumber(number) : Mask.passport(number);
    }

    private static void text(JsonGenerator json, String field, @Nullable String value) throws IOException {
        if (value != null) {
            json.writeStringField(field, value);
        }
    }

    @Override
    public String toString() {
        return "Customer[" + id + "]"; // no personal data in a log
    }
}
