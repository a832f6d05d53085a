package io.kehu.blob;

import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Files as Kehu knows them: a row that says whose it is and what for, and the bytes in the {@link BlobStore}. An upload is
 * staged by a command, received in as many pieces as it takes, whole when its last byte is there, and then claimed by
 * another command inside that command's transaction. What nobody claims goes after a while.
 *
 * <p>Each file has a key of its own. It and the name are sealed with the data key of subject = blob id, so deleting that
 * one row of {@code kehu.data_key} makes every copy of the bytes unreadable.
 */
public final class Blobs {
    private static final Logger LOG = LoggerFactory.getLogger(Blobs.class);
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final String TABLE = "kehu.blob";
    private static final int KEY_BYTES = 32;
    private static final long SWEEP_MILLIS = 60_000;

    private static final String COLUMNS =
            "b.id, b.owner_id, b.purpose, b.permission, b.sealed, b.state, b.size, b.sha256,"
                    + " b.content_type, b.expires_at, k.epoch, k.wrapped";
    private static final String INSERT_KEY =
            "INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped) VALUES ($1, 'blob', $2, $3)";
    private static final String INSERT = """
            INSERT INTO kehu.blob (id, owner_id, purpose, permission, sealed, size, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, kehu.now() + make_interval(mins => $7)) RETURNING expires_at""";
    /** Both rows in one statement, for files that Kehu makes by itself. */
    private static final String INSERT_BOTH = """
            WITH made AS (INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped) VALUES ($1, 'blob', $8, $9))
            """ + INSERT;
    /** What is expired is gone, also before the sweeper comes by. */
    private static final String FIND = "SELECT " + COLUMNS + """
             FROM kehu.blob b JOIN kehu.data_key k ON k.subject_id = b.id
            WHERE b.id = $1 AND b.state <> 'deleted' AND (b.expires_at IS NULL OR b.expires_at > kehu.now())""";

    private static final String TAKE = """
            UPDATE kehu.blob SET writer = $2, writer_until = kehu.now() + $3::int * interval '1 millisecond',
                expires_at = greatest(expires_at, kehu.now() + make_interval(mins => $4))
            WHERE id = $1 AND state = 'staged' AND finished_at IS NULL AND expires_at > kehu.now()
              AND (writer IS NULL OR writer = $2 OR writer_until < kehu.now())
            RETURNING id""";
    private static final String LEAVE =
            "UPDATE kehu.blob SET writer = NULL, writer_until = NULL WHERE id = $1 AND writer = $2";
    private static final String FINISH = """
            UPDATE kehu.blob SET finished_at = kehu.now(), size = $3, sha256 = $4, content_type = $5, writer = NULL,
                writer_until = NULL
            WHERE id = $1 AND writer = $2 RETURNING id""";
    private static final String CLAIM = "SELECT size, sha256, content_type FROM kehu.claim_blob($1, $2, $3)";
    private static final String RELEASE = "SELECT kehu.release_blob($1)";
    private static final String EXPIRE = """
            SELECT kehu.release_blob(id) FROM (
                SELECT id FROM kehu.blob
                WHERE state = 'staged' AND expires_at <= kehu.now() AND (writer IS NULL OR writer_until < kehu.now())
                ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED) gone""";
    private static final String DELETED = "SELECT id FROM kehu.blob WHERE state = 'deleted' ORDER BY id LIMIT 100";
    private static final String FORGET = "DELETE FROM kehu.blob WHERE id = $1 AND state = 'deleted'";

    private final Vertx vertx;
    private final Database database;
    private final BlobStore store;
    private final Vault vault;
    private final Options options;
    private long timer = -1;

    /**
     * How long things last.
     *
     * @param unclaimedMinutes since something of an upload last arrived, until it is deleted
     * @param leaseMillis until the writer of a dead node is forgotten; renewed at a third of it
     */
    public record Options(int unclaimedMinutes, int leaseMillis) {}

    /**
     * What a kind of upload is for.
     *
     * @param permission who has it may upload such files
     * @param maxBytes of one file
     */
    public record Purpose(String permission, long maxBytes) {}

    /** A file to be. {@code size} is its length, or for files that Kehu makes the most it may become. */
    public record Draft(UUID id, UUID owner, String purpose, String permission, String name, long size) {
        public static Draft of(UUID owner, String purpose, String permission, String name, long size) {
            return new Draft(Ids.next(), owner, purpose, permission, name, size);
        }
    }

    /**
     * One file.
     *
     * @param state staged or claimed
     * @param name as it came with the upload; may name a person
     * @param size announced, and once whole the true one
     * @param sha256 64 hexadecimal digits; null until the file is whole
     * @param contentType by content; null until the file is whole
     * @param expiresAt null once claimed
     */
    public record Facts(
            UUID id,
            UUID owner,
            String purpose,
            String permission,
            String state,
            String name,
            long size,
            @Nullable String sha256,
            @Nullable String contentType,
            @Nullable OffsetDateTime expiresAt) {
        public boolean isWhole() {
            return sha256 != null;
        }
    }

    /** A stream of bytes that can be broken off from outside; must take no bytes before it is resumed. */
    public interface Source extends ReadStream<Buffer> {
        /** Makes the stream fail with this cause. */
        void breakOff(Throwable cause);
    }

    /** A file that can be read: any range, any number of times. */
    public static final class Content {
        private final BlobStore store;
        private final Secrets secrets;

        Content(BlobStore store, Secrets secrets) {
            this.store = store;
            this.secrets = secrets;
        }

        public Facts facts() {
            return secrets.facts;
        }

        /** Bytes from {@code from}, at most {@code length}; fails as {@link BlobStore#read} says. Starts paused or not, as usual. */
        public ReadStream<Buffer> read(long from, long length) {
            return store.read(secrets.facts.id, secrets.key, from, length);
        }
    }

    private record Secrets(Facts facts, byte[] key) {
        @Override
        public String toString() {
            return "Secrets[" + facts.id + "]";
        }
    }

    public Blobs(Vertx vertx, Database database, BlobStore store, Vault vault, Options options) {
        this.vertx = vertx;
        this.database = database;
        this.store = store;
        this.vault = vault;
        this.options = options;
    }

    /** Begins to delete what nobody claimed. Every node does; the work is harmless when done twice. */
    public void start() {
        timer = vertx.setPeriodic(
                SWEEP_MILLIS,
                id -> sweep().onFailure(e -> LOG.warn("expired files stay a while longer: {}", e.getMessage())));
    }

    public Future<Void> close() {
        vertx.cancelTimer(timer);
        return store.close();
    }

    // ---- uploads

    /** Makes room for a file, in the transaction of a command. */
    public Future<Facts> stage(Tx tx, Draft draft) {
        Vault.NewKey wrapped = vault.newKey(draft.id);
        return tx.query(INSERT_KEY, Tuple.of(draft.id, wrapped.epoch(), Buffer.buffer(wrapped.wrapped())))
                .compose(v -> tx.row(INSERT, row(draft, wrapped), "server.failure"))
                .map(row -> facts(draft, row.getOffsetDateTime("expires_at")));
    }

    /** One file, also while it is being received. Fails with {@code upload.notFound}, also for a deleted or expired one. */
    public Future<Facts> facts(Call.Lane lane, UUID id) {
        return find(lane, id, "upload.notFound").map(Secrets::facts);
    }

    /** Bytes received so far. */
    public Future<Long> received(Facts facts) {
        return facts.isWhole() ? Future.succeededFuture(facts.size) : store.size(facts.id);
    }

    /**
     * Takes what the source gives, from {@code offset} on, and finishes the file with its last byte. Nothing is read from the
     * source before it is known that the caller may send it; then {@code begin} runs.
     *
     * <p>Fails with {@code upload.notFound} (also: another person's), {@code auth.forbidden}, {@code upload.finished}, {@code
     * upload.busy}, {@code upload.offset} (argument: the stored length), {@code upload.tooLarge} (argument: the announced
     * size), {@code blob.unavailable}, or with the source's own failure. What arrived before a failure stays.
     *
     * @param length bytes that the source announces, -1 where it does not
     * @return how much of the file is there now
     */
    public Future<Long> receive(UUID id, Principal principal, long offset, long length, Source source, Runnable begin) {
        UUID writer = Ids.next();
        return find(Call.Lane.POINT, id, "upload.notFound").compose(secrets -> {
            Facts facts = secrets.facts;
            if (!facts.owner.equals(principal.subject())) {
                return Future.failedFuture(Problem.of("upload.notFound"));
            }
            if (!principal.may(facts.permission)) {
                return Future.failedFuture(Problem.of("auth.forbidden", facts.permission));
            }
            if (facts.isWhole()) {
                return Future.failedFuture(Problem.of("upload.finished"));
            }
            if (offset <= facts.size && length > facts.size - offset) {
                return Future.failedFuture(Problem.of("upload.tooLarge", Long.toString(facts.size)));
            }
            return holding(id, writer, source, () -> {
                begin.run();
                return append(secrets, offset, length, source)
                        .compose(stored -> stored < facts.size
                                ? Future.succeededFuture(stored)
                                : finish(secrets, writer).map(Stored::size));
            });
        });
    }

    /** An empty request is not appended: it asks to finish what is already there. */
    private Future<Long> append(Secrets secrets, long offset, long length, Source source) {
        if (length != 0) {
            return store.append(secrets.facts.id, secrets.key, offset, secrets.facts.size, source);
        }
        return store.size(secrets.facts.id)
                .compose(stored -> stored == offset
                        ? Future.succeededFuture(stored)
                        : Future.failedFuture(Problem.of("upload.offset", Long.toString(stored))));
    }

    /** Runs the work as the file's only writer. A writer who loses its lease is broken off. */
    private <T> Future<T> holding(UUID id, UUID writer, @Nullable Source source, Supplier<Future<T>> work) {
        return take(id, writer).compose(taken -> {
            if (!taken) {
                return Future.failedFuture(Problem.of("upload.busy"));
            }
            long beat = vertx.setPeriodic(
                    options.leaseMillis / 3,
                    t -> take(id, writer).onSuccess(still -> {
                        if (!still && source != null) {
                            source.breakOff(Problem.of("upload.busy"));
                        }
                    }));
            return work.get()
                    .onComplete(done -> vertx.cancelTimer(beat))
                    .transform(done -> database.query(Call.Lane.POINT, LEAVE, Tuple.of(id, writer))
                            .transform(left -> done.succeeded()
                                    ? Future.succeededFuture(done.result())
                                    : Future.failedFuture(done.cause())));
        });
    }

    private Future<Boolean> take(UUID id, UUID writer) {
        return database.query(
                        Call.Lane.POINT, TAKE, Tuple.of(id, writer, options.leaseMillis, options.unclaimedMinutes))
                .map(rows -> rows.size() == 1);
    }

    private Future<Stored> finish(Secrets secrets, UUID writer) {
        UUID id = secrets.facts.id;
        return store.finish(id, secrets.key)
                .compose(stored -> database.query(
                                Call.Lane.POINT,
                                FINISH,
                                Tuple.of(id, writer, stored.size(), stored.sha256(), stored.contentType()))
                        .compose(rows -> rows.size() == 1
                                ? Future.succeededFuture(stored)
                                : Future.failedFuture(Problem.of("upload.busy"))));
    }

    /**
     * Makes a whole file of what Kehu itself writes. It is staged until a transaction claims it: where a crash comes between,
     * the file expires like any upload.
     */
    public Future<Facts> write(Draft draft, ReadStream<Buffer> content) {
        content.pause();
        Vault.NewKey wrapped = vault.newKey(draft.id);
        byte[] sealed = seal(draft, wrapped);
        Secrets secrets = new Secrets(facts(draft, null), Arrays.copyOf(open(wrapped, sealed), KEY_BYTES));
        Tuple values = row(draft, sealed).addInteger(wrapped.epoch()).addBuffer(Buffer.buffer(wrapped.wrapped()));
        UUID writer = Ids.next();
        // Before anything asynchronous, as append() wants it; the row is there long before anything can be finished.
        Future<Long> appended = store.append(draft.id, secrets.key, 0, draft.size, content);
        Future<?> noted = database.query(Call.Lane.JOB, INSERT_BOTH, values);
        return Future.join(appended, noted)
                .compose(v -> holding(draft.id, writer, null, () -> finish(secrets, writer)))
                .compose(v -> facts(Call.Lane.JOB, draft.id));
    }

    // ---- use

    /**
     * Takes a whole upload over for good, in the transaction of the command that uses it. Fails with {@code
     * blob.notClaimable}: another person's, for another purpose, not whole, expired or claimed before.
     */
    public static Future<Stored> claim(Tx tx, UUID id, UUID owner, String purpose) {
        return tx.row(CLAIM, Tuple.of(id, owner, purpose), "blob.notClaimable")
                .map(row -> new Stored(row.getLong("size"), row.getString("sha256"), row.getString("content_type")));
    }

    /** Gives a file up in the transaction of a command; it cannot be read any more, its bytes are deleted a little later. */
    public static Future<Void> release(Tx tx, UUID id) {
        return tx.query(RELEASE, Tuple.of(id)).mapEmpty();
    }

    /**
     * Opens a whole file; whether the caller may read it is for the caller to know. Fails with {@code blob.missing}, {@code
     * blob.damaged} (also: the store holds another length than was recorded), {@code blob.unavailable}.
     */
    public Future<Content> open(Call.Lane lane, UUID id) {
        return find(lane, id, "blob.missing").compose(secrets -> {
            if (!secrets.facts.isWhole()) {
                return Future.failedFuture(Problem.of("blob.missing"));
            }
            return store.size(id)
                    .compose(size -> size == secrets.facts.size
                            ? Future.succeededFuture(new Content(store, secrets))
                            : Future.failedFuture(Problem.of(size == 0 ? "blob.missing" : "blob.damaged")));
        });
    }

    /** Deletes expired uploads and the bytes of released files, a hundred of each at most. */
    public Future<Void> sweep() {
        return database.query(Call.Lane.JOB, EXPIRE, Tuple.tuple())
                .compose(v -> database.query(Call.Lane.JOB, DELETED, Tuple.tuple()))
                .compose(rows -> {
                    Future<Void> swept = Future.succeededFuture();
                    for (Row row : rows) {
                        UUID id = row.getUUID("id");
                        swept = swept.compose(v -> store.delete(id))
                                .compose(v -> database.query(Call.Lane.JOB, FORGET, Tuple.of(id)))
                                .mapEmpty();
                    }
                    return swept;
                });
    }

    // ---- rows

    private Future<Secrets> find(Call.Lane lane, UUID id, String problemCode) {
        return database.query(lane, FIND, Tuple.of(id)).map(rows -> {
            if (rows.size() == 0) {
                throw Problem.of(problemCode);
            }
            Row row = rows.iterator().next();
            Vault.NewKey wrapped = new Vault.NewKey(
                    id, row.getInteger("epoch"), row.getBuffer("wrapped").getBytes());
            byte[] plain = open(wrapped, row.getBuffer("sealed").getBytes());
            return new Secrets(
                    new Facts(
                            id,
                            row.getUUID("owner_id"),
                            row.getString("purpose"),
                            row.getString("permission"),
                            row.getString("state"),
                            new String(plain, KEY_BYTES, plain.length - KEY_BYTES, StandardCharsets.UTF_8),
                            row.getLong("size"),
                            row.getString("sha256"),
                            row.getString("content_type"),
                            row.getOffsetDateTime("expires_at")),
                    Arrays.copyOf(plain, KEY_BYTES));
        });
    }

    private Tuple row(Draft draft, Vault.NewKey wrapped) {
        return row(draft, seal(draft, wrapped));
    }

    private Tuple row(Draft draft, byte[] sealed) {
        return Tuple.tuple()
                .addUUID(draft.id)
                .addUUID(draft.owner)
                .addString(draft.purpose)
                .addString(draft.permission)
                .addBuffer(Buffer.buffer(sealed))
                .addLong(draft.size)
                .addInteger(options.unclaimedMinutes);
    }

    private static Facts facts(Draft draft, @Nullable OffsetDateTime expiresAt) {
        return new Facts(
                draft.id,
                draft.owner,
                draft.purpose,
                draft.permission,
                "staged",
                draft.name,
                draft.size,
                null,
                null,
                expiresAt);
    }

    /** A fresh content key and the name, together. */
    private byte[] seal(Draft draft, Vault.NewKey wrapped) {
        byte[] name = draft.name.getBytes(StandardCharsets.UTF_8);
        byte[] plain = new byte[KEY_BYTES + name.length];
        byte[] key = new byte[KEY_BYTES];
        RANDOM.nextBytes(key);
        System.arraycopy(key, 0, plain, 0, KEY_BYTES);
        System.arraycopy(name, 0, plain, KEY_BYTES, name.length);
        return vault.seal(vault.key(wrapped), TABLE, "C2", plain);
    }

    private byte[] open(Vault.NewKey wrapped, byte[] sealed) {
        return vault.open(vault.key(wrapped), TABLE, "C2", sealed);
    }
}
