package io.kehu.load;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.load.Engine.Part;
import io.kehu.load.Engine.Plan;
import io.kehu.load.Engine.Result;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;
import org.HdrHistogram.Histogram;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * The load tests' command line. Every subcommand is bounded in time and connections, ends by itself, prints rows of a
 * markdown table and one line of JSON per run, and exits with 1 if its runs had errors that they must not have.
 */
@Command(
        name = "load",
        description = "Load and cost measurements of Kehu on loopback.",
        mixinStandardHelpOptions = true,
        scope = CommandLine.ScopeType.INHERIT,
        subcommands = {Bare.class, Timing.class, Segments.class, Big.Import.class, Big.Export.class})
public final class Load {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** Where ordinary callers come from. */
    static final String HOME = "127.0.0.1";

    private static final String HEADER = """
            | run | answers | per second | p50 ms | p95 ms | p99 ms | max ms | errors | server CPU µs/request | PostgreSQL | generator |
            | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |""";

    final PrintStream out;

    Load(PrintStream out) {
        this.out = out;
    }

    public static void main(String[] args) {
        System.exit(commandLine(System.out).execute(args));
    }

    static CommandLine commandLine(PrintStream out) {
        return new CommandLine(new Load(out));
    }

    /** Where the server is, which processes to watch, and what prepare found. */
    static final class Target {
        @Option(names = "--url", defaultValue = "http://127.0.0.1:8080")
        URI url;

        @Option(names = "--server-pid", description = "CPU time of this process is reported; 0: not measured.")
        long serverPid;

        @Option(names = "--pg-pid", description = "The postmaster's process id; its children are included.")
        long postgresPid;

        @Option(names = "--prepared", defaultValue = "target/prepared.json")
        Path prepared;

        Requests requests() throws IOException {
            return Requests.from(url, prepared);
        }
    }

    /** A run and the CPU time spent meanwhile, in microseconds. */
    record Measured(String name, Result result, long serverMicros, long postgresMicros, long ownMicros) {
        double serverPerRequest() {
            return perRequest(serverMicros);
        }

        double perRequest(long micros) {
            return result.answers() == 0 ? 0 : (double) micros / result.answers();
        }

        double p99Millis() {
            return result.latencies().getValueAtPercentile(99) / 1000.0;
        }

        String row() {
            Histogram latencies = result.latencies();
            String statuses = result.errors() == 0 ? "0" : result.errors() + " " + result.statuses() + result.lost();
            return String.format(
                    Locale.ROOT,
                    "| %s | %d | %.0f | %.2f | %.2f | %.2f | %.2f | %s | %.1f | %.1f | %.1f |",
                    name,
                    result.answers(),
                    result.perSecond(),
                    latencies.getValueAtPercentile(50) / 1000.0,
                    latencies.getValueAtPercentile(95) / 1000.0,
                    latencies.getValueAtPercentile(99) / 1000.0,
                    latencies.getMaxValue() / 1000.0,
                    statuses,
                    serverPerRequest(),
                    perRequest(postgresMicros),
                    perRequest(ownMicros));
        }

        String json() {
            ObjectNode line = JSON.createObjectNode()
                    .put("run", name)
                    .put("connections", result.plan().connections())
                    .put("thinkMillis", result.plan().think().toMillis())
                    .put("seconds", result.seconds())
                    .put("answers", result.answers())
                    .put("perSecond", result.perSecond())
                    .put("errors", result.errors())
                    .put("serverCpuMicros", serverMicros)
                    .put("postgresCpuMicros", postgresMicros)
                    .put("generatorCpuMicros", ownMicros);
            result.statuses()
                    .forEach((status, count) -> line.withObject("/statuses").put(status.toString(), count));
            result.lost().forEach((reason, count) -> line.withObject("/lost").put(reason, count));
            result.byPart()
                    .forEach((part, latencies) -> line.withObject("/parts")
                            .putObject(part)
                            .put("answers", latencies.getTotalCount())
                            .put("p50Micros", latencies.getValueAtPercentile(50))
                            .put("p95Micros", latencies.getValueAtPercentile(95))
                            .put("p99Micros", latencies.getValueAtPercentile(99))
                            .put("maxMicros", latencies.getMaxValue()));
            return line.toString();
        }
    }

    private Measured measure(String name, Plan plan, List<Part> mix, long serverPid, long postgresPid)
            throws IOException {
        long own = ProcessHandle.current().pid();
        long[] before = new long[3];
        Engine engine = new Engine(plan, mix, () -> read(before, serverPid, postgresPid, own));
        Result result = engine.call();
        long[] after = new long[3];
        read(after, serverPid, postgresPid, own);
        Measured measured =
                new Measured(name, result, after[0] - before[0], after[1] - before[1], after[2] - before[2]);
        out.println(measured.row());
        out.println(measured.json());
        return measured;
    }

    /** A subcommand that is one run. */
    private int alone(String name, Target target, List<Part> mix, Plan plan) throws IOException {
        out.println(HEADER);
        return exitCode(measure(name, plan, mix, target.serverPid, target.postgresPid));
    }

    private static void read(long[] micros, long... pids) {
        try {
            for (int i = 0; i < pids.length; i++) {
                micros[i] = Cpu.microsOfTree(pids[i]);
            }
        } catch (IOException e) {
            throw new IllegalStateException("a process to measure has ended: " + e.getMessage(), e);
        }
    }

    private static int exitCode(Measured... runs) {
        return Arrays.stream(runs)
                        .allMatch(run ->
                                run.result().errors() == 0 && run.result().answers() > 0)
                ? 0
                : 1;
    }

    @Command(name = "run-a", description = "1,000 users with 1 s think time for 2 minutes.")
    int runA(
            @Mixin Target target,
            @Option(names = "--users", defaultValue = "1000") int users,
            @Option(names = "--think-millis", defaultValue = "1000") int thinkMillis,
            @Option(names = "--warm-up", defaultValue = "20") int warmUpSeconds,
            @Option(names = "--seconds", defaultValue = "120") int seconds)
            throws IOException {
        return alone(
                "A", target, target.requests().mix(), closed(target.url, users, thinkMillis, warmUpSeconds, seconds));
    }

    @Command(name = "run-b", description = "1,000 connections without think time for 60 s.")
    int runB(
            @Mixin Target target,
            @Option(names = "--connections", defaultValue = "1000") int connections,
            @Option(names = "--warm-up", defaultValue = "20") int warmUpSeconds,
            @Option(names = "--seconds", defaultValue = "60") int seconds)
            throws IOException {
        return alone("B", target, target.requests().mix(), closed(target.url, connections, 0, warmUpSeconds, seconds));
    }

    @Command(
            name = "run-c",
            description = "Run A alone, then beside sign-ins at a fixed rate; 429 is no error of a sign-in.")
    int runC(
            @Mixin Target target,
            @Option(names = "--users", defaultValue = "1000") int users,
            @Option(names = "--think-millis", defaultValue = "1000") int thinkMillis,
            @Option(names = "--sign-ins-per-second", defaultValue = "30") double perSecond,
            @Option(
                            names = "--username",
                            required = true,
                            split = ",",
                            description = "Take many: only five looks at one account's password may be under way.")
                    List<String> usernames,
            @Option(names = "--password", required = true, description = "Of all of them.") String password,
            @Option(names = "--warm-up", defaultValue = "20") int warmUpSeconds,
            @Option(names = "--seconds", defaultValue = "60") int seconds)
            throws Exception {
        out.println(HEADER);
        Requests requests = target.requests();
        Plan normal = closed(target.url, users, thinkMillis, warmUpSeconds, seconds);
        Measured alone = measure("C, without sign-ins", normal, requests.mix(), target.serverPid, target.postgresPid);
        // Enough connections that a sign-in which waits for its turn does not keep the next from being sent.
        int connections = (int) Math.min(500, Math.max(10, perSecond * 3));
        Plan paced =
                new Plan(target.url, HOME, connections, Duration.ZERO, perSecond, normal.warmUp(), normal.measured());
        FutureTask<Result> signIns = start(paced, requests.signIns(usernames, password));
        Measured beside = measure("C, beside sign-ins", normal, requests.mix(), target.serverPid, target.postgresPid);
        Result signedIn = report("C, the sign-ins", signIns);
        double succeeded = signedIn.statuses().getOrDefault(200, 0L) / signedIn.seconds();
        out.printf(
                Locale.ROOT,
                "sign-ins: %.1f/s succeeded of %.1f/s; p99 of the others: %.1f ms alone, %.1f ms beside%n",
                succeeded,
                perSecond,
                alone.p99Millis(),
                beside.p99Millis());
        boolean onlyTooMany = signedIn.lost().isEmpty()
                && signedIn.statuses().keySet().stream().allMatch(status -> status == 200 || status == 429);
        return onlyTooMany ? exitCode(alone, beside) : 1;
    }

    /** Something that goes on beside a measured run; its CPU time is in that run's row, because the processes are the same. */
    private static FutureTask<Result> start(Plan plan, List<Part> mix) throws IOException {
        FutureTask<Result> task = new FutureTask<>(new Engine(plan, mix, () -> {}));
        Thread thread = new Thread(task, "beside");
        thread.setDaemon(true);
        thread.start();
        return task;
    }

    private Result report(String name, FutureTask<Result> beside) throws Exception {
        Result result = beside.get(60, TimeUnit.SECONDS);
        Measured paid = new Measured(name, result, 0, 0, 0);
        out.println(paid.row());
        out.println(paid.json());
        return result;
    }

    @Command(
            name = "flood",
            description =
                    "The mix alone, then beside forged tokens from another address at a fixed rate; each must be refused.")
    int flood(
            @Mixin Target target,
            @Option(names = "--users", defaultValue = "300") int users,
            @Option(names = "--think-millis", defaultValue = "1000") int thinkMillis,
            @Option(names = "--forged-per-second", defaultValue = "2000") double perSecond,
            @Option(names = "--warm-up", defaultValue = "20") int warmUpSeconds,
            @Option(names = "--seconds", defaultValue = "60") int seconds)
            throws Exception {
        out.println(HEADER);
        Requests requests = target.requests();
        Plan normal = closed(target.url, users, thinkMillis, warmUpSeconds, seconds);
        Measured alone = measure("without a flood", normal, requests.mix(), target.serverPid, target.postgresPid);
        Plan paced =
                new Plan(target.url, "127.0.0.2", 64, Duration.ZERO, perSecond, normal.warmUp(), normal.measured());
        FutureTask<Result> flood = start(paced, requests.forged());
        Measured beside = measure("beside a flood", normal, requests.mix(), target.serverPid, target.postgresPid);
        Result refused = report("the flood", flood);
        out.printf(
                Locale.ROOT,
                "p99 of the others: %.1f ms alone, %.1f ms beside: %.2f x%n",
                alone.p99Millis(),
                beside.p99Millis(),
                beside.p99Millis() / alone.p99Millis());
        boolean onlyRefused = refused.answers() > 0
                && refused.lost().isEmpty()
                && refused.statuses().keySet().stream().allMatch(status -> status == 401 || status == 429);
        return onlyRefused ? exitCode(alone, beside) : 1;
    }

    @Command(
            name = "cost",
            description = "Server CPU time per read, against the bare handler: alternating runs, medians.")
    int cost(
            @Mixin Target target,
            @Option(names = "--bare-url", defaultValue = "http://127.0.0.1:9090") URI bareUrl,
            @Option(names = "--bare-pid", required = true) long barePid,
            @Option(names = "--connections", defaultValue = "64") int connections,
            @Option(names = "--runs", defaultValue = "5") int runs,
            @Option(names = "--warm-up", defaultValue = "15") int warmUpSeconds,
            @Option(names = "--seconds", defaultValue = "60") int seconds)
            throws IOException {
        if (target.serverPid == 0) {
            throw new IllegalArgumentException("cost needs --server-pid");
        }
        return alternate(
                new Side("bare", closed(bareUrl, connections, 0, warmUpSeconds, seconds), barePid, target.prepared),
                new Side(
                        "kehu",
                        closed(target.url, connections, 0, warmUpSeconds, seconds),
                        target.serverPid,
                        target.prepared),
                runs,
                target.postgresPid);
    }

    @Command(
            name = "compare",
            description =
                    "Server CPU time per read of two Kehus, before and after a change: alternating runs, medians.")
    int compare(
            @Mixin Target target,
            @Option(names = "--before-url", required = true) URI beforeUrl,
            @Option(names = "--before-pid", required = true) long beforePid,
            @Option(names = "--before-prepared", required = true) Path beforePrepared,
            @Option(names = "--connections", defaultValue = "64") int connections,
            @Option(names = "--runs", defaultValue = "5") int runs,
            @Option(names = "--warm-up", defaultValue = "15") int warmUpSeconds,
            @Option(names = "--seconds", defaultValue = "60") int seconds)
            throws IOException {
        if (target.serverPid == 0) {
            throw new IllegalArgumentException("compare needs --server-pid");
        }
        return alternate(
                new Side(
                        "before", closed(beforeUrl, connections, 0, warmUpSeconds, seconds), beforePid, beforePrepared),
                new Side(
                        "after",
                        closed(target.url, connections, 0, warmUpSeconds, seconds),
                        target.serverPid,
                        target.prepared),
                runs,
                target.postgresPid);
    }

    /** One of two servers whose reads of a customer are compared. */
    private record Side(String name, Plan plan, long pid, Path prepared) {
        List<Part> reads() throws IOException {
            return Requests.from(plan.target(), prepared).reads();
        }
    }

    private int alternate(Side first, Side second, int runs, long postgresPid) throws IOException {
        out.println(HEADER);
        List<Part> firstReads = first.reads();
        List<Part> secondReads = second.reads();
        List<Measured> firstRuns = new ArrayList<>();
        List<Measured> secondRuns = new ArrayList<>();
        for (int run = 1; run <= runs; run++) {
            firstRuns.add(measure(first.name + " " + run, first.plan, firstReads, first.pid, postgresPid));
            secondRuns.add(measure(second.name + " " + run, second.plan, secondReads, second.pid, postgresPid));
        }
        double firstMicros = median(firstRuns, Measured::serverPerRequest);
        double secondMicros = median(secondRuns, Measured::serverPerRequest);
        double firstRate = median(firstRuns, run -> run.result().perSecond());
        double secondRate = median(secondRuns, run -> run.result().perSecond());
        out.printf(
                Locale.ROOT,
                "medians: %s %.1f µs, %s %.1f µs of server CPU per request: %.2f x; throughput %.0f/s against %.0f/s: %.2f x%n",
                second.name,
                secondMicros,
                first.name,
                firstMicros,
                secondMicros / firstMicros,
                secondRate,
                firstRate,
                secondRate / firstRate);
        return Math.max(exitCode(firstRuns.toArray(Measured[]::new)), exitCode(secondRuns.toArray(Measured[]::new)));
    }

    @Command(name = "searches", description = "Searches by name alone, pages of 20, for 60 s: how many a second.")
    int searches(
            @Mixin Target target,
            @Option(names = "--connections", defaultValue = "64") int connections,
            @Option(names = "--warm-up", defaultValue = "20") int warmUpSeconds,
            @Option(names = "--seconds", defaultValue = "60") int seconds)
            throws IOException {
        return alone(
                "searches",
                target,
                target.requests().searches(),
                closed(target.url, connections, 0, warmUpSeconds, seconds));
    }

    @Command(name = "overview", description = "Overviews of a customer: 200 users with 1 s think time for 60 s.")
    int overview(
            @Mixin Target target,
            @Option(names = "--users", defaultValue = "200") int users,
            @Option(names = "--think-millis", defaultValue = "1000") int thinkMillis,
            @Option(names = "--warm-up", defaultValue = "20") int warmUpSeconds,
            @Option(names = "--seconds", defaultValue = "60") int seconds)
            throws IOException {
        return alone(
                "overview",
                target,
                target.requests().overviews(),
                closed(target.url, users, thinkMillis, warmUpSeconds, seconds));
    }

    @Command(
            name = "growth",
            description = "Median latency of named requests on a small and on a large set of customers.")
    int growth(
            @Option(names = "--small-url", required = true) URI smallUrl,
            @Option(names = "--small-prepared", required = true) Path smallPrepared,
            @Option(names = "--large-url", required = true) URI largeUrl,
            @Option(names = "--large-prepared", required = true) Path largePrepared,
            @Option(names = "--seconds", defaultValue = "3", description = "Per request and server.") int seconds)
            throws IOException {
        Map<String, List<Part>> small = Requests.from(smallUrl, smallPrepared).named();
        Map<String, List<Part>> large = Requests.from(largeUrl, largePrepared).named();
        out.println("| request | small, median ms | large, median ms | ratio | errors |");
        out.println("| --- | ---: | ---: | ---: | --- |");
        boolean sound = true;
        for (String name : small.keySet()) {
            // One connection: this is latency, not load.
            Result few = new Engine(closed(smallUrl, 1, 0, 1, seconds), small.get(name), () -> {}).call();
            Result many = new Engine(closed(largeUrl, 1, 0, 1, seconds), large.get(name), () -> {}).call();
            double fewMicros = few.latencies().getValueAtPercentile(50);
            double manyMicros = many.latencies().getValueAtPercentile(50);
            sound &= few.errors() + many.errors() == 0 && fewMicros > 0;
            out.printf(
                    Locale.ROOT,
                    "| %s | %.2f | %.2f | %.2f | %s |%n",
                    name,
                    fewMicros / 1000,
                    manyMicros / 1000,
                    manyMicros / fewMicros,
                    few.errors() + many.errors() == 0 ? "0" : few.statuses() + " " + many.statuses());
        }
        return sound ? 0 : 1;
    }

    @Command(
            name = "prepare",
            description = "Signs in, collects tokens and customer ids into a file that only its owner can read.")
    int prepare(
            @Mixin Target target,
            @Option(names = "--user", required = true, description = "name:password; may be repeated.")
                    List<String> users,
            @Option(names = "--tokens", defaultValue = "20", description = "How many sign-ins in all.") int tokens,
            @Option(names = "--customers", defaultValue = "10000") int customers,
            @Option(names = "--name", description = "Names to search; may be repeated.") List<String> names)
            throws Exception {
        refuseUnlessLoopback(target.url);
        HttpClient client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(Duration.ofSeconds(5))
                .build();
        ObjectNode file = JSON.createObjectNode();
        List<String> signedIn = new ArrayList<>();
        for (int i = 0; i < tokens; i++) {
            String[] user = users.get(i % users.size()).split(":", 2);
            String body = Requests.body("username", user[0], "password", user[1]);
            HttpRequest login = HttpRequest.newBuilder(target.url.resolve(Requests.LOGIN))
                    .header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(body))
                    .build();
            signedIn.add(ask(client, login).path("accessToken").asText());
        }
        TreeSet<String> ids = new TreeSet<>();
        String cursor = "";
        // Pages of 100; the bound is for a server that never says that it was the last page.
        for (int page = 0; page < customers / 100 + 1 && ids.size() < customers && cursor != null; page++) {
            HttpRequest list = HttpRequest.newBuilder(target.url.resolve(Requests.CUSTOMERS + "?limit=100" + cursor))
                    .header("Authorization", "Bearer " + signedIn.get(0))
                    .build();
            JsonNode answer = ask(client, list);
            for (JsonNode item : answer.path("items")) {
                ids.add(item.path("id").asText());
            }
            cursor =
                    answer.hasNonNull("next") ? "&cursor=" + answer.path("next").asText() : null;
        }
        signedIn.forEach(file.putArray("tokens")::add);
        ids.forEach(file.putArray("customers")::add);
        List<String> searched = names == null ? List.of("王伟", "李娜", "张敏", "刘洋", "陈静") : names;
        searched.forEach(file.putArray("names")::add);
        Files.deleteIfExists(target.prepared);
        Files.createDirectories(target.prepared.toAbsolutePath().getParent());
        Files.createFile(
                target.prepared, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        Files.writeString(target.prepared, file.toString());
        out.printf("%d tokens, %d customers: %s%n", signedIn.size(), ids.size(), target.prepared);
        return ids.isEmpty() ? 1 : 0;
    }

    private static JsonNode ask(HttpClient client, HttpRequest request) throws IOException, InterruptedException {
        HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException(
                    request.uri().getPath() + " answered " + response.statusCode() + " " + response.body());
        }
        return JSON.readTree(response.body());
    }

    private static void refuseUnlessLoopback(URI url) throws IOException {
        if (!InetAddress.getByName(url.getHost()).isLoopbackAddress()) {
            throw new IllegalArgumentException("load is for loopback only, not " + url.getHost());
        }
    }

    private static Plan closed(URI url, int connections, int thinkMillis, int warmUpSeconds, int seconds) {
        if (connections < 1 || connections > 10_000 || seconds < 1 || seconds > 600 || warmUpSeconds > 600) {
            throw new IllegalArgumentException("a run has 1 to 10,000 connections and lasts 1 to 600 s");
        }
        return new Plan(
                url,
                HOME,
                connections,
                Duration.ofMillis(thinkMillis),
                0,
                Duration.ofSeconds(warmUpSeconds),
                Duration.ofSeconds(seconds));
    }

    private static double median(List<Measured> runs, ToDoubleFunction<Measured> figure) {
        double[] sorted = runs.stream().mapToDouble(figure).sorted().toArray();
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
