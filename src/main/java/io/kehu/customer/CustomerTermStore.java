package io.kehu.customer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Problem;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.customer.identity.IdentityRules;
import io.kehu.sql.Where;
import io.vertx.core.buffer.Buffer;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of what a list is asked for: each filter and each thing to look up as a condition on the table c. */
final class CustomerTermStore {
    /** What can be filtered by: words of the contract. */
    private static final List<Set<String>> FILTERS = List.of(
            Set.of("kind"),
            Set.of("city"),
            Set.of("tier"),
            Set.of("lifecycle"),
            Set.of("risk"),
            Set.of("ageFrom", "ageTo"),
            Set.of("assetsFrom", "assetsTo"),
            Set.of("managerId"),
            Set.of("branchId"));

    /** Filters of several words; their columns are called the same. */
    private static final List<String> WORDS = List.of("tier", "lifecycle", "risk");

    private static final List<String> RANGES = List.of("ageFrom", "ageTo", "assetsFrom", "assetsTo");

    /** What names one customer or a few. */
    private static final List<String> LOOKED_UP = List.of("number", "idNumber", "phone", "email", "externalId");

    private final CustomerSeals seals;

    CustomerTermStore(CustomerSeals seals) {
        this.seals = seals;
    }

    static int filters(ObjectNode terms) {
        int filters = 0;
        for (Set<String> names : FILTERS) {
            for (String name : names) {
                if (terms.has(name)) {
                    filters++;
                    break;
                }
            }
        }
        // Like several: hits may be far apart, and no single index need be in their order.
        return terms.has("filter") ? filters + 2 : filters;
    }

    static boolean isLookedUp(ObjectNode terms) {
        for (String name : LOOKED_UP) {
            if (terms.has(name)) {
                return true;
            }
        }
        return false;
    }

    /** The filter with several words, or null. */
    static @Nullable String words(ObjectNode terms) {
        for (String field : WORDS) {
            if (terms.path(field).size() > 1) {
                return field;
            }
        }
        return null;
    }

    /** The ways in which tokens can qualify a customer: each of the name, with the last four digits where they are given. */
    List<int[]> alternatives(ObjectNode terms) {
        List<int[]> alternatives = new ArrayList<>();
        if (terms.has("name")) {
            alternatives.addAll(seals.wanted(
                    terms.get("name").textValue(), terms.path("exact").asBoolean()));
            if (alternatives.isEmpty()) {
                throw Problem.at("/name", "field.tooVague");
            }
        }
        if (terms.has("lastFour")) {
            int token = seals.lastFour(terms.get("lastFour").textValue());
            if (alternatives.isEmpty()) {
                alternatives.add(new int[] {token});
            } else {
                alternatives.replaceAll(tokens -> {
                    int[] more = Arrays.copyOf(tokens, tokens.length + 1);
                    more[tokens.length] = token;
                    return more;
                });
            }
        }
        return alternatives;
    }

    /**
     * All conditions but those of names.
     *
     * @return the order of entry of the newest customer who can be a hit, as an expression that one look into an index
     *     answers; null where nothing is filtered by. Those who were entered later, an import of prospects with only a
     *     name, need not be stepped over one by one
     */
    @Nullable
    String add(Where where, ObjectNode terms, Filter filter, Moment moment) {
        LocalDate today = moment.today();
        List<String> ordered = filter(where, terms, today);
        look(where, terms, today);
        filter.into(where, moment);
        return ordered.isEmpty()
                ? null
                : "(SELECT max(c.seq) FROM customer.customer c WHERE c.deleted_at IS NULL AND " + ordered.get(0) + ")";
    }

    /** @return the conditions that have an index in the order of entry, the most telling first */
    private static List<String> filter(Where where, ObjectNode terms, LocalDate today) {
        List<String> ordered = new ArrayList<>();
        if (terms.has("updatedSince")) {
            where.and(
                    "c.valid_from >= ?",
                    OffsetDateTime.parse(terms.get("updatedSince").textValue()));
        } else {
            where.and("c.deleted_at IS NULL");
        }
        String city = terms.path("city").textValue();
        if (city != null) {
            ordered.add(switch (city.length()) {
                        case 2 -> "left(c.region_code, 2) = ";
                        case 4 -> "left(c.region_code, 4) = ";
                        default -> "c.region_code = ";
                    }
                    + where.bind(city));
        }
        for (String field : WORDS) {
            JsonNode words = terms.path(field);
            // One word can use the order of its index, several cannot: two texts.
            if (words.size() == 1) {
                ordered.add("c." + field + " = " + where.bind(words.get(0).textValue()));
            } else if (words.size() > 1) {
                where.and("c." + field + " = ANY(?)", (Object)
                        words.valueStream().map(JsonNode::textValue).toArray(String[]::new));
            }
        }
        if (terms.has("kind")) {
            ordered.add("c.kind = " + where.bind(terms.get("kind").textValue()));
        }
        ordered.forEach(where::and);
        if (terms.has("ageFrom")) {
            where.and("c.birth_date <= ?", today.minusYears(terms.get("ageFrom").intValue()));
        }
        if (terms.has("ageTo")) {
            where.and("c.birth_date > ?", today.minusYears(terms.get("ageTo").intValue() + 1L));
        }
        where.andIf("c.assets >= ?", money(terms, "assetsFrom"));
        where.andIf("c.assets <= ?", money(terms, "assetsTo"));
        where.andIf("c.manager_id = ?", id(terms, "managerId"));
        where.andIf("c.branch_id = ?", id(terms, "branchId"));
        if (RANGES.stream().anyMatch(terms::has)) {
            ordered.add("(c.birth_date IS NOT NULL OR c.assets IS NOT NULL)");
        }
        return ordered;
    }

    private void look(Where where, ObjectNode terms, LocalDate today) {
        if (terms.has("number")) {
            long seq = Customer.seqOf(terms.get("number").textValue());
            if (seq < 0) {
                throw Problem.at("/number", IdentityRules.CHECKSUM);
            }
            where.and("c.seq = ?", seq);
        }
        if (terms.has("idNumber")) {
            List<CustomerSeals.Blind> readings =
                    seals.anyDocument(terms.get("idNumber").textValue(), today);
            if (readings.isEmpty()) {
                throw Problem.at("/idNumber", IdentityRules.FORMAT, "idNumber");
            }
            blind(where, "document", readings);
        }
        if (terms.has("phone")) {
            String phone = IdentityRules.normalPhone(terms.get("phone").textValue());
            if (IdentityRules.phone(phone) != null) {
                throw Problem.at("/phone", IdentityRules.FORMAT, "phone");
            }
            blind(where, "phone", List.of(seals.phone(phone)));
        }
        if (terms.has("email")) {
            blind(
                    where,
                    "email",
                    List.of(seals.email(
                            IdentityRules.normalEmail(terms.get("email").textValue()))));
        }
        JsonNode external = terms.path("externalId");
        if (external.isObject()) {
            blind(
                    where,
                    "external",
                    List.of(seals.external(
                            external.get("source").textValue(),
                            external.get("id").textValue())));
        }
    }

    private static void blind(Where where, String kind, List<CustomerSeals.Blind> readings) {
        // The kind is a constant of the program and stands in the text, so that the partial index can be chosen.
        where.and(
                "c.seq IN (SELECT b.seq FROM customer.blind b WHERE b.kind = '" + kind + "' AND b.value = ANY(?))",
                (Object) readings.stream().map(CustomerSeals.Blind::value).toArray(Buffer[]::new));
    }

    private static @Nullable BigDecimal money(ObjectNode terms, String field) {
        String text = terms.path(field).textValue();
        return text == null ? null : new BigDecimal(text);
    }

    private static @Nullable UUID id(ObjectNode terms, String field) {
        String text = terms.path(field).textValue();
        return text == null ? null : UUID.fromString(text);
    }
}
