package io.kehu.blob;

import io.kehu.bus.Problem;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Files of any size, encrypted, beside the bus. An object is written once, from its beginning to its end, in as many
 * appends as it takes; then it is finished, read by ranges, and one day deleted.
 *
 * <p>Every call that touches content takes the object's own 32-byte key and forgets it: keys are the caller's, wrapped in
 * the database. {@link Frames} says how bytes are encrypted.
 *
 * <p><b>What survives.</b> Bytes are stored by units of {@value #UNIT} (5 MiB, the least part S3 takes). Every few units,
 * and at the end of every append however it ends, a <i>draft</i> is stored: how many units there are, and sealed with the
 * object's key the bytes behind the last unit. The draft is the truth of an upload: {@link #size} is what it says, the
 * next append begins there, and whatever a crash left behind it is written over. So a broken connection loses nothing
 * that arrived; a killed process or a failing store loses in a folder up to eight units, in S3 up to one. Appends much
 * shorter than a unit are right but cost a rewrite of the open unit each.
 *
 * <p>One object has one writer at a time in this process; among processes the caller sees to that, by the object's row.
 * Calls must be made on a Vert.x context, an append on that of its source. Memory: about 15 MB per running append,
 * 2 MB per reader.
 */
public final class BlobStore {
    static final int UNIT_FRAMES = 80;
    static final int UNIT = UNIT_FRAMES * Frames.PLAIN;
    static final int UNIT_STORED = UNIT_FRAMES * Frames.STORED;
    static final byte[] NOTHING = new byte[0];
    static final long ABSENT = -1;

    /** S3 takes at most 10,000 parts, so no object is longer than this: 52 GB. */
    public static final long MAX_BYTES = 10_000L * UNIT;

    /** Hashes kept of unfinished uploads; one that fell out is made again from the stored bytes by finish. */
    private static final int HASHES = 1_024;

    private final Vertx vertx;
    private final WorkerExecutor workers;
    private final Shelf shelf;
    private final Semaphore appends;
    private final Set<UUID> writing = ConcurrentHashMap.newKeySet();
    private final Map<UUID, Stored.Hash> hashes = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<UUID, Stored.Hash> eldest) {
            return size() > HASHES;
        }
    };

    /**
     * What bounds a store.
     *
     * @param workers threads for encryption and files
     * @param maxAppends appends at the same time; one more is refused with {@code upload.busy}
     */
    public record Options(int workers, int maxAppends) {}

    /**
     * Where stored bytes are kept; knows nothing of what they mean. All may be repeated: a caller that did not hear the
     * answer asks again.
     */
    interface Shelf {
        /** The last draft, {@link #NOTHING} where there is none. */
        Future<byte[]> draft(UUID id);

        /** Replaces the draft as a whole or not at all, after all units so far are durable. */
        Future<Void> saveDraft(UUID id, byte[] draft);

        Future<Void> dropDraft(UUID id);

        /** Opens an object of more than one unit and gives the handle for the calls below. */
        Future<String> begin(UUID id);

        /** How many units a draft may be behind while an append runs: what a killed process loses against what a draft costs. */
        int unitsPerDraft();

        /** Keeps one unit in place of an earlier one of that number; its tag is needed to complete. */
        Future<String> put(UUID id, String handle, int unit, byte[] frames);

        /** Makes the object of the units and the rest, visible as a whole; true to its word also where it is so already. */
        Future<Void> complete(UUID id, String handle, List<String> tags, byte[] last);

        /** Stored bytes of the complete object, {@link #ABSENT} where there is none. */
        Future<Long> length(UUID id);

        /** Exactly so many bytes; {@code blob.missing} where there is no object. */
        Future<byte[]> get(UUID id, long from, int length);

        /** Object, units and draft, as far as they exist. */
        Future<Void> delete(UUID id, String handle);

        Future<Void> close();
    }

    private BlobStore(Vertx vertx, Options options, WorkerExecutor workers, Shelf shelf) {
        this.vertx = vertx;
        this.workers = workers;
        this.shelf = shelf;
        this.appends = new Semaphore(options.maxAppends);
    }

    /** A store in a folder, which is made where it is missing. */
    public static BlobStore inFolder(Vertx vertx, Options options, Path folder) {
        WorkerExecutor workers = vertx.createSharedWorkerExecutor("kehu-blob", options.workers);
        return new BlobStore(vertx, options, workers, new FolderShelf(folder, workers));
    }

    /**
     * A store in a bucket.
     *
     * @param time S3 signatures carry it; S3 refuses more than 15 minutes of difference
     */
    public static BlobStore inS3(Vertx vertx, Options options, S3Shelf.Options s3, InstantSource time) {
        WorkerExecutor workers = vertx.createSharedWorkerExecutor("kehu-blob", options.workers);
        return new BlobStore(vertx, options, workers, new S3Shelf(vertx, workers, s3, time));
    }

    /**
     * Takes all that the source gives, with back-pressure, and answers the stored length after it. When the source or
     * the limit ends it early, what came before is kept and {@link #size} tells where to resume. A refused source is
     * left paused, without handlers: answer and close it.
     *
     * <p>Fails with {@code upload.offset} (argument: the stored length), {@code upload.tooLarge} (argument: the limit),
     * {@code upload.finished}, {@code upload.busy} (another writer, or too many), {@code blob.damaged} (also: wrong key),
     * {@code blob.unavailable}, or the source's own failure.
     *
     * @param offset plaintext bytes the caller believes are stored
     * @param limit plaintext bytes the object may have in the end
     */
    public Future<Long> append(UUID id, byte[] key, long offset, long limit, ReadStream<Buffer> source) {
        Frames frames = new Frames(id, key);
        // Before anything asynchronous: what arrives meanwhile must not be lost, nor the end be missed.
        Intake intake = new Intake(id, frames, Math.min(limit, MAX_BYTES), source);
        if (!appends.tryAcquire()) {
            intake.detach();
            return Future.failedFuture(Problem.of("upload.busy"));
        }
        return alone(
                        id,
                        () -> shelf.length(id)
                                .compose(length -> length == ABSENT ? shelf.draft(id) : Future.failedFuture(finished()))
                                .compose(bytes -> offload(() -> Frames.Draft.open(frames, bytes)))
                                .compose(draft -> {
                                    if (draft.length() != offset) {
                                        return Future.failedFuture(
                                                Problem.of("upload.offset", Long.toString(draft.length())));
                                    }
                                    return intake.take(draft);
                                }))
                .onComplete(done -> {
                    appends.release();
                    intake.detach();
                });
    }

    /** Plaintext bytes stored so far, 0 for an object nobody began. */
    public Future<Long> size(UUID id) {
        return shelf.length(id).compose(stored -> {
            if (stored != ABSENT) {
                return Future.succeededFuture(Frames.plainLength(stored));
            }
            return shelf.draft(id).map(bytes -> Frames.Draft.read(bytes).length());
        });
    }

    /**
     * Ends the upload; from here on the object can be read and not be written. May be repeated. An upload that changed
     * process on its way is read once more for its hash. Fails with {@code blob.missing} where nothing was appended,
     * {@code upload.busy}, {@code blob.damaged}, {@code blob.unavailable}.
     */
    public Future<Stored> finish(UUID id, byte[] key) {
        Frames frames = new Frames(id, key);
        return alone(
                id,
                () -> shelf.draft(id).compose(bytes -> {
                    if (bytes.length == 0) {
                        return measure(id, key);
                    }
                    return offload(() -> Frames.Draft.open(frames, bytes)).compose(draft -> {
                        Stored.Hash hash = hash(id, draft.tags().size());
                        int before = draft.tags().size() * UNIT_FRAMES;
                        return offload(() -> frames.seal(draft.tail().getBytes(), before, true))
                                .compose(last -> shelf.complete(id, draft.handle(), draft.tags(), last))
                                .compose(v -> shelf.dropDraft(id))
                                .compose(v -> hash == null
                                        ? measure(id, key)
                                        : offload(() -> hash.end(draft.tail().getBytes())))
                                .onSuccess(v -> forget(id));
                    });
                }));
    }

    /**
     * Plaintext bytes of a finished object, from {@code from}, at most {@code length} of them. Only the frames that the
     * range touches are fetched and opened, 1 MB at a time and on demand. The stream fails with {@code blob.range}
     * (argument: the size) where {@code from} lies behind the end, {@code blob.missing}, {@code blob.damaged} before
     * any byte of a window that is not whole and authentic, {@code blob.unavailable}.
     *
     * <p>An object cut between two frames fails at its new end; a range that ends earlier does not notice. Who must know
     * compares {@link #size} with the size on record.
     */
    public ReadStream<Buffer> read(UUID id, byte[] key, long from, long length) {
        if (from < 0 || length < 0) {
            throw new IllegalArgumentException("negative range");
        }
        Frames frames = new Frames(id, key);
        Frames.Source source = new Frames.Source() {
            @Override
            public Future<Long> length() {
                return shelf.length(id).map(stored -> {
                    if (stored == ABSENT) {
                        throw Problem.of("blob.missing");
                    }
                    return stored;
                });
            }

            @Override
            public Future<byte[]> open(long at, int bytes, boolean endsObject) {
                return shelf.get(id, at, bytes)
                        .compose(stored -> offload(() -> frames.open(stored, at / Frames.STORED, endsObject)));
            }
        };
        return new Frames.Reader(vertx.getOrCreateContext(), source, from, length);
    }

    /** Removes all there is of it; also right where there is nothing. Fails with {@code upload.busy}, {@code blob.unavailable}. */
    public Future<Void> delete(UUID id) {
        return alone(
                        id,
                        () -> shelf.draft(id)
                                .map(bytes -> Frames.Draft.read(bytes).handle())
                                // A draft that cannot be read must not keep the rest alive.
                                .recover(failure ->
                                        isDamage(failure) ? Future.succeededFuture("") : Future.failedFuture(failure))
                                .compose(handle -> shelf.delete(id, handle)))
                .onSuccess(v -> forget(id));
    }

    public Future<Void> close() {
        return shelf.close().eventually(workers::close);
    }

    private static boolean isDamage(Throwable failure) {
        Problem problem = Problem.in(failure);
        return problem != null && problem.code().equals("blob.damaged");
    }

    private static Problem finished() {
        return Problem.of("upload.finished");
    }

    private <T> Future<T> alone(UUID id, Supplier<Future<T>> work) {
        if (!writing.add(id)) {
            return Future.failedFuture(Problem.of("upload.busy"));
        }
        return work.get().onComplete(done -> writing.remove(id));
    }

    private <T> Future<T> offload(Callable<T> work) {
        return workers.executeBlocking(work, false);
    }

    /** Reads the whole object for what the finished upload would have told. */
    private Future<Stored> measure(UUID id, byte[] key) {
        Promise<Stored> done = Promise.promise();
        Stored.Hash hash = new Stored.Hash();
        ReadStream<Buffer> all = read(id, key, 0, Long.MAX_VALUE);
        all.exceptionHandler(done::tryFail)
                .endHandler(v -> done.tryComplete(hash.end(NOTHING)))
                .handler(bytes -> hash.add(bytes.getBytes()));
        return done.future();
    }

    /** The hash over exactly so many units, or null where this process did not see them all. */
    private Stored.@Nullable Hash hash(UUID id, int units) {
        synchronized (hashes) {
            Stored.Hash hash = units == 0 ? hashes.computeIfAbsent(id, k -> new Stored.Hash()) : hashes.get(id);
            if (hash != null && hash.size() != (long) units * UNIT) {
                hashes.remove(id);
                return units == 0 ? hash(id, 0) : null;
            }
            return hash;
        }
    }

    private void forget(UUID id) {
        synchronized (hashes) {
            hashes.remove(id);
        }
    }

    /** One append: collects a unit, holds the source while the unit is sealed and stored, goes on. */
    private final class Intake {
        private final UUID id;
        private final Frames frames;
        private final long limit;
        private final ReadStream<Buffer> source;
        private final Promise<Long> done = Promise.promise();
        private Frames.Draft draft = Frames.Draft.NEW;
        private Buffer pending = Buffer.buffer();
        private boolean working = true;
        private boolean ended;
        private @Nullable Throwable broken;

        Intake(UUID id, Frames frames, long limit, ReadStream<Buffer> source) {
            this.id = id;
            this.frames = frames;
            this.limit = limit;
            this.source = source;
            source.pause();
            source.exceptionHandler(this::breakOff);
            source.endHandler(v -> {
                ended = true;
                proceed();
            });
            source.handler(this::add);
        }

        Future<Long> take(Frames.Draft stored) {
            draft = stored;
            // A source that ignored the pause has been heard all the same.
            pending = stored.tail().copy().appendBuffer(pending);
            working = false;
            proceed();
            return done.future();
        }

        void detach() {
            source.handler(null);
            source.endHandler(null);
            source.exceptionHandler(null);
        }

        private void add(Buffer bytes) {
            if (broken != null) {
                return;
            }
            if ((long) draft.tags().size() * UNIT + pending.length() + bytes.length() > limit) {
                breakOff(Problem.of("upload.tooLarge", Long.toString(limit)));
                return;
            }
            pending.appendBuffer(bytes);
            if (pending.length() > UNIT) {
                proceed();
            }
        }

        private void breakOff(Throwable cause) {
            if (broken == null && !ended) {
                broken = cause;
                source.pause();
                proceed();
            }
        }

        private void proceed() {
            if (working || done.future().isComplete()) {
                return;
            }
            if (pending.length() > UNIT) { // more, not equal: the last frame is sealed by finish alone
                working = true;
                source.pause();
                // What the hash has seen and the draft does not count may be sent again, to another process even.
                flush().onFailure(failure -> forget(id))
                        .onComplete(
                                v -> {
                                    working = false;
                                    proceed();
                                },
                                done::tryFail);
            } else if (ended || broken != null) {
                working = true;
                draft = Frames.Draft.of(draft.handle(), draft.tags(), pending);
                save(draft).onFailure(failure -> forget(id)).onComplete(v -> close(), done::tryFail);
            } else {
                source.resume();
            }
        }

        private void close() {
            if (broken != null) {
                done.tryFail(broken);
            } else {
                done.tryComplete(draft.length());
            }
        }

        private Future<Void> flush() {
            int unit = draft.tags().size();
            byte[] plain = pending.getBytes(0, UNIT);
            Stored.Hash hash = hash(id, unit);
            Future<String> handle = draft.handle().isEmpty() ? shelf.begin(id) : Future.succeededFuture(draft.handle());
            return handle.compose(opened -> offload(() -> {
                        if (hash != null) {
                            hash.add(plain);
                        }
                        return frames.seal(plain, (long) unit * UNIT_FRAMES, false);
                    })
                    .compose(stored -> shelf.put(id, opened, unit, stored))
                    .compose(tag -> {
                        List<String> tags = new ArrayList<>(draft.tags());
                        tags.add(tag);
                        Frames.Draft next = Frames.Draft.of(opened, tags, Buffer.buffer());
                        boolean due = tags.size() % shelf.unitsPerDraft() == 0;
                        return (due ? save(next) : Future.<Void>succeededFuture()).onSuccess(v -> {
                            // Together, so that their sum is always what has arrived.
                            draft = next;
                            pending = pending.getBuffer(UNIT, pending.length());
                        });
                    }));
        }

        private Future<Void> save(Frames.Draft next) {
            return offload(() -> next.seal(frames)).compose(bytes -> shelf.saveDraft(id, bytes));
        }
    }
}
