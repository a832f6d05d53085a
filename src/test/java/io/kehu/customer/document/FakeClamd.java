package io.kehu.customer.document;

import io.vertx.core.buffer.Buffer;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Answers INSTREAM as a clamd does: harmful is what holds the word EVIL. May be told to wait. */
final class FakeClamd implements AutoCloseable {
    private final ServerSocket server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private volatile CountDownLatch gate = new CountDownLatch(0);
    private volatile int refusals;

    private FakeClamd(ServerSocket server) {
        this.server = server;
        threads.execute(this::accept);
    }

    static FakeClamd start() {
        try {
            return new FakeClamd(new ServerSocket(0, 50, InetAddress.getLoopbackAddress()));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    String address() {
        return "127.0.0.1:" + server.getLocalPort();
    }

    /** From now on no answer comes until {@link #open}. */
    void hold() {
        gate = new CountDownLatch(1);
    }

    void open() {
        gate.countDown();
    }

    /** Hangs up on the next callers. */
    void refuse(int callers) {
        refusals = callers;
    }

    int refusals() {
        return refusals;
    }

    private void accept() {
        try {
            while (!server.isClosed()) {
                Socket socket = server.accept();
                if (refusals > 0) {
                    refusals--;
                    socket.close();
                } else {
                    threads.execute(() -> serve(socket));
                }
            }
        } catch (IOException closed) {
            threads.shutdown();
        }
    }

    private void serve(Socket socket) {
        try (socket) {
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] command = in.readNBytes(10);
            if (!new String(command, StandardCharsets.US_ASCII).equals("zINSTREAM\0")) {
                throw new IOException("another command");
            }
            Buffer file = Buffer.buffer();
            for (int length = in.readInt(); length > 0; length = in.readInt()) {
                file.appendBytes(in.readNBytes(length));
            }
            gate.await();
            boolean evil = file.toString(StandardCharsets.ISO_8859_1).contains("EVIL");
            String line = evil ? "stream: Test.Evil-1 FOUND\0" : "stream: OK\0";
            socket.getOutputStream().write(line.getBytes(StandardCharsets.US_ASCII));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        open();
        try {
            server.close();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        threads.shutdownNow();
    }
}
