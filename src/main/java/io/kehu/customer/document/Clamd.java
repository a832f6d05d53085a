package io.kehu.customer.document;

import io.kehu.bus.Problem;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.net.NetClient;
import io.vertx.core.net.NetClientOptions;
import io.vertx.core.net.NetSocket;
import io.vertx.core.streams.ReadStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Speaks to a clamd (clamd(8), command INSTREAM): the file goes in chunks of a length of four bytes and that many bytes, a
 * length of 0 ends it, and one line says what was found.
 */
final class Clamd implements VirusScanner {
    private static final Logger LOG = LoggerFactory.getLogger(Clamd.class);
    private static final Buffer COMMAND = Buffer.buffer("zINSTREAM\0");
    private static final String CLEAN = "stream: OK";
    private static final String FOUND = " FOUND";
    private static final String PREFIX = "stream: ";
    private static final int MAX_ANSWER = 1_000;
    private static final int MAX_FINDING = 200;

    private final NetClient client;
    private final String host;
    private final int port;

    /**
     * Of one scanner.
     *
     * @param address host:port
     * @param timeoutMillis to connect, and without a byte in either direction
     */
    Clamd(Vertx vertx, String address, int timeoutMillis) {
        int colon = address.lastIndexOf(':');
        this.host = address.substring(0, colon);
        this.port = Integer.parseInt(address.substring(colon + 1));
        this.client = vertx.createNetClient(new NetClientOptions()
                .setConnectTimeout(timeoutMillis)
                .setIdleTimeout(timeoutMillis)
                .setIdleTimeoutUnit(TimeUnit.MILLISECONDS));
    }

    @Override
    public Future<Verdict> scan(ReadStream<Buffer> file) {
        file.pause();
        return client.connect(port, host)
                .compose(socket -> ask(socket, file).onComplete(done -> socket.close()))
                .recover(failure -> {
                    LOG.warn("the virus scanner did not judge a file: {}", failure.getMessage());
                    return Future.failedFuture(Problem.of("server.unavailable"));
                });
    }

    private static Future<Verdict> ask(NetSocket socket, ReadStream<Buffer> file) {
        Promise<Verdict> verdict = Promise.promise();
        Buffer answer = Buffer.buffer();
        socket.exceptionHandler(verdict::tryFail)
                .closeHandler(v -> verdict.tryFail("it hung up"))
                .handler(bytes -> {
                    answer.appendBuffer(bytes);
                    if (answer.length() > MAX_ANSWER) {
                        verdict.tryFail("too long an answer");
                    } else if (answer.getByte(answer.length() - 1) == 0) {
                        read(answer.getString(0, answer.length() - 1, "UTF-8"), verdict);
                    }
                });
        socket.write(COMMAND);
        file.exceptionHandler(verdict::tryFail)
                .endHandler(v -> socket.write(Buffer.buffer().appendInt(0)))
                .handler(bytes -> {
                    socket.write(Buffer.buffer(4 + bytes.length())
                            .appendInt(bytes.length())
                            .appendBuffer(bytes));
                    if (socket.writeQueueFull()) {
                        file.pause();
                        socket.drainHandler(v -> file.resume());
                    }
                });
        file.resume();
        // It may answer, or hang up, before it has heard all: what still comes is of no use to anybody.
        return verdict.future()
                .onComplete(done -> file.handler(null).endHandler(null).pause());
    }

    private static void read(String line, Promise<Verdict> verdict) {
        if (line.equals(CLEAN)) {
            verdict.tryComplete(new Verdict("clamd", null));
        } else if (line.startsWith(PREFIX)
                && line.endsWith(FOUND)
                && line.length() > PREFIX.length() + FOUND.length()) {
            String name = line.substring(PREFIX.length(), line.length() - FOUND.length());
            byte[] plain = name.getBytes(StandardCharsets.US_ASCII);
            verdict.tryComplete(new Verdict(
                    "clamd", new String(plain, 0, Math.min(MAX_FINDING, plain.length), StandardCharsets.US_ASCII)));
        } else {
            verdict.tryFail("an answer that is none");
        }
    }
}
