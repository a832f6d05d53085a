package io.kehu.blob;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * The stored form of one object: frames of {@value #PLAIN} plaintext bytes, each kept as
 * {@code nonce (12) | ciphertext | tag (16)} under AES-256-GCM. Only the last frame may be shorter; an empty object is
 * one empty frame.
 *
 * <p>What makes the frames one object is the associated data, {@code id | frame number | mark}, after the STREAM
 * construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse
 * Misuse-Resistance, CRYPTO 2015): a frame of another object, at another place, or a cut exactly between two frames
 * (then a frame that is not marked as the last stands last) does not open.
 *
 * <p>STREAM takes the frame's number as nonce. Here a frame can be sealed more than once: an upload that resumes after
 * a crash seals the frames behind its last checkpoint again, maybe with other content, and the open end of an upload is
 * sealed at every checkpoint. Two texts under one key and nonce would give both away (NIST SP 800-38D, appendix A), so
 * every sealing draws 96 random bits and stores them in front. The same publication (8.3) allows 2^32 sealings per key
 * with random nonces; a key serves one object, 2^32 frames are 256 TB.
 */
final class Frames {
    static final int PLAIN = 65_536;
    static final int OVERHEAD = 28;
    static final int STORED = PLAIN + OVERHEAD;

    private static final int NONCE = 12;
    private static final int TAG_BITS = 128;
    private static final byte MIDDLE = 0;
    private static final byte LAST = 1;
    private static final byte DRAFT = 2;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final UUID id;
    private final SecretKeySpec key;

    Frames(UUID id, byte[] key) {
        if (key.length != 32) {
            throw new IllegalArgumentException("a blob key has 32 bytes");
        }
        this.id = id;
        this.key = new SecretKeySpec(key, "AES");
    }

    /** Stored bytes of an object of so many plaintext bytes. */
    static long storedLength(long plain) {
        return plain + OVERHEAD * Math.max(1, (plain + PLAIN - 1) / PLAIN);
    }

    /**
     * Plaintext bytes of an object of so many stored bytes.
     *
     * @throws Problem {@code blob.damaged} where no object has that stored length
     */
    static long plainLength(long stored) {
        long frames = (stored + STORED - 1) / STORED;
        long plain = stored - OVERHEAD * frames;
        if (plain < 0 || storedLength(plain) != stored) {
            throw Problem.of("blob.damaged");
        }
        return plain;
    }

    /** Seals whole frames, the last one maybe short, that begin at the given frame number. */
    byte[] seal(byte[] plain, long firstFrame, boolean endsObject) {
        int count = Math.max(1, (plain.length + PLAIN - 1) / PLAIN);
        byte[] stored = new byte[plain.length + count * OVERHEAD];
        for (int i = 0; i < count; i++) {
            int from = i * PLAIN;
            byte mark = endsObject && i == count - 1 ? LAST : MIDDLE;
            int length = Math.min(PLAIN, plain.length - from);
            encrypt(associated(firstFrame + i, mark), plain, from, length, stored, i * STORED);
        }
        return stored;
    }

    /**
     * Opens what {@link #seal} made.
     *
     * @throws Problem {@code blob.damaged} where anything is altered, cut, moved or of another object or key
     */
    byte[] open(byte[] stored, long firstFrame, boolean endsObject) {
        byte[] plain = new byte[(int) plainLength(stored.length)];
        int count = (stored.length + STORED - 1) / STORED;
        for (int i = 0; i < count; i++) {
            byte mark = endsObject && i == count - 1 ? LAST : MIDDLE;
            int from = i * STORED;
            int length = Math.min(STORED, stored.length - from);
            decrypt(associated(firstFrame + i, mark), stored, from, length, plain, i * PLAIN);
        }
        return plain;
    }

    /** Seals the open end of an upload that has so many frames before it, bound to the readable header beside it. */
    byte[] sealDraft(byte[] header, long frames, byte[] tail) {
        byte[] sealed = new byte[tail.length + OVERHEAD];
        encrypt(associated(frames, DRAFT, header), tail, 0, tail.length, sealed, 0);
        return sealed;
    }

    byte[] openDraft(byte[] header, long frames, byte[] sealed) {
        if (sealed.length < OVERHEAD) {
            throw Problem.of("blob.damaged");
        }
        byte[] tail = new byte[sealed.length - OVERHEAD];
        decrypt(associated(frames, DRAFT, header), sealed, 0, sealed.length, tail, 0);
        return tail;
    }

    private byte[] associated(long frame, byte mark, byte... more) {
        return ByteBuffer.allocate(25 + more.length)
                .putLong(id.getMostSignificantBits())
                .putLong(id.getLeastSignificantBits())
                .putLong(frame)
                .put(mark)
                .put(more)
                .array();
    }

    private void encrypt(byte[] associated, byte[] plain, int from, int length, byte[] out, int at) {
        byte[] nonce = new byte[NONCE];
        RANDOM.nextBytes(nonce);
        System.arraycopy(nonce, 0, out, at, NONCE);
        try {
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            cipher.init(Cipher.ENCRYPT_MODE, key, new GCMParameterSpec(TAG_BITS, nonce));
            cipher.updateAAD(associated);
            cipher.doFinal(plain, from, length, out, at + NONCE);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private void decrypt(byte[] associated, byte[] stored, int from, int length, byte[] out, int at) {
        try {
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            cipher.init(Cipher.DECRYPT_MODE, key, new GCMParameterSpec(TAG_BITS, stored, from, NONCE));
            cipher.updateAAD(associated);
            cipher.doFinal(stored, from + NONCE, length - NONCE, out, at);
        } catch (AEADBadTagException e) {
            throw Problem.of("blob.damaged");
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * How far an upload has come.
     *
     * @param handle the shelf's, empty before the first unit
     * @param tags one per unit
     * @param tailLength plaintext bytes behind the last unit
     * @param tail those bytes; empty where only the readable header was wanted
     */
    record Draft(String handle, List<String> tags, int tailLength, Buffer tail) {
        static final Draft NEW = new Draft("", List.of(), 0, Buffer.buffer());

        static Draft of(String handle, List<String> tags, Buffer tail) {
            return new Draft(handle, tags, tail.length(), tail);
        }

        long length() {
            return (long) tags.size() * BlobStore.UNIT + tailLength;
        }

        /** Stored as: length of the header (4 bytes), the header in JSON, the sealed tail. */
        byte[] seal(Frames frames) {
            ObjectNode json = Json.object().put("handle", handle).put("tail", tailLength);
            ArrayNode list = json.putArray("tags");
            tags.forEach(list::add);
            byte[] header = Json.text(json).getBytes(StandardCharsets.UTF_8);
            byte[] sealed = frames.sealDraft(header, (long) tags.size() * BlobStore.UNIT_FRAMES, tail.getBytes());
            return ByteBuffer.allocate(4 + header.length + sealed.length)
                    .putInt(header.length)
                    .put(header)
                    .put(sealed)
                    .array();
        }

        static Draft read(byte[] bytes) {
            if (bytes.length == 0) {
                return NEW;
            }
            JsonNode json;
            try {
                json = Json.read(new String(header(bytes), StandardCharsets.UTF_8));
            } catch (UncheckedIOException | ClassCastException e) {
                throw Problem.of("blob.damaged");
            }
            List<String> tags = new ArrayList<>();
            json.path("tags").forEach(tag -> tags.add(tag.asText()));
            return new Draft(
                    json.path("handle").asText(),
                    List.copyOf(tags),
                    json.path("tail").asInt(),
                    Buffer.buffer());
        }

        static Draft open(Frames frames, byte[] bytes) {
            Draft read = read(bytes);
            if (bytes.length == 0) {
                return read;
            }
            byte[] header = header(bytes);
            byte[] sealed = Arrays.copyOfRange(bytes, 4 + header.length, bytes.length);
            byte[] tail = frames.openDraft(header, (long) read.tags.size() * BlobStore.UNIT_FRAMES, sealed);
            return of(read.handle, read.tags, Buffer.buffer(tail));
        }

        private static byte[] header(byte[] bytes) {
            int length = bytes.length < 4 ? -1 : ByteBuffer.wrap(bytes).getInt();
            if (length < 0 || length > bytes.length - 4) {
                throw Problem.of("blob.damaged");
            }
            return Arrays.copyOfRange(bytes, 4, 4 + length);
        }
    }

    /** Where a {@link Reader} gets its bytes. */
    interface Source {
        /** Stored length of the object. */
        Future<Long> length();

        /** Opened frames: {@code length} stored bytes at {@code from}, both at borders of frames. */
        Future<byte[]> open(long from, int length, boolean endsObject);
    }

    /**
     * A range of an object as a stream. It holds at most one window of {@value #WINDOW} frames (1 MB) that is waiting
     * for demand, asks for the next only when that is used up, and holds no file or connection between two windows: a
     * reader that is slow or walks away costs nothing.
     */
    static final class Reader implements ReadStream<Buffer> {
        static final int WINDOW = 16;

        private final Context context;
        private final Source source;
        private final long from;
        private final long length;
        private final ArrayDeque<Buffer> ready = new ArrayDeque<>();
        private @Nullable Handler<Buffer> handler;
        private @Nullable Handler<Void> endHandler;
        private @Nullable Handler<Throwable> exceptionHandler;
        private long demand = Long.MAX_VALUE;
        private long stored = -1;
        private long position;
        private long end;
        private boolean loading;
        private boolean over;

        Reader(Context context, Source source, long from, long length) {
            this.context = context;
            this.source = source;
            this.from = from;
            this.length = length;
        }

        @Override
        public synchronized Reader handler(@Nullable Handler<Buffer> handler) {
            this.handler = handler;
            return proceed();
        }

        @Override
        public synchronized Reader exceptionHandler(@Nullable Handler<Throwable> handler) {
            exceptionHandler = handler;
            return this;
        }

        @Override
        public synchronized Reader endHandler(@Nullable Handler<Void> handler) {
            endHandler = handler;
            return this;
        }

        @Override
        public synchronized Reader pause() {
            demand = 0;
            return this;
        }

        @Override
        public Reader resume() {
            return fetch(Long.MAX_VALUE);
        }

        @Override
        public synchronized Reader fetch(long amount) {
            if (amount < 0) {
                throw new IllegalArgumentException("negative demand");
            }
            demand = Long.MAX_VALUE - demand < amount ? Long.MAX_VALUE : demand + amount;
            return proceed();
        }

        private Reader proceed() {
            context.runOnContext(v -> emit());
            return this;
        }

        /** On the context only, so that a handler that asks for more from within does not nest. */
        private void emit() {
            while (true) {
                Handler<Buffer> to;
                Buffer next;
                synchronized (this) {
                    if (over || loading || handler == null || demand == 0) {
                        return;
                    }
                    next = ready.poll();
                    if (next == null) {
                        break;
                    }
                    to = handler;
                    if (demand != Long.MAX_VALUE) {
                        demand--;
                    }
                }
                to.handle(next);
            }
            Handler<Void> atEnd;
            synchronized (this) {
                if (stored < 0 || position < end) {
                    loading = true;
                    atEnd = null;
                } else {
                    over = true;
                    atEnd = endHandler;
                }
            }
            if (!over) {
                (stored < 0 ? measure() : load())
                        .onComplete(done -> context.runOnContext(v -> {
                            if (done.failed()) {
                                fail(done.cause());
                            } else {
                                loaded();
                            }
                        }));
            } else if (atEnd != null) {
                atEnd.handle(null);
            }
        }

        private Future<Void> measure() {
            return source.length().map(length -> {
                long size = plainLength(length);
                if (from > size) {
                    throw Problem.of("blob.range", Long.toString(size));
                }
                stored = length;
                position = from;
                end = from + Math.min(this.length, size - from);
                return null;
            });
        }

        private Future<Void> load() {
            long first = position / PLAIN;
            long count = Math.min(WINDOW, (end - 1) / PLAIN - first + 1);
            long at = first * STORED;
            int bytes = (int) Math.min(count * STORED, stored - at);
            return source.open(at, bytes, at + bytes == stored).map(plain -> {
                long start = first * PLAIN;
                int upTo = (int) Math.min(plain.length, end - start);
                for (int i = (int) (position - start); i < upTo; ) {
                    int stop = Math.min(upTo, (i / PLAIN + 1) * PLAIN);
                    ready.add(Buffer.buffer(Arrays.copyOfRange(plain, i, stop)));
                    i = stop;
                }
                position = start + upTo;
                return null;
            });
        }

        private synchronized void loaded() {
            loading = false;
            proceed();
        }

        private void fail(Throwable cause) {
            Handler<Throwable> to;
            synchronized (this) {
                over = true;
                to = exceptionHandler;
            }
            if (to != null) {
                to.handle(cause);
            }
        }
    }
}
