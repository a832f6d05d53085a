package io.kehu.customer.duplicate;

import com.fasterxml.jackson.databind.node.ArrayNode;
import io.kehu.bus.Json;
import io.kehu.customer.identity.NameTokens;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Weighs whether two records are of one customer. Each field adds log2(m/u) of what was found in it: m, how often that is so
 * of two records of one customer; u, how often of two of different ones (Fellegi and Sunter, A Theory for Record Linkage,
 * JASA 64, 1969; in bits, and with steps of partial agreement as in Winkler, 1990). What one side does not have says nothing.
 * The u of names, dates and numbers follow from how many there are; the m from the error rates that Christen gives in Data
 * Matching (2012), chapter 6. Pure.
 */
final class MatchRules {
    /** Twelve bits make up for odds of 1 to 4,000: so rarely are two of one block one person among a million customers. */
    static final double POSSIBLE = 12;
    /** Sure enough to refuse a second entry where somebody wants no questions. */
    static final double CERTAIN = 19;

    private static final double SURE_WORD = 0.92;
    private static final double LIKE_WORD = 0.84;

    private MatchRules() {}

    /** What was found in one field. */
    record Reason(String field, String found, double weight) {}

    /** The sum, and what it is made of, the heaviest first. */
    record Match(double score, List<Reason> reasons) {
        boolean isPossible() {
            return score >= POSSIBLE;
        }

        /** The reasons as the contract shows them. */
        String json() {
            return tree().toString();
        }

        ArrayNode tree() {
            ArrayNode list = Json.MAPPER.createArrayNode();
            for (Reason reason : reasons) {
                list.addObject()
                        .put("field", reason.field)
                        .put("found", reason.found)
                        .put("weight", reason.weight);
            }
            return list;
        }

        /** Twins share all but the given name: where names differ somebody has to look. */
        String level() {
            boolean named = reasons.stream()
                    .anyMatch(r -> (r.field.equals("document") && r.weight > 0)
                            || (r.field.equals("name") && r.weight > 0 && !r.found.equals("partly")));
            return score >= CERTAIN && named ? "certain" : "possible";
        }
    }

    static Match compare(Profile a, Profile b) {
        if (!a.kind().equals(b.kind())) {
            return new Match(Double.NEGATIVE_INFINITY, List.of());
        }
        List<Reason> reasons = new ArrayList<>();
        name(a.name(), b.name(), reasons);
        born(a.born(), b.born(), reasons);
        documents(a, b, reasons);
        contact("phone", a.phones(), b.phones(), 11, reasons);
        contact("email", a.emails(), b.emails(), 13, reasons);
        address(a, b, reasons);
        if (a.gender() != null && b.gender() != null && !a.gender().equals(b.gender())) {
            reasons.add(new Reason("gender", "different", -4));
        }
        if (a.externals().stream()
                .anyMatch(one -> b.externals().stream()
                        .anyMatch(other ->
                                !one.equals(other) && Profile.number(one).equals(Profile.number(other))))) {
            reasons.add(new Reason("externalId", "equal", 4));
        }
        reasons.sort((x, y) -> Double.compare(Math.abs(y.weight), Math.abs(x.weight)));
        double score = reasons.stream().mapToDouble(Reason::weight).sum();
        return new Match(Math.round(score * 10) / 10.0, List.copyOf(reasons));
    }

    private static void documents(Profile a, Profile b, List<Reason> reasons) {
        Reason best = null;
        for (String one : a.documents()) {
            for (String other : b.documents()) {
                String x = Profile.number(one);
                String y = Profile.number(other);
                Reason found = null;
                if (x.equals(y)) {
                    found = new Reason("document", "equal", 20);
                } else if (x.length() > 5 && Likeness.isOneSlip(x, y)) {
                    found = new Reason("document", "near", 11);
                } else if (Profile.type(one).equals(Profile.type(other)) && isOnlyOne(Profile.type(one))) {
                    found = new Reason("document", "different", -12);
                }
                best = found != null && (best == null || found.weight > best.weight) ? found : best;
            }
        }
        if (best != null) {
            reasons.add(best);
        }
    }

    /** Nobody has two numbers of these at a time; passports and permits are renewed under others. */
    private static boolean isOnlyOne(String type) {
        return type.equals("resident_id") || type.equals("credit_code");
    }

    private static void contact(String field, List<String> a, List<String> b, double weight, List<Reason> reasons) {
        if (!a.isEmpty() && !b.isEmpty()) {
            boolean equal = !Collections.disjoint(a, b);
            reasons.add(equal ? new Reason(field, "equal", weight) : new Reason(field, "different", -1));
        }
    }

    private static void born(@Nullable LocalDate a, @Nullable LocalDate b, List<Reason> reasons) {
        if (a != null && b != null) {
            if (a.equals(b)) {
                reasons.add(new Reason("birthDate", "equal", 11.5));
            } else if (Likeness.isNearDate(a, b)) {
                reasons.add(new Reason("birthDate", "near", 4));
            } else {
                reasons.add(new Reason("birthDate", "different", -5));
            }
        }
    }

    private static void name(NameTokens.@Nullable Parts a, NameTokens.@Nullable Parts b, List<Reason> reasons) {
        if (a == null || b == null) {
            return;
        }
        boolean han = !a.characters().isEmpty() && !b.characters().isEmpty();
        reasons.add(
                han
                        ? characters(a, b)
                        : words(
                                a.characters().isEmpty() ? a.words() : joined(a),
                                b.characters().isEmpty() ? b.words() : joined(b)));
    }

    /** A Chinese name against one in letters: by its reading, surname and given name apart. */
    private static List<String> joined(NameTokens.Parts han) {
        List<String> syllables = han.syllables();
        return syllables.size() < 2
                ? syllables
                : List.of(syllables.get(0), String.join("", syllables.subList(1, syllables.size())));
    }

    private static Reason characters(NameTokens.Parts a, NameTokens.Parts b) {
        List<String> x = a.characters();
        List<String> y = b.characters();
        if (x.equals(y)) {
            return new Reason("name", "equal", x.size() > 2 ? 11 : 9);
        }
        if (sorted(x).equals(sorted(y))) {
            return new Reason("name", "order", 8);
        }
        if (!a.syllables().isEmpty() && a.syllables().equals(b.syllables())) {
            return new Reason("name", "pinyin", 6);
        }
        if (sorted(a.syllables()).equals(sorted(b.syllables())) && x.size() == y.size()) {
            return new Reason("name", "pinyin", 4);
        }
        return x.size() > 2 && y.size() > 2 && Likeness.isOneSlip(String.join("", x), String.join("", y))
                ? new Reason("name", "near", 0.3)
                : new Reason("name", "different", -6);
    }

    private static List<String> sorted(List<String> list) {
        return list.stream().sorted().toList();
    }

    /** Each word takes the likest that is left of the other name; a word that one name lacks says little. */
    private static Reason words(List<String> a, List<String> b) {
        if (a.isEmpty() || b.isEmpty()) {
            return new Reason("name", "different", 0);
        }
        if (a.equals(b)) {
            return new Reason("name", "equal", a.size() > 1 ? 11.5 : 7);
        }
        if (sorted(a).equals(sorted(b))) {
            return new Reason("name", "order", 11);
        }
        List<String> few = a.size() <= b.size() ? a : b;
        List<String> left = new ArrayList<>(few == a ? b : a);
        double weight = 0;
        int same = 0;
        for (String word : few) {
            String likest = left.get(0);
            double like = -1;
            for (String other : left) {
                double now = Likeness.jaroWinkler(word, other);
                if (now > like) {
                    like = now;
                    likest = other;
                }
            }
            boolean slip = word.length() > 3 && Likeness.isOneSlip(word, likest);
            if (like == 1) {
                weight += 6;
                same++;
            } else if (like >= SURE_WORD || slip) {
                weight += 4.5;
                same++;
            } else if (like >= LIKE_WORD) {
                weight += 2.5;
                same++;
            } else {
                weight -= 3.5;
            }
            left.remove(likest);
        }
        String joinedA = String.join("", a);
        String joinedB = String.join("", b);
        if (joinedA.equals(joinedB) || Likeness.isOneSlip(joinedA, joinedB)) {
            weight = Math.max(weight, 9);
            same = few.size();
        }
        String found = same == few.size() ? "near" : same > 0 ? "partly" : "different";
        return new Reason("name", found, Math.max(weight, -6));
    }

    private static void address(Profile a, Profile b, List<Reason> reasons) {
        if (!a.address().isEmpty() && !b.address().isEmpty()) {
            double shared = Likeness.shared(a.address(), b.address());
            boolean near = !Collections.disjoint(a.place(), b.place());
            if (shared > 0.85) {
                reasons.add(new Reason("address", "equal", 11));
            } else if (shared > 0.6) {
                reasons.add(new Reason("address", "near", 8));
            } else if (shared > 0.4) {
                reasons.add(new Reason("address", "partly", near ? 5 : 3));
            } else if (shared < 0.2 && !near) {
                reasons.add(new Reason("address", "different", -2));
            }
        } else if (!a.place().isEmpty() && !b.place().isEmpty()) {
            boolean near = !Collections.disjoint(a.place(), b.place());
            reasons.add(near ? new Reason("region", "equal", 3) : new Reason("region", "different", -1));
        }
    }
}
