package io.kehu.customer.quality;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a text looks like, character by character: {@code 9} a digit, {@code A} a capital and {@code a} a small letter of the Latin
 * alphabet, {@code X} any of these, {@code H} a Han character, {@code ?} any character, {@code *} any number of any, a backslash
 * before what stands for itself, as all others do. {@code {n}} or {@code {n,m}} behind one says how often it comes. Holding a text
 * against it takes at most the product of both lengths: nothing is tried twice.
 */
final class TextPattern {
    private static final int MAX_TIMES = 60;
    private static final int MAX_LENGTH = 200;
    private static final int MAX_OPEN = 5;
    private static final String HAN = "\u3007\u3400-\u4DBF\u4E00-\u9FFF\\U00020000-\\U000323AF";

    private final List<Element> elements;

    /** Where a pattern is none, from 1. */
    @SuppressWarnings("serial")
    static final class Fault extends Exception {
        final int at;

        Fault(int at) {
            super("at " + at, null, false, false);
            this.at = at;
        }
    }

    private enum Kind {
        DIGIT,
        CAPITAL,
        SMALL,
        PLAIN,
        HAN,
        ANY,
        ITSELF;

        static Kind of(int sign) {
            return switch (sign) {
                case '9' -> DIGIT;
                case 'A' -> CAPITAL;
                case 'a' -> SMALL;
                case 'X' -> PLAIN;
                case 'H' -> HAN;
                case '?', '*' -> ANY;
                default -> ITSELF;
            };
        }
    }

    /**
     * One of a pattern.
     *
     * @param itself the code point, where it stands for itself
     * @param most {@code Integer.MAX_VALUE} for any number
     */
    private record Element(Kind kind, int itself, int least, int most) {
        boolean fits(int c) {
            return switch (kind) {
                case DIGIT -> isDigit(c);
                case CAPITAL -> isCapital(c);
                case SMALL -> isSmall(c);
                case PLAIN -> isDigit(c) || isCapital(c) || isSmall(c);
                case HAN ->
                    c == 0x3007
                            || (c >= 0x3400 && c <= 0x4DBF)
                            || (c >= 0x4E00 && c <= 0x9FFF)
                            || (c >= 0x20000 && c <= 0x323AF);
                case ANY -> true;
                case ITSELF -> c == itself;
            };
        }

        String regex() {
            String one = switch (kind) {
                case DIGIT -> "[0-9]";
                case CAPITAL -> "[A-Z]";
                case SMALL -> "[a-z]";
                case PLAIN -> "[0-9A-Za-z]";
                case HAN -> "[" + TextPattern.HAN + "]";
                case ANY -> ".";
                case ITSELF ->
                    isDigit(itself) || isCapital(itself) || isSmall(itself) || itself > 0x7F
                            ? Character.toString(itself)
                            : "\\" + Character.toString(itself);
            };
            return most == Integer.MAX_VALUE
                    ? one + "*"
                    : least == 1 && most == 1 ? one : one + "{" + least + "," + most + "}";
        }
    }

    private static boolean isDigit(int c) {
        return c >= '0' && c <= '9';
    }

    private static boolean isCapital(int c) {
        return c >= 'A' && c <= 'Z';
    }

    private static boolean isSmall(int c) {
        return c >= 'a' && c <= 'z';
    }

    private TextPattern(List<Element> elements) {
        this.elements = List.copyOf(elements);
    }

    static TextPattern of(String text) throws Fault {
        int[] signs = text.codePoints().toArray();
        List<Element> elements = new ArrayList<>();
        int length = 0;
        int open = 0;
        int i = 0;
        while (i < signs.length) {
            int from = i;
            Kind kind = Kind.of(signs[i]);
            int itself = signs[i];
            if (itself == '{' || itself == '}' || Character.isISOControl(itself)) {
                throw new Fault(i + 1);
            }
            if (itself == '\\') {
                if (++i == signs.length || Character.isISOControl(signs[i])) {
                    throw new Fault(from + 1);
                }
                itself = signs[i];
            }
            i++;
            int[] times = {1, 1};
            if (signs[from] == '*') {
                times = new int[] {0, Integer.MAX_VALUE};
                open++;
            } else if (i < signs.length && signs[i] == '{') {
                int end = i;
                while (end < signs.length && signs[end] != '}') {
                    end++;
                }
                times = times(new String(signs, i + 1, Math.max(0, end - i - 1)), end < signs.length, i + 1);
                i = end + 1;
            }
            length += times[1] == Integer.MAX_VALUE ? 0 : times[1];
            if (length > MAX_LENGTH || open > MAX_OPEN) {
                throw new Fault(from + 1);
            }
            elements.add(new Element(kind, itself, times[0], times[1]));
        }
        if (elements.isEmpty()) {
            throw new Fault(1);
        }
        return new TextPattern(elements);
    }

    private static int[] times(String said, boolean closed, int at) throws Fault {
        if (!closed || !said.matches("[0-9]{1,2}(,[0-9]{1,2})?")) {
            throw new Fault(at);
        }
        String[] parts = said.split(",", 2);
        int least = Integer.parseInt(parts[0]);
        int most = Integer.parseInt(parts[parts.length - 1]);
        if (most < 1 || most > MAX_TIMES || least > most) {
            throw new Fault(at);
        }
        return new int[] {least, most};
    }

    /** Whether it names a letter or digit that a text must have, and so tells some of it. */
    boolean tells() {
        return elements.stream().anyMatch(one -> one.kind == Kind.ITSELF && Character.isLetterOrDigit(one.itself));
    }

    boolean fits(String text) {
        int[] given = text.codePoints().toArray();
        boolean[] reached = new boolean[given.length + 1];
        reached[0] = true;
        for (Element element : elements) {
            boolean[] next = new boolean[given.length + 1];
            for (int from = 0; from <= given.length; from++) {
                if (reached[from]) {
                    for (int times = 0; ; times++) {
                        if (times >= element.least) {
                            next[from + times] = true;
                        }
                        if (times == element.most
                                || from + times == given.length
                                || !element.fits(given[from + times])) {
                            break;
                        }
                    }
                    if (element.most == Integer.MAX_VALUE) {
                        // What is behind is reached already.
                        Arrays.fill(next, from, next.length, true);
                        break;
                    }
                }
            }
            reached = next;
        }
        return reached[given.length];
    }

    /** A regular expression of PostgreSQL that holds where one of the patterns fits the whole text. */
    static String regex(List<TextPattern> patterns) {
        StringBuilder regex = new StringBuilder("^(?:");
        for (TextPattern pattern : patterns) {
            if (pattern != patterns.get(0)) {
                regex.append('|');
            }
            pattern.elements.forEach(element -> regex.append(element.regex()));
        }
        return regex.append(")$").toString();
    }
}
