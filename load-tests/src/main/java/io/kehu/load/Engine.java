package io.kehu.load;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.HdrHistogram.Histogram;

/**
 * Sends prepared requests over keep-alive HTTP/1.1 connections, one at a time on each, from one thread. It parses no
 * more of an answer than is needed to find its end, because its CPU time is taken from the server it measures.
 *
 * <p>Pacing is one of two. Closed loop: each connection sends its next request {@code think} after the last answer, so
 * a slow server is asked less often. Open loop ({@code perSecond > 0}): requests are due at fixed moments and their
 * latency counts from that moment, also if they had to wait for a free connection.
 */
final class Engine implements Callable<Engine.Result> {
    private static final long ANSWER_WITHIN_NANOS = Duration.ofSeconds(30).toNanos();
    private static final long DRAIN_NANOS = Duration.ofSeconds(5).toNanos();
    private static final long HIGHEST_MICROS = 60_000_000;

    /** One part of a mix: a name, a weight, and where its next request comes from. */
    record Part(String name, int weight, Source source) {}

    /** Gives complete requests, headers and body, as bytes. */
    interface Source {
        byte[] next();
    }

    /**
     * How to run.
     *
     * @param perSecond requests per second of an open loop; 0 for a closed loop
     * @param from the loopback address that connections come from: limits are per address
     * @param warmUp what is sent in this time is not counted
     */
    record Plan(
            URI target,
            String from,
            int connections,
            Duration think,
            double perSecond,
            Duration warmUp,
            Duration measured) {}

    /**
     * What came back in the measured time.
     *
     * @param statuses answers by status
     * @param lost requests without an answer, by reason
     * @param latencies in microseconds, all parts together and each by name; only answers below 400
     */
    record Result(
            Plan plan,
            double seconds,
            long answers,
            Map<Integer, Long> statuses,
            Map<String, Long> lost,
            Histogram latencies,
            Map<String, Histogram> byPart) {

        double perSecond() {
            return answers / seconds;
        }

        /** Answers of 400 and above, and requests without an answer. */
        long errors() {
            long refused = statuses.entrySet().stream()
                    .filter(entry -> entry.getKey() >= 400)
                    .mapToLong(Map.Entry::getValue)
                    .sum();
            return refused + lost.values().stream().mapToLong(Long::longValue).sum();
        }
    }

    private final Plan plan;
    private final Part[] wheel;
    private final Runnable onMeasuringStarts;
    private final Map<Integer, Long> statuses = new TreeMap<>();
    private final Map<String, Long> lost = new TreeMap<>();
    private final Histogram latencies = new Histogram(HIGHEST_MICROS, 3);
    private final Map<String, Histogram> byPart = new TreeMap<>();
    private final ByteBuffer in = ByteBuffer.allocateDirect(64 * 1024);
    private final byte[] bytes = new byte[64 * 1024];
    private final ArrayDeque<Connection> waiting = new ArrayDeque<>();
    private final InetSocketAddress address;
    private Selector selector;
    private long countFrom;
    private int turn;

    Engine(Plan plan, List<Part> mix, Runnable onMeasuringStarts) throws IOException {
        InetAddress host = InetAddress.getByName(plan.target().getHost());
        if (!host.isLoopbackAddress()) {
            throw new IllegalArgumentException("load is for loopback only, not " + host);
        }
        this.plan = plan;
        this.address = new InetSocketAddress(host, plan.target().getPort());
        this.onMeasuringStarts = onMeasuringStarts;
        this.wheel = wheel(mix);
        mix.forEach(part -> byPart.put(part.name(), new Histogram(HIGHEST_MICROS, 3)));
    }

    /** The mix dealt evenly over 100 turns or fewer, so that every run sends exactly the same shares. */
    private static Part[] wheel(List<Part> mix) {
        int total = mix.stream().mapToInt(Part::weight).sum();
        Part[] wheel = new Part[total];
        int[] credit = new int[mix.size()];
        for (int turn = 0; turn < total; turn++) {
            int best = 0;
            for (int i = 0; i < credit.length; i++) {
                credit[i] += mix.get(i).weight();
                best = credit[i] > credit[best] ? i : best;
            }
            credit[best] -= total;
            wheel[turn] = mix.get(best);
        }
        return wheel;
    }

    @Override
    public Result call() throws IOException {
        selector = Selector.open();
        List<Connection> connections = new ArrayList<>();
        try {
            long begin = System.nanoTime();
            countFrom = begin + plan.warmUp().toNanos();
            long end = countFrom + plan.measured().toNanos();
            for (int i = 0; i < plan.connections(); i++) {
                Connection connection = new Connection();
                connections.add(connection);
                // Users do not all press the button in the same instant.
                connection.dueAt = begin + plan.think().toNanos() * i / plan.connections();
                connection.open();
            }
            long interval = plan.perSecond() > 0 ? (long) (1e9 / plan.perSecond()) : 0;
            long nextDue = begin;
            long nextSweep = begin;
            boolean measuring = false;
            long now = begin;
            while (now < end) {
                long wake = Math.min(end, measuring ? end : countFrom);
                if (interval > 0) {
                    while (nextDue <= now && !waiting.isEmpty()) {
                        waiting.poll().send(nextDue);
                        nextDue += interval;
                    }
                    wake = Math.min(wake, waiting.isEmpty() ? end : nextDue);
                } else {
                    while (!waiting.isEmpty() && waiting.peek().dueAt <= now) {
                        waiting.poll().send(now);
                    }
                    wake = waiting.isEmpty() ? wake : Math.min(wake, waiting.peek().dueAt);
                }
                if (now >= nextSweep) {
                    long sentBefore = now - ANSWER_WITHIN_NANOS;
                    connections.forEach(connection -> connection.giveUpIfSentBefore(sentBefore));
                    nextSweep = now + 1_000_000_000L;
                }
                turn(Math.min(wake, nextSweep) - now);
                now = System.nanoTime();
                if (!measuring && now >= countFrom) {
                    measuring = true;
                    onMeasuringStarts.run();
                }
            }
            double seconds = (now - countFrom) / 1e9;
            long answered = latenciesAndErrors();
            drain(connections, now);
            return new Result(plan, seconds, answered, statuses, lost, latencies, byPart);
        } finally {
            connections.forEach(Connection::close);
            selector.close();
        }
    }

    private long latenciesAndErrors() {
        return statuses.values().stream().mapToLong(Long::longValue).sum();
    }

    /** What is under way at the end may still be answered; it is looked at for errors, but not counted as throughput. */
    private void drain(List<Connection> connections, long now) throws IOException {
        long until = now + DRAIN_NANOS;
        while (now < until && connections.stream().anyMatch(connection -> connection.busy)) {
            turn(50_000_000L);
            now = System.nanoTime();
        }
        connections.stream().filter(connection -> connection.busy).forEach(connection -> connection.lose("unanswered"));
    }

    private void turn(long nanos) throws IOException {
        if (nanos <= 0) {
            selector.selectNow();
        } else {
            // At least a millisecond: to look again and again until the next one is due would take a core from the
            // server.
            selector.select(Math.max(1, nanos / 1_000_000));
        }
        var keys = selector.selectedKeys();
        for (SelectionKey key : keys) {
            ((Connection) key.attachment()).ready(key);
        }
        keys.clear();
    }

    private enum Where {
        HEAD,
        BODY,
        CHUNK_SIZE,
        CHUNK,
        CHUNK_END,
        TRAILER
    }

    private final class Connection {
        private final byte[] head = new byte[16 * 1024];
        private SocketChannel channel;
        private SelectionKey key;
        private ByteBuffer out;
        private Part part;
        private long dueAt;
        private long sentAt;
        private boolean busy;

        private Where where = Where.HEAD;
        private int headLength;
        private long left;
        private int status;
        private boolean closes;

        void open() {
            try {
                channel = SocketChannel.open();
                channel.configureBlocking(false);
                channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
                channel.bind(new InetSocketAddress(plan.from(), 0));
                key = channel.register(selector, SelectionKey.OP_CONNECT, this);
                if (channel.connect(address)) {
                    connected();
                }
            } catch (IOException e) {
                lose("connect");
            }
        }

        private void connected() {
            key.interestOps(SelectionKey.OP_READ);
            waiting.add(this);
        }

        void send(long dueNanos) {
            part = wheel[turn];
            turn = (turn + 1) % wheel.length;
            out = ByteBuffer.wrap(part.source().next());
            busy = true;
            where = Where.HEAD;
            headLength = 0;
            sentAt = dueNanos;
            write();
        }

        private void write() {
            try {
                channel.write(out);
                key.interestOps(out.hasRemaining() ? SelectionKey.OP_WRITE : SelectionKey.OP_READ);
            } catch (IOException e) {
                again("write");
            }
        }

        void ready(SelectionKey ready) {
            try {
                if (!ready.isValid()) {
                    return;
                }
                if (ready.isConnectable()) {
                    channel.finishConnect();
                    connected();
                } else if (ready.isWritable()) {
                    write();
                } else if (ready.isReadable()) {
                    read();
                }
            } catch (IOException e) {
                again(ready.isValid() && ready.isConnectable() ? "connect" : "reset");
            }
        }

        private void read() throws IOException {
            in.clear();
            int count = channel.read(in);
            if (count < 0) {
                again("closed");
                return;
            }
            in.flip();
            in.get(bytes, 0, count);
            int at = 0;
            while (at < count && busy) {
                at = switch (where) {
                    case HEAD -> readHead(at, count);
                    case BODY -> skip(at, count, null);
                    case CHUNK -> skip(at, count, Where.CHUNK_END);
                    case CHUNK_SIZE, CHUNK_END, TRAILER -> readLine(at, count);
                };
            }
        }

        private int readHead(int from, int count) throws IOException {
            int at = from;
            while (at < count) {
                if (headLength == head.length) {
                    throw new IOException("answer's head is over 16 KB");
                }
                head[headLength++] = bytes[at++];
                if (headLength >= 4 && head[headLength - 1] == '\n' && head[headLength - 3] == '\n') {
                    headIsComplete();
                    return at;
                }
            }
            return at;
        }

        private void headIsComplete() {
            status = (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
            closes = headerHas("connection:", "close");
            if (headerHas("transfer-encoding:", "chunked")) {
                headLength = 0;
                where = Where.CHUNK_SIZE;
                return;
            }
            left = Math.max(0, contentLength());
            where = Where.BODY;
            if (left == 0 || status == 204 || status == 304) {
                answered();
            }
        }

        private int skip(int from, int count, Where then) {
            int step = (int) Math.min(left, count - from);
            left -= step;
            if (left == 0) {
                if (then == null) {
                    answered();
                } else {
                    headLength = 0;
                    where = then;
                }
            }
            return from + step;
        }

        /** The lines between the data of a chunked body: sizes, the ends of chunks, trailers. */
        private int readLine(int from, int count) throws IOException {
            int at = from;
            while (at < count) {
                byte next = bytes[at++];
                if (next != '\n') {
                    if (headLength == 1024) {
                        throw new IOException("line in a chunked body is over 1 KB");
                    }
                    head[headLength++] = next;
                    continue;
                }
                int length = headLength > 0 && head[headLength - 1] == '\r' ? headLength - 1 : headLength;
                headLength = 0;
                lineIsComplete(length);
                return at;
            }
            return at;
        }

        private void lineIsComplete(int length) {
            switch (where) {
                case CHUNK_SIZE -> {
                    left = 0;
                    for (int i = 0; i < length && Character.digit(head[i], 16) >= 0; i++) {
                        left = left * 16 + Character.digit(head[i], 16);
                    }
                    where = left == 0 ? Where.TRAILER : Where.CHUNK;
                }
                case CHUNK_END -> where = Where.CHUNK_SIZE;
                case TRAILER -> {
                    if (length == 0) {
                        answered();
                    }
                }
                case HEAD, BODY, CHUNK -> throw new IllegalStateException("no lines in " + where);
            }
        }

        private void answered() {
            long now = System.nanoTime();
            busy = false;
            if (sentAt >= countFrom) {
                statuses.merge(status, 1L, Long::sum);
                if (status < 400) {
                    long micros = Math.min(HIGHEST_MICROS, (now - sentAt) / 1000);
                    latencies.recordValue(micros);
                    byPart.get(part.name()).recordValue(micros);
                }
            }
            dueAt = now + plan.think().toNanos();
            if (closes) {
                close();
                open();
            } else {
                waiting.add(this);
            }
        }

        void giveUpIfSentBefore(long nanos) {
            if (busy && sentAt < nanos) {
                again("timeout");
            }
        }

        /** Counts the loss and opens the connection anew, a moment later, not in a hot loop. */
        private void again(String reason) {
            waiting.remove(this);
            lose(reason);
            close();
            dueAt = System.nanoTime() + Math.max(plan.think().toNanos(), 10_000_000L);
            if (selector.isOpen()
                    && lost.values().stream().mapToLong(Long::longValue).sum() < 100_000) {
                open();
            }
        }

        private void lose(String reason) {
            // An idle connection that the server closed is no lost request.
            if (busy || reason.equals("connect")) {
                lost.merge(reason, 1L, Long::sum);
            }
            busy = false;
        }

        void close() {
            try {
                if (channel != null) {
                    channel.close();
                }
            } catch (IOException e) {
                lost.merge("close", 1L, Long::sum);
            }
        }

        private boolean headerHas(String name, String value) {
            int at = valueOf(name);
            return at >= 0 && startsWith(at, value);
        }

        private long contentLength() {
            int at = valueOf("content-length:");
            long length = 0;
            while (at >= 0 && at < headLength && head[at] >= '0' && head[at] <= '9') {
                length = length * 10 + head[at++] - '0';
            }
            return length;
        }

        /** Where the value of a header starts, or -1. */
        private int valueOf(String lowerCaseName) {
            for (int at = 0; at < headLength; at++) {
                if (head[at] == '\n' && startsWith(at + 1, lowerCaseName)) {
                    int value = at + 1 + lowerCaseName.length();
                    while (value < headLength && head[value] == ' ') {
                        value++;
                    }
                    return value;
                }
            }
            return -1;
        }

        private boolean startsWith(int at, String lowerCase) {
            if (at + lowerCase.length() > headLength) {
                return false;
            }
            for (int i = 0; i < lowerCase.length(); i++) {
                int character = head[at + i];
                int lower = character >= 'A' && character <= 'Z' ? character + 32 : character;
                if (lower != lowerCase.charAt(i)) {
                    return false;
                }
            }
            return true;
        }
    }
}
