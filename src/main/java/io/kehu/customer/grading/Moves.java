package io.kehu.customer.grading;

import io.kehu.customer.grading.GradingRule.Kind;
import io.kehu.customer.tag.RuleTagStore.Given;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** What the rules say of some customers, as far as it differs from what they have. */
final class Moves {
    final List<Fact> facts = new ArrayList<>();
    final List<Grade> grades = new ArrayList<>();
    final List<Given> take = new ArrayList<>();
    final List<Given> give = new ArrayList<>();
    private final Map<UUID, Place> places = new HashMap<>();

    /** Where a customer is. */
    record Place(UUID branch, @Nullable UUID manager) {}

    /** What is to change of a customer's own row, if he still has that version; null for what stays. */
    record Fact(
            UUID customer,
            long version,
            @Nullable String tier,
            @Nullable String lifecycle) {}

    /** A value and the rule that says so. */
    record Grade(UUID customer, Kind kind, String value, UUID rule) {}

    private Moves() {}

    boolean isEmpty() {
        return facts.isEmpty() && grades.isEmpty() && take.isEmpty() && give.isEmpty();
    }

    Place place(UUID customer) {
        return Objects.requireNonNull(places.get(customer));
    }

    /**
     * Of rows of {@link GradeStore#verdictsOf}.
     *
     * @param held the tags that rules have given these customers
     */
    static Moves of(List<GradingRule> rules, RowSet<Row> rows, RowSet<Row> held) {
        Map<UUID, Map<UUID, UUID>> tags = new HashMap<>();
        held.forEach(row -> tags.computeIfAbsent(row.getUUID("customer_id"), id -> new HashMap<>())
                .put(row.getUUID("tag_id"), row.getUUID("rule_id")));
        Moves moves = new Moves();
        for (Row row : rows) {
            UUID id = row.getUUID("id");
            moves.places.put(id, new Place(row.getUUID("branch_id"), row.getUUID("manager_id")));
            String tier = moves.moved(rules, row, Kind.TIER);
            String lifecycle = moves.moved(rules, row, Kind.LIFECYCLE);
            moves.moved(rules, row, Kind.CLASS);
            if (tier != null || lifecycle != null) {
                moves.facts.add(new Fact(id, row.getLong("version"), tier, lifecycle));
            }
            moves.tags(rules, id, row.getArrayOfBooleans("tags"), tags.getOrDefault(id, Map.of()));
        }
        return moves;
    }

    /** The value that a rule gives instead of what is there; null where none does, or where somebody said it lately. */
    private @Nullable String moved(List<GradingRule> rules, Row row, Kind kind) {
        Integer first = row.getInteger(kind.word() + "_rule");
        if (first == null) {
            return null;
        }
        GradingRule rule = rules.get(first);
        String result = Objects.requireNonNull(rule.result());
        OffsetDateTime said = row.getOffsetDateTime(kind.word() + "_said");
        boolean stays = said != null && said.plusDays(rule.handDays()).isAfter(row.getOffsetDateTime("now"));
        if (stays || result.equals(row.getString(kind.word()))) {
            return null;
        }
        grades.add(new Grade(row.getUUID("id"), kind, result, rule.id()));
        return result;
    }

    private void tags(List<GradingRule> rules, UUID customer, Boolean[] fits, Map<UUID, UUID> has) {
        Set<String> slots = new HashSet<>();
        Set<UUID> wanted = new HashSet<>();
        int i = 0;
        for (GradingRule rule : rules) {
            if (rule.tagId() != null && fits[i++] && rule.tagUsable() && slots.add(rule.slot())) {
                wanted.add(rule.tagId());
                if (!rule.id().equals(has.get(rule.tagId()))) {
                    give.add(new Given(customer, rule.tagId(), rule.id()));
                }
            }
        }
        has.forEach((tag, rule) -> {
            if (!wanted.contains(tag)) {
                take.add(new Given(customer, tag, rule));
            }
        });
    }
}
