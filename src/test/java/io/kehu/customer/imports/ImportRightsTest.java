package io.kehu.customer.imports;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.staff.DemoStaff;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** An import works with the rights that its owner has when it begins and shows its errors to who has them then. */
class ImportRightsTest {
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final UUID PUDONG = DemoStaff.id("SH-PD");
    private static final UUID CHAOYANG = DemoStaff.id("BJ-CY");
    private static final String PERSONS = """
            {"kind": "person", "fields": [{"field": "name", "column": "name"}, {"field": "birthDate", "column": "born"}]}""";
    private static final String WITH_ASSETS =
            PERSONS.replace("]}", ", {\"field\": \"assets\", \"column\": \"assets\"}]}");
    private static final byte[] ROWS =
            "name,born,assets\n甲,1980-02-01,5\n乙,1980-02-30,6\n".getBytes(StandardCharsets.UTF_8);

    private static TestKehu kehu;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_JOBS_POLL_MILLIS", "50"));
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static UUID staff(String... roles) {
        return kehu.staff(PUDONG, roles);
    }

    private static Answer begin(UUID staff, String mapping) {
        Caller caller = kehu.signIn(staff);
        return caller.post(
                        "/v1/imports", "{\"uploadId\": \"" + caller.upload(ROWS) + "\", \"mapping\": " + mapping + "}")
                .is(202);
    }

    /** Asked for, and not begun until {@link #letBegin}: as if every node were busy. */
    private static UUID waiting(UUID staff, String mapping) {
        kehu.sql("ALTER TABLE kehu.job ALTER COLUMN not_before SET DEFAULT 'infinity'");
        try {
            return UUID.fromString(begin(staff, mapping).at("/id").asText());
        } finally {
            kehu.sql("ALTER TABLE kehu.job ALTER COLUMN not_before DROP DEFAULT");
        }
    }

    private static Map<String, Object> letBegin(UUID job) {
        kehu.sql("UPDATE kehu.job SET not_before = NULL WHERE id = ?", job);
        await().atMost(SOON)
                .until(() -> kehu.<Boolean>value("SELECT ended_at IS NOT NULL FROM kehu.job WHERE id = ?", job));
        return kehu.sql(
                        "SELECT state, coalesce(error_code, '') AS code, rows_accepted AS rows FROM kehu.job WHERE id = ?",
                        job)
                .get(0);
    }

    private static Map<String, Object> failed(String code) {
        return Map.of("state", "failed", "code", code, "rows", 0L);
    }

    private static void change(UUID staff, String patch) {
        String path = "/v1/staff/" + staff;
        administrator.patch(path, administrator.get(path).etag(), patch).is(200);
    }

    private static long customers() {
        return kehu.<Long>value("SELECT count(*) FROM customer.customer");
    }

    /** The file holds what nobody may enter any more. */
    private static void itsFileIsGone(UUID job) {
        assertThat(kehu.sql("""
                SELECT b.id FROM kehu.blob b JOIN kehu.job j ON j.params ->> 'uploadId' = b.id::text
                WHERE j.id = ? AND b.state <> 'deleted'""", job)).isEmpty();
        assertThat(kehu.sql("""
                SELECT k.subject_id FROM kehu.data_key k JOIN kehu.job j ON j.params ->> 'uploadId' = k.subject_id::text
                WHERE j.id = ?""", job)).isEmpty();
    }

    @Test
    void whoseRightIsStillThereIsServedAlsoWhenHeHasSignedOut() {
        UUID staff = staff("operator");
        UUID job = waiting(staff, PERSONS);
        kehu.sql("UPDATE iam.session SET revoked_at = kehu.now(), why_revoked = 'logout' WHERE subject_id = ?", staff);
        assertThat(letBegin(job)).isEqualTo(Map.of("state", "done", "code", "", "rows", 1L));
        itsFileIsGone(job);
    }

    @Test
    void whoMayImportNoMoreWhenItBeginsEntersNothing() {
        UUID staff = staff("operator");
        long before = customers();
        UUID job = waiting(staff, PERSONS);
        change(staff, "{\"roles\": [\"customer-manager\"]}");
        assertThat(letBegin(job)).isEqualTo(failed("auth.forbidden"));
        assertThat(customers()).isEqualTo(before);
        itsFileIsGone(job);
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.audit WHERE kind = 'bulk' AND actor = ?", staff))
                .isZero();
    }

    @Test
    void whoIsSuspendedOrHasLeftEntersNothing() {
        for (String state : new String[] {"suspended", "left"}) {
            UUID staff = staff("operator");
            UUID job = waiting(staff, PERSONS);
            change(staff, "{\"state\": \"" + state + "\"}");
            assertThat(letBegin(job)).isEqualTo(failed("auth.forbidden"));
            itsFileIsGone(job);
        }
    }

    @Test
    void whoWorksElsewhereWhenItBeginsEntersNobodyWhereHeWas() {
        UUID staff = staff("operator");
        long before = customers();
        UUID job = waiting(staff, PERSONS);
        change(staff, "{\"branchId\": \"" + CHAOYANG + "\"}");
        assertThat(letBegin(job)).isEqualTo(failed("customer.branchUnknown"));
        assertThat(customers()).isEqualTo(before);
        itsFileIsGone(job);
    }

    @Test
    void whoMaySeeNoMoneyWhenItBeginsFillsNoneIn() {
        // Marketing imports and sees no money; what an operator sees is taken away.
        UUID staff = staff("operator", "marketing");
        UUID job = waiting(staff, WITH_ASSETS);
        change(staff, "{\"roles\": [\"marketing\"]}");
        assertThat(letBegin(job)).isEqualTo(failed("customer.fieldForbidden"));
        itsFileIsGone(job);
    }

    @Test
    void aGrantThatIsOverWhenItBeginsCountsNoMore() {
        UUID staff = staff("customer-manager");
        String ends = kehu.value("SELECT to_char(kehu.now() + interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
        String grant = administrator
                .post("/v1/grants", """
                {"staffId": "%s", "permissions": ["customer:import"], "endsAt": "%s", "reason": "代班"}""".formatted(staff, ends))
                .is(201)
                .header("Location");
        UUID job = waiting(staff, PERSONS);
        administrator.send("POST", grant + "/end", (byte[]) null).is(200);
        assertThat(letBegin(job)).isEqualTo(failed("auth.forbidden"));
    }

    @Test
    void errorsAreShownToTheOwnerAndOnlyWhileHeMayImport() {
        UUID staff = staff("operator");
        Caller owner = kehu.signIn(staff);
        UUID job = waiting(staff, PERSONS);
        letBegin(job);
        String path = "/v1/imports/" + job + "/errors";
        assertThat(owner.get(path).is(200).text()).contains("3,\"born\",field.format");
        kehu.signIn(staff("operator")).get(path).is(404, "import.notFound");
        change(staff, "{\"roles\": [\"customer-manager\"]}");
        await().atMost(SOON).untilAsserted(() -> owner.get(path).is(401, "auth.revoked"));
        Caller later = kehu.signIn(staff);
        later.get(path).is(403, "auth.forbidden");
        later.get("/v1/imports/" + job).is(403, "auth.forbidden");
    }

    @Test
    void theFileOfAnImportThatIsCancelledGoesWithIt() {
        UUID staff = staff("operator");
        UUID job = waiting(staff, PERSONS);
        kehu.signIn(staff)
                .send("POST", "/v1/imports/" + job + "/cancel", (byte[]) null)
                .is(200);
        itsFileIsGone(job);
    }
}
