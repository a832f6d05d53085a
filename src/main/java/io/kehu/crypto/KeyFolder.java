package io.kehu.crypto;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.crypto.KeyStore.Refused;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.Set;
import java.util.function.Supplier;

/**
 * The folder that holds the key files: checks who else may read it and that keys are none that people think of, replaces
 * files whole, and lets one process change it at a time. Where the file system knows no POSIX permissions, none are checked.
 */
final class KeyFolder {
    private static final int FILE_BYTES_MAX = 1 << 20;
    private static final Set<PosixFilePermission> OWNER_READS = PosixFilePermissions.fromString("r--------");
    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rwx------");
    private static final Set<PosixFilePermission> OTHERS = PosixFilePermissions.fromString("---rwxrwx");
    private static final Set<PosixFilePermission> OTHERS_WRITE =
            EnumSet.of(PosixFilePermission.GROUP_WRITE, PosixFilePermission.OTHERS_WRITE);

    private final Path folder;

    KeyFolder(Path folder) {
        this.folder = folder;
    }

    boolean has(String name) {
        return Files.exists(folder.resolve(name));
    }

    void create() {
        try {
            Files.createDirectories(folder.toAbsolutePath());
            if (posix()) {
                Files.setPosixFilePermissions(folder, OWNER_ONLY);
            }
        } catch (IOException e) {
            throw new Refused(folder + " cannot be made");
        }
    }

    /** Who may write into the folder could replace the keys, who may only list it cannot. */
    void check() {
        checkAccess(folder, OTHERS_WRITE, "700");
    }

    JsonNode read(String name, int version) {
        Path file = folder.resolve(name);
        if (!Files.isRegularFile(file)) {
            throw new Refused(file + " is missing");
        }
        checkAccess(file, OTHERS, "400");
        try {
            if (Files.size(file) > FILE_BYTES_MAX) {
                throw new Refused(file + " is too large for a key file");
            }
            JsonNode content = Json.MAPPER.readTree(Files.readAllBytes(file));
            if (content.path("version").asInt() != version) {
                throw new Refused(file + " is not a key file of version " + version);
            }
            return content;
        } catch (IOException e) {
            // Without the cause: a parser's message quotes what it read.
            throw new Refused(file + " cannot be read as a key file");
        }
    }

    /** Replaces a file: readers and a crash see the old or the new one, never a part. */
    void write(String name, ObjectNode content) {
        Path temporary = folder.resolve(name + ".new");
        try {
            Files.deleteIfExists(temporary);
            Set<StandardOpenOption> fresh = EnumSet.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
            try (FileChannel channel = posix()
                    ? FileChannel.open(temporary, fresh, PosixFilePermissions.asFileAttribute(OWNER_READS))
                    : FileChannel.open(temporary, fresh)) {
                ByteBuffer bytes = ByteBuffer.wrap(content.toPrettyString().getBytes(StandardCharsets.UTF_8));
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
                channel.force(true);
            }
            Files.move(temporary, folder.resolve(name), StandardCopyOption.ATOMIC_MOVE);
            if (posix()) {
                try (FileChannel directory = FileChannel.open(folder, StandardOpenOption.READ)) {
                    directory.force(true);
                }
            }
        } catch (IOException e) {
            throw new Refused(folder.resolve(name) + " cannot be written");
        }
    }

    /** One process at a time: two nodes that share the folder must not overwrite each other's change. */
    <T> T alone(Supplier<T> change) {
        // Within one JVM a second file lock throws instead of waiting, hence the monitor around it.
        synchronized (KeyFolder.class) {
            try (FileChannel channel =
                    FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                channel.lock(); // released with the channel
                return change.get();
            } catch (IOException e) {
                throw new Refused(folder + " cannot be locked for a change of keys");
            }
        }
    }

    /** Refuses what a person typed or forgot to set: short, all alike, counting up, printable text. */
    byte[] strong(byte[] key, String what) {
        if (key.length != KeyStore.KEY_BYTES) {
            throw new Refused(what + " in " + folder + " has " + key.length + " bytes, not " + KeyStore.KEY_BYTES);
        }
        boolean[] seen = new boolean[256];
        int distinct = 0;
        boolean even = true;
        boolean printable = true;
        for (int i = 0; i < key.length; i++) {
            distinct += seen[key[i] & 255] ? 0 : 1;
            seen[key[i] & 255] = true;
            even &= i < 2 || (byte) (key[i] - key[i - 1]) == (byte) (key[1] - key[0]);
            printable &= key[i] >= ' ' && key[i] < 127;
        }
        // 32 random bytes have fewer than 16 distinct values, or are all printable, less than once in 10^12 keys.
        if (distinct < 16 || even || printable) {
            throw new Refused(what + " in " + folder + " is not random: a default or typed value");
        }
        return key;
    }

    @Override
    public String toString() {
        return folder.toString();
    }

    private static void checkAccess(Path path, Set<PosixFilePermission> forbidden, String mode) {
        if (!posix()) {
            return;
        }
        try {
            for (PosixFilePermission permission : Files.getPosixFilePermissions(path)) {
                if (forbidden.contains(permission)) {
                    throw new Refused(path + " is open to others than its owner: chmod " + mode + " it");
                }
            }
        } catch (IOException e) {
            throw new Refused(path + " cannot be read");
        }
    }

    private static boolean posix() {
        return FileSystems.getDefault().supportedFileAttributeViews().contains("posix");
    }
}
