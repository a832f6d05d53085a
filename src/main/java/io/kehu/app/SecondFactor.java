package io.kehu.app;

/**
 * Settings of the second step of a sign-in. Checked here; read by the domain that asks for it.
 *
 * @param policy whether roles that ask for a second factor get one
 * @param challengeMinutes between the two steps
 * @param codeMinutes that a code sent to a phone lives
 * @param codesPerHour that are sent to one person
 */
record SecondFactor(Policy policy, int challengeMinutes, int codeMinutes, int codesPerHour) {

    public enum Policy {
        /** Required in production, off elsewhere. */
        BY_MODE,
        REQUIRED,
        OFF
    }

    static SecondFactor from(SettingsTree root) {
        SettingsTree auth = root.group("auth");
        return new SecondFactor(
                auth.oneOf("secondFactor", Policy.class),
                auth.count("challengeMinutes", "minutes", 1, 60),
                auth.count("codeMinutes", "minutes", 1, 60),
                auth.count("codesPerHour", "codes", 1, 1_000));
    }
}
