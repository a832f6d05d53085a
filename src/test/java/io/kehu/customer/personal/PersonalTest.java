package io.kehu.customer.personal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.member.TestMembers;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class PersonalTest {
    private static final String PHONE = "13712345678";
    private static final String SAID = "孩子明年留学，想换外汇";

    private static TestKehu kehu;
    private static Caller manager;
    private static Caller elsewhere;
    private static String customer;

    @BeforeAll
    static void aCustomerWithAPast() {
        kehu = TestKehu.start(Map.of("KEHU_PERSONAL_DATA_PER_DAY", "3"));
        manager = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "DATA"), "customer-manager"));
        elsewhere = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "ELSE"), "branch-head"));
        Answer made = manager.post("/v1/customers", """
                {"kind": "person", "name": "数据客户", "assets": "1200000.50", "phones": [{"number": "%s"}]}""".formatted(PHONE)).is(201);
        customer = made.header("Location");
        manager.patch(customer, made.etag(), "{\"name\": \"数据新名\"}").is(200);
        Answer said = manager.post(
                        customer + "/interactions",
                        "{\"channel\": \"call\", \"direction\": \"inbound\", \"text\": \"" + SAID + "\"}")
                .is(201);
        manager.patch(said.header("Location"), said.etag(), "{\"text\": \"想换外汇，已预约\"}")
                .is(200);
        manager.post(
                        customer + "/consents",
                        "{\"purpose\": \"marketing\", \"channel\": \"sms\", \"state\": \"withdrawn\", \"source\": \"call\"}")
                .is(201);
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Answer export(Caller who) {
        return who.get(customer + "/personal-data", "Kehu-Purpose", "customer-request");
    }

    @Test
    void theFileHoldsEverythingInFullAndItsMakingIsAudited() {
        kehu.caller("analyst").get(customer).is(200);
        UUID id = UUID.fromString(customer.substring(customer.lastIndexOf('/') + 1));
        await().until(() -> kehu.<Long>value(
                        "SELECT count(*) FROM kehu.access_log WHERE operation = 'getCustomer' AND object_id = ?", id)
                > 0);
        Answer file = export(manager).is(200);
        assertThat(file.header("Content-Disposition")).contains("personal-data-20", ".json");
        JsonNode sections = file.at("/sections");
        assertThat(sections.at("/record/0/phones/0/number").asText()).endsWith(PHONE);
        assertThat(sections.at("/record/0/assets").asText()).isEqualTo("1200000.50");
        assertThat(sections.at("/record/0/assets").isTextual())
                .as("money is never a floating point number")
                .isTrue();
        assertThat(sections.at("/versions").findValuesAsText("name")).containsExactly("数据客户", "数据新名");
        assertThat(sections.at("/interactions/0/text").asText()).isEqualTo("想换外汇，已预约");
        assertThat(sections.at("/corrections/0/text").asText()).isEqualTo(SAID);
        assertThat(sections.at("/consents/0/state").asText()).isEqualTo("withdrawn");
        assertThat(sections.at("/accesses").findValuesAsText("operation")).contains("getCustomer");
        Map<String, Object> audited = kehu.sql(
                        "SELECT kind, purpose FROM kehu.audit WHERE operation = 'exportPersonalData' AND object_id = ? AND code IS NULL LIMIT 1",
                        id)
                .get(0);
        assertThat(audited).containsEntry("kind", "export").containsEntry("purpose", "customer-request");
    }

    @Test
    void purposeScopeAndFreshProofAreAskedForAndTheDayHasAQuota() {
        manager.get(customer + "/personal-data").is(400);
        export(elsewhere).is(404, "customer.notFound");
        export(kehu.caller("auditor")).is(403, "auth.forbidden");
        Caller head = kehu.caller("branch-head");
        for (int i = 0; i < 3; i++) {
            export(head).is(200);
        }
        export(head).is(429, "personal.quota");
        kehu.sql("UPDATE iam.session SET factor_at = kehu.now() - interval '10 min' WHERE subject_id = ?", head.id);
        Caller later = kehu.signIn(head.id);
        kehu.sql("UPDATE iam.session SET factor_at = kehu.now() - interval '10 min' WHERE subject_id = ?", head.id);
        export(later).is(401, "auth.stepUp");
    }

    @Test
    void aPersonGetsHisOwnWithoutWhatTheBankThinksOfHim() {
        TestMembers.Person person = TestMembers.aPerson(kehu);
        String token = TestMembers.login(kehu, TestMembers.account(kehu, person.customer()), TestMembers.PASSWORD)
                .is(200)
                .at("/accessToken")
                .asText();
        Answer file = kehu.with(token).get("/v1/members/me/personal-data").is(200);
        assertThat(file.at("/customerId").asText()).isEqualTo(person.customer().toString());
        JsonNode record = file.at("/sections/record/0");
        assertThat(record.at("/documents/0/number").asText()).isEqualTo(person.idNumber());
        assertThat(record.has("tier") || record.has("lifecycle")).isFalse();
        assertThat(file.at("/sections").has("consents")).isTrue();
        kehu.anonymous().get("/v1/members/me/personal-data").is(401);
        manager.get("/v1/members/me/personal-data").is(403, "auth.audience");
    }

    /** A merged record's sides have keys of their own. And however much there is of one kind, and however long a row, none is lost or told twice. */
    @Test
    void aTableThatComesLaterAndTheSidesOfAMergedRecordAreInIt() {
        String other = manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"并入客户\"}")
                .is(201)
                .header("Location");
        UUID side = UUID.fromString(other.substring(other.lastIndexOf('/') + 1));
        String survivor = manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"主客户\"}")
                .is(201)
                .header("Location");
        UUID root = UUID.fromString(survivor.substring(survivor.lastIndexOf('/') + 1));
        kehu.sql("INSERT INTO customer.merged (id, survivor_id) VALUES (?, ?)", side, root);
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", side);
        kehu.sql("""
                CREATE VIEW customer.overview_later AS
                SELECT c.id AS customer_id, c.created_at AS at, md5(c.id::text || g)::uuid AS id,
                       jsonb_build_object('what', g, 'text', repeat('x', CASE g WHEN 7 THEN 1100000 ELSE 300 END)) AS item
                FROM customer.customer c, generate_series(1, 2600) g""");
        kehu.sql("GRANT SELECT ON customer.overview_later TO kehu_app");
        Caller someone = kehu.caller("branch-head");
        Answer file = someone.get(other + "/personal-data", "Kehu-Purpose", "customer-request")
                .is(200);
        assertThat(file.at("/customerId").asText()).isEqualTo(root.toString());
        assertThat(file.at("/sections/record").findValuesAsText("name")).containsExactlyInAnyOrder("并入客户", "主客户");
        assertThat(file.at("/sections/later")).hasSize(2 * 2600);
        Set<String> told = new HashSet<>();
        file.at("/sections/later")
                .forEach(
                        row -> told.add(row.get("id").asText() + row.get("what").asInt()));
        assertThat(told).hasSize(2 * 2600);
    }
}
