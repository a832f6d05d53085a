package io.kehu.app;

import java.util.List;

/**
 * Settings of the rooms of customers. Checked here; read by the domain that they are for.
 *
 * @param statisticsPollMillis between two looks whether the numbers of branches are to be made anew
 * @param statisticsValues of a dimension that are told one by one
 * @param qualityKeptSeconds for which counts of what is wrong are kept
 */
record CustomerSettings(
        Segments segments,
        Grading grading,
        Personal personal,
        Duplicates duplicates,
        Enrichment enrichment,
        Connectors connectors,
        Exports exports,
        int statisticsPollMillis,
        int statisticsValues,
        int qualityKeptSeconds) {

    /**
     * Of live groups of customers.
     *
     * @param pollMillis between two looks for changes
     * @param batch changes of one transaction
     * @param rebuildAbove changes that may wait until all groups are rebuilt instead
     * @param rebuildRows customers asked at a time where asking all at once took too long
     */
    public record Segments(int pollMillis, int batch, int rebuildAbove, int rebuildRows) {}

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
     * @param requestsPerDay changes of his own record that one customer may ask for
     * @param graceDays in which who was deleted can be restored
     * @param pollMillis between two looks for whose grace is over
     * @param keepDays of backups
     */
    public record Personal(int perDay, int requestsPerDay, int graceDays, int pollMillis, int keepDays) {}

    /**
     * Of customers who may be there twice.
     *
     * @param blockMax customers who share a key and are still compared
     * @param bucketRows customers of one pass of a scan
     * @param atOnce changes that are looked at one by one
     * @param unaskedRows customers up to which a scan of all begins unasked
     * @param calmMillis without changes until a scan that many of them want begins
     * @param pollMillis between two looks for that
     */
    public record Duplicates(
            int blockMax, int bucketRows, int atOnce, int unaskedRows, int calmMillis, int pollMillis) {}

    /**
     * Of public pages.
     *
     * @param hosts that may be called
     * @param userAgent begins with the product token
     * @param perHostPerMinute calls
     * @param waitMillis for a turn
     * @param robotsMinutes a robots.txt counts, at most a day
     */
    public record Enrichment(
            List<String> hosts, String userAgent, int perHostPerMinute, int waitMillis, int robotsMinutes) {}

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
        SettingsTree duplicates = root.group("duplicates");
        SettingsTree enrichment = root.group("enrichment");
        SettingsTree connectors = root.group("connectors");
        return new CustomerSettings(
                new Segments(
                        segments.millis("pollMillis", 20, 10_000),
                        segments.count("batch", "changes", 10, 5_000),
                        segments.count("rebuildAbove", "changes", 10, 1_000_000),
                        segments.count("rebuildRows", "customers", 10, 1_000_000)),
                new Grading(
                        grading.count("hour", "hour of the day", 0, 23),
                        grading.count("checkSeconds", "seconds", 1, 3_600)),
                new Personal(
                        root.group("personalData").count("perDay", "customers", 1, 100_000),
                        root.group("changeRequests").count("perDay", "requests", 1, 1_000),
                        erasure.count("graceDays", "days", 1, 3_650),
                        erasure.millis("pollMillis", 50, 86_400_000),
                        root.group("backup").count("keepDays", "days", 1, 36_500)),
                new Duplicates(
                        duplicates.count("blockMax", "customers", 2, 1_000),
                        duplicates.count("bucketRows", "customers", 100, 1_000_000),
                        duplicates.count("atOnce", "customers", 0, 1_000),
                        duplicates.count("unaskedRows", "customers", 0, 100_000_000),
                        duplicates.millis("calmMillis", 50, 3_600_000),
                        duplicates.millis("pollMillis", 50, 3_600_000)),
                new Enrichment(
                        enrichment.list(
                                "hosts",
                                "[a-z0-9.-]{1,253}(:[0-9]{1,5})?",
                                "servers in lower case, with a port where it is not 443"),
                        enrichment.matching(
                                "userAgent",
                                "[A-Za-z_-]{1,40}([ /][ -~]{0,150})?",
                                "a product token of letters, then anything printable"),
                        enrichment.count("perHostPerMinute", "calls", 1, 6_000),
                        enrichment.millis("waitMillis", 0, 10_000),
                        enrichment.count("robotsMinutes", "minutes", 1, 1_440)),
                new Connectors(
                        connectors.millis("pollMillis", 20, 3_600_000),
                        connectors.millis("leaseMillis", 10_000, 3_600_000),
                        connectors.count("rowsPerAnswer", "rows", 1, 10_000),
                        connectors.count("answersPerRun", "answers", 1, 100_000),
                        connectors.count("attempts", "attempts", 1, 100),
                        connectors.millis("retryMillis", 10, 86_400_000),
                        connectors.millis("maxRetryMillis", 10, 86_400_000),
                        connectors.count("keepDays", "days", 1, 3_650)),
                Exports.from(root.group("exports")),
                root.group("statistics").millis("pollMillis", 20, 55_000),
                root.group("statistics").count("values", "values", 2, 200),
                root.group("quality").count("keptSeconds", "seconds", 0, 86_400));
    }
}
