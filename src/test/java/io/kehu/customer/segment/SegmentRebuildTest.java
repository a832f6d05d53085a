package io.kehu.customer.segment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A bank of which no statement can ask everybody: it is cancelled at the eleventh customer who fits. */
class SegmentRebuildTest {
    private static final int CUSTOMERS = 50;
    private static final int ROWS = 10;
    private static final String IN = "9090901";
    private static final String OUT = "9090902";
    /** An advisory lock that each change of members waits for. */
    private static final int GATE = 4711;

    private static TestKehu kehu;
    private static Caller marketing;
    private static Caller head;
    private static String tag;
    private static final List<String> CUSTOMERS_THERE = new ArrayList<>();

    @BeforeAll
    static void aSlowBank() {
        kehu = TestKehu.start(Map.of(
                "KEHU_SEGMENTS_POLL_MILLIS", "20",
                "KEHU_SEGMENTS_ANSWERS", Integer.toString(ROWS), // no more than may come in one statement
                "KEHU_SEGMENTS_REBUILD_ROWS", Integer.toString(4 * ROWS)));
        kehu.sql("""
                CREATE FUNCTION customer.begin_slowly() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM pg_advisory_xact_lock_shared(%d), set_config('test.rows', '0', true);
                    RETURN NULL;
                END $$""".formatted(GATE));
        kehu.sql("""
                CREATE FUNCTION customer.slowly() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF set_config('test.rows', (current_setting('test.rows')::int + 1)::text, true)::int > %d THEN
                        RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = 'query_canceled';
                    END IF;
                    RETURN NEW;
                END $$""".formatted(ROWS));
        kehu.sql("CREATE TRIGGER begin_slowly BEFORE INSERT ON customer.segment_member FOR EACH STATEMENT"
                + " EXECUTE FUNCTION customer.begin_slowly()");
        kehu.sql("CREATE TRIGGER slowly BEFORE INSERT ON customer.segment_member FOR EACH ROW"
                + " EXECUTE FUNCTION customer.slowly()");
        marketing = kehu.caller("marketing");
        head = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SLOW"), "branch-head"));
        tag = aTag();
        for (int i = 0; i < CUSTOMERS; i++) {
            CUSTOMERS_THERE.add(customer(IN));
        }
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String aTag() {
        String category = marketing
                .post("/v1/tag-categories", "{\"code\": \"slow\", \"nameEn\": \"S\", \"nameZh\": \"慢\"}")
                .is(201)
                .at("/id")
                .asText();
        return marketing
                .post("/v1/tags", """
                        {"code": "slow-in", "categoryId": "%s", "nameEn": "In", "nameZh": "在"}""".formatted(category))
                .is(201)
                .at("/id")
                .asText();
    }

    private static String customer(String occupation) {
        return head.post(
                        "/v1/customers",
                        "{\"kind\": \"person\", \"name\": \"慢客\", \"occupation\": \"" + occupation + "\"}")
                .is(201)
                .at("/id")
                .asText();
    }

    private static void change(Random random, String customer) {
        String path = "/v1/customers/" + customer;
        if (random.nextInt(3) == 0) {
            head.send("PUT", path + "/tags/" + tag, "{\"reason\": \"因为\"}").is(200);
        } else {
            head.patch(
                            path,
                            head.get(path).is(200).etag(),
                            "{\"occupation\": \"" + (random.nextBoolean() ? IN : OUT) + "\"}")
                    .is(200);
        }
    }

    private static String filter(String tier) {
        return "\"filter\": {\"any\": [{\"field\": \"occupation\", \"is\": \"" + IN
                + "\"}, {\"field\": \"tags\", \"is\": \"slow-in\"}, {\"field\": \"tier\", \"is\": \"" + tier + "\"}]}";
    }

    private static List<String> ids(Caller who, String list, String id) {
        List<String> ids = new ArrayList<>();
        for (JsonNode item : who.get(list).is(200).at("/items")) {
            ids.add(item.get(id).asText());
        }
        return ids;
    }

    private static List<String> fitting(String filter) {
        List<String> ids = new ArrayList<>();
        for (JsonNode item : marketing
                .post("/v1/customers/search", "{" + filter + ", \"limit\": 200}")
                .is(200)
                .at("/items")) {
            ids.add(item.get("id").asText());
        }
        return ids;
    }

    private record At(boolean catchingUp, String position) {}

    private static At at(Statement sql, UUID segment) throws SQLException {
        try (ResultSet row =
                sql.executeQuery("SELECT catching_up, position::text FROM customer.segment_state WHERE segment_id = '"
                        + segment + "'")) {
            row.next();
            return new At(row.getBoolean(1), row.getString(2));
        }
    }

    /**
     * At the gate a statement that asks the next customers has seen them already and has written nothing: what changes meanwhile it
     * does not see. The gate is opened and closed at once; who waits for it to close waits for the one who has come through.
     */
    @Test
    void whatIsTooLongForOneStatementIsAskedInPartsAndChangesBetweenThemAreFollowed() throws Exception {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        String asked = filter("private");
        String path;
        UUID segment;
        int between = 0;
        try (Connection connection =
                        Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000);
                Statement sql = connection.createStatement()) {
            sql.execute("SELECT pg_advisory_lock(" + GATE + ")");
            path = marketing
                    .post("/v1/segments", "{\"name\": \"慢群\", \"kind\": \"live\", " + asked + "}")
                    .is(201)
                    .header("Location");
            segment = UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
            At before = at(sql, segment);
            for (At now = before; now.catchingUp; before = now, now = at(sql, segment)) {
                if (now.position != null && !now.equals(before)) {
                    between++;
                    for (int i = 0; i < 3; i++) {
                        change(random, CUSTOMERS_THERE.get(random.nextInt(CUSTOMERS_THERE.size())));
                    }
                    CUSTOMERS_THERE.add(customer(random.nextBoolean() ? IN : OUT));
                    if (between == 2) {
                        asked = filter("affluent");
                        marketing
                                .patch(path, marketing.get(path).etag(), "{" + asked + "}")
                                .is(200);
                    }
                }
                sql.execute("SELECT pg_advisory_unlock(" + GATE + ")");
                sql.execute("SELECT pg_advisory_lock(" + GATE + ")");
            }
        }
        assertThat(between).as("parts, seed %d", seed).isGreaterThanOrEqualTo(CUSTOMERS / ROWS / 2);
        assertThat(marketing.get(path).at("/catchingUp").asBoolean()).isFalse();
        String last = asked;
        await().untilAsserted(() -> assertThat(ids(marketing, path + "/members?limit=200", "customerId"))
                .as("seed %d", seed)
                .containsExactlyInAnyOrderElementsOf(fitting(last)));
        assertThat(kehu.<Integer>value("SELECT rows_at_once FROM customer.segment_state WHERE segment_id = ?", segment))
                .as("4 * %d is too much as well", ROWS)
                .isLessThanOrEqualTo(2 * ROWS);
    }
}
