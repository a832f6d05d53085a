package io.kehu.customer.erasure;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * The list of erasures outside the database, where the checkpoints of the audit are: files that are only appended to, {@code
 * <node>.erasures}, one signed entry a line, synced to the disk line by line. Both methods block.
 */
final class ErasureList {
    private static final String ENDING = ".erasures";

    private final Path folder;
    private final Path own;

    ErasureList(Path folder, String node) {
        this.folder = folder;
        this.own = folder.resolve(node.replaceAll("[^A-Za-z0-9._-]", "_") + ENDING);
    }

    /** A line and where it stands. */
    record Entry(Path file, int line, String text, boolean torn) {}

    /** Notes an erasure for good; when this returns, a crash no longer loses it. */
    synchronized void note(Erasure erasure) throws IOException {
        Files.createDirectories(folder);
        boolean torn = Files.exists(own) && !endsWithALine();
        try (FileChannel channel =
                FileChannel.open(own, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND)) {
            // A crash left half a line; what follows must not grow onto it.
            ByteBuffer line =
                    ByteBuffer.wrap(((torn ? "\n" : "") + erasure.line() + "\n").getBytes(StandardCharsets.UTF_8));
            while (line.hasRemaining()) {
                channel.write(line);
            }
            channel.force(true);
        }
    }

    private boolean endsWithALine() throws IOException {
        try (FileChannel channel = FileChannel.open(own, StandardOpenOption.READ)) {
            if (channel.size() == 0) {
                return true;
            }
            ByteBuffer last = ByteBuffer.allocate(1);
            channel.read(last, channel.size() - 1);
            return last.get(0) == '\n';
        }
    }

    /** All entries of all nodes. */
    List<Entry> all() throws IOException {
        List<Entry> entries = new ArrayList<>();
        if (!Files.isDirectory(folder)) {
            return entries;
        }
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file :
                    files.filter(f -> f.toString().endsWith(ENDING)).sorted().toList()) {
                List<String> lines = Files.readAllLines(file);
                for (int i = 0; i < lines.size(); i++) {
                    String text = lines.get(i);
                    // A crash tears a line before its end; the entry was then noted again, on a line of its own.
                    if (!text.isEmpty()) {
                        entries.add(new Entry(file, i + 1, text, !text.endsWith("}")));
                    }
                }
            }
        }
        return entries;
    }
}
