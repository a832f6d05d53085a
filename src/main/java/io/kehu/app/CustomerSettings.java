package io.kehu.app;

/** Settings of the rooms of customers. Checked here; read by the domain that they are for. */
record CustomerSettings(Segments segments) {

    /**
     * Of live groups of customers.
     *
     * @param pollMillis between two looks for changes
     * @param batch changes of one transaction
     * @param rebuildAbove changes that may wait until all groups are rebuilt instead
     */
    public record Segments(int pollMillis, int batch, int rebuildAbove) {}

    static CustomerSettings from(SettingsTree root) {
        SettingsTree segments = root.group("segments");
        return new CustomerSettings(new Segments(
                segments.millis("pollMillis", 20, 10_000),
                segments.count("batch", "changes", 10, 5_000),
                segments.count("rebuildAbove", "changes", 10, 1_000_000)));
    }
}
