package io.kehu.app;

import java.net.URI;
import java.util.List;

/** Settings of passkeys. Checked here; read by the domain that asks for them. */
record PasskeySettings(String rpId, List<String> origins, int ceremonyMinutes, int workers, int queue) {
    private static final String DOMAIN = "([a-z0-9-]{1,63}\\.)*[a-z0-9-]{1,63}";
    /** Web pages, and Android apps by the hash of their key, as Android names them. */
    private static final String ORIGIN =
            "https?://[a-z0-9.-]{1,253}(:\\d{1,5})?|android:apk-key-hash:[A-Za-z0-9_-]{43}";

    static PasskeySettings from(SettingsTree passkeys) {
        return new PasskeySettings(
                passkeys.text("rpId"),
                passkeys.list("origins", ORIGIN, "origins like https://staff.bank.example"),
                passkeys.count("ceremonyMinutes", "minutes", 1, 10),
                passkeys.count("workers", "threads", 1, 64),
                passkeys.count("queue", "checks", 1, 10_000));
    }

    /** What single values cannot say. */
    void check(boolean production) {
        Settings.must(
                rpId.isEmpty() || (rpId.length() <= 253 && rpId.matches(DOMAIN)),
                "auth.passkeys.rpId: must be a domain in small letters like bank.example, is " + rpId);
        Settings.must(
                rpId.isEmpty() == origins.isEmpty(), "auth.passkeys: rpId and origins must both be set, or neither");
        Settings.must(
                !(production && rpId.equals("localhost")),
                "auth.passkeys.rpId: must be a domain of the bank in production mode, not localhost");
        origins.stream()
                .filter(origin -> !origin.startsWith("android:"))
                .map(URI::create)
                .forEach(this::check);
    }

    /** Browsers would not take a page elsewhere (Web Authentication, section 5.1.3, step 8), nor one without TLS. */
    private void check(URI origin) {
        String host = origin.getHost();
        Settings.must(
                host != null && (host.equals(rpId) || host.endsWith("." + rpId)),
                "auth.passkeys.origins: must be pages of " + rpId + ", " + origin + " is not");
        Settings.must(
                origin.getScheme().equals("https") || rpId.equals("localhost"),
                "auth.passkeys.origins: must begin with https://, " + origin + " does not");
    }
}
