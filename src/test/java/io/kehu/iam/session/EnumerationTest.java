package io.kehu.iam.session;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.member.TestMembers;
import io.kehu.iam.staff.DemoStaff;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Every door that takes something secret: whoever stands before it learns that he may not come in and nothing else. Status,
 * headers and body are the same to the letter, but for the id of the request, in both languages.
 */
class EnumerationTest {
    private static final AtomicInteger ADDRESSES = new AtomicInteger();
    private static final String WRONG = "wrong-but-long-enough";
    private static final int FAILURES_THAT_LOCK = 5;

    private static TestKehu kehu;
    private static Caller anonymous;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32",
                "KEHU_RATE_LOGIN_PER_MINUTE", "100000"));
        anonymous = kehu.anonymous();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    /** What one who knocks can see: all of it but the request's id, which is always as long. */
    private static String seen(Answer answer) {
        Map<String, List<String>> headers =
                new TreeMap<>(answer.response().headers().map());
        headers.remove("date");
        String id = answer.header("Kehu-Request-Id");
        assertThat(answer.text()).contains("\"requestId\":\"" + id + "\"");
        return (answer.status() + "\n" + headers + "\n" + answer.text()).replace(id, "-".repeat(id.length()));
    }

    /** Knocks with each, in each language, and sees the same each time. */
    private static void alike(String path, int status, String code, Map<String, ObjectNode> cases) {
        assertThat(cases).hasSizeGreaterThan(2);
        for (String language : List.of("en", "zh-CN")) {
            Map<String, String> answers = new LinkedHashMap<>();
            cases.forEach((name, body) -> answers.put(
                    name, seen(post(path, body, "Accept-Language", language).is(status, code))));
            String first = answers.values().iterator().next();
            assertThat(answers)
                    .as(path + " in " + language)
                    .allSatisfy((name, answer) -> assertThat(answer).as(name).isEqualTo(first));
        }
    }

    /** Each time from an address of its own, so that none is locked for what others did. */
    private static Answer post(String path, ObjectNode body, String... language) {
        int n = ADDRESSES.incrementAndGet();
        String address = "10.11." + n / 250 + "." + (1 + n % 250);
        return language.length == 0
                ? anonymous.post(path, body.toString(), "X-Forwarded-For", address)
                : anonymous.post(path, body.toString(), "X-Forwarded-For", address, language[0], language[1]);
    }

    private static ObjectNode credentials(String username, String password) {
        return Json.object().put("username", username).put("password", password);
    }

    private static void lock(String path, String username) {
        for (int i = 0; i < FAILURES_THAT_LOCK; i++) {
            post(path, credentials(username, WRONG)).is(401, "auth.failed");
        }
    }

    private static void state(String username, String state) {
        String path = "/v1/staff/" + DemoStaff.id(username);
        Caller administrator = kehu.caller("administrator");
        administrator
                .patch(path, administrator.get(path).etag(), "{\"state\": \"" + state + "\"}")
                .is(200);
    }

    @Test
    void staffWhoMayNotComeInSeeOneAnswer() {
        String path = "/v1/auth/login";
        lock(path, "manager2.cd-wh");
        state("manager2.cd-gx", "suspended");
        state("manager2.cd-jj", "left");
        Map<String, ObjectNode> cases = new LinkedHashMap<>();
        cases.put("unknown", credentials("nobody.at.all", WRONG));
        cases.put("unknown, in capitals", credentials("NOBODY.AT.ALL", WRONG));
        cases.put("unknown, with a password of somebody", credentials("nobody.at.all", DemoStaff.PASSWORD));
        cases.put("wrong", credentials("manager1.cd-gx", WRONG));
        cases.put(
                "wrong, wanting a cookie", credentials("manager1.cd-gx", WRONG).put("cookie", true));
        cases.put("locked", credentials("manager2.cd-wh", WRONG));
        cases.put("locked, with the right password", credentials("manager2.cd-wh", DemoStaff.PASSWORD));
        cases.put("suspended", credentials("manager2.cd-gx", WRONG));
        cases.put("suspended, with the right password", credentials("manager2.cd-gx", DemoStaff.PASSWORD));
        cases.put("left, with the right password", credentials("manager2.cd-jj", DemoStaff.PASSWORD));
        alike(path, 401, "auth.failed", cases);
    }

    @Test
    void customersWhoMayNotComeInSeeOneAnswer() {
        String path = "/v1/members/login";
        String locked = TestMembers.account(kehu, TestMembers.aPerson(kehu).customer());
        lock(path, locked);
        UUID closed = TestMembers.aPerson(kehu).customer();
        String closedName = TestMembers.account(kehu, closed);
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", closed);
        String good = TestMembers.account(kehu, TestMembers.aPerson(kehu).customer());
        Map<String, ObjectNode> cases = new LinkedHashMap<>();
        cases.put("unknown", credentials("nobody.at.all", WRONG));
        cases.put("staff", credentials("admin", DemoStaff.PASSWORD));
        cases.put("wrong", credentials(good, WRONG));
        cases.put("locked", credentials(locked, WRONG));
        cases.put("locked, with the right password", credentials(locked, TestMembers.PASSWORD));
        cases.put("closed", credentials(closedName, WRONG));
        cases.put("closed, with the right password", credentials(closedName, TestMembers.PASSWORD));
        alike(path, 401, "auth.failed", cases);
    }

    @Test
    void partnersWhoMayNotComeInSeeOneAnswer() {
        Caller administrator = kehu.caller("administrator");
        Function<String, Answer> partner =
                name -> administrator.post("/v1/partners", """
                {"name": "%s", "purpose": "试", "permissions": ["event:read"]}""".formatted(name)).is(201);
        Function<String, Answer> key =
                path -> administrator.post(path + "/keys", "{\"days\": 1}").is(201);
        String suspended = partner.apply("enum-suspended").header("Location");
        Answer itsKey = key.apply(suspended);
        administrator
                .patch(suspended, administrator.get(suspended).etag(), "{\"state\": \"suspended\"}")
                .is(200);
        String good = partner.apply("enum-good").header("Location");
        Answer taken = key.apply(good);
        administrator
                .send("DELETE", good + "/keys/" + taken.at("/id").asText(), (byte[]) null)
                .is(204);
        Answer live = key.apply(good);
        String keyless = partner.apply("enum-keyless").at("/id").asText();
        String secret = live.at("/clientSecret").asText();
        Map<String, ObjectNode> cases = new LinkedHashMap<>();
        cases.put("unknown", client(UUID.randomUUID().toString(), secret));
        cases.put("wrong", client(live.at("/clientId").asText(), "A".repeat(43)));
        cases.put("without a key", client(keyless, secret));
        cases.put(
                "of a key taken back",
                client(taken.at("/clientId").asText(), taken.at("/clientSecret").asText()));
        cases.put(
                "suspended",
                client(
                        itsKey.at("/clientId").asText(),
                        itsKey.at("/clientSecret").asText()));
        alike("/v1/auth/token", 401, "auth.failed", cases);
        post("/v1/auth/token", client(live.at("/clientId").asText(), secret)).is(200);
    }

    private static ObjectNode client(String id, String secret) {
        return Json.object()
                .put("grant_type", "client_credentials")
                .put("client_id", id)
                .put("client_secret", secret);
    }

    private static String refreshOf(Answer tokens) {
        return tokens.is(200).at("/refreshToken").asText();
    }

    private static ObjectNode refresh(String token) {
        return Json.object().put("refreshToken", token);
    }

    @Test
    void refreshTokensThatAreWorthNothingSeeOneAnswer() {
        String path = "/v1/auth/refresh";
        Answer out = post("/v1/auth/login", credentials("operator.bj", DemoStaff.PASSWORD));
        kehu.with(out.at("/accessToken").asText())
                .send("POST", "/v1/auth/logout", (byte[]) null)
                .is(204);
        String used = refreshOf(post("/v1/auth/login", credentials("operator.cd", DemoStaff.PASSWORD)));
        String next = refreshOf(post(path, refresh(used)));
        Answer suspended = post("/v1/auth/login", credentials("operator.gz", DemoStaff.PASSWORD));
        state("operator.gz", "suspended");
        String member = TestMembers.account(kehu, TestMembers.aPerson(kehu).customer());
        Map<String, ObjectNode> cases = new LinkedHashMap<>();
        cases.put("of nobody", refresh("A".repeat(43)));
        cases.put("used before", refresh(used));
        cases.put("of the family of one used before", refresh(next));
        cases.put("signed out", refresh(refreshOf(out)));
        cases.put("of one suspended", refresh(refreshOf(suspended)));
        cases.put(
                "of a customer",
                refresh(refreshOf(post("/v1/members/login", credentials(member, TestMembers.PASSWORD)))));
        alike(path, 401, "auth.refreshInvalid", cases);
    }

    @Test
    void codesThatAreWorthNothingSeeOneAnswer() {
        UUID customer = TestMembers.aPerson(kehu).customer();
        UUID live = TestMembers.registration(kehu, customer, "111111");
        UUID used = TestMembers.registration(kehu, customer, "222222");
        post("/v1/members/confirm", Json.read(TestMembers.confirmation(used, "222222", "enum.used")))
                .is(204);
        UUID late = TestMembers.registration(kehu, customer, "333333");
        kehu.sql(
                "UPDATE iam.registration SET made_at = made_at - interval '1 hour', expires_at = expires_at - interval '1 hour' WHERE id = ?",
                late);
        Map<String, ObjectNode> cases = new LinkedHashMap<>();
        cases.put("of nobody", Json.read(TestMembers.confirmation(UUID.randomUUID(), "111111", "enum.one")));
        cases.put("wrong", Json.read(TestMembers.confirmation(live, "999999", "enum.one")));
        cases.put("used", Json.read(TestMembers.confirmation(used, "222222", "enum.one")));
        cases.put("late", Json.read(TestMembers.confirmation(late, "333333", "enum.one")));
        cases.put("wrong, for a name that is taken", Json.read(TestMembers.confirmation(live, "999999", "enum.used")));
        alike("/v1/members/confirm", 422, "member.codeInvalid", cases);
    }
}
