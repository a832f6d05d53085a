package io.kehu.customer.duplicate;

import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;

/** How like two values are. Pure. */
final class Likeness {
    /** Winkler's scale for a common beginning of at most four letters. */
    private static final double PREFIX_SCALE = 0.1;

    private static final int PREFIX_MAX = 4;

    private Likeness() {}

    /**
     * Whether one becomes the other by a single insertion, deletion, substitution or swap of neighbours: what four of five
     * typing errors are (Damerau, CACM 7(3), 1964).
     */
    static boolean isOneSlip(String a, String b) {
        int la = a.length();
        int lb = b.length();
        if (Math.abs(la - lb) > 1) {
            return false;
        }
        int i = 0;
        while (i < Math.min(la, lb) && a.charAt(i) == b.charAt(i)) {
            i++;
        }
        int ja = la;
        int jb = lb;
        while (ja > i && jb > i && a.charAt(ja - 1) == b.charAt(jb - 1)) {
            ja--;
            jb--;
        }
        int restA = ja - i;
        int restB = jb - i;
        return Math.max(restA, restB) <= 1
                || (restA == 2 && restB == 2 && a.charAt(i) == b.charAt(i + 1) && a.charAt(i + 1) == b.charAt(i));
    }

    /** Jaro-Winkler, 0 to 1 (Winkler, String Comparator Metrics and Enhanced Decision Rules, 1990). */
    static double jaroWinkler(String a, String b) {
        if (a.equals(b)) {
            return 1;
        }
        double jaro = jaro(a, b);
        int prefix = 0;
        while (prefix < Math.min(PREFIX_MAX, Math.min(a.length(), b.length()))
                && a.charAt(prefix) == b.charAt(prefix)) {
            prefix++;
        }
        return jaro + prefix * PREFIX_SCALE * (1 - jaro);
    }

    private static double jaro(String a, String b) {
        int window = Math.max(0, Math.max(a.length(), b.length()) / 2 - 1);
        boolean[] taken = new boolean[b.length()];
        StringBuilder ofA = new StringBuilder();
        for (int i = 0; i < a.length(); i++) {
            for (int j = Math.max(0, i - window); j < Math.min(b.length(), i + window + 1); j++) {
                if (!taken[j] && a.charAt(i) == b.charAt(j)) {
                    taken[j] = true;
                    ofA.append(a.charAt(i));
                    break;
                }
            }
        }
        int common = ofA.length();
        if (common == 0) {
            return 0;
        }
        int swapped = 0;
        for (int j = 0, next = 0; j < b.length(); j++) {
            if (taken[j] && b.charAt(j) != ofA.charAt(next++)) {
                swapped++;
            }
        }
        double m = common;
        return (m / a.length() + m / b.length() + (m - swapped / 2.0) / m) / 3;
    }

    /**
     * How much of two lists of words is the same, 0 to 1 (Dice), longer words counting more; a long word may have one slip.
     */
    static double shared(List<String> a, List<String> b) {
        List<String> left = new ArrayList<>(b);
        double common = 0;
        List<String> unmatched = new ArrayList<>();
        for (String word : a) {
            if (left.remove(word)) {
                common += 2 * weight(word);
            } else {
                unmatched.add(word);
            }
        }
        for (String word : unmatched) {
            for (String other : left) {
                if (word.length() >= 4 && other.length() >= 4 && isOneSlip(word, other)) {
                    left.remove(other);
                    common += weight(word) + weight(other);
                    break;
                }
            }
        }
        double all = 0;
        for (String word : a) {
            all += weight(word);
        }
        for (String word : b) {
            all += weight(word);
        }
        return all == 0 ? 0 : common / all;
    }

    private static double weight(String word) {
        return Math.min(word.length(), 8);
    }

    /** Day and month swapped, or one digit of eight wrong, or two neighbouring ones swapped. */
    static boolean isNearDate(LocalDate a, LocalDate b) {
        return (a.getYear() == b.getYear()
                        && a.getMonthValue() == b.getDayOfMonth()
                        && a.getDayOfMonth() == b.getMonthValue())
                || isOneSlip(a.toString().replace("-", ""), b.toString().replace("-", ""));
    }
}
