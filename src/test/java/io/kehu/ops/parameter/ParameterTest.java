package io.kehu.ops.parameter;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ParameterTest {
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

    private static Answer create(String name, String kind, String value, String more) {
        return administrator.post("/v1/parameters", """
                {"name": "%s", "kind": "%s", "value": "%s", "aboutEn": "About", "aboutZh": "说明"%s}""".formatted(name, kind, value, more));
    }

    private static String name() {
        return "test."
                + UUID.randomUUID()
                        .toString()
                        .replaceAll("[^a-f]", "")
                        .concat(Long.toString(System.nanoTime(), 36).replaceAll("[0-9]", "x"));
    }

    @Test
    void theBankStartsWithItsLimits() {
        assertThat(administrator.get("/v1/parameters").is(200).at("/items").findValuesAsText("name"))
                .contains("admission.users", "alert.cpu", "alert.memory");
        assertThat(administrator
                        .get("/v1/parameters/admission.users")
                        .is(200)
                        .at("/value")
                        .asText())
                .isEqualTo("5000");
    }

    @Test
    void aChangeIsInForceAtOnceAndKeepsItsHistory() {
        String path = create(name(), "number", "10", ", \"least\": \"1\", \"most\": \"20\"")
                .is(201)
                .header("Location");
        Answer changed =
                administrator.patch(path, "\"1\"", "{\"value\": \"12.5\"}").is(200);
        assertThat(changed.etag()).isEqualTo("\"2\"");
        assertThat(administrator.get(path).at("/value").asText()).isEqualTo("12.5");
        assertThat(kehu.<String>value(
                        "SELECT value FROM ops.parameter_value WHERE name = ?",
                        path.substring("/v1/parameters/".length())))
                .isEqualTo("12.5");
        Answer versions = administrator.get(path + "/versions").is(200);
        assertThat(versions.at("/items").findValuesAsText("value")).isEqualTo(List.of("12.5", "10"));
        Answer page = administrator.get(path + "/versions?limit=1").is(200);
        assertThat(administrator
                        .get(path + "/versions?limit=1&cursor="
                                + page.at("/next").asText())
                        .at("/items")
                        .findValuesAsText("value"))
                .isEqualTo(List.of("10"));
        administrator.patch(path, "\"1\"", "{\"value\": \"13\"}").is(412, "request.stale");
    }

    @Test
    void aValueStaysWithinItsBoundsAndItsKind() {
        String path = create(name(), "number", "10", ", \"least\": \"1\", \"most\": \"20\"")
                .is(201)
                .header("Location");
        administrator.patch(path, "\"1\"", "{\"value\": \"20.1\"}").is(422, "parameter.outOfBounds");
        administrator.patch(path, "\"1\"", "{\"value\": \"1e1\"}").is(422, "parameter.kindMismatch");
        create(name(), "flag", "yes", "").is(422, "parameter.kindMismatch");
        create(name(), "number", "1", ", \"least\": \"5\", \"most\": \"2\"").is(422, "parameter.boundsCrossed");
        create("alert.cpu", "number", "1", "").is(409, "parameter.nameTaken");
    }

    @Test
    void onlyThoseWhoMayChangeParametersDo() {
        Caller auditor = kehu.caller("auditor");
        auditor.get("/v1/parameters").is(200);
        auditor.patch("/v1/parameters/alert.cpu", "\"1\"", "{\"value\": \"80\"}")
                .is(403, "auth.forbidden");
        kehu.caller("customer-manager").get("/v1/parameters").is(403, "auth.forbidden");
        administrator.get("/v1/parameters/no.such").is(404, "parameter.notFound");
    }
}
