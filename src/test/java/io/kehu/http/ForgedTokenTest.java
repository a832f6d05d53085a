package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Principal.Audience;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.crypto.Forgeries;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Signer;
import io.kehu.iam.member.TestMembers;
import io.kehu.iam.staff.DemoStaff;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Every forged token x every operation that asks for one: none is taken, and nobody is called because of one. */
class ForgedTokenTest {
    private static final int CLIENTS = 4;
    private static final List<Operation> OPERATIONS = Contract.load(3000).operations().stream()
            .filter(operation -> !operation.isPublic())
            .toList();
    private static final Set<String> CODES =
            Set.of("auth.required", "auth.tokenInvalid", "auth.tokenExpired", "auth.revoked", "event.ticketInvalid");

    private static TestKehu kehu;
    private static ServerSocketChannel trap;

    @BeforeAll
    static void start() throws IOException {
        kehu = TestKehu.start(Map.of(
                "KEHU_RATE_PER_ADDRESS_PER_SECOND", "1000000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND", "1000000",
                // What the trap would be called by, if anything called.
                "KEHU_OUTGOING_NETWORKS", "127.0.0.0/8"));
        trap = ServerSocketChannel.open();
        trap.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        trap.configureBlocking(false);
    }

    @AfterAll
    static void stop() throws IOException {
        trap.close();
        kehu.close();
    }

    /**
     * One way to come without a good token.
     *
     * @param lines headers, each with its line end
     * @param query behind the path
     * @param status 401; another where the request itself cannot be read
     */
    private record Attempt(String name, String lines, String query, int status) {
        static Attempt bearer(String name, String token) {
            return lines(name, "Authorization: Bearer " + token + "\r\n");
        }

        static Attempt lines(String name, String lines) {
            return new Attempt(name, lines, "", 401);
        }
    }

    private static Answer login(String username) {
        return kehu.anonymous().login(username, DemoStaff.PASSWORD).is(200);
    }

    private static Caller caller(Answer tokens) {
        return kehu.with(tokens.at("/accessToken").asText());
    }

    // What is tried

    private static List<Attempt> attempts(String good) throws IOException {
        List<Attempt> attempts = new ArrayList<>();
        KeyStore keys = KeyStore.openOrCreate(kehu.settings().keys().folder(), true);
        String address = "http:/" + trap.getLocalAddress();
        Forgeries.of(keys, good, address).forEach((name, token) -> attempts.add(Attempt.bearer(name, token)));
        rightlySigned(attempts, good);
        ofOtherKinds(attempts);
        worthless(attempts);
        elsewhere(attempts, good);
        return attempts;
    }

    /** By the server's own key, over claims that do not go together. */
    private static void rightlySigned(List<Attempt> attempts, String good) {
        Signer.Claims real = kehu.signer().verify(good);
        attempts.add(Attempt.bearer("of nobody", issue(real, Ids.next(), real.session(), Audience.STAFF, 0)));
        attempts.add(Attempt.bearer("of no session", issue(real, real.subject(), Ids.next(), Audience.STAFF, 0)));
        attempts.add(Attempt.bearer(
                "of another's session", issue(real, DemoStaff.id("risk"), real.session(), Audience.STAFF, 0)));
        for (Audience audience : List.of(Audience.CUSTOMER, Audience.PARTNER)) {
            attempts.add(Attempt.bearer(
                    "of a session of staff, for " + audience,
                    issue(real, real.subject(), real.session(), audience, 0)));
        }
        attempts.add(Attempt.bearer("expired", issue(real, real.subject(), real.session(), Audience.STAFF, -400)));
        attempts.add(Attempt.bearer("not yet valid", issue(real, real.subject(), real.session(), Audience.STAFF, 200)));
        Signer.Claims newer = new Signer.Claims(
                real.subject(),
                real.session(),
                real.version() + 1,
                Audience.STAFF,
                real.issuedAt(),
                real.notBefore(),
                real.expiresAt(),
                Ids.next());
        attempts.add(Attempt.bearer("of rights to come", kehu.signer().issue(newer)));
        Signer elsewhere =
                new Signer(KeyStore.openOrCreate(kehu.settings().keys().folder(), true), "elsewhere");
        attempts.add(Attempt.bearer("of another issuer", elsewhere.issue(real)));
        byte[] data = good.substring(0, good.lastIndexOf('.')).getBytes(StandardCharsets.US_ASCII);
        attempts.add(Attempt.bearer(
                "signed as data",
                good.substring(0, good.lastIndexOf('.') + 1)
                        + Base64.getUrlEncoder()
                                .withoutPadding()
                                .encodeToString(kehu.signer().sign(data).bytes())));
    }

    private static String issue(Signer.Claims from, UUID subject, UUID session, Audience audience, long shift) {
        return kehu.signer()
                .issue(new Signer.Claims(
                        subject,
                        session,
                        from.version(),
                        audience,
                        from.issuedAt() + shift,
                        from.notBefore() + shift,
                        from.expiresAt() + shift,
                        Ids.next()));
    }

    /** Good for something, and for nothing here. */
    private static void ofOtherKinds(List<Attempt> attempts) {
        Answer tokens = login("marketing");
        String refresh = tokens.at("/refreshToken").asText();
        String ticket = caller(tokens)
                .send("POST", "/v1/events/tickets", (byte[]) null)
                .is(201)
                .at("/ticket")
                .asText();
        String secret = partnerKey().at("/clientSecret").asText();
        attempts.add(Attempt.bearer("a refresh token", refresh));
        attempts.add(Attempt.bearer("a stream ticket", ticket));
        attempts.add(Attempt.bearer("a partner's secret", secret));
        attempts.add(Attempt.bearer("a password", DemoStaff.PASSWORD));
        attempts.add(Attempt.bearer("a session's id", tokens.at("/staff/id").asText()));
        attempts.add(Attempt.lines("a refresh token in its cookie", "Cookie: kehu_refresh=" + refresh + "\r\n"));
        // The ticket was not used: that a stream takes it says EventTest.
        attempts.add(new Attempt("a refresh token as ticket", "", "?ticket=" + refresh, 401));
    }

    private static Answer partnerKey() {
        Caller administrator = kehu.caller("administrator");
        String path = administrator
                .post("/v1/partners", """
                {"name": "p%s", "purpose": "试", "permissions": ["event:read"]}""".formatted(Ids.next().toString().substring(24)))
                .is(201)
                .header("Location");
        return administrator.post(path + "/keys", "{\"days\": 1}").is(201);
    }

    /** Of people who may not come in any more. */
    private static void worthless(List<Attempt> attempts) {
        Answer left = login("operator.bj");
        caller(left).send("POST", "/v1/auth/logout", (byte[]) null).is(204);
        gone(attempts, "after sign-out", left);
        Answer moved = login("operator.cd");
        change("operator.cd", "{\"roles\": [\"analyst\"]}");
        gone(attempts, "after a change of roles", moved);
        Answer suspended = login("operator.gz");
        change("operator.gz", "{\"state\": \"suspended\"}");
        gone(attempts, "of one suspended", suspended);
        Answer former = login("head.bj-cy");
        change("head.bj-cy", "{\"state\": \"left\"}");
        gone(attempts, "of one who left", former);
        Answer reused = login("desk");
        String refresh = Json.object()
                .put("refreshToken", reused.at("/refreshToken").asText())
                .toString();
        kehu.anonymous().post("/v1/auth/refresh", refresh).is(200);
        kehu.anonymous().post("/v1/auth/refresh", refresh).is(401);
        gone(attempts, "of a session whose refresh token came again", reused);
        UUID nobody = kehu.staff(kehu.headOffice(), "administrator");
        Caller deleted = kehu.signIn(nobody);
        kehu.sql("DELETE FROM iam.staff WHERE id = ?", nobody);
        deleted.get("/v1/auth/me").is(401);
        attempts.add(Attempt.bearer("of one deleted", String.valueOf(deleted.token)));
    }

    private static void change(String username, String patch) {
        String path = "/v1/staff/" + DemoStaff.id(username);
        Caller administrator = kehu.caller("administrator");
        administrator.patch(path, administrator.get(path).etag(), patch).is(200);
    }

    private static void gone(List<Attempt> attempts, String name, Answer tokens) {
        await().until(() -> caller(tokens).get("/v1/auth/me").status() == 401);
        attempts.add(Attempt.bearer(name, tokens.at("/accessToken").asText()));
    }

    /** A good token, and a place or a spelling where none is looked for. */
    private static void elsewhere(List<Attempt> attempts, String good) {
        attempts.add(Attempt.lines("none", ""));
        attempts.add(Attempt.lines("an empty header", "Authorization:\r\n"));
        attempts.add(Attempt.lines("a scheme alone", "Authorization: Bearer\r\n"));
        attempts.add(Attempt.lines("no scheme", "Authorization: " + good + "\r\n"));
        for (String scheme :
                List.of("Basic", "Digest", "Token", "JWT", "DPoP", "Bearer:", "Bearer,", "Bearer Bearer")) {
            attempts.add(Attempt.lines("scheme " + scheme, "Authorization: " + scheme + " " + good + "\r\n"));
        }
        attempts.add(Attempt.lines("two spaces", "Authorization: Bearer  " + good + "\r\n"));
        attempts.add(Attempt.lines("a tab", "Authorization: Bearer\t" + good + "\r\n"));
        attempts.add(Attempt.lines("a small scheme and a forged token", "authorization: bearer " + good + "x\r\n"));
        for (String header :
                List.of("X-Authorization", "Proxy-Authorization", "X-Access-Token", "X-Forwarded-Access-Token")) {
            attempts.add(Attempt.lines("in " + header, header + ": Bearer " + good + "\r\n"));
        }
        for (String cookie : List.of("access_token", "kehu_access", "Authorization", "token")) {
            attempts.add(Attempt.lines("in the cookie " + cookie, "Cookie: " + cookie + "=" + good + "\r\n"));
        }
        for (String parameter : List.of("access_token", "token", "authorization", "ticket")) {
            attempts.add(new Attempt("in the parameter " + parameter, "", "?" + parameter + "=" + good, 401));
        }
        String line = "Authorization: Bearer " + good + "\r\n";
        attempts.add(new Attempt("two headers", line + line, "", 400));
        attempts.add(new Attempt("a good one and a forged one", line + line.replace("\r\n", "x\r\n"), "", 400));
        attempts.add(new Attempt("NUL behind it", line.replace("\r\n", "\0\r\n"), "", 400));
        attempts.add(new Attempt("8 KB", "Authorization: Bearer " + good + "A".repeat(8_192) + "\r\n", "", 431));
        for (String trusted :
                List.of("X-Forwarded-User: admin", "X-Remote-User: admin", "Kehu-Subject: " + DemoStaff.id("admin"))) {
            attempts.add(Attempt.lines(trusted, trusted + "\r\n"));
        }
    }

    // How it is tried

    private static String request(Operation operation, Attempt attempt) {
        String path = operation.path().replaceAll("\\{[^}]+}", UUID.randomUUID().toString());
        return operation.method() + " " + path + attempt.query() + " HTTP/1.1\r\nHost: kehu\r\nContent-Length: 0\r\n"
                + attempt.lines() + "\r\n";
    }

    /** What is wrong with the answers of one operation; empty as it should be. */
    private static List<String> tryAll(Operation operation, List<Attempt> attempts) {
        List<String> wrong = new ArrayList<>();
        RawClient client = new RawClient(kehu.port());
        for (Attempt attempt : attempts) {
            client.say(request(operation, attempt).getBytes(StandardCharsets.UTF_8));
            RawClient.Answer answer = client.hear(operation.id() + " " + attempt.name());
            if (!isRefused(answer, attempt)) {
                wrong.add(operation.id() + ", " + attempt.name() + ": " + answer.status() + " " + answer.text());
            }
            if (answer.header("Connection").equals("close")) {
                client.close();
                client = new RawClient(kehu.port());
            }
        }
        client.close();
        return wrong;
    }

    private static boolean isRefused(RawClient.Answer answer, Attempt attempt) {
        return answer.status() == attempt.status()
                && answer.header("Content-Type").startsWith("application/problem+json")
                && (attempt.status() != 401 || CODES.contains(answer.code()))
                && !answer.header("Kehu-Request-Id").isEmpty();
    }

    private static <T> List<T> onEach(java.util.function.Function<Operation, T> work)
            throws InterruptedException, ExecutionException {
        ExecutorService clients = Executors.newFixedThreadPool(CLIENTS);
        try {
            List<Callable<T>> tasks = new ArrayList<>();
            OPERATIONS.forEach(operation -> tasks.add(() -> work.apply(operation)));
            List<T> results = new ArrayList<>();
            for (Future<T> done : clients.invokeAll(tasks)) {
                results.add(done.get());
            }
            return results;
        } finally {
            clients.shutdown();
        }
    }

    @Test
    void noOperationTakesAForgedTokenAndNobodyIsCalledBecauseOfOne() throws Exception {
        Caller administrator = caller(login("admin"));
        List<Attempt> attempts = attempts(String.valueOf(administrator.token));
        long before = written();
        List<String> wrong = onEach(operation -> tryAll(operation, attempts)).stream()
                .flatMap(List::stream)
                .toList();
        System.out.printf(
                "forged tokens: %d variants x %d operations = %d cells, %d accepted%n",
                attempts.size(), OPERATIONS.size(), attempts.size() * OPERATIONS.size(), wrong.size());
        assertThat(wrong).isEmpty();
        assertThat(attempts.size()).isGreaterThan(150);
        assertThat(OPERATIONS.size()).isGreaterThan(80);
        assertThat(trap.accept()).as("an outgoing call").isNull();
        assertThat(written()).as("audited writes").isEqualTo(before);
        administrator.get("/v1/auth/me").is(200);
    }

    /** By anybody but the server itself. */
    private static long written() {
        return kehu.value("SELECT count(*) FROM kehu.audit WHERE address <> 'internal'");
    }

    @Test
    void eachOperationTakesAGoodToken() throws Exception {
        String member = String.valueOf(TestMembers.caller(kehu).token);
        ObjectNode key = partnerKey().json();
        String partner = kehu.anonymous()
                .post("/v1/auth/token", """
                {"grant_type": "client_credentials", "client_id": "%s", "client_secret": "%s"}""".formatted(
                        key.get("clientId").asText(), key.get("clientSecret").asText()))
                .is(200)
                .at("/access_token")
                .asText();
        List<String> wrong = onEach(operation -> {
                    // A scheme's case says nothing (RFC 9110, section 11.1). Some commands end what they are called
                    // with.
                    String token = operation.audience().contains(Audience.STAFF)
                            ? String.valueOf(kehu.caller("administrator").token)
                            : operation.audience().contains(Audience.CUSTOMER) ? member : partner;
                    Attempt good = Attempt.lines("good", "Authorization: bEARER " + token + "\r\nDry-Run: true\r\n");
                    if (operation.kind() == Operation.Kind.STREAM) {
                        int status = kehu.with(token).begin(operation.path());
                        return status == 200 ? "" : operation.id() + ": " + status;
                    }
                    RawClient.Answer answer = RawClient.exchange(kehu.port(), request(operation, good));
                    return answer.status() == 401 || answer.status() >= 500
                            ? operation.id() + ": " + answer.status() + " " + answer.text()
                            : "";
                })
                .stream()
                .filter(text -> !text.isEmpty())
                .toList();
        assertThat(wrong).isEmpty();
    }
}
