package io.kehu.customer;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A plain fact of a customer: its name in the contract, its column in customer.customer and the column's type. Adding one
 * takes a column, a line in the contract and a line here.
 *
 * @param kind the kind of customer that alone may have it; null for both
 */
public record Fact(
        String field, String column, String type, @Nullable String kind) {
    public static final List<Fact> ALL = List.of(
            new Fact("kind", "kind", "text", null),
            new Fact("lifecycle", "lifecycle", "text", null),
            new Fact("tier", "tier", "text", null),
            new Fact("risk", "risk", "text", null),
            new Fact("regionCode", "region_code", "text", null),
            new Fact("birthDate", "birth_date", "date", "person"),
            new Fact("foundedOn", "founded_on", "date", "organisation"),
            new Fact("gender", "gender", "text", "person"),
            new Fact("maritalStatus", "marital_status", "text", "person"),
            new Fact("occupation", "occupation", "text", "person"),
            new Fact("industry", "industry", "text", "organisation"),
            new Fact("channel", "channel", "text", null),
            new Fact("customerSince", "since", "date", null),
            new Fact("annualIncome", "annual_income", "numeric", null),
            new Fact("assets", "assets", "numeric", null),
            new Fact("liabilities", "liabilities", "numeric", null));

    /** Those in CNY. */
    public static final Set<String> AMOUNTS = ALL.stream()
            .filter(fact -> fact.type.equals("numeric"))
            .map(Fact::field)
            .collect(Collectors.toSet());

    /** What somebody knows of himself, and not what the bank thinks of him. */
    private static final Set<String> HIS_OWN = Set.of(
            "kind", "regionCode", "birthDate", "gender", "maritalStatus", "occupation", "channel", "customerSince");

    static final List<Fact> OWN =
            ALL.stream().filter(fact -> HIS_OWN.contains(fact.field)).toList();
}
