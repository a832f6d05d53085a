package io.kehu.customer.access;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class AccessTest {
    private static final AtomicLong NEXT = new AtomicLong(13900139100L);

    private static TestKehu kehu;
    private static UUID branch;
    private static Caller head;
    private static Caller manager;
    private static String customer;

    @BeforeAll
    static void aCustomerIsLookedAt() {
        kehu = TestKehu.start();
        branch = kehu.branch(kehu.headOffice(), "LOOK");
        head = kehu.signIn(kehu.staff(branch, "branch-head"));
        manager = kehu.signIn(kehu.staff(branch, "customer-manager"));
        customer = manager.post("/v1/customers", """
                {"kind": "person", "name": "被看", "phones": [{"number": "13900139000"}]}""").is(201).header("Location");
        manager.get(customer).is(200);
        manager.get(customer + "?unmask=phone", "Kehu-Purpose", "contact").is(200);
        kehu.caller("auditor")
                .get(customer + "?unmask=phone", "Kehu-Purpose", "audit")
                .is(403);
        kehu.caller("analyst").get(customer).is(200);
        await().until(() -> log("").at("/items").size() == 3);
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Answer log(String query) {
        return head.get(customer + "/access-log" + query).is(200);
    }

    @Test
    void eachLookSaysWhoWhenAndWhyAndOneInFullCountsOnce() {
        JsonNode items = log("").at("/items");
        assertThat(items).hasSize(3);
        assertThat(items.findValuesAsText("how")).containsOnlyOnce("viewed-in-full");
        JsonNode full = null;
        for (JsonNode item : items) {
            full = item.get("how").asText().equals("viewed-in-full") ? item : full;
        }
        assertThat(full.at("/purpose").asText()).isEqualTo("contact");
        assertThat(full.at("/by/id").asText()).isEqualTo(manager.id.toString());
        assertThat(full.at("/by/branchCode").asText()).isEqualTo("LOOK");
        assertThat(full.at("/by/username").asText())
                .isEqualTo(kehu.value("SELECT username FROM iam.staff WHERE id = ?", manager.id));
    }

    @Test
    void thePagesHoldEachLookOnce() {
        List<String> times = new ArrayList<>();
        String cursor = "";
        do {
            Answer page = log("?limit=1" + cursor);
            page.at("/items").forEach(item -> times.add(item.get("at").asText()));
            cursor = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!cursor.isEmpty());
        assertThat(times).hasSize(3).doesNotHaveDuplicates();
        assertThat(log("?to=2020-01-01T00:00:00Z").at("/items")).isEmpty();
        assertThat(log("?from=2020-01-01T00:00:00Z").at("/items")).hasSize(3);
    }

    @Test
    void onlyWhoMayAskAndOnlyOfCustomersInScopeIsTold() {
        kehu.caller("auditor").get(customer + "/access-log").is(200);
        manager.get(customer + "/access-log").is(403, "auth.forbidden");
        Caller elsewhere = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "ELSE"), "branch-head"));
        elsewhere.get(customer + "/access-log").is(404, "customer.notFound");
        head.get("/v1/customers/" + UUID.randomUUID() + "/access-log").is(404, "customer.notFound");
    }

    /** The ids that the looks of a customer were at, newest first. */
    private static List<String> lookedAt(String asked) {
        return head.get("/v1/customers/" + asked + "/access-log")
                .is(200)
                .at("/items")
                .findValuesAsText("customerId");
    }

    private static long told(String asked) {
        JsonNode accesses = head.get("/v1/customers/" + asked + "/personal-data", "Kehu-Purpose", "customer-request")
                .is(200)
                .at("/sections/accesses");
        return accesses.findValuesAsText("operation").stream()
                .filter("getCustomer"::equals)
                .count();
    }

    /** Read by whichever id, in full once by the one that is merged. */
    @Test
    void looksAtAllThatIsMergedAreToldTogetherUntilTheMergeIsUndone() {
        String stays = aCustomer();
        String goes = aCustomer();
        String apart = aCustomer();
        for (String id : List.of(stays, goes, apart)) {
            manager.get("/v1/customers/" + id).is(200);
        }
        await().until(() ->
                lookedAt(stays).size() + lookedAt(goes).size() + lookedAt(apart).size() == 3);
        Answer merge = head.post(
                        "/v1/merges", "{\"survivorId\": \"%s\", \"duplicateId\": \"%s\"}".formatted(stays, goes))
                .is(201);
        assertThat(lookedAt(stays)).containsExactlyInAnyOrder(stays, goes);
        assertThat(lookedAt(goes)).containsExactlyInAnyOrder(stays, goes);
        assertThat(told(stays)).isEqualTo(2);

        manager.get("/v1/customers/" + goes + "?unmask=phone", "Kehu-Purpose", "contact")
                .is(200);
        await().until(() -> kehu.<Long>value(
                        "SELECT count(*) FROM kehu.access_log WHERE operation = 'getCustomer' AND object_id = ?",
                        UUID.fromString(goes))
                == 2);
        JsonNode looks =
                head.get("/v1/customers/" + goes + "/access-log").is(200).at("/items");
        assertThat(looks.findValuesAsText("operation").stream().filter("getCustomer"::equals))
                .as("a look in full is one look, whichever id led to the record")
                .hasSize(3);
        assertThat(looks.findValuesAsText("how")).containsOnlyOnce("viewed-in-full");
        assertThat(told(stays)).isEqualTo(3);
        assertThat(lookedAt(apart)).containsExactly(apart);

        head.send("POST", "/v1/merges/" + merge.at("/id").asText() + "/undo", (String) null)
                .is(200);
        assertThat(lookedAt(stays)).contains(stays).doesNotContain(goes);
        assertThat(lookedAt(goes)).contains(goes).doesNotContain(stays);
    }

    private static String aCustomer() {
        return manager.post(
                        "/v1/customers",
                        "{\"kind\": \"person\", \"name\": \"两本\", \"phones\": [{\"number\": \"%d\"}]}"
                                .formatted(NEXT.getAndIncrement()))
                .is(201)
                .at("/id")
                .asText();
    }
}
