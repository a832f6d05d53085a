package io.kehu.customer;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.math.BigDecimal;
import org.jspecify.annotations.Nullable;

/**
 * The finances of several customers together, in CNY: {@code FinanceTotals} of the contract.
 *
 * @param customers how many the sums are of, whether theirs are known or not
 * @param assets null where nobody's are known, as the others
 */
public record CustomerTotals(
        long customers,
        @Nullable BigDecimal assets,
        @Nullable BigDecimal liabilities,
        @Nullable BigDecimal annualIncome) {
    /** Of customers {@code c}. */
    public static final String COLUMNS =
            "count(*) AS customers, sum(c.assets) AS assets, sum(c.liabilities) AS liabilities, sum(c.annual_income) AS annual_income";

    public static CustomerTotals from(Row row) {
        return new CustomerTotals(
                row.getLong("customers"),
                row.getBigDecimal("assets"),
                row.getBigDecimal("liabilities"),
                row.getBigDecimal("annual_income"));
    }

    /** A sum tells of its parts: fails with {@code customer.fieldForbidden} as each of them would. */
    public static void mustSee(Principal who) {
        if (!who.may("customer:finance")) {
            throw Problem.of("customer.fieldForbidden", "assets");
        }
    }

    /** @param complete whether there can be nobody whom the caller does not see */
    public void toJson(JsonGenerator json, boolean complete) throws IOException {
        json.writeStartObject();
        json.writeNumberField("customers", customers);
        money(json, "assets", assets);
        money(json, "liabilities", liabilities);
        money(json, "annualIncome", annualIncome);
        json.writeStringField("currency", "CNY");
        json.writeBooleanField("complete", complete);
        json.writeEndObject();
    }

    private static void money(JsonGenerator json, String field, @Nullable BigDecimal sum) throws IOException {
        if (sum != null) {
            json.writeStringField(field, sum.toPlainString());
        }
    }
}
