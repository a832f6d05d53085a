package io.kehu.customer;

import com.fasterxml.jackson.core.JsonGenerator;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Who a customer is in a line, as other resources name him to those who may see him: {@code CustomerBrief} of the contract.
 *
 * @param name null where there is none, or the key is gone
 */
public record CustomerBrief(
        UUID id, long seq, String kind, @Nullable String name) {
    /** Of the customer {@code c} and the tables of {@link #JOINS}. */
    public static final String COLUMNS =
            "c.id AS customer_id, c.seq AS customer_seq, c.kind AS customer_kind, s.personal, k.epoch, k.wrapped";

    public static final String JOINS =
            " LEFT JOIN customer.sealed s ON s.id = c.id LEFT JOIN kehu.data_key k ON k.subject_id = c.id ";

    public static CustomerBrief from(Row row, CustomerSeals seals) {
        Integer epoch = row.getInteger("epoch");
        UUID id = row.getUUID("customer_id");
        return new CustomerBrief(
                id,
                row.getLong("customer_seq"),
                row.getString("customer_kind"),
                seals.name(id, row.getBuffer("personal"), epoch == null ? 0 : epoch, row.getBuffer("wrapped")));
    }

    /** The same of parts that came another way than as columns of a row. */
    public static CustomerBrief of(
            UUID id,
            long seq,
            String kind,
            @Nullable Buffer personal,
            int epoch,
            @Nullable Buffer wrapped,
            CustomerSeals seals) {
        return new CustomerBrief(id, seq, kind, seals.name(id, personal, epoch, wrapped));
    }

    public void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("number", Customer.number(seq));
        json.writeStringField("kind", kind);
        if (name != null) {
            json.writeStringField("name", name);
        }
        json.writeEndObject();
    }

    @Override
    public String toString() {
        return "CustomerBrief[" + id + "]"; // no personal data in a log
    }
}
