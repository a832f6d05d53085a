package io.kehu.load;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/**
 * Whether the time of a refused sign-in tells why it was refused. Makes accounts, then signs in at each: with a wrong
 * password until it is locked, then while it is locked, each time mixed at random with sign-ins of a name that nobody
 * has. Every account is tried from a loopback address of its own, or the limits of one address would end it.
 */
@Command(name = "timing", description = "Times of refused sign-ins, unknown against wrong and against locked.")
final class Timing implements Callable<Integer> {
    /** The failure that locks an account is the fifth. */
    private static final int TRIES = 5;

    private static final int ANSWER_WITHIN_MILLIS = 30_000;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Pattern LENGTH = Pattern.compile("(?i)\r\ncontent-length: *(\\d+)\r\n");

    private enum Kind {
        WRONG,
        UNKNOWN,
        LOCKED,
        UNKNOWN_BESIDE_LOCKED
    }

    private record Answer(int status, String body) {}

    @ParentCommand
    private Load load;

    @Option(names = "--url", defaultValue = "http://127.0.0.1:8080")
    private URI url;

    @Option(names = "--user", required = true, description = "NAME:PASSWORD of an administrator, who makes accounts.")
    private String administrator;

    @Option(names = "--accounts", defaultValue = "100", description = "1 to 1,000; 5 sign-ins of each kind at each.")
    private int accounts;

    @Option(
            names = "--interval-millis",
            defaultValue = "90",
            description =
                    "From one sign-in to the next; longer than the server's own interval between two hashes (12 a second).")
    private int intervalMillis;

    @Option(
            names = "--within-seconds",
            defaultValue = "300",
            description = "Ends by then, with the accounts that were tried until then.")
    private int withinSeconds;

    private final Map<Kind, List<Long>> micros = new EnumMap<>(Kind.class);
    private final Random random = new Random();
    private int others;
    private long beganNanos;
    private long dueNanos;

    @Override
    public Integer call() throws IOException, InterruptedException {
        if (!InetAddress.getByName(url.getHost()).isLoopbackAddress() || accounts < 1 || accounts > 1_000) {
            throw new IllegalArgumentException("timing is for loopback and 1 to 1,000 accounts");
        }
        Arrays.stream(Kind.values()).forEach(kind -> micros.put(kind, new ArrayList<>()));
        String run = Long.toString(System.currentTimeMillis() / 1000, 36);
        int network = 1 + random.nextInt(250);
        load.out.printf(
                Locale.ROOT,
                "%d accounts, %d sign-ins, one each %d ms: %d s, and some seconds before to make the accounts%n",
                accounts,
                4 * TRIES * accounts,
                intervalMillis,
                4L * TRIES * accounts * intervalMillis / 1_000);
        beganNanos = System.nanoTime();
        makeAccounts(run);
        dueNanos = System.nanoTime();
        int tried = 0;
        while (tried < accounts && seconds() < withinSeconds) {
            InetAddress from = InetAddress.getByAddress(
                    new byte[] {127, (byte) network, (byte) (1 + tried / 250), (byte) (1 + tried % 250)});
            try (Socket socket = open(from)) {
                mixed(socket, Kind.WRONG, name(run, tried), Kind.UNKNOWN, "nobody.a." + run + "." + tried);
                mixed(
                        socket,
                        Kind.LOCKED,
                        name(run, tried),
                        Kind.UNKNOWN_BESIDE_LOCKED,
                        "nobody.b." + run + "." + tried);
            }
            tried++;
            if (tried * 10 / accounts > (tried - 1) * 10 / accounts) {
                load.out.println(tried + " of " + accounts + " accounts, " + seconds() + " s");
                load.out.flush();
            }
        }
        if (tried < accounts) {
            load.out.println("The time is over after " + tried + " of " + accounts + " accounts.");
        }
        if (tried == 0) {
            return 1;
        }
        load.out.println("| sign-ins | of each | median ms | median of unknown ms | larger than unknown | p |");
        load.out.println("| --- | ---: | ---: | ---: | ---: | ---: |");
        compare(Kind.WRONG, Kind.UNKNOWN);
        compare(Kind.LOCKED, Kind.UNKNOWN_BESIDE_LOCKED);
        if (others > 0) {
            load.out.println(others + " sign-ins were answered other than 401");
        }
        return others == 0 ? 0 : 1;
    }

    private long seconds() {
        return (System.nanoTime() - beganNanos) / 1_000_000_000;
    }

    private static String name(String run, int number) {
        return "timing." + run + "." + number;
    }

    private void makeAccounts(String run) throws IOException {
        String[] user = administrator.split(":", 2);
        try (Socket socket = open(InetAddress.getByName("127.0.0.1"))) {
            JsonNode signedIn = JSON.readTree(must(
                    200, send(socket, Requests.LOGIN, null, Requests.body("username", user[0], "password", user[1]))));
            for (int i = 0; i < accounts && seconds() < withinSeconds; i++) {
                ObjectNode draft = JSON.createObjectNode()
                        .put("username", name(run, i))
                        .put("name", "计时" + i)
                        .put("branchId", signedIn.at("/staff/branchId").asText());
                draft.putArray("roles").add("auditor");
                must(
                        201,
                        send(
                                socket,
                                Requests.STAFF,
                                signedIn.path("accessToken").asText(),
                                draft.toString()));
            }
        }
    }

    private static String must(int status, Answer answer) throws IOException {
        if (answer.status != status) {
            throw new IOException("answered " + answer.status + " " + answer.body);
        }
        return answer.body;
    }

    /** Five of the one and five of the other in an order that nothing in the server can be in step with. */
    private void mixed(Socket socket, Kind one, String name, Kind other, String otherName)
            throws IOException, InterruptedException {
        List<Kind> order = new ArrayList<>(Collections.nCopies(TRIES, one));
        order.addAll(Collections.nCopies(TRIES, other));
        Collections.shuffle(order, random);
        for (Kind kind : order) {
            awaitNext();
            String body =
                    Requests.body("username", kind == one ? name : otherName, "password", "wrong-but-long-enough");
            long begin = System.nanoTime();
            Answer answer = send(socket, Requests.LOGIN, null, body);
            micros.get(kind).add((System.nanoTime() - begin) / 1_000);
            others += answer.status == 401 ? 0 : 1;
        }
    }

    /** Sign-ins begin evenly, so that none waits for the server's next hash; one that took longer is followed at once. */
    private void awaitNext() throws InterruptedException {
        long early = dueNanos - System.nanoTime();
        if (early > 0) {
            TimeUnit.NANOSECONDS.sleep(early);
        }
        dueNanos = System.nanoTime() + intervalMillis * 1_000_000L;
    }

    private void compare(Kind kind, Kind unknown) {
        long[] first = sorted(kind);
        long[] second = sorted(unknown);
        MannWhitney test = MannWhitney.of(first, second);
        load.out.printf(
                Locale.ROOT,
                "| %s | %d | %.2f | %.2f | %.3f | %.3f |%n",
                kind.name().toLowerCase(Locale.ROOT),
                first.length,
                first[first.length / 2] / 1000.0,
                second[second.length / 2] / 1000.0,
                test.larger(),
                test.p());
    }

    private long[] sorted(Kind kind) {
        return micros.get(kind).stream().mapToLong(Long::longValue).sorted().toArray();
    }

    private Socket open(InetAddress from) throws IOException {
        Socket socket = new Socket();
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(ANSWER_WITHIN_MILLIS);
        socket.bind(new InetSocketAddress(from, 0));
        socket.connect(new InetSocketAddress(url.getHost(), url.getPort()), ANSWER_WITHIN_MILLIS);
        return socket;
    }

    /** One request on a connection that stays open; of the answer's head only the status and the length matter. */
    private Answer send(Socket socket, String path, String token, String json) throws IOException {
        byte[] content = json.getBytes(StandardCharsets.UTF_8);
        String head = "POST " + path + " HTTP/1.1\r\nHost: " + url.getHost() + ":" + url.getPort()
                + (token == null ? "" : "\r\nAuthorization: Bearer " + token)
                + "\r\nContent-Type: application/json\r\nContent-Length: " + content.length + "\r\n\r\n";
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        request.writeBytes(head.getBytes(StandardCharsets.US_ASCII));
        request.writeBytes(content);
        socket.getOutputStream().write(request.toByteArray());
        DataInputStream in = new DataInputStream(socket.getInputStream());
        StringBuilder answer = new StringBuilder();
        while (answer.indexOf("\r\n\r\n") < 0) {
            answer.append((char) in.readUnsignedByte());
        }
        Matcher length = LENGTH.matcher(answer);
        byte[] body = new byte[length.find() ? Integer.parseInt(length.group(1)) : 0];
        in.readFully(body);
        return new Answer(
                Integer.parseInt(answer.substring("HTTP/1.1 ".length(), "HTTP/1.1 200".length())),
                new String(body, StandardCharsets.UTF_8));
    }
}
