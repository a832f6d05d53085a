package io.kehu.cache;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.redis.client.Command;
import io.vertx.redis.client.Redis;
import io.vertx.redis.client.Request;
import io.vertx.redis.client.Response;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.concurrent.TimeUnit;
import redis.embedded.RedisServer;

/** An embedded Redis on a free port that a test may kill, stall and start again. */
public final class TestRedis implements AutoCloseable {
    private final Vertx vertx;
    private final int port;
    private RedisServer server;
    private long pid;

    public TestRedis(Vertx vertx) {
        this.vertx = vertx;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        start();
    }

    public void start() {
        server = RedisServer.builder()
                .port(port)
                .bind("127.0.0.1")
                .setting("save \"\"")
                .build();
        server.start();
        pid = ask(Command.INFO, "server")
                .toString()
                .lines()
                .filter(line -> line.startsWith("process_id:"))
                .mapToLong(line ->
                        Long.parseLong(line.substring("process_id:".length()).trim()))
                .findFirst()
                .orElseThrow();
    }

    public String uri() {
        return "redis://127.0.0.1:" + port;
    }

    public Response ask(Command command, Object... args) {
        Redis client = Redis.createClient(vertx, uri());
        try {
            return await(client.send(Request.cmd(command, args)));
        } finally {
            await(client.close());
        }
    }

    public int keys() {
        return ask(Command.DBSIZE).toInteger();
    }

    public void kill() {
        server.stop();
    }

    public void stall() {
        signal("STOP");
    }

    public void resume() {
        signal("CONT");
    }

    private void signal(String name) {
        try {
            Process kill = new ProcessBuilder("kill", "-" + name, Long.toString(pid)).start();
            if (kill.waitFor() != 0) {
                throw new IllegalStateException("no process " + pid);
            }
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    static <T> T await(Future<T> future) {
        try {
            return future.toCompletionStage().toCompletableFuture().get(10, TimeUnit.SECONDS);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        if (server.isActive()) {
            resume();
            server.stop();
        }
    }
}
