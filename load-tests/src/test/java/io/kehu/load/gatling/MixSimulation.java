package io.kehu.load.gatling;

import static io.gatling.javaapi.core.CoreDsl.StringBody;
import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.global;
import static io.gatling.javaapi.core.CoreDsl.percent;
import static io.gatling.javaapi.core.CoreDsl.rampUsers;
import static io.gatling.javaapi.core.CoreDsl.randomSwitch;
import static io.gatling.javaapi.core.CoreDsl.scenario;
import static io.gatling.javaapi.http.HttpDsl.http;
import static io.gatling.javaapi.http.HttpDsl.status;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gatling.javaapi.core.ChainBuilder;
import io.gatling.javaapi.core.ScenarioBuilder;
import io.gatling.javaapi.core.Session;
import io.gatling.javaapi.core.Simulation;
import io.gatling.javaapi.http.HttpProtocolBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Run A in Gatling, to be compared with what others measure: 1,000 users with 1 s think time for 2 minutes, 70 % reads,
 * 25 % searches, 5 % writes, p99 below 250 ms and no failure. System properties: {@code url}, {@code prepared},
 * {@code users}, {@code seconds}.
 */
public final class MixSimulation extends Simulation {
    private static final String URL = System.getProperty("url", "http://127.0.0.1:8080");
    private static final int USERS = Integer.getInteger("users", 1000);
    private static final int SECONDS = Integer.getInteger("seconds", 120);

    private final AtomicLong written = new AtomicLong(System.currentTimeMillis());
    private final JsonNode prepared = prepared();
    private final List<String> tokens = texts("tokens");
    private final List<String> customers = texts("customers");
    private final List<String> names = texts("names");

    public MixSimulation() {
        HttpProtocolBuilder protocol = http.baseUrl(URL)
                .acceptHeader("application/json")
                .header("Authorization", session -> "Bearer " + pick(tokens))
                .shareConnections();
        ChainBuilder read = exec(
                http("read").get(session -> "/v1/customers/" + pick(customers)).check(status().is(200)));
        ChainBuilder search = exec(http("search")
                .post("/v1/customers/search")
                .header("Content-Type", "application/json")
                .body(StringBody(session -> "{\"name\":\"" + pick(names) + "\"}"))
                .check(status().is(200)));
        ChainBuilder write = exec(http("write")
                .post("/v1/customers")
                .header("Content-Type", "application/json")
                .body(StringBody(this::newCustomer))
                .check(status().is(201)));
        ScenarioBuilder users = scenario("users")
                .during(SECONDS)
                .on(randomSwitch()
                        .on(
                                percent(70).then(read),
                                percent(25).then(search),
                                percent(5).then(write))
                        .pause(Duration.ofSeconds(1)));
        setUp(users.injectOpen(rampUsers(USERS).during(10)))
                .protocols(protocol)
                .maxDuration(Duration.ofSeconds(SECONDS + 30L))
                .assertions(
                        global().failedRequests().count().is(0L),
                        global().responseTime().percentile(99).lt(250));
    }

    private String newCustomer(Session session) {
        return "{\"kind\":\"person\",\"name\":\"" + pick(names)
                + "\",\"externalIds\":[{\"source\":\"gatling\",\"id\":\"" + written.incrementAndGet() + "\"}]}";
    }

    private static JsonNode prepared() {
        try {
            return new ObjectMapper()
                    .readTree(Path.of(System.getProperty("prepared", "target/prepared.json"))
                            .toFile());
        } catch (IOException e) {
            throw new UncheckedIOException("run `prepare` first", e);
        }
    }

    private List<String> texts(String name) {
        List<String> texts = new ArrayList<>();
        prepared.path(name).forEach(text -> texts.add(text.asText()));
        return texts;
    }

    private static String pick(List<String> from) {
        return from.get(ThreadLocalRandom.current().nextInt(from.size()));
    }
}
