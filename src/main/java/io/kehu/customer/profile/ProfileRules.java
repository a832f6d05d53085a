package io.kehu.customer.profile;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Problem;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What may be said of whom, and what follows from the figures. Pure. */
final class ProfileRules {
    private static final String STATEMENT = "statement";
    private static final int RATIO_DIGITS = 4;

    private ProfileRules() {}

    /** A merge patch (RFC 7396, section 2) applied to an object, which it changes. Parts that come to hold nothing go. */
    static ObjectNode patched(ObjectNode target, ObjectNode patch) {
        for (Map.Entry<String, JsonNode> member : patch.properties()) {
            String name = member.getKey();
            if (member.getValue().isNull()) {
                target.remove(name);
            } else if (member.getValue() instanceof ObjectNode inner) {
                ObjectNode merged =
                        patched(target.get(name) instanceof ObjectNode there ? there : target.objectNode(), inner);
                if (merged.isEmpty()) {
                    target.remove(name);
                } else {
                    target.set(name, merged);
                }
            } else {
                target.set(name, member.getValue());
            }
        }
        return target;
    }

    /** Fails with {@code request.invalid} at what does not belong to a customer of this kind. */
    static void belongs(ObjectNode patch, String kind) {
        if (patch.path(STATEMENT).isObject() && !kind.equals("organisation")) {
            throw Problem.at("/" + STATEMENT, "field.notForKind");
        }
    }

    /** Adds the ratios of which all figures are known and the divisor is above zero; how each is made stands in the contract. */
    static void derive(ObjectNode profile) {
        if (profile.get("cashFlow") instanceof ObjectNode flow) {
            BigDecimal income = amount(flow, "monthlyIncome");
            BigDecimal service = amount(flow, "monthlyDebtService");
            ratio(flow, "savingsRate", minus(minus(income, amount(flow, "monthlyExpenses")), service), income);
            ratio(flow, "debtServiceRatio", service, income);
        }
        if (profile.get(STATEMENT) instanceof ObjectNode year) {
            BigDecimal assets = amount(year, "totalAssets");
            BigDecimal liabilities = amount(year, "totalLiabilities");
            BigDecimal current = amount(year, "currentAssets");
            BigDecimal due = amount(year, "currentLiabilities");
            BigDecimal profit = amount(year, "netProfit");
            ratio(year, "debtRatio", liabilities, assets);
            ratio(year, "currentRatio", current, due);
            ratio(year, "quickRatio", minus(current, amount(year, "inventory")), due);
            ratio(year, "netMargin", profit, amount(year, "revenue"));
            ratio(year, "returnOnAssets", profit, assets);
            ratio(year, "returnOnEquity", profit, minus(assets, liabilities));
        }
    }

    private static @Nullable BigDecimal amount(ObjectNode of, String name) {
        String text = of.path(name).textValue();
        return text == null ? null : new BigDecimal(text);
    }

    private static @Nullable BigDecimal minus(@Nullable BigDecimal one, @Nullable BigDecimal other) {
        return one == null || other == null ? null : one.subtract(other);
    }

    private static void ratio(ObjectNode to, String name, @Nullable BigDecimal part, @Nullable BigDecimal whole) {
        if (part != null && whole != null && whole.signum() > 0) {
            to.put(
                    name,
                    part.divide(whole, RATIO_DIGITS, RoundingMode.HALF_EVEN).toPlainString());
        }
    }
}
