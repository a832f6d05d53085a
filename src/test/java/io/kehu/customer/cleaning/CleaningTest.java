package io.kehu.customer.cleaning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class CleaningTest {
    private static TestKehu kehu;
    private static UUID north;
    private static Caller operator;
    private static Caller south;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_JOBS_CHUNK_ROWS", "100"));
        north = kehu.branch(kehu.headOffice(), "NORTH");
        operator = kehu.signIn(kehu.staff(north, "operator"));
        south = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SOUTH"), "operator"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String aCustomer(Caller who, String name, String channel) {
        return who.post("/v1/customers", """
                        {"kind": "person", "name": "%s", "channel": "%s",
                         "addresses": [{"line": "北京市海淀区学院路３７号"}]}""".formatted(name, channel))
                .is(201)
                .at("/id")
                .asText();
    }

    private static Answer begun(Caller who, String action, boolean dryRun, String channel) {
        return who.post("/v1/quality/cleanings", """
                {"action": "%s", "dryRun": %s, "filter": {"field": "channel", "is": "%s"}}""".formatted(action, dryRun, channel));
    }

    private static Answer cleaned(Caller who, String action, boolean dryRun, String channel) {
        String path = begun(who, action, dryRun, channel).is(202).header("Location");
        Answer done = ended(who, path);
        assertThat(done.at("/state").asText()).as(done.text()).isEqualTo("done");
        return done;
    }

    private static Answer ended(Caller who, String path) {
        await().atMost(Duration.ofSeconds(20))
                .pollInterval(Duration.ofMillis(20))
                .until(() -> !List.of("waiting", "running")
                        .contains(who.get(path).is(200).at("/state").asText()));
        return who.get(path).is(200);
    }

    private static Answer customer(Caller who, String id) {
        return who.get("/v1/customers/" + id).is(200);
    }

    @Test
    void aDryRunSaysWhatItWouldChangeMaskedAndChangesNothing() {
        List<String> mine = new ArrayList<>();
        for (int i = 0; i < 105; i++) {
            mine.add(aCustomer(operator, "李　干" + i, "sms"));
        }
        aCustomer(operator, "李净", "phone");
        String foreign = aCustomer(south, "李　外", "sms");
        Answer dry = cleaned(operator, "tidy-text", true, "sms");
        assertThat(dry.at("/read").asInt()).isEqualTo(105);
        assertThat(dry.at("/changed").asInt()).isEqualTo(105);
        assertThat(dry.at("/percent").asInt()).isEqualTo(100);
        List<String> shown = new ArrayList<>();
        dry.at("/samples").forEach(sample -> shown.add(sample.get("customerId").asText()));
        assertThat(shown).containsExactlyElementsOf(mine.subList(0, 20)).doesNotContain(foreign);
        assertThat(dry.text()).contains("李干0").doesNotContain("学院路37").doesNotContain("37号");
        assertThat(customer(operator, mine.get(0)).at("/version").asInt()).isEqualTo(1);
        assertThat(customer(operator, mine.get(104)).at("/version").asInt()).isEqualTo(1);
        assertThat(kehu.<String>value("SELECT string_agg(position::text, ' ') FROM kehu.job"))
                .doesNotContain("李");
    }

    @Test
    void aCleaningWritesVersionsWithinScopeAndTheSecondTimeNothing() {
        String id = aCustomer(operator, "王　真", "email");
        String foreign = aCustomer(south, "王　外", "email");
        Answer done = cleaned(operator, "tidy-text", false, "email");
        assertThat(done.at("/changed").asInt()).isEqualTo(1);
        Answer now = customer(operator, id);
        assertThat(now.at("/name").asText()).isEqualTo("王真");
        assertThat(now.at("/version").asInt()).isEqualTo(2);
        assertThat(customer(south, foreign).at("/version").asInt()).isEqualTo(1);
        // Found under what it has become.
        assertThat(operator.post("/v1/customers/search", "{\"name\": \"王真\"}")
                        .is(200)
                        .at("/items"))
                .hasSize(1);
        assertThat(cleaned(operator, "tidy-text", false, "email").at("/changed").asInt())
                .isZero();
        Answer filled = cleaned(operator, "fill-region", false, "email");
        assertThat(filled.at("/changed").asInt()).isEqualTo(1);
        assertThat(customer(operator, id).at("/regionCode").asText()).isEqualTo("110108");
        assertThat(operator.get("/v1/customers/" + id + "/versions").is(200).at("/items"))
                .hasSize(3);
    }

    @Test
    void aRecordThatFailsTheRulesWhateverIsCleanedIsCountedAndLeft() {
        String id = aCustomer(operator, "赵　坏", "wechat");
        String good = aCustomer(operator, "赵　好", "wechat");
        kehu.sql("UPDATE customer.customer SET birth_date = '1700-01-01' WHERE id = ?", UUID.fromString(id));
        Answer done = cleaned(operator, "tidy-text", false, "wechat");
        assertThat(done.at("/refused").asInt()).isEqualTo(1);
        assertThat(done.at("/changed").asInt()).isEqualTo(1);
        assertThat(customer(operator, good).at("/name").asText()).isEqualTo("赵好");
        assertThat(customer(operator, id).at("/name").asText()).isEqualTo("赵　坏");
    }

    @Test
    void aCleaningThatIsStoppedKeepsWhatItHasDoneAndTheNextOneDoesTheRest() {
        int people = 600;
        StringBuilder csv = new StringBuilder("name\n");
        for (int i = 0; i < people; i++) {
            csv.append("孙　停").append(i).append('\n');
        }
        String upload = operator.upload(csv.toString().getBytes(StandardCharsets.UTF_8));
        String entered =
                operator.post("/v1/imports", """
                        {"uploadId": "%s", "mapping": {"kind": "person", "fields": [
                            {"field": "name", "column": "name"}, {"field": "channel", "constant": "branch"}]}}""".formatted(upload)).is(202).header("Location");
        assertThat(ended(operator, entered).at("/created").asInt()).isEqualTo(people);

        String path = begun(operator, "tidy-text", false, "branch").is(202).header("Location");
        await().pollInterval(Duration.ofMillis(5))
                .until(() -> operator.get(path).at("/changed").asInt() > 0);
        operator.post(path + "/cancel", "").is(200);
        Answer stopped = ended(operator, path);
        assertThat(stopped.at("/state").asText()).isEqualTo("cancelled");
        int changed = stopped.at("/changed").asInt();
        assertThat(changed).isPositive().isLessThan(people);
        assertThat(cleanedOf("branch")).isEqualTo(changed);
        operator.post(path + "/cancel", "").is(409, "job.ended");

        assertThat(cleaned(operator, "tidy-text", false, "branch")
                        .at("/changed")
                        .asInt())
                .isEqualTo(people - changed);
        assertThat(cleanedOf("branch")).isEqualTo(people);
    }

    private static long cleanedOf(String channel) {
        return kehu.<Long>value("SELECT count(*) FROM customer.customer WHERE version = 2 AND channel = ?", channel);
    }

    @Test
    void onlyWhoMayChangeCustomersCleansAndEachSeesHisOwn() {
        kehu.caller("risk")
                .post("/v1/quality/cleanings", "{\"action\": \"tidy-text\", \"dryRun\": true}")
                .is(403);
        kehu.sql("INSERT INTO iam.role (code, name_en, name_zh, scope, permissions) VALUES"
                + " ('broom', 'b', 'b', 'BRANCH', '{quality:clean,customer:read}')");
        begun(kehu.signIn(kehu.staff(north, "broom")), "tidy-text", false, "app")
                .is(403, "auth.forbidden");
        begun(operator, "burn", false, "app").is(400, "request.invalid");
        operator.post("/v1/quality/cleanings", "{\"action\": \"tidy-text\", \"dryRun\": true, \"filter\": {\"x\": 1}}")
                .is(400);
        String path = begun(operator, "tidy-text", true, "app").is(202).header("Location");
        south.get(path).is(404, "quality.cleaningNotFound");
        south.post(path + "/cancel", "").is(404, "quality.cleaningNotFound");
    }
}
