package io.kehu.app;

/**
 * Settings of the rules by which customers are graded. Checked here; read by the domain.
 *
 * @param hour of the night, in the bank's zone, from which all customers are looked at
 * @param checkSeconds between two looks whether that hour has come
 */
record GradingSettings(int hour, int checkSeconds) {
    static GradingSettings from(SettingsTree root) {
        SettingsTree grading = root.group("grading");
        return new GradingSettings(
                grading.count("hour", "hour of the day", 0, 23), grading.count("checkSeconds", "seconds", 1, 3_600));
    }
}
