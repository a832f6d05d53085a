package io.kehu.customer.version;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.customer.seed.People;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class VersionTest {
    private static final People PEOPLE = People.asOf(LocalDate.of(2026, 1, 1));

    private static TestKehu kehu;
    private static UUID north;
    private static Caller manager;
    private static Caller otherManager;
    private static Caller head;
    private static Caller deskAgent;
    private static int next;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        north = kehu.branch(kehu.headOffice(), "NORTH");
        manager = kehu.signIn(kehu.staff(north, "customer-manager"));
        otherManager = kehu.signIn(kehu.staff(north, "customer-manager"));
        head = kehu.signIn(kehu.staff(north, "branch-head"));
        deskAgent = kehu.caller("desk-agent");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String anIdNumber() {
        while (true) {
            var invented = PEOPLE.at(21, next++);
            if (invented.birthDate() != null) {
                return invented.idNumber();
            }
        }
    }

    private static String path(Answer customer) {
        return "/v1/customers/" + customer.at("/id").asText();
    }

    private static Answer aCustomer(String more) {
        return manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"钱版本\"" + more + "}")
                .is(201);
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(item -> texts.add(item.asText()));
        return texts;
    }

    @Test
    void everyChangeIsToldWithWhoMadeItAndWhatItChangedMasked() {
        Answer made = aCustomer("""
                , "phones": [{"number": "13812345678"}], "tier": "mass", "assets": "100"
                """);
        Answer changed = manager.patch(path(made), made.etag(), """
                {"phones": [{"number": "13899995678"}], "assets": "200"}""", "Idempotency-Key", "v-" + path(made))
                .is(200);
        String receipt = changed.header("Kehu-Receipt");
        head.patch(path(made), changed.etag(), "{\"tier\": \"affluent\", \"maritalStatus\": \"single\"}")
                .is(200);

        Answer versions = manager.get(path(made) + "/versions").is(200);
        assertThat(versions.at("/items")).hasSize(3);
        JsonNode third = versions.at("/items/0");
        assertThat(third.at("/version").asInt()).isEqualTo(3);
        assertThat(third.at("/by/id").asText()).isEqualTo(head.id.toString());
        assertThat(third.at("/operation").asText()).isEqualTo("changeCustomer");
        assertThat(texts(third.at("/changed"))).containsExactly("maritalStatus", "tier");
        assertThat(third.at("/before/tier").asText()).isEqualTo("mass");
        assertThat(third.at("/before").has("maritalStatus")).isFalse();
        assertThat(third.at("/after/tier").asText()).isEqualTo("affluent");
        assertThat(third.has("until")).isFalse();

        JsonNode second = versions.at("/items/1");
        assertThat(receipt).startsWith(second.at("/auditId").asText());
        assertThat(second.at("/by/id").asText()).isEqualTo(manager.id.toString());
        // Two numbers that look alike when masked still differ.
        assertThat(texts(second.at("/changed"))).containsExactly("assets", "phones");
        assertThat(second.at("/before/phones/0/number")).isEqualTo(second.at("/after/phones/0/number"));
        assertThat(second.at("/after/assets").asText()).isEqualTo("200.00");
        assertThat(second.at("/until")).isEqualTo(third.at("/since"));
        assertThat(versions.text()).doesNotContain("13812345678", "13899995678");

        JsonNode first = versions.at("/items/2");
        assertThat(first.at("/by/id").asText()).isEqualTo(manager.id.toString());
        assertThat(first.at("/operation").asText()).isEqualTo("createCustomer");
        assertThat(first.at("/before")).isEmpty();
        assertThat(first.at("/after/name").asText()).isEqualTo("钱版本");

        // Page by page the same, and nothing for those out of reach.
        Answer page = manager.get(path(made) + "/versions?limit=1").is(200);
        Answer rest = manager.get(path(made) + "/versions?limit=1&cursor="
                        + page.at("/next").asText())
                .is(200);
        assertThat(rest.at("/items/0")).isEqualTo(second);
        otherManager.get(path(made) + "/versions").is(404, "customer.notFound");
        // Figures are for those who may see figures, and so is that they changed.
        Answer plain = deskAgent.get(path(made) + "/versions").is(200);
        assertThat(texts(plain.at("/items/1/changed"))).containsExactly("phones");
        assertThat(plain.text()).doesNotContain("assets");
    }

    @Test
    void whoCameWithManyOthersIsToldWithTheImportThatBroughtHim() {
        UUID audit = kehu.value("SELECT uuidv7()");
        Answer made = aCustomer("");
        UUID id = UUID.fromString(made.at("/id").asText());
        // As an import leaves it: one row of audit for all, which names none of them.
        kehu.sql("""
                INSERT INTO kehu.audit (at, incarnation, xid, ord, id, kind, operation, actor, audience, actor_name, address, request_id,
                    object_type, row_count, first_id, last_id, leaf)
                SELECT created_at + interval '1 second', 1, pg_current_xact_id(), 0, ?, 'bulk', 'createImport', ?, 'STAFF', 'importer',
                    'test', 'test', 'customer', 5, id::text, id::text, '' FROM customer.customer WHERE id = ?""", audit, head.id, id);
        kehu.sql("UPDATE kehu.audit SET object_version = 9 WHERE object_id = ? AND kind = 'write'", id);
        JsonNode only = manager.get(path(made) + "/versions").is(200).at("/items/0");
        assertThat(only.at("/operation").asText()).isEqualTo("createImport");
        assertThat(only.at("/by/id").asText()).isEqualTo(head.id.toString());
    }

    @Test
    void aFormerValueComesBackAsAChangeOfToday() {
        String number = anIdNumber();
        Answer made = aCustomer("""
                , "documents": [{"type": "resident_id", "number": "%s"}], "tier": "affluent", "occupation": "20601"
                """.formatted(number));
        Answer second = manager.patch(path(made), made.etag(), """
                {"documents": [], "tier": "mass", "occupation": null, "channel": "app"}""").is(200);
        String restore = path(made) + "/versions/1/restore";
        String body = """
                {"fields": ["documents", "tier", "occupation", "channel"], "reason": "王经理改错了"}""";
        manager.post(restore, body, "If-Match", made.etag()).is(412, "request.stale");
        manager.post(restore, body).is(428);
        otherManager.post(restore, body, "If-Match", second.etag()).is(404, "customer.notFound");
        manager.post(path(made) + "/versions/7/restore", body, "If-Match", second.etag())
                .is(404, "customer.versionUnknown");
        Answer restored = manager.post(restore, body, "If-Match", second.etag()).is(200);
        assertThat(restored.etag()).isEqualTo("\"3\"");
        assertThat(restored.at("/tier").asText()).isEqualTo("affluent");
        assertThat(restored.at("/documents")).hasSize(1);
        assertThat(restored.at("/occupation").asText()).isEqualTo("20601");
        assertThat(restored.json().has("channel")).isFalse();
        // He is found by the document again.
        assertThat(manager.post("/v1/customers/search", "{\"idNumber\": \"" + number + "\"}")
                        .is(200)
                        .at("/items"))
                .hasSize(1);
        JsonNode newest = manager.get(path(made) + "/versions").is(200).at("/items/0");
        assertThat(newest.at("/operation").asText()).isEqualTo("restoreCustomerVersion");
        assertThat(newest.at("/reason").asText()).isEqualTo("王经理改错了");
        assertThat((String) kehu.value("SELECT string_agg(a::text, ' ') FROM kehu.audit a"))
                .doesNotContain("王经理改错了");
        List<String> events = new ArrayList<>();
        kehu.sql(
                        "SELECT type FROM kehu.event WHERE aggregate_id = ? ORDER BY version",
                        UUID.fromString(made.at("/id").asText()))
                .forEach(row -> events.add(row.get("type").toString()));
        assertThat(events).containsExactly("customer.created", "customer.changed", "customer.changed");
    }

    @Test
    void whatBelongsToAnotherByNowStaysThere() {
        String number = anIdNumber();
        String document = ", \"documents\": [{\"type\": \"resident_id\", \"number\": \"" + number + "\"}]";
        Answer made = aCustomer(document);
        Answer second =
                manager.patch(path(made), made.etag(), "{\"documents\": []}").is(200);
        aCustomer(document + ", \"confirmDuplicates\": [\"" + made.at("/id").asText() + "\"]");
        String body = "{\"fields\": [\"documents\"], \"reason\": \"找回\"}";
        manager.post(path(made) + "/versions/1/restore", body, "If-Match", second.etag())
                .is(409, "customer.idTaken");
        assertThat(manager.get(path(made)).is(200).at("/version").asInt()).isEqualTo(2);
    }

    @Test
    void aRestoreWaitsForASecondPersonWhereTheRuleSaysSo() {
        Answer made = aCustomer(", \"tier\": \"affluent\"");
        Answer second =
                manager.patch(path(made), made.etag(), "{\"tier\": \"mass\"}").is(200);
        UUID policy = kehu.value("SELECT id FROM iam.approval_policy WHERE code = 'customer-entry'");
        boolean enabled = kehu.value("SELECT enabled FROM iam.approval_policy WHERE id = ?", policy);
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE id = ?", policy);
        try {
            Answer proposed = manager.post(
                            path(made) + "/versions/1/restore",
                            "{\"fields\": [\"tier\"], \"reason\": \"误改\"}",
                            "If-Match",
                            second.etag(),
                            "Idempotency-Key",
                            "restore-" + path(made))
                    .is(202);
            head.post(proposed.header("Location") + "/approve", "{}").is(200);
        } finally {
            kehu.sql("UPDATE iam.approval_policy SET enabled = ? WHERE id = ?", enabled, policy);
        }
        JsonNode newest = manager.get(path(made) + "/versions").is(200).at("/items/0");
        assertThat(newest.at("/after/tier").asText()).isEqualTo("affluent");
        assertThat(newest.at("/by/id").asText()).isEqualTo(manager.id.toString());
        assertThat(newest.at("/approvalId").asText()).isNotEmpty();
        assertThat(newest.at("/reason").asText()).isEqualTo("误改");
    }
}
