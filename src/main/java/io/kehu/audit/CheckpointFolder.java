package io.kehu.audit;

import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Checkpoints as files that are only appended to: one per node and month, {@code <node>-202611.jsonl}, one seal a line, synced to
 * the disk line by line. Whoever keeps copies elsewhere needs only the last line: each seal stands for all before it.
 */
public final class CheckpointFolder implements Checkpoints, Closeable {
    private static final String ENDING = ".jsonl";
    /** A line is about 600 bytes; the last whole one lies within this many from the end. */
    private static final int TAIL_BYTES = 8_192;

    private final Path folder;
    private final String node;
    private @Nullable FileChannel open;
    private String openMonth = "";

    public CheckpointFolder(Path folder, String node) {
        this.folder = folder;
        this.node = node.replaceAll("[^A-Za-z0-9._-]", "_");
    }

    @Override
    public synchronized void note(Seal seal) throws IOException {
        FileChannel channel = channel(month(seal));
        ByteBuffer line = ByteBuffer.wrap((seal.line() + "\n").getBytes(StandardCharsets.US_ASCII));
        while (line.hasRemaining()) {
            channel.write(line);
        }
        channel.force(false);
    }

    private static String month(Seal seal) {
        var at = Instant.ofEpochSecond(Math.floorDiv(seal.sealedAt(), 1_000_000L))
                .atOffset(ZoneOffset.UTC);
        return "%04d%02d".formatted(at.getYear(), at.getMonthValue());
    }

    private FileChannel channel(String month) throws IOException {
        FileChannel channel = open;
        if (channel != null && openMonth.equals(month)) {
            return channel;
        }
        close();
        Files.createDirectories(folder);
        Path file = folder.resolve(node + "-" + month + ENDING);
        boolean torn = Files.exists(file) && !endsWithALine(file);
        channel =
                FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        if (torn) {
            // A crash left half a line; what follows must not grow onto it.
            channel.write(ByteBuffer.wrap(new byte[] {'\n'}));
        }
        open = channel;
        openMonth = month;
        return channel;
    }

    private static boolean endsWithALine(Path file) throws IOException {
        try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "r")) {
            if (bytes.length() == 0) {
                return true;
            }
            bytes.seek(bytes.length() - 1);
            return bytes.read() == '\n';
        }
    }

    @Override
    public @Nullable Seal newest() throws IOException {
        if (!Files.isDirectory(folder)) {
            return null;
        }
        Seal newest = null;
        for (Path file : files(folder)) {
            Seal last = last(file);
            if (last != null && (newest == null || last.number() > newest.number())) {
                newest = last;
            }
        }
        return newest;
    }

    /** The checkpoint files of a folder, in the order of their names. */
    static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(file -> file.toString().endsWith(ENDING)).sorted().toList();
        }
    }

    private static @Nullable Seal last(Path file) throws IOException {
        byte[] tail;
        try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "r")) {
            tail = new byte[(int) Math.min(bytes.length(), TAIL_BYTES)];
            bytes.seek(bytes.length() - tail.length);
            bytes.readFully(tail);
        }
        String[] lines = new String(tail, StandardCharsets.US_ASCII).split("\n");
        for (int i = lines.length - 1; i >= 0; i--) {
            Seal seal = read(lines[i]);
            if (seal != null) {
                return seal;
            }
        }
        return null;
    }

    /** One line; null where it is torn or altered so that it cannot be read. */
    static @Nullable Seal read(String line) {
        try {
            return Seal.read(line);
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    @Override
    public synchronized void close() throws IOException {
        if (open != null) {
            open.close();
            open = null;
        }
    }
}
