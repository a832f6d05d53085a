package io.kehu.crypto;

import io.kehu.bus.Problem;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Finds numbers that must not stand in free text: those of cards (13 to 19 digits with the check digit of ISO/IEC 7812-1) and
 * resident identity numbers (GB 11643: 17 digits and a check character by ISO 7064 MOD 11-2). Also where they are written in
 * groups, with single spaces, dots or hyphens, or in full-width digits. Whoever keeps free text asks before it is kept, also
 * before it is sealed. Pure; linear in the length of the text.
 */
public final class Screen {
    public static final String CARD = "field.cardNumber";
    public static final String IDENTITY = "field.identityNumber";

    /** Groups of digits that one character parts; the last may end with the check character X. */
    private static final Pattern GROUPS = Pattern.compile("[0-9]+(?:[ .-][0-9]+)*+[Xx]?");

    private static final Pattern PARTS = Pattern.compile("[ .-]");
    private static final int CARD_MIN = 13;
    private static final int CARD_MAX = 19;
    private static final int IDENTITY_LENGTH = 18;
    /** Groups but the last of a number that is written in groups; shorter ones are dates, phones and amounts. */
    private static final int GROUP_MIN = 4;

    private static final String CHECKS = "10X98765432";

    private Screen() {}

    /** {@link #CARD}, {@link #IDENTITY}, or null where the text may be kept. */
    public static @Nullable String fault(String text) {
        Matcher runs = GROUPS.matcher(Normalizer.normalize(text, Normalizer.Form.NFKC));
        while (runs.find()) {
            String fault = faultOf(List.of(PARTS.split(runs.group(), -1)));
            if (fault != null) {
                return fault;
            }
        }
        return null;
    }

    /** Fails with {@code request.invalid} at the pointer where a text may not be kept. */
    public static void mustPass(String pointer, @Nullable String text) {
        String fault = text == null ? null : fault(text);
        if (fault != null) {
            throw Problem.at(pointer, fault);
        }
    }

    /** Each group, and each sequence of groups, that has the length of such a number. */
    private static @Nullable String faultOf(List<String> groups) {
        for (int first = 0; first < groups.size(); first++) {
            StringBuilder number = new StringBuilder();
            for (int last = first; last < groups.size() && number.length() <= CARD_MAX; last++) {
                number.append(groups.get(last));
                if (isIdentity(number)) {
                    return IDENTITY;
                }
                if (isCard(number)) {
                    return CARD;
                }
                if (groups.get(last).length() < GROUP_MIN) {
                    break;
                }
            }
        }
        return null;
    }

    private static boolean isIdentity(CharSequence number) {
        if (number.length() != IDENTITY_LENGTH) {
            return false;
        }
        int sum = 0;
        for (int i = 0; i < IDENTITY_LENGTH - 1; i++) {
            int digit = number.charAt(i) - '0';
            if (digit < 0 || digit > 9) {
                return false;
            }
            sum += digit * ((1 << (IDENTITY_LENGTH - 1 - i)) % 11);
        }
        return CHECKS.charAt(sum % 11) == Character.toUpperCase(number.charAt(IDENTITY_LENGTH - 1));
    }

    private static boolean isCard(CharSequence number) {
        List<Integer> digits = new ArrayList<>(CARD_MAX);
        for (int i = number.length() - 1; i >= 0; i--) {
            int digit = number.charAt(i) - '0';
            if (digit >= 0 && digit <= 9) {
                digits.add(digit);
            } else if (i < number.length() - 1) {
                return false;
            }
        }
        if (digits.size() < CARD_MIN || digits.size() > CARD_MAX) {
            return false;
        }
        int sum = 0;
        for (int i = 0; i < digits.size(); i++) {
            int twice = digits.get(i) * (1 + i % 2);
            sum += twice > 9 ? twice - 9 : twice;
        }
        return sum % 10 == 0;
    }
}
