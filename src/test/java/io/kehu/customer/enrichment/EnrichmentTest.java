package io.kehu.customer.enrichment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestCertificate;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.customer.seed.People;
import io.kehu.customer.seed.SeededCustomer;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Public pages are those of a server of the test's own, on loopback, which the settings name. */
class EnrichmentTest {
    private static final Set<String> ENDS = Set.of("done", "failed", "cancelled");
    private static final AtomicInteger NEXT = new AtomicInteger(1);
    private static final int GAP_MILLIS = 50;
    private static final People PEOPLE = People.asOf(LocalDate.of(2026, 1, 1));

    @TempDir
    static Path folder;

    private record Got(String path, String agent, long nanos) {}

    private static final List<Got> GOT = new CopyOnWriteArrayList<>();
    private static final List<String> INWARDS = new CopyOnWriteArrayList<>();
    private static final Map<String, String> PAGES = new ConcurrentHashMap<>();

    private static Vertx vertx;
    private static TestKehu kehu;
    private static String host;
    private static int inside;
    private static Caller manager;
    private static Caller head;
    private static Caller elsewhere;
    private static Caller risk;

    @BeforeAll
    static void start() {
        vertx = Vertx.vertx();
        TestCertificate certificate = TestCertificate.make(folder);
        HttpServer pages = serve(certificate, EnrichmentTest::answer);
        inside = serve(certificate, request -> {
                    INWARDS.add(request.path());
                    request.response().end("{}");
                })
                .actualPort();
        int port = pages.actualPort();
        host = "127.0.0.1:" + port;
        kehu = TestKehu.start(Map.of(
                "KEHU_ENRICHMENT_HOSTS",
                host + ",10.1.2.3:" + port + ",localhost:" + inside,
                "KEHU_ENRICHMENT_PER_HOST_PER_MINUTE",
                Integer.toString(60_000 / GAP_MILLIS),
                "KEHU_JOBS_POLL_MILLIS",
                "100",
                "KEHU_OUTGOING_NETWORKS",
                "127.0.0.1/32",
                "KEHU_OUTGOING_PORTS",
                port + "," + inside,
                "KEHU_OUTGOING_TIMEOUT_MILLIS",
                "2500",
                "KEHU_OUTGOING_MAX_BYTES",
                "65536",
                "KEHU_OUTGOING_TRUST",
                certificate.pem()));
        UUID north = kehu.branch(kehu.headOffice(), "NORTH");
        manager = kehu.signIn(kehu.staff(north, "customer-manager"));
        head = kehu.signIn(kehu.staff(north, "branch-head"));
        elsewhere = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SOUTH"), "branch-head"));
        risk = kehu.caller("risk");
    }

    private static HttpServer serve(TestCertificate certificate, Handler<HttpServerRequest> handler) {
        return TestKehu.await(
                vertx.createHttpServer(new HttpServerOptions().setSsl(true).setKeyCertOptions(certificate.forVertx()))
                        .requestHandler(handler)
                        .listen(0, "127.0.0.1"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
        TestKehu.await(vertx.close());
    }

    private static void answer(HttpServerRequest request) {
        String path = request.path();
        GOT.add(new Got(path, request.getHeader("User-Agent"), System.nanoTime()));
        if (path.equals("/robots.txt")) {
            request.response().end("User-agent: *\nDisallow: /private/\nUser-agent: other\nDisallow: /\n");
        } else if (path.startsWith("/moved/")) {
            request.response()
                    .setStatusCode(302)
                    .putHeader("Location", "https://127.0.0.1:" + inside + "/secret")
                    .end();
        } else if (path.startsWith("/huge/")) {
            request.response().end("{\"name\": \"" + "大".repeat(100_000) + "\"}");
        } else if (path.startsWith("/slow/")) {
            request.response().setChunked(true).write("{");
        } else if (path.startsWith("/broken/")) {
            request.response().end("{\"name\": ");
        } else {
            String page = PAGES.get(path);
            request.response().setStatusCode(page == null ? 404 : 200).end(page == null ? "{}" : page);
        }
    }

    private static SeededCustomer invented() {
        while (true) {
            SeededCustomer one = PEOPLE.at(77, NEXT.getAndIncrement());
            if (one.foundedOn() != null) {
                return one;
            }
        }
    }

    private record Organisation(String path, String code) {
        String id() {
            return path.substring(path.lastIndexOf('/') + 1);
        }
    }

    private static Organisation anOrganisation(Caller who) {
        SeededCustomer one = invented();
        String path = who.post("/v1/customers", """
                        {"kind": "organisation", "name": "%s", "documents": [{"type": "credit_code", "number": "%s"}],
                         "phones": [{"number": "02161234567"}]}""".formatted(one.name(), one.idNumber()))
                .is(201)
                .header("Location");
        return new Organisation(path, one.idNumber());
    }

    private static final String FIELDS = """
            [{"field": "name", "pointer": "/company/name"}, {"field": "address", "pointer": "/company/addresses/0"},
             {"field": "foundedOn", "pointer": "/company/founded", "dateFormat": "yyyyMMdd"},
             {"field": "phone", "pointer": "/company/phone"}, {"field": "regionCode", "pointer": "/company/region"}]""";

    private static Answer sourceOf(Caller who, String at, String path) {
        return who.post("/v1/enrichment-sources", """
                {"code": "s-%d", "name": "登记簿", "host": "%s", "path": "%s", "fields": %s}""".formatted(NEXT.getAndIncrement(), at, path, FIELDS));
    }

    private static String aSource(String folder) {
        return sourceOf(risk, host, "/" + folder + "/{creditCode}.json")
                .is(201)
                .at("/id")
                .asText();
    }

    private static Answer begin(Caller who, Organisation organisation, String source) {
        return who.post(organisation.path + "/enrichments", "{\"sourceId\": \"" + source + "\"}");
    }

    /** The job when it has ended. */
    private static Answer looked(Caller who, Organisation organisation, String source) {
        String job = begin(who, organisation, source).is(202).header("Location");
        await().until(() -> ENDS.contains(who.get(job).is(200).at("/state").asText()));
        return who.get(job);
    }

    private static List<JsonNode> proposals(Caller who, Organisation organisation, String state) {
        List<JsonNode> found = new ArrayList<>();
        who.get("/v1/enrichment-proposals?limit=200&state=" + state + "&customerId=" + organisation.id())
                .is(200)
                .at("/items")
                .forEach(found::add);
        return found;
    }

    private static JsonNode proposal(List<JsonNode> of, String field) {
        return of.stream()
                .filter(one -> one.path("field").asText().equals(field))
                .findFirst()
                .orElseThrow();
    }

    private static void page(String folder, Organisation organisation, String company) {
        PAGES.put("/" + folder + "/" + organisation.code + ".json", "{\"company\": " + company + "}");
    }

    @Test
    void whatAPageSaysIsProposedAndChangesTheCustomerOnlyWhenSomebodyAccepts() {
        Organisation mine = anOrganisation(manager);
        String source = aSource("register");
        page("register", mine, """
                {"name": "新名称有限公司", "addresses": ["上海市浦东新区世纪大道 1 号"], "founded": "20010203", "phone": "021-6123 4567",
                 "region": "999999"}""");
        String before = manager.get(mine.path).is(200).etag();
        Answer job = looked(manager, mine, source);
        assertThat(job.at("/state").asText()).as(job.text()).isEqualTo("done");
        assertThat(manager.get(mine.path).etag()).isEqualTo(before);

        // The phone is known, and there is no such region.
        List<JsonNode> open = proposals(manager, mine, "open");
        assertThat(open).hasSize(3);
        assertThat(proposal(open, "name").path("value").asText()).isEqualTo("新名称有限公司");
        assertThat(proposal(open, "foundedOn").path("value").asText()).isEqualTo("2001-02-03");
        JsonNode address = proposal(open, "address");
        Got got = GOT.get(GOT.size() - 1);
        assertThat(got.agent).isEqualTo("Kehu");

        String accept = "/v1/enrichment-proposals/" + address.path("id").asText() + "/accept";
        manager.post(accept, null).is(428);
        manager.post(accept, null, "If-Match", "\"99\"").is(412, "request.stale");
        elsewhere.post(accept, null, "If-Match", before).is(404, "enrichment.notFound");
        Answer accepted = manager.post(accept, null, "If-Match", before).is(200);
        assertThat(accepted.at("/state").asText()).isEqualTo("accepted");
        assertThat(accepted.at("/decidedBy").asText()).isEqualTo(manager.id.toString());
        manager.post(accept, null, "If-Match", before).is(409, "enrichment.decided");
        Answer changed = manager.get(mine.path + "?unmask=address", "Kehu-Purpose", "contact")
                .is(200);
        assertThat(changed.at("/addresses/0/line").asText()).isEqualTo("上海市浦东新区世纪大道 1 号");
        assertThat(kehu.<String>value(
                        "SELECT source FROM customer.field_source WHERE field = 'addresses' AND customer_id = ?::uuid",
                        changed.at("/id").asText()))
                .isEqualTo("staff");
        JsonNode version = manager.get(mine.path + "/versions").is(200).at("/items/0");
        assertThat(version.at("/operation").asText()).isEqualTo("acceptEnrichmentProposal");
        assertThat((String) kehu.value(
                        "SELECT string_agg(a::text, ' ') FROM kehu.audit a WHERE a.operation LIKE '%nrichment%'"))
                .doesNotContain("世纪大道", "新名称");
        assertThat((String) kehu.value("SELECT string_agg(e::text, ' ') FROM kehu.event e"))
                .doesNotContain("世纪大道");
    }

    @Test
    void whatWasRejectedIsNotProposedAgainAndSomethingNewerTakesThePlaceOfWhatWaits() {
        Organisation mine = anOrganisation(manager);
        String source = aSource("twice");
        page("twice", mine, "{\"name\": \"第一名称公司\", \"founded\": \"20020202\"}");
        looked(manager, mine, source);
        JsonNode name = proposal(proposals(manager, mine, "open"), "name");
        String path = "/v1/enrichment-proposals/" + name.path("id").asText();
        elsewhere.get(path).is(404, "enrichment.notFound");
        Answer rejected = head.post(path + "/reject", "{\"why\": \"王经理说不是\"}").is(200);
        assertThat(rejected.at("/why").asText()).isEqualTo("王经理说不是");
        looked(manager, mine, source);
        assertThat(proposals(manager, mine, "open")).hasSize(1);
        page("twice", mine, "{\"name\": \"第二名称公司\", \"founded\": \"20030303\"}");
        looked(manager, mine, source);
        List<JsonNode> open = proposals(manager, mine, "open");
        assertThat(open).hasSize(2);
        assertThat(proposal(open, "foundedOn").path("value").asText()).isEqualTo("2003-03-03");
        assertThat(proposals(manager, mine, "superseded")).hasSize(1);
        assertThat(proposals(elsewhere, mine, "open")).isEmpty();
        assertThat((String) kehu.value("SELECT string_agg(p::text, ' ') FROM customer.enrichment_proposal_all p"))
                .doesNotContain("王经理", "名称公司");
    }

    @Test
    void nothingIsGatheredAboutPersonsNorOutOfScopeNorFromWhatIsOff() {
        String source = aSource("nobody");
        String person = manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"某个人\"}")
                .is(201)
                .header("Location");
        manager.post(person + "/enrichments", "{\"sourceId\": \"" + source + "\"}")
                .is(422, "enrichment.organisationsOnly");
        Organisation theirs = anOrganisation(elsewhere);
        begin(manager, theirs, source).is(404, "customer.notFound");
        begin(risk, theirs, source).is(403);
        begin(elsewhere, theirs, UUID.randomUUID().toString()).is(404, "enrichment.sourceNotFound");
        String path = "/v1/enrichment-sources/" + source;
        manager.patch(path, manager.get(path).etag(), "{\"enabled\": false}").is(403);
        risk.patch(path, risk.get(path).etag(), "{\"enabled\": false}").is(200);
        begin(elsewhere, theirs, source).is(409, "enrichment.sourceOff");
        assertThat(GOT).noneMatch(got -> got.path.startsWith("/nobody"));
    }

    @Test
    void aSourceIsOfAServerTheBankAllowsAndNamesWhomItAsksFor() {
        sourceOf(risk, "169.254.169.254", "/{name}").is(422, "enrichment.hostNotAllowed");
        sourceOf(risk, "registry.example", "/{name}").is(422, "enrichment.hostNotAllowed");
        sourceOf(risk, "user@" + host, "/{name}").is(400);
        sourceOf(risk, host, "/everybody").is(422, "enrichment.pathUnnamed");
        sourceOf(risk, host, "//evil.example/{name}\\\\").is(400);
        sourceOf(manager, host, "/{name}").is(403);
        Answer made = sourceOf(risk, host, "/q?name={name}").is(201);
        String path = made.header("Location");
        risk.patch(path, made.etag(), "{\"host\": \"10.9.9.9\"}").is(422, "enrichment.hostNotAllowed");
        assertThat(risk.get("/v1/enrichment-sources?limit=200").is(200).text())
                .contains(made.at("/id").asText());
    }

    @ParameterizedTest
    @CsvSource({
        "private, enrichment.robotsDisallow",
        "moved, enrichment.fetchFailed",
        "huge, enrichment.fetchFailed",
        "slow, enrichment.fetchFailed",
        "missing, enrichment.fetchFailed",
        "broken, request.malformed",
    })
    void whatMayNotOrCannotBeTakenLeavesNothingBehind(String folder, String code) {
        Organisation mine = anOrganisation(manager);
        Answer job = looked(manager, mine, aSource(folder));
        assertThat(job.at("/state").asText()).isEqualTo("failed");
        assertThat(job.at("/errorCode").asText()).isEqualTo(code);
        assertThat(proposals(manager, mine, "open")).isEmpty();
        assertThat(INWARDS).isEmpty();
        if (folder.equals("private")) {
            assertThat(GOT).noneMatch(got -> got.path.startsWith("/private"));
        }
    }

    @Test
    void anAllowedNameThatLeadsIntoAPrivateNetworkIsNotCalled() {
        Organisation mine = anOrganisation(manager);
        String source = sourceOf(risk, "10.1.2.3:" + host.substring(host.indexOf(':') + 1), "/{creditCode}")
                .is(201)
                .at("/id")
                .asText();
        Answer job = looked(manager, mine, source);
        assertThat(job.at("/errorCode").asText()).isEqualTo("enrichment.robotsDisallow");
    }

    @Test
    void robotsAreAskedOnceForAWhileAndCallsOfOneServerKeepTheirDistance() {
        String source = aSource("paced");
        looked(manager, anOrganisation(manager), source); // whoever comes first asks for the robots.txt
        GOT.clear();
        int calls = 6;
        long begin = System.nanoTime();
        List<String> jobs = new ArrayList<>();
        for (int i = 0; i < calls; i++) {
            jobs.add(begin(manager, anOrganisation(manager), source).is(202).header("Location"));
        }
        await().until(() -> jobs.stream()
                .allMatch(job -> ENDS.contains(manager.get(job).at("/state").asText())));
        List<Got> got =
                GOT.stream().filter(one -> one.path.startsWith("/paced")).toList();
        assertThat(got).hasSize(calls);
        assertThat(GOT).noneMatch(one -> one.path.equals("/robots.txt"));
        long last = got.stream().mapToLong(Got::nanos).max().orElseThrow();
        assertThat((last - begin) / 1_000_000).isGreaterThanOrEqualTo((calls - 1L) * GAP_MILLIS - 5);

        // Where the turn is far away nobody is called, and the job waits.
        Organisation late = anOrganisation(manager);
        kehu.sql("UPDATE customer.enrichment_host SET next_at = kehu.now() + interval '1 hour' WHERE host = ?", host);
        String job = begin(manager, late, source).is(202).header("Location");
        await().until(() -> kehu.<Long>value(
                        "SELECT count(*) FROM kehu.job WHERE kind = 'customer.enrichment' AND state = 'waiting' AND not_before IS NOT NULL")
                == 1);
        assertThat(GOT).noneMatch(one -> one.path.contains(late.code));
        kehu.sql("UPDATE customer.enrichment_host SET next_at = kehu.now() WHERE host = ?", host);
        await().until(() -> ENDS.contains(manager.get(job).at("/state").asText()));
        assertThat(GOT).anyMatch(one -> one.path.contains(late.code));
    }

    @Test
    void whatIsProposedIsForgottenWithTheCustomerAndTellsInHisOverview() {
        Organisation mine = anOrganisation(manager);
        String source = aSource("forgotten");
        page("forgotten", mine, "{\"name\": \"将被遗忘公司\"}");
        looked(manager, mine, source);
        UUID id = UUID.fromString(mine.id());
        assertThat(kehu.sql("SELECT item FROM customer.overview_enrichments WHERE customer_id = ?", id))
                .hasSize(1);
        assertThat(kehu.sql("SELECT sealed FROM customer.personal_enrichments WHERE customer_id = ?", id))
                .hasSize(1);
        kehu.sql("SELECT customer.erase_enrichments(ARRAY[?::uuid])", id);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM customer.enrichment_proposal_all WHERE customer_id = ? AND value IS NOT NULL",
                        id))
                .isZero();
        assertThat(proposals(manager, mine, "open").get(0).has("value")).isFalse();
    }
}
