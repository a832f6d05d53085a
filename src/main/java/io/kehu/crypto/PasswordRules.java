package io.kehu.crypto;

import io.kehu.bus.Problem;
import java.util.ArrayList;
import java.util.List;

/**
 * What this bank asks of a new password of its staff.
 *
 * @param profile {@code auth.passwordProfile}
 * @param bankWords {@code auth.passwordWords}: names of the bank and its products, which no password may be made of
 * @param formerMost {@code auth.passwordFormer}: how many former passwords may not come again where the profile asks for it
 */
public record PasswordRules(Passwords.Profile profile, List<String> bankWords, int formerMost) {
    public PasswordRules {
        bankWords = List.copyOf(bankWords);
    }

    /**
     * Whether it will do for an account; empty means yes.
     *
     * @return codes as of {@link Passwords#faults}
     */
    public List<Problem.FieldError> faults(String pointer, String password, boolean secondFactor, String username) {
        List<String> own = new ArrayList<>(bankWords);
        own.add(username);
        return Passwords.faults(profile, pointer, password, secondFactor, own);
    }

    /**
     * Passwords beside the current one that may not come again. GB/T 22239 asks for rotation, which is worth nothing where
     * people go back to the last one; SP 800-63B-4 asks for neither.
     */
    public int former() {
        return profile.rotationDays > 0 ? formerMost : 0;
    }
}
