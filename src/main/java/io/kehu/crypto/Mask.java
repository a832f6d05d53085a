package io.kehu.crypto;

/**
 * The masked forms of personal data, as GB/T 35273 and JR/T 0171 suggest them. Pure, by code point. At least
 * four characters of a number stay hidden; one too short for that becomes three stars, so its length is hidden too.
 */
public final class Mask {
    private static final String HIDDEN = "***";

    private static final int HIDDEN_MIN = 4;
    /** Province, city and district at the start of an address; each ends with its own word. */
    private static final String[] PROVINCE = {"省", "自治区", "特别行政区"};

    private static final String[] CITY = {"市", "自治州", "地区", "盟"};
    private static final String[] DISTRICT = {"区", "县", "旗", "市"};
    /** Characters of a name before its word. */
    private static final int NAME_MAX = 8;

    private Mask() {}

    /** 138****5678, +86138****5678, 010****5678. */
    public static String phone(String number) {
        String prefix = number.startsWith("+86") ? "+86" : number.startsWith("+") ? "+" : "";
        return prefix + ends(number.substring(prefix.length()), 3, 4, "****");
    }

    /** 110***********1234: three at the start (province and half of the city), four at the end, length as it is. */
    public static String idNumber(String number) {
        int hidden = length(number) - 7;
        return hidden < 7 ? passport(number) : ends(number, 3, 4, "*".repeat(hidden));
    }

    /** E******78: also for permits and foreign documents. */
    public static String passport(String number) {
        return ends(number, 1, 2, "******");
    }

    /** z***@example.com; a local part of one letter is hidden whole. */
    public static String email(String address) {
        int at = address.lastIndexOf('@');
        if (at < 1 || at == address.length() - 1) {
            return HIDDEN;
        }
        String local = address.substring(0, at);
        return (length(local) < 2 ? "" : first(local, 1)) + HIDDEN + address.substring(at);
    }

    /** 上海市浦东新区***: the region as far as it is named by its words, the rest hidden. */
    public static String address(String line) {
        int end = after(line, after(line, after(line, 0, 2, PROVINCE), 2, CITY), 1, DISTRICT);
        return (end < line.length() ? line.substring(0, end) : "") + HIDDEN;
    }

    /** Where a name ends that begins there: so many Han characters and the nearest of the words; the beginning where there is none. */
    private static int after(String line, int begin, int least, String[] words) {
        int at = begin;
        for (int length = 1; length <= NAME_MAX && at < line.length(); length++) {
            int character = line.codePointAt(at);
            if (!isHan(character)) {
                return begin;
            }
            at += Character.charCount(character);
            for (int i = 0; length >= least && i < words.length; i++) {
                if (line.startsWith(words[i], at)) {
                    return at + words[i].length();
                }
            }
        }
        return begin;
    }

    /** The block of nearly all names needs no search. */
    private static boolean isHan(int character) {
        return (character >= 0x4E00 && character <= 0x9FA5)
                || Character.UnicodeScript.of(character) == Character.UnicodeScript.HAN;
    }

    private static String ends(String value, int start, int end, String between) {
        return length(value) < start + end + HIDDEN_MIN ? HIDDEN : first(value, start) + between + last(value, end);
    }

    private static int length(String value) {
        return value.codePointCount(0, value.length());
    }

    private static String first(String value, int count) {
        return value.substring(0, value.offsetByCodePoints(0, count));
    }

    private static String last(String value, int count) {
        return value.substring(value.offsetByCodePoints(value.length(), -count));
    }
}
