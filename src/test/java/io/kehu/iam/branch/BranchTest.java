package io.kehu.iam.branch;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class BranchTest {
    private static TestKehu kehu;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String code() {
        return "B" + UUID.randomUUID().toString().substring(0, 8).toUpperCase();
    }

    private static Answer open(UUID parent, String code) {
        return administrator.post("/v1/branches", """
                {"parentId": "%s", "code": "%s", "name": "上海浦东支行"}""".formatted(parent, code));
    }

    private static UUID opened(UUID parent) {
        return UUID.fromString(open(parent, code()).is(201).at("/id").asText());
    }

    @Test
    void aBranchIsOpenedBelowAnotherAndReadAgain() {
        String code = code();
        Answer made = open(kehu.headOffice(), code).is(201);
        assertThat(made.header("Location"))
                .isEqualTo("/v1/branches/" + made.at("/id").asText());
        assertThat(made.etag()).isEqualTo("\"1\"");
        Answer read = administrator.get(made.header("Location")).is(200);
        assertThat(read.json()).isEqualTo(made.json());
        assertThat(read.at("/code").asText()).isEqualTo(code);
        assertThat(read.at("/depth").asInt()).isEqualTo(1);
    }

    @Test
    void aKnownVersionIsNotSentAgain() {
        String path = "/v1/branches/" + opened(kehu.headOffice());
        administrator.get(path, "If-None-Match", "\"1\"").is(304);
        administrator.get(path, "If-None-Match", "\"2\"").is(200);
    }

    @Test
    void aCodeIsUsedOnce() {
        String code = code();
        open(kehu.headOffice(), code).is(201);
        open(kehu.headOffice(), code).is(409, "branch.codeTaken");
    }

    @Test
    void anUnknownParentIsRefused() {
        open(UUID.randomUUID(), code()).is(422, "branch.parentUnknown");
    }

    @Test
    void anUpdateNeedsTheVersionThatWasRead() {
        String path = "/v1/branches/" + opened(kehu.headOffice());
        administrator.send("PATCH", path, "{\"name\": \"新名\"}").is(428, "request.ifMatchMissing");
        Answer changed =
                administrator.patch(path, "\"1\"", "{\"name\": \"新名\"}").is(200);
        assertThat(changed.etag()).isEqualTo("\"2\"");
        administrator.patch(path, "\"1\"", "{\"name\": \"更新\"}").is(412, "request.stale");
        assertThat(administrator.get(path).at("/name").asText()).isEqualTo("新名");
    }

    @Test
    void aMovedBranchTakesWhatIsBelowAlong() {
        UUID from = opened(kehu.headOffice());
        UUID to = opened(kehu.headOffice());
        UUID moved = opened(from);
        UUID below = opened(moved);
        Answer answer = administrator
                .patch("/v1/branches/" + moved, "\"1\"", "{\"parentId\": \"" + to + "\"}")
                .is(200);
        assertThat(answer.at("/parentId").asText()).isEqualTo(to.toString());
        assertThat(administrator.get("/v1/branches/" + below).at("/depth").asInt())
                .isEqualTo(3);
        List<UUID> subtree = new ArrayList<>();
        kehu.sql("SELECT unnest(iam.subtree(?)) AS id", to).forEach(r -> subtree.add((UUID) r.get("id")));
        assertThat(subtree).containsExactlyInAnyOrder(to, moved, below);
    }

    @Test
    void aBranchCannotBeMovedBelowItselfAndTheHeadOfficeNotAtAll() {
        UUID top = opened(kehu.headOffice());
        UUID below = opened(top);
        administrator
                .patch("/v1/branches/" + top, "\"1\"", "{\"parentId\": \"" + below + "\"}")
                .is(409, "branch.cycle");
        String head = "/v1/branches/" + kehu.headOffice();
        administrator
                .patch(head, administrator.get(head).etag(), "{\"parentId\": \"" + below + "\"}")
                .is(409, "branch.isHead");
    }

    @Test
    void aBranchClosesOnlyAfterAllBelowItAndTakesNoNewOnes() {
        UUID top = opened(kehu.headOffice());
        UUID below = opened(top);
        administrator
                .patch("/v1/branches/" + top, "\"1\"", "{\"state\": \"closed\"}")
                .is(409, "branch.hasOpenChildren");
        administrator
                .patch("/v1/branches/" + below, "\"1\"", "{\"state\": \"closed\"}")
                .is(200);
        administrator
                .patch("/v1/branches/" + top, "\"1\"", "{\"state\": \"closed\"}")
                .is(200);
        open(top, code()).is(409, "branch.parentClosed");
    }

    @Test
    void theTreeIsBoundedInDepth() {
        UUID parent = kehu.headOffice();
        for (int depth = 1; depth <= 10; depth++) {
            parent = opened(parent);
        }
        open(parent, code()).is(422, "branch.tooDeep");
    }

    @Test
    void aListPagesThroughTheTreeInItsOrderWithoutGapOrRepetition() {
        UUID top = opened(kehu.headOffice());
        List<String> made = new ArrayList<>();
        for (int i = 0; i < 7; i++) {
            made.add(opened(top).toString());
        }
        List<String> seen = new ArrayList<>();
        String path = "/v1/branches?limit=3&parentId=" + top;
        String cursor = "";
        do {
            Answer page = administrator.get(path + cursor).is(200);
            for (JsonNode item : page.at("/items")) {
                seen.add(item.get("id").asText());
            }
            cursor = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!cursor.isEmpty());
        assertThat(seen).containsExactlyInAnyOrderElementsOf(made).doesNotHaveDuplicates();
    }

    @Test
    void aCursorThatWasAlteredOrComesFromAnotherListIsRefused() {
        UUID top = opened(kehu.headOffice());
        opened(top);
        opened(top);
        String next = administrator
                .get("/v1/branches?limit=1&parentId=" + top)
                .at("/next")
                .asText();
        administrator
                .get("/v1/branches?limit=1&parentId=" + top + "&cursor=" + next.substring(1))
                .is(400, "request.cursorInvalid");
        administrator.get("/v1/branches?limit=1&cursor=" + next).is(400, "request.cursorInvalid");
    }

    @Test
    void whatWasIsReadAsOfThen() {
        String path = "/v1/branches/" + opened(kehu.headOffice());
        administrator.patch(path, "\"1\"", "{\"name\": \"后来\"}").is(200);
        // The past is settled only 10 seconds later; the row itself is moved back instead of waiting.
        kehu.sql("ALTER TABLE iam.branch DISABLE TRIGGER keep");
        kehu.sql("UPDATE iam.branch SET valid_from = valid_from - interval '1 hour'");
        kehu.sql(
                "UPDATE iam.branch_past SET valid_from = valid_from - interval '1 hour', valid_to = valid_to - interval '1 hour'");
        kehu.sql("ALTER TABLE iam.branch ENABLE TRIGGER keep");
        String between = kehu.<Object>value(
                        "SELECT to_char(valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM iam.branch_past WHERE id = ?",
                        UUID.fromString(path.substring(13)))
                .toString();
        assertThat(administrator
                        .get(path + "?asOf=" + between)
                        .is(200)
                        .at("/name")
                        .asText())
                .isEqualTo("上海浦东支行");
        administrator.get(path + "?asOf=2000-01-01T00:00:00Z").is(404, "branch.notFound");
        administrator.get(path + "?asOf=2999-01-01T00:00:00Z").is(400, "request.asOfTooLate");
    }
}
