package io.kehu.customer;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.customer.identity.CustomerRules;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A person or an organisation as it is, or was.
 *
 * @param seq the order of entry; 0 before the database gave it
 * @param facts what is kept plain: the fields of the contract that are neither personal nor ids, as texts
 * @param personal class C2, normalised; empty where the key is gone
 * @param sealedVersion which version of the ciphertext belongs to it
 */
public record Customer(
        UUID id,
        long seq,
        UUID branchId,
        @Nullable UUID managerId,
        ObjectNode facts,
        Personal personal,
        long sealedVersion,
        OffsetDateTime createdAt,
        @Nullable OffsetDateTime deletedAt,
        long version,
        OffsetDateTime since) {

    /** Facts that only the permission customer:finance shows, filters, sorts and enters. */
    public static final Set<String> FINANCE = Set.of("annualIncome", "assets", "liabilities");

    private static final int SEQ_DIGITS = 10;

    /** Which parts of a customer the reader may see in full. */
    public record View(boolean finance, Set<String> unmasked) {
        boolean shows(Fact fact) {
            return finance || !FINANCE.contains(fact.field());
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
                id,
                0,
                branchId,
                managerId,
                facts,
                Personal.of(personal),
                1,
                OffsetDateTime.MIN,
                null,
                1,
                OffsetDateTime.MIN);
    }

    /** From a row that begins with {@link CustomerStore#COLUMNS}; by place, as names are looked up one by one. */
    static Customer from(Row row, Personal personal) {
        ObjectNode facts = Json.object();
        int column = CustomerStore.FIRST_FACT;
        for (Fact fact : Fact.ALL) {
            Object value = row.getValue(column++);
            if (value != null) {
                facts.put(fact.field(), value instanceof BigDecimal money ? money.toPlainString() : value.toString());
            }
        }
        return new Customer(
                row.getUUID(0),
                row.getLong(1),
                row.getUUID(2),
                row.getUUID(3),
                facts,
                personal,
                row.getLong(4),
                row.getOffsetDateTime(5),
                row.getOffsetDateTime(6),
                row.getLong(7),
                row.getOffsetDateTime(8));
    }

    /** This customer with other checked fields and at another place. */
    public Customer with(ObjectNode draft, UUID branch, @Nullable UUID manager) {
        ObjectNode newFacts = Json.object();
        ObjectNode newPersonal = Json.object();
        split(draft, newFacts, newPersonal);
        boolean isSame = newPersonal.equals(personal.tree());
        return new Customer(
                id,
                seq,
                branch,
                manager,
                newFacts,
                isSame ? personal : Personal.of(newPersonal),
                isSame ? sealedVersion : sealedVersion + 1,
                createdAt,
                deletedAt,
                version,
                since);
    }

    private static void split(ObjectNode draft, ObjectNode facts, ObjectNode personal) {
        draft.properties()
                .forEach(e -> (Personal.FIELDS.contains(e.getKey()) ? personal : facts).set(e.getKey(), e.getValue()));
    }

    /** The fields as they could have been entered. */
    public ObjectNode toDraft() {
        ObjectNode draft = facts.deepCopy();
        draft.setAll(personal.tree().deepCopy());
        return draft;
    }

    /** Each field with what it comes to: amounts however many zeros they end with, parts in whatever order they stand. */
    public Map<String, Object> values() {
        Map<String, Object> values = new HashMap<>();
        toDraft().properties().forEach(e -> {
            JsonNode value = e.getValue();
            if (value.isArray()) {
                Set<JsonNode> parts = new HashSet<>();
                value.forEach(parts::add);
                values.put(e.getKey(), parts);
            } else {
                values.put(
                        e.getKey(),
                        Fact.AMOUNTS.contains(e.getKey())
                                ? new BigDecimal(value.asText()).stripTrailingZeros()
                                : value);
            }
        });
        return values;
    }

    /** The fields in which the two do not come to the same. */
    public Set<String> differing(Customer other) {
        Map<String, Object> mine = values();
        Map<String, Object> his = other.values();
        Set<String> fields = new TreeSet<>(mine.keySet());
        fields.addAll(his.keySet());
        fields.removeIf(field -> Objects.equals(mine.get(field), his.get(field)));
        return fields;
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

    /** The bank's customer number: the order of entry in ten digits and a check digit (ISO/IEC 7064, MOD 11,10). */
    public static String number(long seq) {
        String digits = Long.toString(seq);
        digits = "0".repeat(Math.max(0, SEQ_DIGITS - digits.length())) + digits;
        return digits + checkDigit(digits);
    }

    /** The order of entry that a number stands for, or -1 where the check digit is wrong. */
    static long seqOf(String number) {
        String digits = number.substring(0, SEQ_DIGITS);
        return checkDigit(digits) == number.charAt(SEQ_DIGITS) ? Long.parseLong(digits) : -1;
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
    public void toJson(JsonGenerator json, View view) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("number", number(seq));
        personal.write(json, view.unmasked);
        facts(json, view, Fact.ALL);
        json.writeStringField("currency", "CNY");
        place(json);
        json.writeStringField("createdAt", Json.instant(createdAt));
        json.writeEndObject();
    }

    /** The same for somebody, masked. */
    public void toJson(JsonGenerator json, Call call) throws IOException {
        toJson(json, CustomerService.view(call, Set.of()));
    }

    /** What the customer himself may see, as {@code OwnCustomer} of the contract. */
    public void toOwnJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("number", number(seq));
        personal.write(json, Set.of());
        facts(json, new View(false, Set.of()), Fact.OWN);
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }

    /** Enough to tell who he is, numbers masked, into an object that is open: {@code DuplicateCustomer} of the contract. */
    public void head(JsonGenerator json) throws IOException {
        Personal.Head head = personal.head();
        json.writeStringField("id", id.toString());
        json.writeStringField("number", number(seq));
        text(json, "kind", fact("kind"));
        text(json, "name", head.name());
        text(json, "idNumber", head.maskedDocument());
        text(json, "phone", head.maskedPhone());
        text(json, "birthDate", fact("birthDate"));
        json.writeStringField("branchId", branchId.toString());
        text(json, "managerId", managerId == null ? null : managerId.toString());
        json.writeNumberField("version", version);
    }

    private void facts(JsonGenerator json, View view, Iterable<Fact> shown) throws IOException {
        for (Fact fact : shown) {
            if (view.shows(fact)) {
                text(json, fact.field(), fact(fact.field()));
            }
        }
    }

    private void place(JsonGenerator json) throws IOException {
        json.writeStringField("branchId", branchId.toString());
        text(json, "managerId", managerId == null ? null : managerId.toString());
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
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
