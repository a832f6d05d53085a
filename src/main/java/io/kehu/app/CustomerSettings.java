package io.kehu.app;

/**
 * Settings of the rooms of customers. Checked here; read by the domain that they are for.
 *
 * @param statisticsPollMillis between two looks whether the numbers of branches are to be made anew
 */
record CustomerSettings(
        Segments segments, Grading grading, Personal personal, Exports exports, int statisticsPollMillis) {

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
     * Of files of customers.
     *
     * @param rowsPerDay of one member of staff
     * @param maxRows of one file
     * @param documentRows of one that is for reading
     * @param pageRows read at a time
     * @param fileHours until a file is deleted
     * @param linkMinutes until a link is of no use
     * @param smallestGroup of customers who are alike, in an analysis
     * @param pollMillis between two looks for files whose time is over
     */
    public record Exports(
            int rowsPerDay,
            int maxRows,
            int documentRows,
            int pageRows,
            int fileHours,
            int linkMinutes,
            int smallestGroup,
            int pollMillis) {

        static Exports from(SettingsTree exports) {
            return new Exports(
                    exports.count("rowsPerDay", "rows", 0, 100_000_000),
                    exports.count("maxRows", "rows", 1, 1_048_574),
                    exports.count("documentRows", "rows", 1, 20_000),
                    exports.count("pageRows", "rows", 1, 5_000),
                    exports.count("fileHours", "hours", 1, 720),
                    exports.count("linkMinutes", "minutes", 1, 15),
                    exports.count("smallestGroup", "customers", 10, 10_000),
                    exports.millis("pollMillis", 50, 3_600_000));
        }
    }

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
                Exports.from(root.group("exports")),
                root.group("statistics").millis("pollMillis", 20, 55_000));
    }
}
