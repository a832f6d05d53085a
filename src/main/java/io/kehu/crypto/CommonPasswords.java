package io.kehu.crypto;

import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What is guessed first (NIST SP 800-63B-4, 3.1.1.2: values that are commonly used, expected or compromised): a list of
 * passwords and words, and what people derive from them. Everything here is in lower case and of bounded work.
 */
final class CommonPasswords {
    private static final Set<String> LIST = new HashSet<>(Passwords.lines("common-passwords.txt"));
    /** Shorter words of the list are not taken apart from a longer password. */
    static final int WORD_MIN = 4;
    /** Longer ones do not stand in the list, nor do keyboards have longer rows; bounds the taking apart. */
    private static final int WORD_MAX = 40;
    /** Characters between and around words that make no password of them. */
    private static final int LEFT_MAX = 2;
    /** Digits and signs that people put around a word. */
    private static final int AROUND_MAX = 6;

    /** Ways of a finger over the keys, each also backwards. */
    private static final List<String> WALKS = Stream.of(
                    "01234567890",
                    "qwertyuiop",
                    "asdfghjkl",
                    "zxcvbnm",
                    "qwertyuiopasdfghjklzxcvbnm",
                    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
                    "qazwsxedcrfvtgbyhnujmikolp",
                    "zaq1xsw2cde3vfr4bgt5nhy6mju7ki8lo9p0",
                    "abcdefghijklmnopqrstuvwxyz",
                    "1q2w3e4r5t6y7u8i9o0p",
                    "147258369",
                    "789456123")
            .flatMap(walk -> Stream.of(walk, new StringBuilder(walk).reverse().toString()))
            .toList();

    /** A year of the last or this century, or a day in one: yyyy, yyyymm, yyyymmdd, ddmmyyyy, mmddyyyy. */
    private static final Pattern DATE = Pattern.compile("(19|20)\\d\\d((0[1-9]|1[0-2])((0[1-9]|[12]\\d|3[01]))?)?"
            + "|(0[1-9]|[12]\\d|3[01])(0[1-9]|[12]\\d|3[01])(19|20)\\d\\d");

    private static final String DISGUISES = "@4310$5!789+";
    private static final String MEANT = "aaeiossitbgt";

    private static final Pattern RUN =
            Pattern.compile("(?<![@$!+\\d])[@4310$5!789+]{1,2}(?=\\p{L})|(?<=\\p{L})[@4310$5!789+]{1,2}(?![@$!+\\d])");

    private CommonPasswords() {}

    /**
     * Whether a password is on the list, with or without digits and signs around it, made of listed words, dates, ways over
     * the keys and own words, with look-alikes for letters, backwards, repeated, or counting.
     *
     * @param folded in lower case
     * @param own words of this account and bank, as {@link #words} gives them
     */
    static boolean isCommon(String folded, Set<String> own) {
        String backwards = new StringBuilder(folded).reverse().toString();
        return Stream.of(folded, undisguised(folded), backwards, undisguised(backwards))
                        .distinct()
                        .anyMatch(form -> isListed(form, own))
                || isRepeated(folded)
                || isCounting(folded);
    }

    private static boolean isListed(String form, Set<String> own) {
        String core = form.replaceAll("^[^\\p{L}]+|[^\\p{L}]+$", "");
        return LIST.contains(form)
                || (core.length() >= WORD_MIN && LIST.contains(core) && form.length() - core.length() <= AROUND_MAX)
                || isMadeOfWords(squeezed(form), own);
    }

    /** Words as they may stand in a password: whole, and without the signs in them. */
    static Set<String> words(Collection<String> own) {
        return own.stream()
                .flatMap(word -> Stream.of(word, squeezed(word)))
                .filter(word -> word.codePointCount(0, word.length()) >= WORD_MIN)
                .collect(Collectors.toSet());
    }

    static String squeezed(String text) {
        return text.replaceAll("[^\\p{L}\\p{N}]", "");
    }

    /** Look-alikes put back to letters where one or two stand in a word; longer runs are numbers. */
    static String undisguised(String text) {
        StringBuilder letters = new StringBuilder(text);
        Matcher run = RUN.matcher(text);
        while (run.find()) {
            for (int i = run.start(); i < run.end(); i++) {
                letters.setCharAt(i, MEANT.charAt(DISGUISES.indexOf(text.charAt(i))));
            }
        }
        return letters.toString();
    }

    /** Taken apart so that the fewest characters belong to no word. */
    private static boolean isMadeOfWords(String text, Set<String> own) {
        int[] left = new int[text.length() + 1];
        for (int i = 1; i <= text.length(); i++) {
            left[i] = i;
        }
        for (int from = 0; from < text.length(); from++) {
            left[from + 1] = Math.min(left[from + 1], left[from] + 1);
            int most = Math.min(text.length(), from + WORD_MAX);
            for (int end = from + WORD_MIN; left[from] <= LEFT_MAX && end <= most; end++) {
                if (left[from] < left[end] && isWord(text.substring(from, end), own)) {
                    left[end] = left[from];
                }
            }
        }
        return !text.isEmpty() && left[text.length()] <= Math.min(LEFT_MAX, text.length() - WORD_MIN);
    }

    private static boolean isWord(String part, Set<String> own) {
        return LIST.contains(part) || own.contains(part) || isWalk(part) || isDate(part);
    }

    private static boolean isWalk(String part) {
        return WALKS.stream().anyMatch(walk -> walk.contains(part));
    }

    private static boolean isDate(String part) {
        return part.length() <= 8 && DATE.matcher(part).matches();
    }

    private static boolean isRepeated(String text) {
        for (int period = 1; period <= Math.min(8, text.length() / 2); period++) {
            if (text.startsWith(text.substring(period))) {
                return true;
            }
        }
        return false;
    }

    private static boolean isCounting(String text) {
        int unusual = 0;
        for (int i = 1; i < text.length(); i++) {
            unusual += Math.abs(text.charAt(i) - text.charAt(i - 1)) <= 1 ? 0 : 1;
        }
        return text.length() > 3 && unusual * 5 <= text.length(); // 1234567890123456 breaks once in ten
    }
}
