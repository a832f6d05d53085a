package io.kehu.blob;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.bus.Problem;
import io.kehu.crypto.Sha256;
import io.vertx.core.AsyncResult;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BlobStoreTest {
    enum Place {
        FOLDER,
        S3
    }

    private static final BlobStore.Options OPTIONS = new BlobStore.Options(2, 4);
    private static final long LIMIT = 1L << 30;
    private static final int UNIT = BlobStore.UNIT;

    @TempDir
    Path folder;

    private final byte[] key = bytes(42, 32);
    private final UUID id = new UUID(0x0190a000_0000_7000L, new Random(7).nextLong());
    private Vertx vertx;
    private Context context;
    private S3StandIn s3;

    @BeforeEach
    void start() throws Exception {
        vertx = Vertx.vertx();
        context = vertx.getOrCreateContext();
        s3 = S3StandIn.start(vertx);
    }

    @AfterEach
    void stop() throws Exception {
        wait(vertx.close());
    }

    @ParameterizedTest
    @EnumSource
    void anyRangeOfAnySizeComesBackAsItWasWritten(Place place) throws Exception {
        BlobStore store = open(place);
        Random random = new Random(1);
        for (int size : new int[] {0, 1, 65_535, 65_536, 65_537, 1_048_576, UNIT, UNIT + 1, 2 * UNIT + 3}) {
            UUID each = new UUID(1, size);
            byte[] content = bytes(size, size);
            assertThat(append(store, each, 0, new Pieces(content, 1 + random.nextInt(100_000))))
                    .isEqualTo(size);
            Stored stored = wait(() -> store.finish(each, key));
            assertThat(stored.size()).isEqualTo(size);
            assertThat(stored.sha256()).isEqualTo(sha256(content));
            assertThat(wait(() -> store.size(each))).isEqualTo(size);
            assertThat(read(store, each, 0, Long.MAX_VALUE)).isEqualTo(content);
            for (int i = 0; i < 8; i++) {
                int from = random.nextInt(size + 1);
                // Of all magnitudes, so that many end near an edge and few are long.
                int length = random.nextInt(1 + Math.min(size - from, 1 << random.nextInt(24)));
                assertThat(read(store, each, from, length)).isEqualTo(Arrays.copyOfRange(content, from, from + length));
            }
            assertThat(read(store, each, size, 10)).isEmpty();
            assertProblem("blob.range", () -> read(store, each, size + 1L, 1));
        }
        assertThat(s3.refused).hasValue(0);
    }

    @ParameterizedTest
    @EnumSource
    void anUploadResumesExactlyWhereABrokenSourceLeftIt(Place place) throws Exception {
        BlobStore store = open(place);
        byte[] content = bytes(3, 2 * UNIT + 1_000_003);
        Random random = new Random(place.ordinal());
        int at = 0;
        while (at < content.length) {
            int broken = Math.min(content.length, at + random.nextInt(3_000_000));
            Pieces source =
                    new Pieces(Arrays.copyOfRange(content, at, content.length), 50_000).breakingAfter(broken - at);
            long offset = at;
            if (broken < content.length) {
                assertThatThrownBy(() -> append(store, id, offset, source)).hasMessage("the line went dead");
            } else {
                append(store, id, offset, source);
            }
            assertThat(wait(() -> store.size(id))).isEqualTo(broken);
            at = broken;
        }
        assertThat(wait(() -> store.finish(id, key)).sha256()).isEqualTo(sha256(content));
        assertThat(read(store, id, 0, Long.MAX_VALUE)).isEqualTo(content);
    }

    @ParameterizedTest
    @EnumSource
    void anotherProcessGoesOnWithAnUploadAndTellsTheSameHash(Place place) throws Exception {
        byte[] content = bytes(4, UNIT + 500_000);
        append(open(place), id, 0, new Pieces(Arrays.copyOf(content, UNIT + 7), 65_000));
        BlobStore other = open(place);
        append(other, id, UNIT + 7, new Pieces(Arrays.copyOfRange(content, UNIT + 7, content.length), 65_000));
        Stored stored = wait(() -> other.finish(id, key));
        assertThat(stored.sha256()).isEqualTo(sha256(content));
        assertThat(wait(() -> open(place).finish(id, key))).as("finished again").isEqualTo(stored);
    }

    @ParameterizedTest
    @EnumSource
    void whatIsNotMeantIsRefused(Place place) throws Exception {
        BlobStore store = open(place);
        assertProblem("blob.missing", () -> wait(() -> store.finish(id, key)));
        assertProblem("blob.missing", () -> read(store, id, 0, 1));
        assertProblem("upload.offset", () -> append(store, id, 1, new Pieces(bytes(1, 10), 10)));
        append(store, id, 0, new Pieces(bytes(1, 10), 10));
        assertProblem("upload.offset", () -> append(store, id, 0, new Pieces(bytes(1, 10), 10)));
        assertProblem("upload.offset", () -> append(store, id, 11, new Pieces(bytes(1, 10), 10)));
        assertProblem("blob.damaged", () -> wait(() -> store.finish(id, bytes(9, 32))));
        assertThat(wait(() -> store.size(id))).isEqualTo(10);
        wait(() -> store.finish(id, key));
        assertProblem("upload.finished", () -> append(store, id, 10, new Pieces(bytes(1, 10), 10)));
        assertProblem("blob.damaged", () -> wait(() -> collect(store.read(id, bytes(9, 32), 0, 10))));
    }

    @ParameterizedTest
    @EnumSource
    void moreThanTheLimitIsRefusedAndWhatCameBeforeIsKept(Place place) throws Exception {
        BlobStore store = open(place);
        assertProblem(
                "upload.tooLarge",
                () -> wait(() -> store.append(id, key, 0, 95, new Pieces(bytes(1, 1_000), 10).on(context))));
        assertThat(wait(() -> store.size(id))).isEqualTo(90);
    }

    @ParameterizedTest
    @EnumSource
    void ofTwoWritersOfOneObjectOneWins(Place place) throws Exception {
        BlobStore store = open(place);
        byte[] first = bytes(1, UNIT + 10);
        byte[] second = bytes(2, UNIT + 10);
        List<Future<Long>> both = wait(() -> {
            List<Future<Long>> appends = List.of(
                    store.append(id, key, 0, LIMIT, new Pieces(first, 10_000).on(context)),
                    store.append(id, key, 0, LIMIT, new Pieces(second, 10_000).on(context)));
            return Future.join(appends).transform(done -> Future.succeededFuture(appends));
        });
        assertThat(both.stream().filter(Future::succeeded)).hasSize(1);
        assertThat(Problem.in(both.get(both.get(0).succeeded() ? 1 : 0).cause()).code())
                .isEqualTo("upload.busy");
        wait(() -> store.finish(id, key));
        assertThat(read(store, id, 0, Long.MAX_VALUE)).isEqualTo(both.get(0).succeeded() ? first : second);
    }

    @ParameterizedTest
    @EnumSource
    void aDeletedObjectLeavesNothing(Place place) throws Exception {
        BlobStore store = open(place);
        append(store, id, 0, new Pieces(bytes(1, UNIT + 10), 10_000));
        wait(() -> store.delete(id));
        append(store, id, 0, new Pieces(bytes(1, 10), 10));
        wait(() -> store.finish(id, key));
        wait(() -> store.delete(id));
        wait(() -> store.delete(id));
        assertProblem("blob.missing", () -> read(store, id, 0, 1));
        assertThat(files()).isEmpty();
        assertThat(s3.objects).isEmpty();
        assertThat(s3.uploads).isEmpty();
    }

    @Test
    void aSlowReaderHoldsOneWindowAndNoMore() throws Exception {
        byte[] content = bytes(8, 2 * UNIT);
        Frames frames = new Frames(id, key);
        byte[] stored = frames.seal(content, 0, true);
        // A window is asked for when the last one is used up, so what was given and not yet taken is outstanding.
        AtomicInteger asked = new AtomicInteger();
        AtomicInteger given = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        Frames.Source counted = new Frames.Source() {
            @Override
            public Future<Long> length() {
                return Future.succeededFuture((long) stored.length);
            }

            @Override
            public Future<byte[]> open(long from, int length, boolean ends) {
                byte[] plain = frames.open(
                        Arrays.copyOfRange(stored, (int) from, (int) from + length), from / Frames.STORED, ends);
                most.accumulateAndGet(asked.addAndGet(plain.length) - given.get(), Math::max);
                return Future.succeededFuture(plain);
            }
        };
        Promise<Void> end = Promise.promise();
        context.runOnContext(v -> {
            Frames.Reader reader = new Frames.Reader(context, counted, 0, Long.MAX_VALUE);
            reader.pause();
            reader.endHandler(x -> end.complete()).exceptionHandler(end::fail).handler(bytes -> {
                given.addAndGet(bytes.length());
                context.runOnContext(x -> reader.fetch(1));
            });
            reader.fetch(1);
        });
        wait(end.future());
        assertThat(given).hasValue(content.length);
        assertThat(most.get()).isLessThanOrEqualTo(Frames.Reader.WINDOW * Frames.PLAIN);
    }

    @ParameterizedTest
    @EnumSource
    void aFastSourceIsHeldWhileAUnitIsStored(Place place) throws Exception {
        Pieces source = new Pieces(bytes(8, 3 * UNIT), 60_000);
        append(open(place), id, 0, source);
        assertThat(source.heldBack).isGreaterThanOrEqualTo(2);
    }

    @Test
    void aDraftThatIsDamagedIsNotResumedAndCanBeDeleted() throws Exception {
        BlobStore store = open(Place.FOLDER);
        append(store, id, 0, new Pieces(bytes(1, 1_000), 100));
        for (byte[] damaged : List.of(new byte[] {1}, bytes(1, 500), new byte[] {0, 0, 0, 2, '1', '2', 3})) {
            Files.write(only(".draft"), damaged);
            assertProblem("blob.damaged", () -> append(store, id, 1_000, new Pieces(bytes(1, 10), 10)));
        }
        wait(() -> store.delete(id));
        assertThat(files()).isEmpty();
    }

    @Test
    void alteredCutAndSwappedFilesAreNotRead() throws Exception {
        BlobStore store = open(Place.FOLDER);
        byte[] content = bytes(8, 5 * Frames.PLAIN);
        append(store, id, 0, new Pieces(content, 60_000));
        wait(() -> store.finish(id, key));
        Path file = only("");
        byte[] stored = Files.readAllBytes(file);

        byte[] altered = stored.clone();
        altered[3 * Frames.STORED + 100] ^= 1;
        Files.write(file, altered);
        assertProblem("blob.damaged", () -> read(store, id, 3 * Frames.PLAIN + 5, 1));
        assertThat(read(store, id, 0, 3 * Frames.PLAIN)).isEqualTo(Arrays.copyOf(content, 3 * Frames.PLAIN));

        Files.write(file, Arrays.copyOf(stored, 4 * Frames.STORED));
        assertProblem("blob.damaged", () -> read(store, id, 0, Long.MAX_VALUE));
        Files.write(file, Arrays.copyOf(stored, 4 * Frames.STORED + 5));
        assertProblem("blob.damaged", () -> read(store, id, 0, Long.MAX_VALUE));
        Files.write(file, new byte[0]);
        assertProblem("blob.damaged", () -> read(store, id, 0, Long.MAX_VALUE));
        Files.write(file, stored);
        assertThat(read(store, id, 0, Long.MAX_VALUE)).isEqualTo(content);
    }

    @Test
    void bytesThatACrashLeftBehindTheDraftAreWrittenOver() throws Exception {
        byte[] content = bytes(8, UNIT + 200_000);
        append(open(Place.FOLDER), id, 0, new Pieces(Arrays.copyOf(content, UNIT + 100_000), 60_000));
        Files.write(only(".part"), bytes(5, 3 * UNIT), StandardOpenOption.APPEND);
        Files.write(only(".part").resolveSibling(id + ".tmp"), bytes(5, 10));
        BlobStore store = open(Place.FOLDER);
        assertThat(wait(() -> store.size(id))).isEqualTo(UNIT + 100_000);
        append(
                store,
                id,
                UNIT + 100_000,
                new Pieces(Arrays.copyOfRange(content, UNIT + 100_000, content.length), 60_000));
        assertThat(wait(() -> store.finish(id, key)).sha256()).isEqualTo(sha256(content));
        assertThat(read(store, id, 0, Long.MAX_VALUE)).isEqualTo(content);
    }

    @ParameterizedTest
    @EnumSource
    void nothingReadableLiesInTheStore(Place place) throws Exception {
        BlobStore store = open(place);
        byte[] canary = "张三 13800138000 ".repeat(500_000).getBytes(StandardCharsets.UTF_8);
        append(store, id, 0, new Pieces(canary, 60_000));
        List<byte[]> kept = new ArrayList<>();
        for (Path file : files()) {
            kept.add(Files.readAllBytes(file));
        }
        s3.objects.values().forEach(object -> kept.add(object.getBytes()));
        s3.uploads.values().forEach(parts -> parts.values().forEach(part -> kept.add(part.getBytes())));
        assertThat(kept)
                .isNotEmpty()
                .noneMatch(bytes -> new String(bytes, StandardCharsets.ISO_8859_1).contains("13800138000"));
    }

    @Test
    void aPassingFailureOfS3IsTriedAgain() throws Exception {
        BlobStore store = open(Place.S3);
        byte[] content = bytes(1, UNIT + 10);
        s3.failing.set(2);
        append(store, id, 0, new Pieces(content, 60_000));
        s3.failing.set(2);
        wait(() -> store.finish(id, key));
        s3.failing.set(2);
        assertThat(read(store, id, 0, Long.MAX_VALUE)).isEqualTo(content);
    }

    @Test
    void aLastingFailureOfS3EndsTheAppendAndLosesNothingStored() throws Exception {
        BlobStore store = open(Place.S3);
        byte[] content = bytes(1, UNIT + 10);
        append(store, id, 0, new Pieces(Arrays.copyOf(content, 1_000), 100));
        s3.failing.set(3);
        assertProblem("blob.unavailable", () -> append(store, id, 1_000, new Pieces(content, 60_000)));
        assertThat(wait(() -> store.size(id))).isEqualTo(1_000);
        append(store, id, 1_000, new Pieces(Arrays.copyOfRange(content, 1_000, content.length), 60_000));
        assertThat(wait(() -> store.finish(id, key)).sha256()).isEqualTo(sha256(content));
    }

    @Test
    void aCompletionWhoseAnswerWasLostCounts() throws Exception {
        BlobStore store = open(Place.S3);
        byte[] content = bytes(1, UNIT + 10);
        append(store, id, 0, new Pieces(content, 60_000));
        s3.swallowed.set(1);
        assertThat(wait(() -> store.finish(id, key)).sha256()).isEqualTo(sha256(content));
    }

    @Test
    void aFolderThatCannotBeWrittenIsSaidAndNothingIsClaimed() throws Exception {
        Path blocked = Files.createFile(folder.resolve("file"));
        BlobStore store = BlobStore.inFolder(vertx, OPTIONS, blocked);
        assertProblem("blob.unavailable", () -> append(store, id, 0, new Pieces(bytes(1, 10), 10)));
    }

    @ParameterizedTest
    @EnumSource
    void aClientThatHangsUpResumesWhereItWas(Place place) throws Exception {
        BlobStore store = open(place);
        byte[] content = bytes(6, UNIT + 3_000_000);
        BlockingQueue<AsyncResult<Long>> outcomes = new LinkedBlockingQueue<>();
        int port = wait(vertx.createHttpServer()
                        .requestHandler(request -> store.append(
                                        id, key, Long.parseLong(request.getHeader("Upload-Offset")), LIMIT, request)
                                .onComplete(done -> {
                                    outcomes.add(done);
                                    if (done.succeeded()) {
                                        request.response().end(Long.toString(done.result()));
                                    }
                                }))
                        .listen(0, "127.0.0.1"))
                .actualPort();
        String head = "PUT / HTTP/1.1\r\nHost: localhost\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n\r\n";
        int sent = UNIT + 1_000_000;
        try (Socket socket = new Socket("127.0.0.1", port)) {
            socket.getOutputStream().write(head.formatted(0, content.length).getBytes(StandardCharsets.US_ASCII));
            socket.getOutputStream().write(content, 0, sent);
        }
        assertThat(outcomes.poll(60, TimeUnit.SECONDS).failed()).isTrue();
        int stored = Math.toIntExact(wait(() -> store.size(id)));
        assertThat(stored).isBetween(1, sent);
        try (Socket socket = new Socket("127.0.0.1", port)) {
            socket.getOutputStream()
                    .write(head.formatted(stored, content.length - stored).getBytes(StandardCharsets.US_ASCII));
            socket.getOutputStream().write(content, stored, content.length - stored);
            assertThat(outcomes.poll(60, TimeUnit.SECONDS).result()).isEqualTo(content.length);
        }
        assertThat(wait(() -> store.finish(id, key)).sha256()).isEqualTo(sha256(content));
    }

    @Test
    void oneAppendTooManyIsRefusedAndTheNextOneTaken() throws Exception {
        BlobStore store = BlobStore.inFolder(vertx, new BlobStore.Options(1, 1), folder);
        List<Future<Long>> both = wait(() -> {
            List<Future<Long>> appends = List.of(
                    store.append(id, key, 0, LIMIT, new Pieces(bytes(1, 10), 10).on(context)),
                    store.append(new UUID(1, 2), key, 0, LIMIT, new Pieces(bytes(1, 10), 10).on(context)));
            return Future.join(appends).transform(done -> Future.succeededFuture(appends));
        });
        assertThat(both.get(0).succeeded()).isTrue();
        assertThat(Problem.in(both.get(1).cause()).code()).isEqualTo("upload.busy");
        assertThat(append(store, new UUID(1, 2), 0, new Pieces(bytes(1, 10), 10)))
                .isEqualTo(10);
    }

    // --- what the tests speak ---

    private BlobStore open(Place place) {
        return place == Place.FOLDER
                ? BlobStore.inFolder(vertx, OPTIONS, folder)
                : BlobStore.inS3(vertx, OPTIONS, s3.options(), InstantSource.system());
    }

    private long append(BlobStore store, UUID to, long offset, Pieces source) throws Exception {
        return wait(() -> store.append(to, key, offset, LIMIT, source.on(context)));
    }

    private byte[] read(BlobStore store, UUID of, long from, long length) throws Exception {
        return wait(() -> collect(store.read(of, key, from, length)));
    }

    private static Future<byte[]> collect(ReadStream<Buffer> stream) {
        Promise<byte[]> done = Promise.promise();
        Buffer all = Buffer.buffer();
        stream.exceptionHandler(done::tryFail).endHandler(v -> done.tryComplete(all.getBytes()));
        stream.handler(all::appendBuffer);
        return done.future();
    }

    /** Runs on the context, as every real caller does, and waits here. */
    private <T> T wait(Callable<Future<T>> call) throws Exception {
        Promise<T> done = Promise.promise();
        context.runOnContext(v -> {
            try {
                call.call().onComplete(done);
            } catch (Exception e) {
                done.fail(e);
            }
        });
        return wait(done.future());
    }

    private static <T> T wait(Future<T> future) throws Exception {
        return future.await(60, TimeUnit.SECONDS);
    }

    private static void assertProblem(String code, org.assertj.core.api.ThrowableAssert.ThrowingCallable work) {
        assertThatThrownBy(work)
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo(code));
    }

    private List<Path> files() throws Exception {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile).toList();
        }
    }

    private Path only(String suffix) throws Exception {
        return files().stream()
                .filter(file -> file.endsWith(id + suffix))
                .findFirst()
                .orElseThrow();
    }

    private static byte[] bytes(long seed, int length) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private static String sha256(byte[] content) {
        return HexFormat.of().formatHex(Sha256.start().digest(content));
    }

    /** A source that pushes pieces as fast as it may, counts how it is held back, and breaks where it is told to. */
    private static final class Pieces implements ReadStream<Buffer> {
        private final byte[] content;
        private final int piece;
        private int breakAt = Integer.MAX_VALUE;
        private int at;
        private boolean paused;
        private boolean over;
        private boolean running;
        private Context context;
        private Handler<Buffer> handler;
        private Handler<Void> endHandler;
        private Handler<Throwable> exceptionHandler;
        int heldBack;

        Pieces(byte[] content, int piece) {
            this.content = content;
            this.piece = piece;
        }

        Pieces breakingAfter(int bytes) {
            breakAt = bytes;
            return this;
        }

        Pieces on(Context context) {
            this.context = context;
            return this;
        }

        private void push() {
            if (running) {
                return;
            }
            running = true;
            while (!paused && !over && handler != null) {
                int stop = Math.min(Math.min(content.length, breakAt), at + piece);
                if (at < stop) {
                    Buffer next = Buffer.buffer(Arrays.copyOfRange(content, at, stop));
                    at = stop;
                    handler.handle(next);
                } else {
                    over = true;
                    if (at == content.length) {
                        endHandler.handle(null);
                    } else {
                        exceptionHandler.handle(new IllegalStateException("the line went dead"));
                    }
                }
            }
            running = false;
        }

        @Override
        public Pieces handler(Handler<Buffer> handler) {
            this.handler = handler;
            return this;
        }

        @Override
        public Pieces endHandler(Handler<Void> handler) {
            endHandler = handler;
            return this;
        }

        @Override
        public Pieces exceptionHandler(Handler<Throwable> handler) {
            exceptionHandler = handler;
            return this;
        }

        @Override
        public Pieces pause() {
            if (at > 0 && !paused && !over) {
                heldBack++;
            }
            paused = true;
            return this;
        }

        @Override
        public Pieces resume() {
            paused = false;
            context.runOnContext(v -> push());
            return this;
        }

        @Override
        public Pieces fetch(long amount) {
            return resume();
        }
    }
}
