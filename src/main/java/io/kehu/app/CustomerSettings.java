package io.kehu.app;

/**
 * Settings of the rooms of customers. Checked here; read by the domain that they are for.
 *
 * @param statisticsPollMillis between two looks whether the numbers of branches are to be made anew
 */
record CustomerSettings(Segments segments, Grading grading, Personal personal, int statisticsPollMillis) {

    /**
     * Of live groups of customers.
     *
     * @param pollMillis between two looks for changes
     * @param batch changes of one transaction
     * @param rebuildAbove changes that may wait until all groups are rebuilt instead
     */
    public record Segments(int pollMillis, int batch, int rebuildAbove) {}

    /**
     * Of tiers, stages and classes by rules.
     *
     * @param hour of the night in which all customers are looked at
     * @param checkSeconds between two looks whether it is that hour
     */
    public record Grading(int hour, int checkSeconds) {}

    /**
     * Of what people may ask of a bank about themselves.
     *
     * @param perDay customers of whom one member of staff may take out all there is
     * @param graceDays in which who was deleted can be restored
     * @param pollMillis between two looks for whose grace is over
     * @param keepDays of backups
     */
    public record Personal(int perDay, int graceDays, int pollMillis, int keepDays) {}

    static CustomerSettings from(SettingsTree root) {
        SettingsTree segments = root.group("segments");
        SettingsTree grading = root.group("grading");
        SettingsTree erasure = root.group("erasure");
        return new CustomerSettings(
                new Segments(
                        segments.millis("pollMillis", 20, 10_000),
                        segments.count("batch", "changes", 10, 5_000),
                        segments.count("rebuildAbove", "changes", 10, 1_000_000)),
                new Grading(
                        grading.count("hour", "hour of the day", 0, 23),
                        grading.count("checkSeconds", "seconds", 1, 3_600)),
                new Personal(
                        root.group("personalData").count("perDay", "customers", 1, 100_000),
                        erasure.count("graceDays", "days", 1, 3_650),
                        erasure.millis("pollMillis", 50, 86_400_000),
                        root.group("backup").count("keepDays", "days", 1, 36_500)),
                root.group("statistics").millis("pollMillis", 20, 55_000));
    }
}
