package io.kehu.customer.identity;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.kehu.customer.Fact;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What the fields of a customer must be together, beyond the contract's shapes: each value normalised and checked by
 * {@link IdentityRules}, facts that belong to the kind, dates that have come, birth date and gender as the resident
 * number says. Pure.
 */
public final class CustomerRules {
    private static final Set<String> ORGANISATION_TIERS = Set.of("small", "medium", "large");
    /** Nobody alive was born earlier, and no bank's paper is older. */
    private static final int OLDEST_YEARS = 150;

    private final ObjectNode draft;
    private final Predicate<String> said;
    private final LocalDate today;
    private final boolean person;
    private final List<FieldError> errors = new ArrayList<>();

    private CustomerRules(ObjectNode draft, Predicate<String> said, LocalDate today) {
        this.draft = draft;
        this.said = said;
        this.today = today;
        this.person = draft.path("kind").asText().equals("person");
    }

    /**
     * The fields, normalised and completed.
     *
     * @param draft all fields but branchId and managerId, of the contract's types; stays as it is
     * @param said which fields the caller gave: only these can contradict a document, others follow it
     * @param today in the bank's zone
     * @throws Problem {@code request.invalid} with a pointer to each fault
     */
    public static ObjectNode checked(ObjectNode draft, Predicate<String> said, LocalDate today) {
        CustomerRules rules = new CustomerRules(draft.deepCopy(), said, today);
        rules.name();
        rules.documents();
        rules.contacts();
        rules.addresses();
        rules.externalIds();
        rules.facts();
        if (!rules.errors.isEmpty()) {
            throw Problem.invalid(rules.errors);
        }
        return rules.draft;
    }

    private void fault(String pointer, String code, String... args) {
        errors.add(new FieldError(pointer, code, List.of(args)));
    }

    /** What a rule found; a wrong format says which one it ought to be. */
    private boolean refused(String pointer, @Nullable String code, String format) {
        if (code == null) {
            return false;
        }
        fault(pointer, code, code.equals(IdentityRules.FORMAT) ? new String[] {format} : new String[0]);
        return true;
    }

    private void name() {
        draft.putIfAbsent("lifecycle", draft.textNode("prospect"));
        String name = draft.path("name").textValue();
        boolean prospect = draft.path("lifecycle").asText().equals("prospect");
        if (name == null) {
            draft.remove("name");
            if (!prospect || draft.path("externalIds").isEmpty()) {
                fault("/name", "field.required");
            }
        } else if (!refused("/name", IdentityRules.name(name), "name")) {
            draft.put("name", name.strip());
        }
    }

    private void documents() {
        Set<String> seen = new HashSet<>();
        int i = 0;
        for (JsonNode node : draft.path("documents")) {
            String at = "/documents/" + i++;
            ObjectNode document = (ObjectNode) node;
            String type = document.path("type").asText();
            String number =
                    IdentityRules.normalDocument(type, document.path("number").asText());
            document.put("number", number);
            IdentityRules.DocumentRule rule = Objects.requireNonNull(IdentityRules.DOCUMENTS.get(type));
            if (person ? type.equals("credit_code") : !type.equals("credit_code") && !type.equals("other")) {
                fault(at + "/type", "field.notForKind");
            } else if (!refused(at + "/number", rule.check(number, today), type)) {
                if (!seen.add(type + number)) {
                    fault(at, "field.repeated");
                }
                if (type.endsWith("resident_id") && number.length() == 18) {
                    derive("birthDate", IdentityRules.birthDateOf(number).toString());
                    derive("gender", IdentityRules.genderOf(number).name().toLowerCase(Locale.ROOT));
                }
            }
        }
        dropIfEmpty("documents");
    }

    /** What the number says is so; whoever said otherwise hears of it. */
    private void derive(String field, String value) {
        String given = draft.path(field).textValue();
        if (given != null && said.test(field) && !given.equals(value)) {
            fault("/" + field, "field.contradiction");
        } else {
            draft.put(field, value);
        }
    }

    private void contacts() {
        int i = 0;
        Set<String> seen = new HashSet<>();
        for (JsonNode phone : draft.path("phones")) {
            String at = "/phones/" + i++ + "/number";
            String number = IdentityRules.normalPhone(phone.path("number").asText());
            ((ObjectNode) phone).put("number", number);
            if (!refused(at, IdentityRules.phone(number), "phone") && !seen.add(number)) {
                fault(at, "field.repeated");
            }
        }
        dropIfEmpty("phones");
        ArrayNode emails = draft.arrayNode();
        for (JsonNode written : draft.path("emails")) {
            String at = "/emails/" + emails.size();
            String email = IdentityRules.normalEmail(written.asText());
            emails.add(email);
            if (!refused(at, IdentityRules.email(email), "email") && !seen.add(email)) {
                fault(at, "field.repeated");
            }
        }
        draft.set("emails", emails);
        dropIfEmpty("emails");
    }

    private void addresses() {
        int i = 0;
        for (JsonNode address : draft.path("addresses")) {
            String at = "/addresses/" + i++;
            String line = address.path("line").asText();
            if (line.chars().anyMatch(c -> c < ' ')) {
                fault(at + "/line", "field.control");
            }
            ((ObjectNode) address).put("line", line.strip());
            region(at + "/regionCode", address.path("regionCode").textValue());
            if (draft.path("regionCode").isMissingNode() && address.has("regionCode")) {
                draft.set("regionCode", address.get("regionCode")); // where somebody lives, not where the id was issued
            }
        }
        dropIfEmpty("addresses");
        region("/regionCode", draft.path("regionCode").textValue());
    }

    private void region(String at, @Nullable String code) {
        refused(at, code == null ? null : IdentityRules.regionCode(code), "GB/T 2260");
    }

    private void externalIds() {
        Set<String> sources = new HashSet<>();
        int i = 0;
        for (JsonNode external : draft.path("externalIds")) {
            if (!sources.add(external.path("source").asText())) {
                fault("/externalIds/" + i + "/source", "field.repeated");
            }
            i++;
        }
        dropIfEmpty("externalIds");
    }

    private void facts() {
        draft.putIfAbsent("tier", draft.textNode(person ? "mass" : "small"));
        if (ORGANISATION_TIERS.contains(draft.path("tier").asText()) == person) {
            fault("/tier", "field.notForKind");
        }
        for (Fact fact : Fact.ALL) {
            JsonNode value = draft.path(fact.field());
            if (value.isNull()) {
                draft.remove(fact.field());
            } else if (!value.isMissingNode()) {
                if (fact.kind() != null
                        && !fact.kind().equals(draft.path("kind").asText())) {
                    fault("/" + fact.field(), "field.notForKind");
                } else if (fact.type().equals("date")) {
                    date("/" + fact.field(), value.asText());
                }
            }
        }
    }

    private void date(String at, String text) {
        LocalDate date = LocalDate.parse(text);
        if (date.isAfter(today)) {
            fault(at, IdentityRules.FUTURE);
        } else if (date.isBefore(today.minusYears(OLDEST_YEARS))) {
            fault(at, IdentityRules.DATE);
        }
    }

    private void dropIfEmpty(String field) {
        if (draft.path(field).isEmpty()) {
            draft.remove(field);
        }
    }
}
