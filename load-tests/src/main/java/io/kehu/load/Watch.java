package io.kehu.load;

import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;

/**
 * What a server needs while it works: CPU time and resident memory from /proc (proc(5)), the heap from its metrics. Looked at by
 * the one who waits for the work, about each second; what lies between two looks is not seen.
 */
final class Watch {
    private static final long MIB = 1 << 20;

    private final long serverPid;
    private final long postgresPid;
    private final URI metrics;
    private final HttpClient client =
            HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();
    private final long beganNanos = System.nanoTime();
    private final long serverMicros;
    private final long postgresMicros;
    private double gcBefore = -1;
    private double gcSeconds;
    private long resident;
    private long heap;
    private long live;

    /** @param management where the metrics are; null: not looked at */
    Watch(long serverPid, long postgresPid, URI management) throws IOException, InterruptedException {
        if (management != null && !InetAddress.getByName(management.getHost()).isLoopbackAddress()) {
            throw new IllegalArgumentException("load is for loopback only, not " + management.getHost());
        }
        this.serverPid = serverPid;
        this.postgresPid = postgresPid;
        this.metrics = management == null ? null : management.resolve("/metrics");
        this.serverMicros = Cpu.microsOfTree(serverPid);
        this.postgresMicros = Cpu.microsOfTree(postgresPid);
        look();
    }

    static String header() {
        return """
                | run | rows | file MiB | seconds | rows per second | server CPU s | PostgreSQL CPU s | resident MiB | heap MiB | after collection MiB | collection s |
                | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |""";
    }

    double seconds() {
        return (System.nanoTime() - beganNanos) / 1e9;
    }

    void look() throws IOException, InterruptedException {
        if (serverPid != 0) {
            resident = Math.max(resident, resident(serverPid));
        }
        if (metrics == null) {
            return;
        }
        HttpRequest request =
                HttpRequest.newBuilder(metrics).timeout(Duration.ofSeconds(10)).build();
        String text = client.send(request, HttpResponse.BodyHandlers.ofString()).body();
        heap = Math.max(heap, (long) sum(text, "jvm_memory_used_bytes{", "area=\"heap\""));
        live = Math.max(live, (long) sum(text, "jvm_gc_live_data_size_bytes", ""));
        double gc = sum(text, "jvm_gc_pause_seconds_sum", "");
        gcBefore = gcBefore < 0 ? gc : gcBefore;
        gcSeconds = gc - gcBefore;
    }

    /** The sum of all samples of a metric in the text format of Prometheus. */
    static double sum(String text, String name, String label) {
        return text.lines()
                .filter(line -> line.startsWith(name) && line.contains(label))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                .sum();
    }

    private static long resident(long pid) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc", Long.toString(pid), "status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
            }
        }
        throw new IOException("no process " + pid);
    }

    /** A row of the table and a line of JSON. */
    String report(String name, long rows, long fileBytes, double seconds) throws IOException {
        double server = (Cpu.microsOfTree(serverPid) - serverMicros) / 1e6;
        double postgres = (Cpu.microsOfTree(postgresPid) - postgresMicros) / 1e6;
        double rate = rows / seconds;
        return String.format(
                        Locale.ROOT,
                        "| %s | %d | %.1f | %.1f | %.0f | %.1f | %.1f | %d | %d | %d | %.2f |%n",
                        name,
                        rows,
                        (double) fileBytes / MIB,
                        seconds,
                        rate,
                        server,
                        postgres,
                        resident / MIB,
                        heap / MIB,
                        live / MIB,
                        gcSeconds)
                + String.format(
                        Locale.ROOT,
                        "{\"run\": \"%s\", \"rows\": %d, \"fileBytes\": %d, \"seconds\": %.3f, \"perSecond\": %.1f, \"serverCpuMicros\": %.0f, "
                                + "\"postgresCpuMicros\": %.0f, \"residentBytes\": %d, \"heapBytes\": %d, \"liveBytes\": %d, \"collectionSeconds\": %.3f}",
                        name,
                        rows,
                        fileBytes,
                        seconds,
                        rate,
                        server * 1e6,
                        postgres * 1e6,
                        resident,
                        heap,
                        live,
                        gcSeconds);
    }
}
