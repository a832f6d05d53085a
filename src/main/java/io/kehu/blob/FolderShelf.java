package io.kehu.blob;

import io.kehu.bus.Problem;
import io.vertx.core.Future;
import io.vertx.core.WorkerExecutor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Objects as files of one folder, for one node or a shared mount: {@code <folder>/ab/<id>}, beside it while uploading
 * {@code <id>.part} (the units) and {@code <id>.draft}. Names are made of UUIDs alone, so no input can point elsewhere.
 * {@code ab} is the end of the id: the ids are UUIDv7, whose beginning is the time and would put all in one folder.
 *
 * <p>A draft never names bytes that a power cut could take: the units are forced to the disk before the draft that
 * counts them, a draft and a finished file appear by an atomic rename, and then the folder itself is forced.
 */
final class FolderShelf implements BlobStore.Shelf {
    private static final Logger LOG = LoggerFactory.getLogger(FolderShelf.class);
    private static final String NO_HANDLE = "";

    private final Path folder;
    private final WorkerExecutor workers;

    /**
     * @param workers file calls block; each upload and each reader has at most one of them waiting here
     */
    FolderShelf(Path folder, WorkerExecutor workers) {
        this.folder = folder.toAbsolutePath().normalize();
        this.workers = workers;
    }

    @Override
    public Future<byte[]> draft(UUID id) {
        return blocking(() -> {
            try {
                return Files.readAllBytes(file(id, ".draft"));
            } catch (NoSuchFileException e) {
                return BlobStore.NOTHING;
            }
        });
    }

    @Override
    public Future<Void> saveDraft(UUID id, byte[] draft) {
        return blocking(() -> {
            Path written = file(id, ".tmp");
            Files.createDirectories(written.getParent());
            Path part = file(id, ".part");
            if (Files.exists(part)) {
                try (FileChannel units = FileChannel.open(part, StandardOpenOption.WRITE)) {
                    units.force(true);
                }
            }
            try (FileChannel channel = FileChannel.open(
                    written,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.TRUNCATE_EXISTING,
                    StandardOpenOption.WRITE)) {
                write(channel, 0, draft);
                channel.force(true);
            }
            publish(written, file(id, ".draft"));
            return null;
        });
    }

    @Override
    public Future<Void> dropDraft(UUID id) {
        return blocking(() -> {
            Files.deleteIfExists(file(id, ".draft"));
            return null;
        });
    }

    @Override
    public Future<String> begin(UUID id) {
        return Future.succeededFuture(NO_HANDLE);
    }

    /** To wait for the disk after each unit would halve the speed. */
    @Override
    public int unitsPerDraft() {
        return 8;
    }

    @Override
    public Future<String> put(UUID id, String handle, int unit, byte[] frames) {
        return blocking(() -> {
            Path part = file(id, ".part");
            Files.createDirectories(part.getParent());
            try (FileChannel channel = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                write(channel, (long) unit * BlobStore.UNIT_STORED, frames);
            }
            return NO_HANDLE;
        });
    }

    @Override
    public Future<Void> complete(UUID id, String handle, List<String> tags, byte[] last) {
        return blocking(() -> {
            Path whole = file(id, "");
            if (Files.exists(whole)) {
                return null; // an earlier attempt came as far as the rename
            }
            long before = (long) tags.size() * BlobStore.UNIT_STORED;
            Path part = file(id, ".part");
            Files.createDirectories(part.getParent());
            try (FileChannel channel = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                if (channel.size() < before) {
                    throw Problem.of("blob.damaged");
                }
                write(channel, before, last);
                channel.truncate(before + last.length);
                channel.force(true);
            }
            publish(part, whole);
            return null;
        });
    }

    @Override
    public Future<Long> length(UUID id) {
        return blocking(() -> {
            try {
                return Files.size(file(id, ""));
            } catch (NoSuchFileException e) {
                return BlobStore.ABSENT;
            }
        });
    }

    @Override
    public Future<byte[]> get(UUID id, long from, int length) {
        return blocking(() -> {
            try (FileChannel channel = FileChannel.open(file(id, ""), StandardOpenOption.READ)) {
                ByteBuffer bytes = ByteBuffer.allocate(length);
                while (bytes.hasRemaining()) {
                    if (channel.read(bytes, from + bytes.position()) < 0) {
                        throw Problem.of("blob.damaged"); // shorter than a moment ago
                    }
                }
                return bytes.array();
            } catch (NoSuchFileException e) {
                throw Problem.of("blob.missing");
            }
        });
    }

    @Override
    public Future<Void> delete(UUID id, String handle) {
        return blocking(() -> {
            for (String suffix : List.of("", ".part", ".tmp", ".draft")) {
                Files.deleteIfExists(file(id, suffix));
            }
            return null;
        });
    }

    @Override
    public Future<Void> close() {
        return Future.succeededFuture();
    }

    private Path file(UUID id, String suffix) {
        String name = id.toString().toLowerCase(Locale.ROOT);
        return folder.resolve(name.substring(name.length() - 2)).resolve(name + suffix);
    }

    private static void write(FileChannel channel, long at, byte[] bytes) throws IOException {
        ByteBuffer rest = ByteBuffer.wrap(bytes);
        while (rest.hasRemaining()) {
            channel.write(rest, at + rest.position());
        }
    }

    /** After this the new name outlives a power cut. */
    private static void publish(Path written, Path name) throws IOException {
        Files.move(written, name, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        // Only POSIX systems can open a folder, and only they need it forced.
        if (name.getFileSystem().supportedFileAttributeViews().contains("posix")) {
            try (FileChannel parent = FileChannel.open(name.getParent(), StandardOpenOption.READ)) {
                parent.force(true);
            }
        }
    }

    private <T> Future<T> blocking(Callable<T> work) {
        return workers.executeBlocking(work, false).recover(failure -> {
            if (failure instanceof IOException) {
                LOG.error("the blob folder does not work", failure);
                return Future.failedFuture(Problem.of("blob.unavailable"));
            }
            return Future.failedFuture(failure);
        });
    }
}
