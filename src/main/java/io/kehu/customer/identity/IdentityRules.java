package io.kehu.customer.identity;

import java.text.Normalizer;
import java.time.LocalDate;
import java.time.YearMonth;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a document number, a name or a contact must look like. A rule takes a value that went through its normaliser
 * ({@code normal...}) and answers null or one code: {@code field.format}, {@code field.length}, {@code field.characters},
 * {@code field.checksum}, {@code field.region}, {@code field.date}, {@code field.future}. No rule tells whether the
 * number was ever issued. Pure: the day is passed in, nothing is looked up.
 */
public final class IdentityRules {
    public static final String FORMAT = "field.format";
    public static final String LENGTH = "field.length";
    public static final String CHARACTERS = "field.characters";
    public static final String CHECKSUM = "field.checksum";
    public static final String REGION = "field.region";
    public static final String DATE = "field.date";
    public static final String FUTURE = "field.future";

    /** Long enough for the longest names of minorities and companies, short enough for every form and card. */
    public static final int NAME_CODE_POINTS = 100;
    /** RFC 5321, 4.5.3.1.3, less the angle brackets (erratum 1690 of RFC 3696). */
    public static final int EMAIL_CHARACTERS = 254;

    public enum Gender {
        MALE,
        FEMALE
    }

    /** A rule for one kind of document; {@code today} is the last day on which somebody may have been born. */
    @FunctionalInterface
    public interface DocumentRule {
        @Nullable
        String check(String number, LocalDate today);
    }

    /** The kinds of documents, by their name in the contract. */
    public static final Map<String, DocumentRule> DOCUMENTS = Map.of(
            "resident_id", IdentityRules::residentId,
            "permanent_resident_id", IdentityRules::permanentResidentId,
            "credit_code", (number, today) -> creditCode(number),
            "passport", (number, today) -> passport(number),
            "hk_macao_permit", (number, today) -> hongKongMacaoPermit(number),
            "taiwan_permit", (number, today) -> taiwanPermit(number),
            "other", (number, today) -> otherDocument(number));

    /** GB 32100-2015, table 2: digits and capitals without I, O, S, V, Z. The place is the value. */
    private static final String CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY";

    private static final String RESIDENT_CHECK = "10X98765432";
    private static final int[] RESIDENT_WEIGHTS = weights(17, 2, 11, true);
    private static final int[] CREDIT_WEIGHTS = weights(17, 3, 31, false);
    /** GB/T 2260: first two digits of a region; 81 to 83 stand in the residence permits of Hong Kong, Macao and Taiwan. */
    private static final boolean[] PROVINCES = provinces(
            11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61,
            62, 63, 64, 65, 71, 81, 82, 83);
    /** Nobody alive was born earlier; the oldest documented life lasted 122 years. */
    private static final int OLDEST_YEARS = 150;

    private static final Pattern OLD_PERMANENT_RESIDENT = Pattern.compile("[A-Z]{3}[0-9]{12}");
    private static final Pattern PASSPORT = Pattern.compile("(?=.*[0-9])[A-Z0-9]{5,9}");
    private static final Pattern HONG_KONG_MACAO_PERMIT = Pattern.compile("[HM](?:[0-9]{8}|[0-9]{10})");
    private static final Pattern TAIWAN_PERMIT = Pattern.compile("[0-9]{8}|[0-9]{10}[A-Z]?");
    private static final Pattern VISIBLE_ASCII = Pattern.compile("[!-~]{1,32}");
    private static final Pattern E164 = Pattern.compile("\\+[1-9][0-9]{6,14}");
    private static final Pattern MAINLAND_PHONE =
            Pattern.compile("\\+86(?:1[3-9][0-9]{9}|10[0-9]{8}|2[0-9]{9}|[3-9][0-9]{9,10})");
    private static final Pattern EMAIL_LOCAL =
            Pattern.compile("[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]++(?:\\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]++)*+");
    private static final Pattern EMAIL_DOMAIN = Pattern.compile(
            "(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\\.)+(?:[a-zA-Z]{2,63}|xn--[a-zA-Z0-9-]{1,58}[a-zA-Z0-9])");
    private static final Pattern SIX_DIGITS = Pattern.compile("[0-9]{6}");
    private static final Pattern PHONE_ORNAMENTS = Pattern.compile("[\\s().\\-\u2010-\u2015]");
    private static final Pattern SPACES = Pattern.compile("\\s+");
    private static final Pattern MIDDLE_DOTS = Pattern.compile("[\u2022\u2027\u22C5\u30FB]");

    private IdentityRules() {}

    /** GB 11643-1999: region, birth date, sequence, check character of ISO 7064 MOD 11-2 over 18 places. */
    public static @Nullable String residentId(String id, LocalDate today) {
        if (!hasResidentShape(id) || id.charAt(0) == '9') {
            return FORMAT;
        }
        if (!isProvince(id, 0)) {
            return REGION;
        }
        String date = birthDateFault(id, today);
        return date != null ? date : residentChecksum(id);
    }

    /**
     * Foreigners' permanent residence identity card. Cards issued since 1 December 2023 (National Immigration
     * Administration, rules of the 2023 edition) carry 18 places: 9, province of application (2), nationality (ISO 3166
     * numeric, 3), birth date, sequence, check character as on resident cards. Older ones, valid until they expire, carry
     * three letters and 12 digits; of these only the shape is checked.
     */
    public static @Nullable String permanentResidentId(String id, LocalDate today) {
        if (OLD_PERMANENT_RESIDENT.matcher(id).matches()) {
            return null;
        }
        if (!hasResidentShape(id) || id.charAt(0) != '9') {
            return FORMAT;
        }
        if (!isProvince(id, 1)) {
            return REGION;
        }
        String date = birthDateFault(id, today);
        return date != null ? date : residentChecksum(id);
    }

    /**
     * Unified social credit code, GB 32100-2015: authority, class, region of registration (6 digits, 100000 for the
     * state itself), organisation code (9), check character modulo 31. The inner check character (GB 11714) is not
     * tested: the outer one already finds every single wrong character.
     */
    public static @Nullable String creditCode(String code) {
        if (code.length() != 18) {
            return FORMAT;
        }
        int sum = 0;
        for (int i = 0; i < 18; i++) {
            int value = CREDIT_ALPHABET.indexOf(code.charAt(i));
            if (value < 0 || (i >= 2 && i < 8 && value > 9)) {
                return FORMAT;
            }
            sum += i < 17 ? value * CREDIT_WEIGHTS[i] : value;
        }
        if (!isProvince(code, 2) && !code.startsWith("100000", 2)) {
            return REGION;
        }
        return sum % 31 == 0 ? null : CHECKSUM;
    }

    /** ICAO Doc 9303-3, document number: up to 9 letters and digits. Chinese ones are a letter E, G, D, S or P and more. */
    public static @Nullable String passport(String number) {
        return PASSPORT.matcher(number).matches() ? null : FORMAT;
    }

    /** Mainland travel permit of residents of Hong Kong and Macao: H or M, 8 digits for life, 2 for the issue. */
    public static @Nullable String hongKongMacaoPermit(String number) {
        return HONG_KONG_MACAO_PERMIT.matcher(number).matches() ? null : FORMAT;
    }

    /** Mainland travel permit of residents of Taiwan: 8 digits; on paper 10 digits with or without the place of issue. */
    public static @Nullable String taiwanPermit(String number) {
        return TAIWAN_PERMIT.matcher(number).matches() ? null : FORMAT;
    }

    /** Any other document, foreign ones first of all: 1 to 32 visible ASCII characters. */
    public static @Nullable String otherDocument(String number) {
        return VISIBLE_ASCII.matcher(number).matches() ? null : FORMAT;
    }

    /**
     * A number in the form of ITU-T E.164, 7 to 15 digits. With +86 it must be a mobile (11 digits from 13 on), or a
     * landline or 400 number with its area code (numbering plan of the Ministry of Industry and Information Technology).
     */
    public static @Nullable String phone(String e164) {
        Pattern shape = e164.startsWith("+86") ? MAINLAND_PHONE : E164;
        return shape.matcher(e164).matches() ? null : FORMAT;
    }

    /** The addresses people have: dot-atoms of RFC 5321 in ASCII and a domain with at least two labels. */
    public static @Nullable String email(String address) {
        if (address.length() > EMAIL_CHARACTERS) {
            return LENGTH;
        }
        int at = address.lastIndexOf('@');
        boolean fine = at > 0
                && at <= 64
                && EMAIL_LOCAL.matcher(address).region(0, at).matches()
                && EMAIL_DOMAIN
                        .matcher(address)
                        .region(at + 1, address.length())
                        .matches();
        return fine ? null : FORMAT;
    }

    /** Mainland post code: six digits. */
    public static @Nullable String postCode(String code) {
        return SIX_DIGITS.matcher(code).matches() ? null : FORMAT;
    }

    /** GB/T 2260: six digits, of which the first two name a province that exists. */
    public static @Nullable String regionCode(String code) {
        if (!SIX_DIGITS.matcher(code).matches()) {
            return FORMAT;
        }
        return isProvince(code, 0) ? null : REGION;
    }

    /**
     * A name of a person or an organisation, as it was written: 1 to 100 code points, not only blanks. Refused are
     * control and invisible format characters (zero width, direction marks and overrides), line separators, lone
     * surrogates and noncharacters. Unassigned code points pass, because ideographs newer than this Java do exist;
     * private ones pass, because older bank systems keep rare characters there.
     */
    public static @Nullable String name(String name) {
        int count = 0;
        for (int i = 0, point; i < name.length(); i += Character.charCount(point)) {
            point = name.codePointAt(i);
            boolean refused = switch (Character.getType(point)) {
                case Character.CONTROL,
                        Character.FORMAT,
                        Character.SURROGATE,
                        Character.LINE_SEPARATOR,
                        Character.PARAGRAPH_SEPARATOR -> true;
                default -> (point & 0xFFFE) == 0xFFFE || (point >= 0xFDD0 && point <= 0xFDEF);
            };
            if (refused) {
                return CHARACTERS;
            }
            count++;
        }
        return count > NAME_CODE_POINTS || name.isBlank() ? LENGTH : null;
    }

    /** The form in which document numbers are kept and compared: NFKC, trimmed; upper case except for {@code other}. */
    public static String normalDocument(String kind, String number) {
        String text = nfkc(number);
        return kind.equals("other") ? text : text.toUpperCase(Locale.ROOT);
    }

    /**
     * E.164 of what people write: blanks, hyphens, dots and brackets go, 00 becomes +, numbers without a country are the
     * mainland's. Whatever makes no sense comes back without its ornaments, for {@link #phone} to refuse.
     */
    public static String normalPhone(String written) {
        String text = PHONE_ORNAMENTS.matcher(nfkc(written)).replaceAll("");
        if (text.startsWith("+860") && text.length() > 4) {
            return "+86" + text.substring(4);
        }
        if (text.startsWith("+")) {
            return text;
        }
        if (text.startsWith("00")) {
            return normalPhone("+" + text.substring(2));
        }
        if (text.startsWith("86") && text.length() >= 12) {
            return normalPhone("+" + text);
        }
        return text.isEmpty() ? text : "+86" + (text.startsWith("0") ? text.substring(1) : text);
    }

    /** NFKC, trimmed, lower case: no provider known to banks tells mailboxes apart by case, but people type them in any. */
    public static String normalEmail(String address) {
        return nfkc(address).toLowerCase(Locale.ROOT);
    }

    /**
     * The form in which names are searched; the written form is stored beside it, unchanged. NFKC, blanks collapsed,
     * lower case, and one middle dot (U+00B7) for the many that stand between the parts of minority names.
     */
    public static String normalName(String name) {
        String dots = MIDDLE_DOTS.matcher(nfkc(name)).replaceAll("\u00B7");
        return SPACES.matcher(dots).replaceAll(" ").toLowerCase(Locale.ROOT);
    }

    /** Birth date in a valid resident or 18-place permanent resident number. */
    public static LocalDate birthDateOf(String id) {
        return LocalDate.of(number(id, 6, 10), number(id, 10, 12), number(id, 12, 14));
    }

    /** Gender in a valid resident or 18-place permanent resident number: the sequence is odd for men. */
    public static Gender genderOf(String id) {
        return (id.charAt(16) - '0') % 2 == 1 ? Gender.MALE : Gender.FEMALE;
    }

    /** Region in a valid resident number: where it was issued, not where the person lives; the province for foreigners. */
    public static String regionOf(String id) {
        return id.charAt(0) == '9' ? id.substring(1, 3) + "0000" : id.substring(0, 6);
    }

    /** ISO 7064 MOD 11-2 over the first 17 digits. */
    public static char residentCheckCharacter(CharSequence digits) {
        int sum = 0;
        for (int i = 0; i < 17; i++) {
            sum += (digits.charAt(i) - '0') * RESIDENT_WEIGHTS[i];
        }
        return RESIDENT_CHECK.charAt(sum % 11);
    }

    /** GB 32100-2015, 4.6, over the first 17 characters. */
    public static char creditCheckCharacter(CharSequence code) {
        int sum = 0;
        for (int i = 0; i < 17; i++) {
            sum += CREDIT_ALPHABET.indexOf(code.charAt(i)) * CREDIT_WEIGHTS[i];
        }
        return CREDIT_ALPHABET.charAt((31 - sum % 31) % 31);
    }

    private static String nfkc(String text) {
        return Normalizer.normalize(text, Normalizer.Form.NFKC).strip();
    }

    private static boolean hasResidentShape(String id) {
        if (id.length() != 18) {
            return false;
        }
        for (int i = 0; i < 17; i++) {
            if (!isDigit(id.charAt(i))) {
                return false;
            }
        }
        return isDigit(id.charAt(17)) || id.charAt(17) == 'X';
    }

    private static @Nullable String residentChecksum(String id) {
        return residentCheckCharacter(id) == id.charAt(17) ? null : CHECKSUM;
    }

    private static @Nullable String birthDateFault(String id, LocalDate today) {
        int year = number(id, 6, 10);
        int month = number(id, 10, 12);
        int day = number(id, 12, 14);
        boolean real = year >= today.getYear() - OLDEST_YEARS && month >= 1 && month <= 12;
        if (!real || !YearMonth.of(year, month).isValidDay(day)) {
            return DATE;
        }
        return LocalDate.of(year, month, day).isAfter(today) ? FUTURE : null;
    }

    private static boolean isProvince(String text, int at) {
        return PROVINCES[number(text, at, at + 2)];
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    private static int number(String text, int from, int to) {
        return Integer.parseInt(text, from, to, 10);
    }

    /** Powers of the base modulo m: rising from 1 on (GB 32100), or falling to the base itself (ISO 7064). */
    private static int[] weights(int count, int base, int modulus, boolean falling) {
        int[] weights = new int[count];
        int power = falling ? base : 1;
        for (int i = 0; i < count; i++) {
            weights[falling ? count - 1 - i : i] = power;
            power = power * base % modulus;
        }
        return weights;
    }

    private static boolean[] provinces(int... codes) {
        boolean[] known = new boolean[100];
        for (int code : codes) {
            known[code] = true;
        }
        return known;
    }
}
