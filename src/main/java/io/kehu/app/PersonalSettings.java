package io.kehu.app;

/**
 * Settings of what people may ask of a bank about themselves. Checked here; read by the domain that answers.
 *
 * @param perDay customers of whom one member of staff may take out all there is
 * @param graceDays in which who was deleted can be restored
 * @param pollMillis between two looks for whose grace is over
 * @param keepDays of backups
 */
record PersonalSettings(int perDay, int graceDays, int pollMillis, int keepDays) {
    static PersonalSettings from(SettingsTree root) {
        SettingsTree erasure = root.group("erasure");
        return new PersonalSettings(
                root.group("personalData").count("perDay", "customers", 1, 100_000),
                erasure.count("graceDays", "days", 1, 3_650),
                erasure.millis("pollMillis", 50, 86_400_000),
                root.group("backup").count("keepDays", "days", 1, 36_500));
    }
}
