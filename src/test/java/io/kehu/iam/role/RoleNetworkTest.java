package io.kehu.iam.role;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.bus.Network;
import io.kehu.iam.federation.TestDirectory;
import io.kehu.iam.federation.TestProvider;
import io.kehu.iam.staff.DemoStaff;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Roles that hold in certain networks only, in a bank of two nodes behind a proxy. */
class RoleNetworkTest {
    private static final Duration A_LITTLE = Duration.ofSeconds(5);
    private static final String FROM = "X-Forwarded-For";
    private static final String INSIDE = "10.20.3.4";
    private static final String OUTSIDE = "10.21.3.4";

    @TempDir
    static Path folder;

    private static TestProvider certificates;
    private static TestDirectory directory;
    private static TestKehu kehu;
    private static int otherPort;
    private static Caller administrator;
    private static int number;

    @BeforeAll
    static void start() {
        certificates = TestProvider.start(folder);
        directory = TestDirectory.start(certificates.certificate());
        Map<String, String> settings = new HashMap<>(directory.settings());
        settings.putAll(Map.of(
                "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000",
                "KEHU_RATE_LOGIN_PER_MINUTE", "100000"));
        kehu = TestKehu.start(settings);
        otherPort = kehu.addNode(kehu.settings()).httpPort();
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
        directory.close();
        certificates.close();
    }

    private static String quoted(List<String> texts) {
        return texts.isEmpty() ? "[]" : "[\"" + String.join("\", \"", texts) + "\"]";
    }

    private static Answer draft(String code, String... networks) {
        return administrator.post("/v1/roles", """
                {"code": "%s", "nameEn": "Near", "nameZh": "近", "scope": "all", "permissions": ["role:read", "event:read"], "networks": %s}""".formatted(code, quoted(List.of(networks))));
    }

    private static String code() {
        StringBuilder code = new StringBuilder("near-");
        for (int n = ++number; n > 0; n /= 26) {
            code.append((char) ('a' + n % 26));
        }
        return code.toString();
    }

    /** The code of a new role that holds there. */
    private static String role(String... networks) {
        String code = code();
        draft(code, networks).is(201);
        return code;
    }

    private static Answer move(Caller by, String code, String... networks) {
        String path = "/v1/roles/" + code;
        return by.patch(path, by.get(path).is(200).etag(), "{\"networks\": " + quoted(List.of(networks)) + "}");
    }

    private static UUID staff(String... roles) {
        UUID id = kehu.staff(kehu.headOffice(), roles);
        kehu.sql(
                "UPDATE iam.staff SET password_hash = (SELECT password_hash FROM iam.staff WHERE username = 'admin') WHERE id = ?",
                id);
        return id;
    }

    private static Answer login(UUID staff, String password, String address) {
        return kehu.anonymous()
                .login(kehu.value("SELECT username FROM iam.staff WHERE id = ?", staff), password, FROM, address);
    }

    private static Caller in(UUID staff, String address) {
        return kehu.with(login(staff, DemoStaff.PASSWORD, address)
                .is(200)
                .at("/accessToken")
                .asText());
    }

    @Test
    void networksAreKeptInOneSpellingAndShownAndRemembered() {
        Answer made = draft(code(), "10.20.30.40/16", "10.20.0.0/16", "2001:DB8:0:0::1/32");
        assertThat(made.is(201).at("/networks").toString()).isEqualTo("[\"10.20.0.0/16\",\"2001:db8::/32\"]");
        String path = made.header("Location");
        kehu.sql(
                "UPDATE iam.role SET valid_from = kehu.now() - interval '1 hour' WHERE code = ?",
                made.at("/code").asText());
        String then = kehu.value(
                "SELECT to_char((kehu.now() - interval '1 minute') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
        Answer free = administrator
                .patch(path, administrator.get(path).etag(), "{\"networks\": []}")
                .is(200);
        assertThat(free.at("/networks")).isEmpty();
        assertThat(administrator
                        .get(path + "?asOf=" + then)
                        .is(200)
                        .at("/networks")
                        .toString())
                .isEqualTo("[\"10.20.0.0/16\",\"2001:db8::/32\"]");
        assertThat(administrator.get("/v1/roles/auditor").is(200).at("/networks"))
                .isEmpty();
    }

    @Test
    void whatIsNoNetworkIsPointedAt() {
        String code = role();
        for (String wrong : List.of(
                "10.20.0.0/33",
                "1.2.3/8",
                "999.1.1.1/8",
                "::1/129",
                "::ffff:10.0.0.1/128",
                "::ffff:0:0/96",
                ":::/8",
                "ab/8")) {
            for (Answer refused :
                    List.of(draft(code(), "10.0.0.0/8", wrong), move(administrator, code, "10.0.0.0/8", wrong))) {
                assertThat(refused.is(400, "request.invalid")
                                .at("/errors/0/pointer")
                                .asText())
                        .as(wrong)
                        .isEqualTo("/networks/1");
                assertThat(refused.at("/errors/0/code").asText()).isEqualTo("field.format");
            }
        }
        String[] many =
                IntStream.range(0, 21).mapToObj(i -> "10." + i + ".0.0/16").toArray(String[]::new);
        assertThat(draft(code(), many).is(400).at("/errors/0/pointer").asText()).isEqualTo("/networks");
    }

    @Test
    void aTokenHoldsWhereTheRoleHoldsAndNowhereElse() {
        Caller person = in(staff(role("10.20.0.0/16", "2001:db8::/32")), INSIDE);
        for (int node : List.of(kehu.port(), otherPort)) {
            Caller there = person.at(node);
            there.get("/v1/roles", FROM, INSIDE).is(200);
            there.get("/v1/roles", FROM, "2001:db8::7").is(200);
            there.get("/v1/roles", FROM, OUTSIDE).is(403, "auth.network");
            there.get("/v1/roles", FROM, "2001:db9::7").is(403, "auth.network");
            there.get("/v1/roles").is(403, "auth.network");
            // Also what asks for no permission.
            there.get("/v1/auth/me", FROM, OUTSIDE).is(403, "auth.network");
            there.post("/v1/auth/password", "{\"currentPassword\": \"x\", \"newPassword\": \"y\"}", FROM, OUTSIDE)
                    .is(403, "auth.network");
        }
    }

    @Test
    void aSignInFromElsewhereLooksLikeAWrongPassword() {
        UUID person = staff(role("10.20.0.0/16"));
        Answer right = login(person, DemoStaff.PASSWORD, OUTSIDE).is(401, "auth.failed");
        Answer wrong = login(person, "wrong", OUTSIDE).is(401, "auth.failed");
        assertThat(told(right)).isEqualTo(told(wrong));
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.session WHERE subject_id = ?", person))
                .isZero();
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE operation = 'login' AND code = 'auth.failed' AND actor = ?",
                        person))
                .isEqualTo(2);
        login(person, DemoStaff.PASSWORD, INSIDE).is(200);
        // It counts like one too: five lock.
        for (int i = 0; i < 5; i++) {
            login(person, DemoStaff.PASSWORD, OUTSIDE).is(401, "auth.failed");
        }
        login(person, DemoStaff.PASSWORD, INSIDE).is(401, "auth.failed");
    }

    private static String told(Answer answer) {
        var json = answer.json();
        json.remove("requestId");
        return json.toString();
    }

    @Test
    void aSignInByTheDirectoryFromElsewhereLooksLikeAWrongPasswordToo() {
        String code = role("10.20.0.0/16");
        directory.add("near.ldap", "right", "near");
        administrator
                .send(
                        "PUT",
                        "/v1/group-mappings",
                        """
                        {"items": [{"source": "ldap", "group": "near", "roles": ["%s"], "branchId": "%s"}]}""".formatted(code, kehu.headOffice()),
                        "If-Match",
                        administrator.get("/v1/group-mappings").etag())
                .is(200);
        ldap("right", OUTSIDE).is(401, "auth.failed");
        ldap("right", INSIDE).is(200);
        ldap("right", OUTSIDE).is(401, "auth.failed");
    }

    private static Answer ldap(String password, String address) {
        return kehu.anonymous()
                .post(
                        "/v1/auth/ldap/login",
                        "{\"username\": \"near.ldap\", \"password\": \"" + password + "\"}",
                        FROM,
                        address);
    }

    @Test
    void noOtherWayInOpensASessionElsewhere() {
        UUID person = staff(role("10.20.0.0/16"));
        String insert = """
                INSERT INTO iam.session (id, subject_id, audience, started_at, seen_at, ends_at, factor_at, address)
                VALUES (uuidv7(), ?, 'STAFF', kehu.now(), kehu.now(), kehu.now() + interval '1 hour', kehu.now(), ?)""";
        org.assertj.core.api.Assertions.assertThatThrownBy(() -> kehu.sql(insert, person, OUTSIDE))
                .rootCause()
                .hasMessageContaining("elsewhere");
        kehu.sql(insert, person, INSIDE);
    }

    @Test
    void aRefreshFromElsewhereGivesNothingAndSpoilsNothing() {
        UUID person = staff(role("10.20.0.0/16"));
        String refresh = Json.object()
                .put(
                        "refreshToken",
                        login(person, DemoStaff.PASSWORD, INSIDE)
                                .is(200)
                                .at("/refreshToken")
                                .asText())
                .toString();
        kehu.anonymous().post("/v1/auth/refresh", refresh, FROM, OUTSIDE).is(401, "auth.refreshInvalid");
        kehu.anonymous().post("/v1/auth/refresh", refresh, FROM, INSIDE).is(200);
    }

    @Test
    void whoHasSeveralSuchRolesCallsFromWhatAllOfThemAllow() {
        String wide = role("10.20.0.0/16", "10.30.0.0/16");
        String narrow = role("10.20.3.0/24", "10.40.0.0/16");
        Caller person = in(staff(wide, narrow, "auditor"), INSIDE);
        person.get("/v1/roles", FROM, INSIDE).is(200);
        for (String elsewhere : List.of("10.20.4.4", "10.30.0.1", "10.40.0.1", "127.0.0.1")) {
            person.get("/v1/roles", FROM, elsewhere).is(403, "auth.network");
        }
    }

    @Test
    void rolesThatHaveNoNetworkInCommonHoldNowhere() {
        UUID person = staff(role("10.20.0.0/16"), role("10.21.0.0/16"));
        for (String address : List.of(INSIDE, OUTSIDE, "127.0.0.1")) {
            login(person, DemoStaff.PASSWORD, address).is(401, "auth.failed");
        }
        assertThat(kehu.<Boolean>value("SELECT iam.staff_may_call(?::uuid, '10.20.3.4')", person))
                .isFalse();
    }

    @Test
    void aRoleLentForAWhileBringsItsNetworks() {
        UUID person = staff("auditor");
        Caller caller = in(person, OUTSIDE);
        caller.at(otherPort).get("/v1/roles", FROM, OUTSIDE).is(200);
        Answer grant = administrator
                .post(
                        "/v1/grants",
                        """
                        {"staffId": "%s", "roles": ["%s"], "endsAt": "%s", "reason": "代班"}""".formatted(
                                        person,
                                        role("10.20.0.0/16"),
                                        kehu.<String>value(
                                                "SELECT to_char((kehu.now() + interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")))
                .is(201);
        for (int node : List.of(kehu.port(), otherPort)) {
            await().atMost(A_LITTLE)
                    .until(() -> caller.at(node).get("/v1/roles", FROM, OUTSIDE).status() == 403);
            caller.at(node).get("/v1/roles", FROM, INSIDE).is(200);
        }
        administrator.post(grant.header("Location") + "/end", null).is(200);
        await().atMost(A_LITTLE)
                .until(() ->
                        caller.at(otherPort).get("/v1/roles", FROM, OUTSIDE).status() == 200);
    }

    @Test
    void otherNetworksHoldOnEveryNodeWithinASecondUnderTheSameToken() {
        String code = role("10.20.0.0/16");
        Caller person = in(staff(code), INSIDE);
        for (int node : List.of(kehu.port(), otherPort)) {
            person.at(node).get("/v1/roles", FROM, INSIDE).is(200);
        }
        move(administrator, code, "10.21.0.0/16").is(200);
        for (int node : List.of(kehu.port(), otherPort)) {
            // A second is the rule; a little more for a machine that is busy.
            await().atMost(A_LITTLE)
                    .until(() -> person.at(node).get("/v1/roles", FROM, INSIDE).status() == 403);
            person.at(node).get("/v1/roles", FROM, OUTSIDE).is(200);
        }
        move(administrator, code).is(200);
        for (int node : List.of(kehu.port(), otherPort)) {
            await().atMost(A_LITTLE)
                    .until(() -> person.at(node).get("/v1/roles", FROM, INSIDE).status() == 200);
        }
    }

    @Test
    void streamsAndTicketsHoldWhereTheRoleHolds() throws Exception {
        String code = role("10.20.0.0/16");
        Caller person = in(staff(code), INSIDE);
        assertThat(stream("", person, OUTSIDE).join().statusCode()).isEqualTo(403);
        String ticket = ticket(person);
        assertThat(stream("?ticket=" + ticket, null, OUTSIDE).join().statusCode())
                .isEqualTo(403);
        HttpResponse<java.util.stream.Stream<String>> byTicket =
                stream("?ticket=" + ticket(person), null, INSIDE).join();
        HttpResponse<java.util.stream.Stream<String>> byToken =
                stream("", person, INSIDE).join();
        assertThat(List.of(byTicket.statusCode(), byToken.statusCode())).containsExactly(200, 200);
        CompletableFuture<Long> ended = CompletableFuture.supplyAsync(
                () -> byTicket.body().count() + byToken.body().count());
        move(administrator, code, "10.21.0.0/16").is(200);
        // Both end, and do not begin again from there.
        await().atMost(Duration.ofSeconds(20)).until(ended::isDone);
        assertThat(stream("", person, INSIDE).join().statusCode()).isEqualTo(403);
        person.send("POST", "/v1/events/tickets", (byte[]) null, FROM, INSIDE).is(403, "auth.network");
    }

    private static String ticket(Caller person) {
        return person.send("POST", "/v1/events/tickets", (byte[]) null, FROM, INSIDE)
                .is(201)
                .at("/ticket")
                .asText();
    }

    private static CompletableFuture<HttpResponse<java.util.stream.Stream<String>>> stream(
            String query, Caller person, String address) {
        HttpRequest.Builder request = HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:" + kehu.port() + "/v1/events/stream" + query))
                .header(FROM, address);
        if (person != null) {
            request.header("Authorization", "Bearer " + person.token);
        }
        return HttpClient.newHttpClient().sendAsync(request.build(), HttpResponse.BodyHandlers.ofLines());
    }

    @Test
    void nobodyWidensARoleThatHeHoldsNorShutsHimselfOut() {
        String code = code();
        administrator.post("/v1/roles", """
                {"code": "%s", "nameEn": "Keeper", "nameZh": "管", "scope": "none", "permissions": ["role:read", "role:manage"], "networks": ["127.0.0.0/8"]}""".formatted(code)).is(201);
        UUID id = staff(code);
        Caller keeper = kehu.with(kehu.anonymous()
                .login(kehu.value("SELECT username FROM iam.staff WHERE id = ?", id), DemoStaff.PASSWORD)
                .is(200)
                .at("/accessToken")
                .asText());
        move(keeper, code).is(409, "role.ownRights");
        move(keeper, code, "127.0.0.0/8", "10.0.0.0/8").is(409, "role.ownRights");
        move(keeper, code, "126.0.0.0/7").is(409, "role.ownRights");
        move(keeper, code, "127.0.0.2/32").is(409, "role.shutsOut");
        keeper.get("/v1/roles").is(200);
        move(keeper, code, "127.0.0.1/32").is(200);
        move(administrator, code, "127.0.0.0/8").is(200);
    }

    /** Random roles and addresses: the list that travels with a caller allows exactly what all of his roles allow. */
    @Test
    void theNetworksOfACallerAreWhatEachOfHisRolesAllows() throws IOException, SQLException {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        List<String> codes = List.of(role(), role(), role());
        UUID person = staff(codes.toArray(String[]::new));
        int allowed = 0;
        for (int round = 0; round < 150; round++) {
            List<List<String>> each = new ArrayList<>();
            for (String code : codes) {
                List<String> networks = networks(random);
                each.add(networks);
                kehu.sql(
                        "UPDATE iam.role SET networks = ?::text[] WHERE code = ?",
                        "{" + String.join(",", networks) + "}",
                        code);
            }
            Array array = kehu.value("SELECT iam.staff_networks(?::uuid)", person);
            List<Network> carried = java.util.stream.Stream.of((String[]) array.getArray())
                    .map(Network::of)
                    .toList();
            for (int i = 0; i < 8; i++) {
                String address = address(random);
                InetAddress parsed = InetAddress.getByName(address);
                boolean expected = each.stream().allMatch(networks -> networks.isEmpty() || holds(networks, parsed));
                allowed += expected ? 1 : 0;
                String what = "seed " + seed + ", " + each + ", " + address;
                assertThat(carried.isEmpty() || carried.stream().anyMatch(network -> network.holds(parsed)))
                        .as(what)
                        .isEqualTo(expected);
                assertThat(kehu.<Boolean>value("SELECT iam.staff_may_call(?::uuid, ?)", person, address))
                        .as(what)
                        .isEqualTo(expected);
            }
        }
        assertThat(allowed).as("seed " + seed).isBetween(50, 1_150);
    }

    private static boolean holds(List<String> networks, InetAddress address) {
        return networks.stream().map(Network::of).anyMatch(network -> network.holds(address));
    }

    private static List<String> networks(Random random) {
        return IntStream.range(0, random.nextInt(4))
                .mapToObj(i -> random.nextInt(4) == 0
                        ? "2001:db8:" + random.nextInt(2) + "::/"
                                + List.of(16, 32, 48).get(random.nextInt(3))
                        : "10." + random.nextInt(2) + "." + random.nextInt(2) + "." + random.nextInt(2) + "/"
                                + List.of(8, 15, 16, 23, 24, 32).get(random.nextInt(6)))
                .distinct()
                .toList();
    }

    private static String address(Random random) {
        return random.nextInt(4) == 0
                ? "2001:db8:" + random.nextInt(3) + "::" + random.nextInt(2)
                : "10." + random.nextInt(3) + "." + random.nextInt(3) + "." + random.nextInt(2);
    }
}
