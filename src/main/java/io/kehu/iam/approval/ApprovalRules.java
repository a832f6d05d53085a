package io.kehu.iam.approval;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Who may decide, what a decision comes to, what is still good when it runs, and what a reader sees of the command. */
final class ApprovalRules {
    private static final String HIDDEN = "***";
    private static final int MAX_FIELDS = 1_000;

    private ApprovalRules() {}

    /** One field of a command's body; a null value is one that the command takes away. */
    record Field(String pointer, @Nullable String value) {}

    /**
     * Who decides, as PostgreSQL knows him in the transaction of the decision.
     *
     * @param active false for somebody who works here no more
     */
    record Decider(boolean active, Set<String> permissions) {}

    /**
     * The state after one more has agreed.
     *
     * @param asks the permission of whoever decides next
     */
    record Step(int level, String state, String asks) {}

    /** Throws approval.notFound where the reader may not know of it. */
    static void mustSee(Approval approval, Principal reader) {
        boolean decides =
                approval.within() && approval.levels().stream().anyMatch(level -> reader.may(level.permission()));
        if (!decides && !approval.makerId().equals(reader.subject()) && !reader.may("approval:oversee")) {
            throw Problem.of("approval.notFound");
        }
    }

    /**
     * Throws approval.ended, approval.expired, approval.ownChange or approval.notYours. Who is the maker, or holds his account,
     * is a constraint of the table too.
     */
    static void mustDecide(Approval approval, Principal caller, Decider decider) {
        mustBe(approval, Set.of("pending"));
        if (approval.makerId().equals(caller.subject())) {
            throw Problem.of("approval.ownChange");
        }
        String permission = approval.deciding().permission();
        if (!approval.within()
                || !decider.active()
                || !decider.permissions().contains("approval:decide")
                || !decider.permissions().contains(permission)) {
            throw Problem.of("approval.notYours", permission);
        }
    }

    static void mustBe(Approval approval, Set<String> states) {
        if (approval.state().equals("expired")) {
            throw Problem.of("approval.expired");
        }
        if (!states.contains(approval.state())) {
            throw Problem.of("approval.ended", approval.state());
        }
    }

    static Step agreed(Approval approval) {
        List<Policy.Level> levels = approval.levels();
        int next = approval.agreed() + 1 < approval.deciding().approvers() ? approval.level() : approval.level() + 1;
        boolean whole = next == levels.size();
        return new Step(
                next,
                whole ? "approved" : "pending",
                levels.get(Math.min(next, levels.size() - 1)).permission());
    }

    /**
     * Whether the maker may still do what was approved: works here, holds the right, and stands where he stood; another branch or
     * scope would make another change of the same command. The problem, or null.
     */
    static @Nullable Problem objection(
            Approval approval, @Nullable Principal maker, @Nullable String permission, long policyVersion) {
        if (policyVersion != approval.policyVersion()) {
            return Problem.of("approval.policyChanged");
        }
        if (maker == null) {
            return Problem.of("approval.makerGone");
        }
        if (permission != null && !maker.may(permission)) {
            return Problem.of("auth.forbidden", permission);
        }
        return approval.makerBranch().equals(maker.branchId())
                        && approval.makerScope().equals(maker.scope().name())
                ? null
                : Problem.of("approval.makerMoved");
    }

    /**
     * The leaves of a body. What the contract says nothing of is hidden: a new field, or a password.
     *
     * @param shown top-level fields whose values may be read
     * @param masked those of which a little may be read, enough to compare with a document
     */
    static List<Field> fields(@Nullable JsonNode body, Set<String> shown, Set<String> masked) {
        List<Field> fields = new ArrayList<>();
        if (body != null) {
            for (Map.Entry<String, JsonNode> field : body.properties()) {
                String name = field.getKey();
                UnaryOperator<String> view = shown.contains(name)
                        ? UnaryOperator.identity()
                        : masked.contains(name) ? ApprovalRules::masked : text -> HIDDEN;
                collect("/" + name, field.getValue(), view, fields);
            }
        }
        return fields;
    }

    private static void collect(String pointer, JsonNode value, UnaryOperator<String> view, List<Field> into) {
        if (into.size() >= MAX_FIELDS) {
            return;
        }
        if (value.isObject() && !value.isEmpty()) {
            value.properties().forEach(e -> collect(pointer + "/" + e.getKey(), e.getValue(), view, into));
        } else if (value.isArray() && !value.isEmpty()) {
            for (int i = 0; i < value.size(); i++) {
                collect(pointer + "/" + i, value.get(i), view, into);
            }
        } else {
            String text = value.isValueNode() ? value.asText() : value.toString();
            into.add(new Field(pointer, value.isNull() ? null : view.apply(text)));
        }
    }

    /** 张***, 11***34. */
    private static String masked(String text) {
        int length = text.codePointCount(0, text.length());
        int kept = length < 6 ? 1 : 2;
        String first = text.substring(0, text.offsetByCodePoints(0, Math.min(kept, length)));
        return first + HIDDEN + (length < 6 ? "" : text.substring(text.offsetByCodePoints(text.length(), -kept)));
    }
}
