package io.kehu.customer.export;

import com.fasterxml.jackson.core.JsonPointer;
import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.customer.export.format.RowWriter;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One column of a file: a name of the contract's closed list, and where a customer has it, as {@code Customer} of the contract.
 * What a column shows is thus what a read shows the same person.
 */
record ExportColumn(String name, JsonPointer where) {
    /** The others are fields of a customer. */
    private static final Map<String, String> WITHIN = Map.ofEntries(
            Map.entry("idNumber", "/documents/0/number"),
            Map.entry("idType", "/documents/0/type"),
            Map.entry("phone", "/phones/0/number"),
            Map.entry("phone2", "/phones/1/number"),
            Map.entry("email", "/emails/0"),
            Map.entry("email2", "/emails/1"),
            Map.entry("address", "/addresses/0/line"),
            Map.entry("postCode", "/addresses/0/postCode"),
            Map.entry("addressRegionCode", "/addresses/0/regionCode"),
            Map.entry("externalSource", "/externalIds/0/source"),
            Map.entry("externalId", "/externalIds/0/id"));

    static ExportColumn named(String name) {
        return new ExportColumn(name, JsonPointer.compile(WITHIN.getOrDefault(name, "/" + name)));
    }

    @Nullable
    String of(JsonNode customer) {
        JsonNode value = customer.at(where);
        return value.isValueNode() && !value.isNull() ? value.asText() : null;
    }

    RowWriter.Column head() {
        return new RowWriter.Column(name, Customer.FINANCE.contains(name));
    }

    /** Fails with {@code customer.fieldForbidden}: a column without its values would look as if nobody had any. */
    static void mustSee(Principal who, List<ExportColumn> columns) {
        for (ExportColumn column : columns) {
            if (Customer.FINANCE.contains(column.name) && !who.may("customer:finance")) {
                throw Problem.of("customer.fieldForbidden", column.name);
            }
        }
    }
}
