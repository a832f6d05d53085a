package io.kehu.customer;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One line of a list, {@code CustomerItem} of the contract. A page has many and nobody looks at them again, so a line goes
 * from its row and its opened bytes into those of the answer, without a {@link Customer} between: that took a quarter of
 * what the server spent on a search.
 */
final class CustomerItem {
    private static final Set<String> SHOWN =
            Set.of("kind", "lifecycle", "tier", "risk", "regionCode", "birthDate", "gender", "assets");

    /** The facts of a line, behind the first six columns of its row; then personal, epoch and wrapped. */
    static final List<Fact> FACTS =
            Fact.ALL.stream().filter(fact -> SHOWN.contains(fact.field())).toList();

    static final int SEQ = 1;
    private static final int BRANCH = 2;
    private static final int MANAGER = 3;
    private static final int VERSION = 4;
    private static final int SINCE = 5;
    private static final int FIRST_FACT = 6;
    static final int PERSONAL = FIRST_FACT + FACTS.size();
    /** Only in rows of lists that may hold deleted customers. */
    private static final int DELETED_AT = PERSONAL + 3;

    private static final List<SerializedString> NAMES =
            FACTS.stream().map(fact -> new SerializedString(fact.field())).toList();

    private CustomerItem() {}

    /** @param personal as opened from the row */
    static void write(JsonGenerator json, Row row, Personal.Head personal, Customer.View view) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", row.getUUID(0).toString());
        json.writeStringField("number", Customer.number(row.getLong(SEQ)));
        if (row.size() > DELETED_AT && row.getOffsetDateTime(DELETED_AT) != null) {
            version(json, row);
            json.writeBooleanField("deleted", true);
        } else {
            text(json, "name", personal.name());
            text(json, "idNumber", personal.maskedDocument());
            text(json, "phone", personal.maskedPhone());
            facts(json, row, view);
            json.writeStringField("branchId", row.getUUID(BRANCH).toString());
            UUID manager = row.getUUID(MANAGER);
            text(json, "managerId", manager == null ? null : manager.toString());
            version(json, row);
        }
        json.writeEndObject();
    }

    private static void version(JsonGenerator json, Row row) throws IOException {
        OffsetDateTime since = row.getOffsetDateTime(SINCE);
        json.writeNumberField("version", row.getLong(VERSION));
        json.writeStringField("since", Json.instant(since));
    }

    private static void facts(JsonGenerator json, Row row, Customer.View view) throws IOException {
        for (int i = 0; i < FACTS.size(); i++) {
            Object value = row.getValue(FIRST_FACT + i);
            if (value != null && view.shows(FACTS.get(i))) {
                json.writeFieldName(NAMES.get(i));
                json.writeString(value instanceof BigDecimal money ? money.toPlainString() : value.toString());
            }
        }
    }

    private static void text(JsonGenerator json, String field, @Nullable String value) throws IOException {
        if (value != null) {
            json.writeStringField(field, value);
        }
    }
}
