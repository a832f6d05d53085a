package io.kehu.app;

/**
 * Settings of what people may ask of a bank about themselves. Checked here; read by the domain that answers.
 *
 * @param perDay customers of whom one member of staff may take out all there is
 */
record PersonalSettings(int perDay) {
    static PersonalSettings from(SettingsTree root) {
        return new PersonalSettings(root.group("personalData").count("perDay", "customers", 1, 100_000));
    }
}
