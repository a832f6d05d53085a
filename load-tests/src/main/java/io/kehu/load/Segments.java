package io.kehu.load;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.HdrHistogram.Histogram;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/**
 * How far live segments are behind. Makes as many as asked for, all of which read what is then changed at a fixed rate, and
 * changes one customer more, again and again, asking until the segment that fits him has him. Deletes its segments.
 */
@Command(name = "segments", description = "How long after a change a live segment has followed, beside many others.")
final class Segments implements Callable<Integer> {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String[] TIERS = {"mass", "affluent", "private"};
    private static final String[] CHANNELS = {"app", "wechat", "branch"};
    private static final int CHANGERS = 8;
    /** A probe that takes longer than this is counted as this long. */
    private static final int WITHIN_MILLIS = 30_000;

    @ParentCommand
    private Load load;

    @Option(names = "--url", defaultValue = "http://127.0.0.1:8080")
    private URI url;

    @Option(names = "--marketing", required = true, description = "NAME:PASSWORD of who may make segments.")
    private String marketing;

    @Option(names = "--editor", required = true, description = "NAME:PASSWORD of who may change customers.")
    private String editor;

    @Option(names = "--segments", defaultValue = "499", description = "0 to 499, and one for the probe.")
    private int segments;

    @Option(names = "--changes-per-second", defaultValue = "200")
    private int perSecond;

    @Option(names = "--customers", defaultValue = "2000", description = "Of whom one after the other is changed.")
    private int customers;

    @Option(names = "--seconds", defaultValue = "60")
    private int seconds;

    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5))
            .build();
    private final AtomicLong changed = new AtomicLong();
    private final AtomicLong failed = new AtomicLong();

    private record Known(String id, String etag) {}

    private record Made(String path, String etag) {}

    @Override
    public Integer call() throws Exception {
        if (!InetAddress.getByName(url.getHost()).isLoopbackAddress()
                || segments < 0
                || segments > 499
                || seconds < 1
                || seconds > 600) {
            throw new IllegalArgumentException("segments is for loopback, 0 to 499 segments and 1 to 600 s");
        }
        String maker = signIn(marketing);
        String clerk = signIn(editor);
        String run = Long.toString(System.currentTimeMillis() / 1000, 36);
        List<Made> made = new ArrayList<>();
        try {
            for (int i = 0; i < segments; i++) {
                made.add(segment(maker, run + " " + i, filter(i)));
            }
            String code = String.format(Locale.ROOT, "9%06d", System.currentTimeMillis() / 1000 % 1_000_000);
            Made probe = segment(maker, run, "{\"field\": \"occupation\", \"is\": \"" + code + "\"}");
            made.add(probe);
            awaitReady(maker, made);
            load.out.println(made.size() + " live segments are ready");
            return measure(maker, clerk, probe, code);
        } finally {
            for (Made one : made) {
                send(request(maker, one.path).header("If-Match", one.etag).DELETE(), 204);
            }
        }
    }

    private int measure(String maker, String clerk, Made probe, String code) throws Exception {
        List<Known> known = customers(clerk);
        Known probed = known.remove(0);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        ExecutorService changers = Executors.newFixedThreadPool(CHANGERS);
        List<Future<?>> working = new ArrayList<>();
        for (int i = 0; i < CHANGERS; i++) {
            List<Known> own = new ArrayList<>();
            for (int j = i; j < known.size(); j += CHANGERS) {
                own.add(known.get(j));
            }
            working.add(changers.submit(() -> {
                change(clerk, own, end);
                return null;
            }));
        }
        long began = System.nanoTime();
        Histogram behind = new Histogram(TimeUnit.MILLISECONDS.toMicros(2 * WITHIN_MILLIS), 3);
        boolean in = false;
        while (System.nanoTime() < end) {
            in = !in;
            probed = patch(clerk, probed, "{\"occupation\": " + (in ? "\"" + code + "\"" : "null") + "}");
            behind.recordValue(awaitMember(maker, probe, probed, in));
        }
        for (Future<?> worker : working) {
            worker.get(60, TimeUnit.SECONDS);
        }
        changers.shutdown();
        double rate = changed.get() / ((System.nanoTime() - began) / 1e9);
        load.out.println("| live segments | changes a second | probes | p50 ms | p95 ms | max ms | failed changes |");
        load.out.println("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        load.out.printf(
                Locale.ROOT,
                "| %d | %.0f | %d | %.0f | %.0f | %.0f | %d |%n",
                segments + 1,
                rate,
                behind.getTotalCount(),
                behind.getValueAtPercentile(50) / 1000.0,
                behind.getValueAtPercentile(95) / 1000.0,
                behind.getMaxValue() / 1000.0,
                failed.get());
        return failed.get() == 0 && behind.getTotalCount() > 0 ? 0 : 1;
    }

    private static String filter(int number) {
        String what = number % 2 == 0
                ? "{\"field\": \"tier\", \"is\": \"" + TIERS[number % 3] + "\"}"
                : "{\"field\": \"channel\", \"is\": \"" + CHANNELS[number % 3] + "\"}";
        return "{\"all\": [" + what + ", {\"field\": \"age\", \"from\": " + (18 + number % 50)
                + "}, {\"not\": {\"field\": \"risk\", \"is\": \"C" + (1 + number % 5) + "\"}}, "
                + "{\"field\": \"regionCode\", \"is\": \"" + (number % 4 < 2 ? "3101" : "4403") + "\"}]}";
    }

    private Made segment(String token, String name, String filter) throws IOException, InterruptedException {
        HttpResponse<String> answer = send(
                request(token, "/v1/segments")
                        .POST(BodyPublishers.ofString("{\"name\": \"load " + name
                                + "\", \"kind\": \"live\", \"description\": \"\", \"filter\": " + filter + "}")),
                201);
        return new Made(
                answer.headers().firstValue("Location").orElseThrow(),
                answer.headers().firstValue("ETag").orElseThrow());
    }

    private void awaitReady(String token, List<Made> made) throws IOException, InterruptedException {
        long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(60);
        for (int i = 0; i < made.size(); i++) {
            while (read(token, made.get(i).path).at("/catchingUp").asBoolean()) {
                if (System.nanoTime() > end) {
                    throw new IOException("segments are not ready after an hour");
                }
                TimeUnit.MILLISECONDS.sleep(200);
            }
            if (i % 50 == 0) {
                load.out.println(i + " segments are ready");
                load.out.flush();
            }
        }
    }

    private List<Known> customers(String token) throws IOException, InterruptedException {
        List<Known> known = new ArrayList<>();
        String cursor = "";
        while (known.size() < customers) {
            JsonNode page = read(token, "/v1/customers?kind=person&limit=100" + cursor);
            for (JsonNode item : page.path("items")) {
                String id = item.path("id").asText();
                known.add(new Known(
                        id,
                        send(request(token, "/v1/customers/" + id).GET(), 200)
                                .headers()
                                .firstValue("ETag")
                                .orElseThrow()));
            }
            if (!page.hasNonNull("next")) {
                break;
            }
            cursor = "&cursor=" + page.path("next").asText();
        }
        return known;
    }

    /** Evenly, each of its own customers in turn; what it reads of each is what segments read. */
    private void change(String token, List<Known> own, long end) throws InterruptedException {
        long interval = TimeUnit.SECONDS.toNanos(1) * CHANGERS / perSecond;
        long due = System.nanoTime();
        for (int i = 0; System.nanoTime() < end; i++) {
            int at = i % own.size();
            int round = i / own.size() + at;
            try {
                own.set(
                        at,
                        patch(
                                token,
                                own.get(at),
                                "{\"tier\": \"" + TIERS[round % 3] + "\", \"channel\": \"" + CHANNELS[(round + 1) % 3]
                                        + "\"}"));
                changed.incrementAndGet();
            } catch (IOException e) {
                failed.incrementAndGet();
            }
            due += interval;
            long early = due - System.nanoTime();
            if (early > 0) {
                TimeUnit.NANOSECONDS.sleep(early);
            }
        }
    }

    private Known patch(String token, Known customer, String json) throws IOException, InterruptedException {
        HttpResponse<String> answer = send(
                request(token, "/v1/customers/" + customer.id)
                        .header("If-Match", customer.etag)
                        .setHeader("Content-Type", "application/merge-patch+json")
                        .method("PATCH", BodyPublishers.ofString(json)),
                200);
        return new Known(customer.id, answer.headers().firstValue("ETag").orElseThrow());
    }

    private long awaitMember(String token, Made probe, Known customer, boolean in)
            throws IOException, InterruptedException {
        long from = System.nanoTime();
        String path = probe.path + "/explain?customerId=" + customer.id;
        while (read(token, path).at("/member").asBoolean() != in) {
            if (System.nanoTime() - from > TimeUnit.MILLISECONDS.toNanos(WITHIN_MILLIS)) {
                break;
            }
            TimeUnit.MILLISECONDS.sleep(20);
        }
        return TimeUnit.NANOSECONDS.toMicros(System.nanoTime() - from);
    }

    private String signIn(String user) throws IOException, InterruptedException {
        String[] parts = user.split(":", 2);
        HttpRequest.Builder login = HttpRequest.newBuilder(url.resolve(Requests.LOGIN))
                .header("Content-Type", "application/json")
                .POST(BodyPublishers.ofString(Requests.body("username", parts[0], "password", parts[1])));
        return JSON.readTree(send(login, 200).body()).path("accessToken").asText();
    }

    private JsonNode read(String token, String path) throws IOException, InterruptedException {
        return JSON.readTree(send(request(token, path).GET(), 200).body());
    }

    private HttpRequest.Builder request(String token, String path) {
        return HttpRequest.newBuilder(url.resolve(path))
                .timeout(Duration.ofSeconds(10))
                .header("Authorization", "Bearer " + token)
                .header("Content-Type", "application/json");
    }

    private HttpResponse<String> send(HttpRequest.Builder request, int status)
            throws IOException, InterruptedException {
        HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != status) {
            throw new IOException(answer.uri().getPath() + " answered " + answer.statusCode() + " " + answer.body());
        }
        return answer;
    }
}
