package io.kehu.app;

/**
 * Settings of the rooms of customers. Checked here; read by the domain that they are for.
 *
 * @param statisticsPollMillis between two looks whether the numbers of branches are to be made anew
 * @param qualityKeptSeconds for which counts of what is wrong are kept
 */
record CustomerSettings(
        Segments segments,
        Grading grading,
        Personal personal,
        Connectors connectors,
        int statisticsPollMillis,
        int qualityKeptSeconds) {

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

    /**
     * Of systems that tell what they know of customers.
     *
     * @param pollMillis between two looks for sources that are due
     * @param leaseMillis until one that a dead node was asking is asked anew
     * @param rowsPerAnswer taken of one answer
     * @param answersPerRun taken in one run
     * @param attempts that fail in a row until a source is asked no more
     * @param retryMillis until the second attempt
     * @param maxRetryMillis between two attempts
     * @param keepDays for which runs and deliveries are remembered
     */
    public record Connectors(
            int pollMillis,
            int leaseMillis,
            int rowsPerAnswer,
            int answersPerRun,
            int attempts,
            int retryMillis,
            int maxRetryMillis,
            int keepDays) {}

    static CustomerSettings from(SettingsTree root) {
        SettingsTree segments = root.group("segments");
        SettingsTree grading = root.group("grading");
        SettingsTree erasure = root.group("erasure");
        SettingsTree connectors = root.group("connectors");
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
                new Connectors(
                        connectors.millis("pollMillis", 20, 3_600_000),
                        connectors.millis("leaseMillis", 10_000, 3_600_000),
                        connectors.count("rowsPerAnswer", "rows", 1, 10_000),
                        connectors.count("answersPerRun", "answers", 1, 100_000),
                        connectors.count("attempts", "attempts", 1, 100),
                        connectors.millis("retryMillis", 10, 86_400_000),
                        connectors.millis("maxRetryMillis", 10, 86_400_000),
                        connectors.count("keepDays", "days", 1, 3_650)),
                root.group("statistics").millis("pollMillis", 20, 55_000),
                root.group("quality").count("keptSeconds", "seconds", 0, 86_400));
    }
}
