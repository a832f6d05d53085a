package io.kehu.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsTest {
    @TempDir
    Path folder;

    @Test
    void theDefaultsAreThemselvesValid() {
        Settings settings = Settings.load(null, Map.of());
        assertThat(settings.mode()).isEqualTo(Settings.Mode.DEMO);
        assertThat(settings.postgresql().embedded()).isTrue();
        assertThat(settings.node().runs("customer")).isTrue();
    }

    @Test
    void theEnvironmentOverridesTheFileWhichOverridesTheDefaults() throws IOException {
        Path file = file("http:\n  port: 8001\n  maxUrlBytes: 2048\n");
        Settings settings = Settings.load(file, Map.of("KEHU_HTTP_PORT", "8002", "KEHU_NODE_DOMAINS", "iam, customer"));
        assertThat(settings.http().port()).isEqualTo(8002);
        assertThat(settings.http().maxUrlBytes()).isEqualTo(2048);
        assertThat(settings.http().maxHeaderBytes()).isEqualTo(8192);
        assertThat(settings.node().domains()).isEqualTo(List.of("iam", "customer"));
        assertThat(settings.node().runs("ops")).isFalse();
    }

    @Test
    void theOwnerIsTheWorkerWhereNoOtherIsNamed() {
        Settings settings = Settings.load(null, Map.of("KEHU_PG_URI", "postgresql://kehu@db.example/kehu"));
        assertThat(settings.postgresql().ownerUri()).isEqualTo("postgresql://kehu@db.example/kehu");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "KEHU_HTTP_PORT | 70000 | http.port: must be a whole number (port number) from 0 to 65535",
                "KEHU_HTTP_PORT | 80a | http.port: must be a whole number (port number) from 0 to 65535",
                "KEHU_HTTP_IDLE_TIMEOUT_MILLIS | 5 | http.idleTimeoutMillis: must be a whole number (milliseconds)",
                "KEHU_NODE_HTTP | yes | node.http: must be true or false",
                "KEHU_MODE | prod | mode: must be demo or test or production",
                "KEHU_ZONE | Asia/Nowhere | zone: must be an IANA time zone",
                "KEHU_HTTP_TRUSTED_PROXIES | 10.0.0.1 | http.trustedProxies: must be a list",
                "KEHU_PG_URI | mysql://x/y | postgresql.uri: must be a URI",
                "KEHU_HTPP_PORT | 1 | KEHU_HTPP_PORT: there is no such setting",
                "KEHU_HTTP_HOST | 0.0.0.0 | http.host: plain HTTP is served on a loopback address",
                "KEHU_PG_URI | postgresql://kehu_app:secret@db.example/kehu | postgresql.sealUri: must be set",
                "KEHU_AUDIT_SEAL_MILLIS | 0 | audit.sealMillis: must be a whole number (milliseconds) from 50",
                "KEHU_AUDIT_HOT_DAYS | 7 | audit.hotDays: must be a whole number (days) from 30",
                "KEHU_MODE | production | postgresql.uri and redis.uri: must be set",
                "KEHU_JOBS_HEARTBEAT_MILLIS | 9000 | jobs.heartbeatMillis: must be at most half",
                "KEHU_BLOB_KIND | s3 | blob.kind: s3 needs",
                "KEHU_AUTH_PASSKEYS_RP_ID | Bank.Example | auth.passkeys.rpId: must be a domain in small letters",
                "KEHU_AUTH_PASSKEYS_RP_ID | bank.example | auth.passkeys: rpId and origins must both be set",
                "KEHU_AUTH_PASSKEYS_ORIGINS | bank.example | auth.passkeys.origins: must be a list of at most 1000 origins",
            })
    void aBadVariableIsOneLineThatNamesSettingUnitAndBound(String name, String value, String line) {
        assertThatThrownBy(() -> Settings.load(null, Map.of(name, value)))
                .isInstanceOf(StartFailure.class)
                .hasMessageStartingWith(line)
                .hasMessageNotContaining("\n");
    }

    @ParameterizedTest
    @CsvSource({
        "bank.example, https://bank.example.evil.test, must be pages of bank.example",
        "bank.example, https://evilbank.example, must be pages of bank.example",
        "bank.example, http://bank.example, must begin with https://",
        "bank.example, https://staff.bank.example/login, must be a list",
        "example, 'https://example, https://bank.test', must be pages of example",
    })
    void passkeysAreForPagesOfTheirDomainAlone(String domain, String origins, String line) {
        assertThatThrownBy(() -> Settings.load(
                        null, Map.of("KEHU_AUTH_PASSKEYS_RP_ID", domain, "KEHU_AUTH_PASSKEYS_ORIGINS", origins)))
                .isInstanceOf(StartFailure.class)
                .hasMessageStartingWith("auth.passkeys.origins: " + line);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "http: {prot: 1} | http.prot: there is no such setting",
                "http: 8080 | http: is a group of settings",
                "http: {port: [1]} | http.port: must be a whole number",
                "http: {port: 1, port: 2} | line 1: is not valid YAML",
                "[1, 2] | must be a YAML map of settings",
                "http: {port: 99999999999999999999} | http.port: must be a whole number",
                "http: {port: 1.5} | http.port: must be a whole number",
            })
    void aBadFileIsOneLine(String yaml, String line) throws IOException {
        Path file = file(yaml);
        assertThatThrownBy(() -> Settings.load(file, Map.of()))
                .isInstanceOf(StartFailure.class)
                .hasMessageContaining(line)
                .hasMessageNotContaining("\n");
    }

    @Test
    void passwordsAndSecretKeysAreNeverShown() {
        Map<String, String> environment = Map.of(
                "KEHU_PG_URI", "postgresql://kehu:s3cr%40t@db.example/kehu?password=s3cr",
                "KEHU_REDIS_URI", "redis://:s3cr@cache.example:6379",
                "KEHU_BLOB_S3_SECRET_KEY", "s3cr");
        assertThat(Settings.masked(null, environment))
                .contains("postgresql://kehu:***@db.example/kehu", "redis://:***@cache.example", "secretKey: '***'")
                .doesNotContain("s3cr");
        assertThatThrownBy(() -> Settings.load(null, Map.of("KEHU_PG_URI", "postgresql:/kehu:s3cr@db.example/kehu")))
                .hasMessageNotContaining("s3cr");
    }

    @Test
    void variablesThatKubernetesMakesForAServiceNamedKehuAreNoSettings() {
        Settings settings = Settings.load(
                null,
                Map.of(
                        "KEHU_SERVICE_HOST", "10.0.0.1",
                        "KEHU_PORT", "tcp://10.0.0.1:8080",
                        "KEHU_PORT_8080_TCP_ADDR", "10.0.0.1"));
        assertThat(settings.http().port()).isEqualTo(8080);
    }

    @Test
    void everySettingHasAComment() throws IOException {
        assertThat(Files.readAllLines(Path.of("conf", "kehu.yaml")))
                .filteredOn(line -> line.matches("\\s*\\w+: +[^#\\s].*"))
                .hasSizeGreaterThan(100)
                .allMatch(line -> line.contains(" # "));
    }

    private Path file(String yaml) throws IOException {
        return Files.writeString(folder.resolve("kehu.yaml"), yaml);
    }
}
