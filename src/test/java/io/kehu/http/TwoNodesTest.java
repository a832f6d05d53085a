package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Settings;
import io.kehu.app.TestServers;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The same requests to one node that does everything, and to a node with HTTP only whose domains run on two others, so that an
 * approved command is carried out by another node than the one that decides: both must answer alike. Each case runs in both houses and yields what was answered; ids and times are made equal before.
 */
class TwoNodesTest {
    private static final int SMALL_PAGE = 2;

    private static House one;
    private static House two;

    /** A running Kehu, however many nodes it has, and somebody in it. */
    private record House(TestKehu kehu, Caller administrator, Caller colleague, Caller auditor, UUID head) {
        static House of(TestKehu kehu) {
            kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'parameter'");
            return new House(
                    kehu,
                    kehu.caller("administrator"),
                    kehu.caller("administrator"),
                    kehu.caller("auditor"),
                    kehu.headOffice());
        }

        Answer open(String code, String name, String... headers) {
            return administrator.post(
                    "/v1/branches",
                    "{\"parentId\": \"" + head + "\", \"code\": \"" + code + "\", \"name\": \"" + name + "\"}",
                    headers);
        }
    }

    /** What a caller does; the answers are compared. */
    private interface Case {
        List<Answer> run(House house);
    }

    private record Named(String name, Case steps) {
        @Override
        public String toString() {
            return name;
        }
    }

    @BeforeAll
    static void start() {
        TestKehu alone = TestKehu.start();
        one = House.of(alone);
        int portOfHttp = TestServers.freePort();
        int portOfDomains = TestServers.freePort();
        TestKehu both = TestKehu.prepare(Map.of());
        int portOfParameters = TestServers.freePort();
        List<String> members =
                List.of("127.0.0.1:" + portOfHttp, "127.0.0.1:" + portOfDomains, "127.0.0.1:" + portOfParameters);
        both.addNode(node(both.settings(), "http", true, List.of("none"), portOfHttp, members));
        both.addNode(node(both.settings(), "domains", false, List.of("iam", "customer"), portOfDomains, members));
        both.addNode(node(both.settings(), "parameters", false, List.of("ops"), portOfParameters, members));
        two = House.of(both);
    }

    @AfterAll
    static void stop() {
        one.kehu.close();
        two.kehu.close();
    }

    /** A node of a cluster of that test; what it shares with the others it takes from {@code s}. */
    static Settings node(Settings s, String name, boolean http, List<String> domains, int port, List<String> members) {
        return new Settings(
                s.mode(),
                s.zone(),
                new Settings.Node(name, http, domains),
                s.http(),
                s.calls(),
                s.postgresql(),
                s.redis(),
                new Settings.Cluster(true, "two-nodes", "127.0.0.1", port, members),
                s.keys(),
                s.auth(),
                s.rate(),
                s.blob(),
                s.jobs(),
                s.events(),
                s.audit(),
                s.vault(),
                s.cache(),
                s.seed(),
                s.log(),
                s.tree());
    }

    static Stream<Named> cases() {
        return Stream.of(
                new Named("a branch is opened and read", h -> {
                    Answer made = h.open("N1", "两个节点");
                    return List.of(made, h.administrator.get(made.header("Location")));
                }),
                new Named("a known version is not sent again", h -> {
                    Answer made = h.open("N2", "版本");
                    return List.of(h.administrator.get(made.header("Location"), "If-None-Match", made.etag()));
                }),
                new Named("a repeated command gives the first answer", h -> {
                    String key = "repeated-command";
                    return List.of(
                            h.open("N3", "重复", "Idempotency-Key", key),
                            h.open("N3", "重复", "Idempotency-Key", key),
                            h.open("N3", "别的", "Idempotency-Key", key));
                }),
                new Named(
                        "a dry run changes nothing",
                        h -> List.of(h.open("N4", "试运行", "Dry-Run", "true"), h.open("N4", "试运行", "Dry-Run", "false"))),
                new Named(
                        "a refusal of the rules, in both languages",
                        h -> List.of(
                                h.open("N1", "再来"),
                                h.open("N1", "再来", "Accept-Language", "zh"),
                                h.administrator.post(
                                        "/v1/branches",
                                        "{\"parentId\": \"" + new UUID(0, 7)
                                                + "\", \"code\": \"N9\", \"name\": \"无上级\"}"))),
                new Named(
                        "faults in fields",
                        h -> List.of(
                                h.administrator.post("/v1/branches", "{\"parentId\": \"x\", \"colour\": \"red\"}"),
                                h.administrator.get("/v1/branches?limit=0&colour=red"))),
                new Named("an unknown id", h -> List.of(h.administrator.get("/v1/branches/" + new UUID(0, 8)))),
                new Named(
                        "as of an instant",
                        h -> List.of(
                                h.administrator.get("/v1/branches/" + h.head + "?asOf=2999-01-01T00:00:00Z"),
                                h.administrator.get("/v1/branches/" + h.head + "?asOf=2000-01-01T00:00:00+08:00"))),
                new Named("an update with and without its version", h -> {
                    Answer made = h.open("N5", "旧名");
                    String path = made.header("Location");
                    return List.of(
                            h.administrator.send("PATCH", path, "{\"name\": \"新名\"}"),
                            h.administrator.patch(path, made.etag(), "{\"name\": \"新名 𠮷\"}"),
                            h.administrator.patch(path, made.etag(), "{\"name\": \"更新\"}"));
                }),
                new Named("a change waits, is shown, approved and carried out", h -> {
                    String path = "/v1/parameters/alert.memory";
                    Answer read = h.administrator.get(path);
                    String value = "{\"value\": \"71.5\"}";
                    Answer dry = h.administrator.patch(path, read.etag(), value, "Dry-Run", "true");
                    Answer waits = h.administrator.patch(path, read.etag(), value, "Idempotency-Key", "waits");
                    Answer again = h.administrator.patch(path, read.etag(), value, "Idempotency-Key", "waits");
                    String approval = waits.header("Location");
                    return List.of(
                            dry,
                            waits,
                            again,
                            h.administrator.post(approval + "/approve", "{}"),
                            h.colleague.post(approval + "/approve", "{}"),
                            h.auditor.get(approval),
                            h.administrator.get(path));
                }),
                new Named("a list, its pages, and a cursor of another caller", h -> {
                    Answer first = h.administrator.get("/v1/branches?limit=" + SMALL_PAGE);
                    String next = "/v1/branches?limit=" + SMALL_PAGE + "&cursor="
                            + first.at("/next").asText();
                    return List.of(first, h.administrator.get(next), h.auditor.get(next));
                }),
                new Named(
                        "a caller without the right, and one without a token",
                        h -> List.of(
                                h.auditor.post("/v1/branches", "{}"),
                                h.kehu.anonymous().get("/v1/branches"),
                                h.kehu.anonymous().get("/openapi.json"))));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void twoNodesAnswerLikeOne(Named named) {
        List<String> alone =
                named.steps.run(one).stream().map(a -> comparable(one, a)).toList();
        List<String> apart =
                named.steps.run(two).stream().map(a -> comparable(two, a)).toList();
        assertThat(apart).isEqualTo(alone).noneMatch(answer -> answer.startsWith("5"));
    }

    /** Status, headers and body, without what differs from run to run. */
    private static String comparable(House house, Answer answer) {
        TreeMap<String, List<String>> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        headers.putAll(answer.response().headers().map());
        headers.remove("Kehu-Request-Id");
        return (answer.status() + "\n" + headers + "\n" + answer.text())
                .replace(house.head.toString(), "HEAD")
                .replaceAll("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "ID")
                .replaceAll("kehu-receipt=\\[ID:[0-9a-f]{64}]", "kehu-receipt=[ID:LEAF]")
                .replaceAll("\"requestId\":\"[^\"]*\"", "\"requestId\":\"R\"")
                .replaceAll("\"next\":\"[^\"]*\"", "\"next\":\"N\"")
                .replaceAll("\"(madeByName|byName)\":\"[^\"]*\"", "\"$1\":\"W\"")
                .replaceAll("20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "TIME")
                // The fractional seconds of a time, and with them the length, are as long as they need to be.
                .replaceAll("content-length=\\[[0-9]+]", "content-length=[L]");
    }
}
