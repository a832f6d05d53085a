package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.crypto.Signer;
import io.kehu.iam.staff.DemoStaff;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The key of access tokens is rotated by a process that is killed, while people sign in, refresh and ask at two nodes that know
 * nothing of each other but the key folder and the database.
 */
class SigningRotationTest {
    private static final Map<String, String> TIMES = Map.of(
            "KEHU_KEYS_RELOAD_MILLIS", "200",
            "KEHU_KEYS_JWKS_SECONDS", "2",
            "KEHU_AUTH_ACCESS_MINUTES", "1");
    private static final Duration SOON = Duration.ofSeconds(90);
    private static final List<String> USERNAMES = List.of("analyst", "marketing", "operator.sh");
    private static final long PAUSE_MILLIS = 50;
    private static final String KEYS = "/.well-known/jwks.json";
    private static final String ME = "/v1/auth/me";
    /** What stands before the 32 bytes of an Ed25519 key in its X.509 form (RFC 8410). */
    private static final byte[] X509 = HexFormat.of().parseHex("302a300506032b6570032100");

    @TempDir
    Path folder;

    private TestKehu kehu;
    private List<Integer> ports = List.of();
    private int processes;

    private interface Moment {
        boolean reached() throws Exception;
    }

    @Test
    void tokensOfBothKeysAreAcceptedOnEveryNodeUntilTheOlderOneIsRetired() throws Exception {
        try (TestKehu house = nodes()) {
            String old = login("auditor").at("/accessToken").asText();
            String former = kid(old);
            assertThat(published(0)).containsOnly(former);
            try (People people = new People()) {
                killed(() -> exists("SELECT FROM kehu.event WHERE type = 'key.announced'"));
                killed(() -> signing().size() == 2);
                String said = rotate();
                assertThat(said).contains("is published and signs from", "The new key signs");
                people.finish();
                Set<String> both = signing();
                assertThat(both).hasSize(2).contains(former);
                assertThat(people.kids).as("the keys that people met").containsExactlyInAnyOrderElementsOf(both);
            }
            String fresh = login("auditor").at("/accessToken").asText();
            String newer = kid(fresh);
            for (int node = 0; node < 2; node++) {
                house.with(old).at(ports.get(node)).get(ME).is(200);
                house.with(fresh).at(ports.get(node)).get(ME).is(200);
                assertThat(published(node)).containsExactlyInAnyOrder(former, newer);
            }
            assertThat(house.sql("SELECT payload ->> 'key' AS key, payload ->> 'kid' AS kid FROM kehu.event"
                            + " WHERE type = 'key.rotated'"))
                    .containsExactly(Map.of("key", "signing", "kid", newer));
            theOlderIsRetired(house, former, newer);
        }
    }

    /** A minute later by the bank's clock, which is the life of a token here. */
    private void theOlderIsRetired(TestKehu house, String former, String newer) {
        Answer session = login("operator.sh");
        house.sql("UPDATE kehu.clock SET ahead = interval '70 seconds'");
        for (int node = 0; node < 2; node++) {
            int port = ports.get(node);
            await().atMost(SOON)
                    .untilAsserted(
                            () -> assertThat(published(ports.indexOf(port))).containsOnly(newer));
            // The test still holds the older private half, as a thief might.
            house.with(forged(house)).at(port).get(ME).is(401, "auth.tokenInvalid");
        }
        Answer next = house.anonymous()
                .at(ports.get(1))
                .post(
                        "/v1/auth/refresh",
                        Json.object()
                                .put("refreshToken", session.at("/refreshToken").asText())
                                .toString())
                .is(200);
        String token = next.at("/accessToken").asText();
        assertThat(kid(token)).isEqualTo(newer).isNotEqualTo(former);
        house.with(token).at(ports.get(0)).get(ME).is(200);
    }

    private static String forged(TestKehu house) {
        Map<String, Object> row = house.sql("""
                        SELECT s.id, s.subject_id, p.rights, floor(extract(epoch FROM kehu.now()))::bigint AS now
                        FROM iam.session s JOIN iam.staff p ON p.id = s.subject_id ORDER BY s.id DESC LIMIT 1""").get(0);
        long now = (Long) row.get("now");
        return house.signer()
                .issue(new Signer.Claims(
                        (UUID) row.get("subject_id"),
                        (UUID) row.get("id"),
                        (Long) row.get("rights"),
                        Principal.Audience.STAFF,
                        now - 1,
                        now - 1,
                        now + 59,
                        Ids.next()));
    }

    @Test
    void aGatewayChecksTokensByThePublishedKeysAndFindsNoSecretAmongThem() throws Exception {
        try (TestKehu house = nodes()) {
            Answer set = house.anonymous().get(KEYS).is(200);
            assertThat(set.header("Content-Type")).isEqualTo("application/jwk-set+json");
            assertThat(set.header("Cache-Control")).isEqualTo("public, max-age=2");
            assertThat(set.at("/keys")).hasSize(1);
            JsonNode key = set.at("/keys/0");
            assertThat(key.properties())
                    .extracting(Map.Entry::getKey)
                    .containsExactlyInAnyOrder("kty", "crv", "alg", "use", "kid", "x");
            assertThat(key.path("alg").asText()).isEqualTo("EdDSA");
            String token = login("auditor").at("/accessToken").asText();
            assertThat(kid(token)).isEqualTo(key.path("kid").asText());
            assertThat(verifies(key, token)).isTrue();
            assertThat(verifies(key, token.replace(".ey", ".eY"))).isFalse();
            String secret = Json.read(
                            Files.readString(house.settings().keys().folder().resolve("keys.json")))
                    .at("/signing/" + kid(token) + "/private")
                    .asText();
            assertThat(set.text()).doesNotContain(secret);
            house.anonymous().send("HEAD", KEYS, (byte[]) null).is(200);
            house.anonymous().post(KEYS, "{}").is(405);
            assertThat(house.anonymous().get("/openapi.json").header("Cache-Control"))
                    .isEqualTo("no-store");
        }
    }

    private static boolean verifies(JsonNode key, String token) throws Exception {
        byte[] encoded = Arrays.copyOf(X509, X509.length + 32);
        System.arraycopy(Base64.getUrlDecoder().decode(key.path("x").asText()), 0, encoded, X509.length, 32);
        Signature check = Signature.getInstance("Ed25519");
        check.initVerify(KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded)));
        int end = token.lastIndexOf('.');
        check.update(token.substring(0, end).getBytes(StandardCharsets.US_ASCII));
        return check.verify(Base64.getUrlDecoder().decode(token.substring(end + 1)));
    }

    // ---- the house

    private TestKehu nodes() {
        Map<String, String> settings = new java.util.HashMap<>(TIMES);
        settings.putAll(Map.of(
                "KEHU_RATE_PER_ADDRESS_PER_SECOND", "100000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND", "100000"));
        kehu = TestKehu.prepare(settings);
        ports = List.of(
                kehu.addNode(kehu.settings()).httpPort(),
                kehu.addNode(kehu.settings()).httpPort());
        return kehu;
    }

    private Answer login(String username) {
        return kehu.anonymous().login(username, DemoStaff.PASSWORD).is(200);
    }

    private static String kid(String token) {
        byte[] header = Base64.getUrlDecoder().decode(token.substring(0, token.indexOf('.')));
        return Json.read(new String(header, StandardCharsets.UTF_8)).path("kid").asText();
    }

    private List<String> published(int node) {
        return kehu.anonymous()
                .at(ports.get(node))
                .get(KEYS)
                .is(200)
                .at("/keys")
                .findValuesAsText("kid");
    }

    private Set<String> signing() throws Exception {
        Set<String> kids = new TreeSet<>();
        Json.read(Files.readString(kehu.settings().keys().folder().resolve("keys.json")))
                .path("signing")
                .fieldNames()
                .forEachRemaining(kids::add);
        return kids;
    }

    private boolean exists(String query) {
        return kehu.value("SELECT EXISTS (" + query + ")");
    }

    private NodeProcess rotator() throws Exception {
        return NodeProcess.start(kehu.settings(), folder, "rotator-" + processes++, TIMES, "keys", "rotate-signing");
    }

    private void killed(Moment moment) throws Exception {
        try (NodeProcess rotator = rotator()) {
            await().atMost(SOON)
                    .pollDelay(Duration.ZERO)
                    .pollInterval(Duration.ofMillis(1))
                    .until(() -> moment.reached() || rotator.ended());
            rotator.kill();
        }
    }

    private String rotate() throws Exception {
        try (NodeProcess rotator = rotator()) {
            return rotator.awaitEnd();
        }
    }

    /**
     * Refresh at one node and ask at the other, as people do: with a pause, so that the machine has time for the processes that
     * rotate. Whatever is not answered with 200 is kept.
     */
    private final class People implements AutoCloseable {
        final Set<String> kids = ConcurrentHashMap.newKeySet();
        private final AtomicInteger rounds = new AtomicInteger();
        private final Queue<String> wrong = new ConcurrentLinkedQueue<>();
        private final ScheduledExecutorService threads;

        People() {
            threads = Executors.newScheduledThreadPool(USERNAMES.size());
            for (String username : USERNAMES) {
                threads.scheduleWithFixedDelay(new Person(login(username)), 0, PAUSE_MILLIS, TimeUnit.MILLISECONDS);
            }
        }

        private final class Person implements Runnable {
            private Answer tokens;
            private int round;

            Person(Answer session) {
                tokens = session;
            }

            @Override
            public void run() {
                try {
                    String refresh = Json.object()
                            .put("refreshToken", tokens.at("/refreshToken").asText())
                            .toString();
                    tokens = kehu.anonymous()
                            .at(ports.get(round % 2))
                            .post("/v1/auth/refresh", refresh)
                            .is(200);
                    String token = tokens.at("/accessToken").asText();
                    kids.add(kid(token));
                    for (int i = 1; i <= 4; i++) {
                        kehu.with(token).at(ports.get((round + i) % 2)).get(ME).is(200);
                    }
                    round++;
                    rounds.incrementAndGet();
                } catch (RuntimeException | Error e) {
                    wrong.add(e.toString());
                    // No further round: its token may be spent.
                    throw e;
                }
            }
        }

        void finish() throws InterruptedException {
            int enough = rounds.get() + USERNAMES.size();
            await().atMost(SOON).until(() -> rounds.get() > enough || !wrong.isEmpty());
            threads.shutdown();
            assertThat(threads.awaitTermination(SOON.toMillis(), TimeUnit.MILLISECONDS))
                    .isTrue();
            System.out.println(rounds + " refreshes and " + 4 * rounds.get() + " calls while the key was rotated");
            assertThat(wrong).isEmpty();
        }

        @Override
        public void close() {
            threads.shutdownNow();
        }
    }
}
