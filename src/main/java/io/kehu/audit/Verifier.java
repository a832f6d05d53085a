package io.kehu.audit;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.PriorityQueue;
import java.util.function.LongPredicate;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * Checks dumps and archives of the audit with nothing but the public keys and, where there are any, checkpoints: no server, no
 * settings. Reads them as streams; batches of lines are hashed on all cores, then held against the chain in order.
 */
public final class Verifier {
    /** Longest line, in bytes: a row's changes are bounded by the body of a request. */
    private static final int LINE_BYTES = 64 << 20;

    private static final int BATCH_LINES = 16_384;
    private static final int BATCH_BYTES = 16 << 20;
    private static final int BUFFER_BYTES = 1 << 16;

    private final Map<String, byte[]> publicKeys;
    private final boolean part;

    /**
     * What came out.
     *
     * @param rows how many rows were read
     * @param seals how many seals
     * @param firstSeal the number of the first; 0 where there is none
     * @param lastSeal the number of the last
     * @param unsealed rows after the last seal, which nothing vouches for yet
     * @param counted rows of the times that were asked for
     * @param found how many things are wrong
     * @param findings what and where, at most 100 of them
     */
    public record Report(
            long rows,
            long seals,
            long firstSeal,
            long lastSeal,
            long unsealed,
            long counted,
            long found,
            List<String> findings) {
        public boolean intact() {
            return found == 0;
        }
    }

    /**
     * Checks with these keys.
     *
     * @param publicKeys 32 bytes each, by their ids
     * @param part whether what is checked is a part of the chain: what comes before and after it is not missed
     */
    public Verifier(Map<String, byte[]> publicKeys, boolean part) {
        this.publicKeys = publicKeys;
        this.part = part;
    }

    /**
     * Checks dumps that follow one another.
     *
     * @param dumps JSON lines, gzipped or not, in the order of the chain
     * @param checkpoints files, or folders of files; of none there may be any
     */
    public Report verify(List<Path> dumps, List<Path> checkpoints) throws IOException {
        return verify(dumps, checkpoints, at -> false);
    }

    /** The same, and counts the rows of some times (microseconds since 1970). */
    Report verify(List<Path> dumps, List<Path> checkpoints, LongPredicate counts) throws IOException {
        try (Noted noted = new Noted(checkpoints)) {
            ChainCheck chain = new ChainCheck(noted, part, counts);
            for (Path dump : dumps) {
                try (Lines lines = new Lines(open(dump))) {
                    check(lines, chain, dump);
                } catch (EOFException | ZipException e) {
                    chain.find(dump + ": the compressed file ends in the middle or is damaged");
                }
            }
            noted.unreadable.forEach(chain::find);
            return chain.end();
        }
    }

    private void check(Lines lines, ChainCheck chain, Path dump) throws IOException {
        boolean begun = false;
        long number = 0;
        for (List<byte[]> batch = lines.batch(); !batch.isEmpty(); batch = lines.batch()) {
            List<DumpLine> looked = batch.parallelStream()
                    .map(line -> DumpLine.of(line, publicKeys))
                    .toList();
            for (DumpLine line : looked) {
                number++;
                if (line instanceof DumpLine.Row row) {
                    chain.row(row);
                } else if (line instanceof DumpLine.Sealed seal) {
                    chain.seal(seal);
                } else if (line instanceof DumpLine.Unreadable || begun) {
                    chain.find(dump.getFileName() + " line " + number + ": is neither a row nor a seal");
                }
                if (!begun && !(line instanceof DumpLine.Header)) {
                    chain.find(dump.getFileName() + ": does not begin like a dump of this version");
                }
                begun = true;
            }
        }
        if (!begun) {
            chain.find(dump.getFileName() + ": is empty");
        }
    }

    /** The bytes of a file, decompressed where it is gzipped. */
    static InputStream open(Path file) throws IOException {
        BufferedInputStream raw = new BufferedInputStream(Files.newInputStream(file), BUFFER_BYTES);
        raw.mark(2);
        boolean zipped = raw.read() == 0x1f && raw.read() == 0x8b; // RFC 1952, section 2.3.1
        raw.reset();
        return zipped ? new GZIPInputStream(raw, BUFFER_BYTES) : raw;
    }

    /** Splits a stream into lines without making texts of them. */
    static final class Lines implements Closeable {
        private final InputStream in;
        private final byte[] buffer = new byte[BUFFER_BYTES];
        private int at;
        private int end;

        Lines(InputStream in) {
            this.in = in;
        }

        List<byte[]> batch() throws IOException {
            List<byte[]> batch = new ArrayList<>();
            long bytes = 0;
            while (batch.size() < BATCH_LINES && bytes < BATCH_BYTES) {
                byte[] line = next();
                if (line == null) {
                    break;
                }
                bytes += line.length;
                batch.add(line);
            }
            return batch;
        }

        /** The next line without its end; null after the last. */
        byte @Nullable [] next() throws IOException {
            ByteArrayOutputStream held = null;
            while (true) {
                if (at == end) {
                    at = 0;
                    end = Math.max(0, in.read(buffer));
                    if (end == 0) {
                        return held == null ? null : held.toByteArray();
                    }
                }
                int feed = at;
                while (feed < end && buffer[feed] != '\n') {
                    feed++;
                }
                boolean whole = feed < end;
                if (whole && held == null) {
                    byte[] line = Arrays.copyOfRange(buffer, at, feed);
                    at = feed + 1;
                    return line;
                }
                held = held == null ? new ByteArrayOutputStream(2 * BUFFER_BYTES) : held;
                held.write(buffer, at, feed - at);
                at = whole ? feed + 1 : end;
                if (whole) {
                    return held.toByteArray();
                }
                if (held.size() > LINE_BYTES) {
                    throw new IOException("a line is longer than " + LINE_BYTES + " bytes");
                }
            }
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }

    /** All checkpoints by number, read from several files at once, each of which counts upwards. */
    private static final class Noted implements Iterator<Seal>, Closeable {
        private final List<Closeable> files = new ArrayList<>();
        private final PriorityQueue<Cursor> cursors =
                new PriorityQueue<>(Comparator.comparingLong(cursor -> cursor.seal.number()));
        final List<String> unreadable = new ArrayList<>();

        private record Cursor(Path file, Lines lines, Seal seal) {}

        Noted(List<Path> given) throws IOException {
            for (Path path : given) {
                for (Path file : Files.isDirectory(path) ? CheckpointFolder.files(path) : List.of(path)) {
                    Lines lines = new Lines(open(file));
                    files.add(lines);
                    advance(file, lines, null);
                }
            }
        }

        private void advance(Path file, Lines lines, @Nullable Seal before) {
            try {
                for (byte[] line = lines.next(); line != null; line = lines.next()) {
                    Seal seal = CheckpointFolder.read(new String(line, StandardCharsets.UTF_8));
                    if (seal != null && seal.isWhole() && (before == null || seal.number() > before.number())) {
                        cursors.add(new Cursor(file, lines, seal));
                        return;
                    }
                    // What a crash left is half a line, and another stands for it; what does end like a line is looked
                    // at.
                    if (line.length > 0 && line[line.length - 1] == '}') {
                        unreadable.add(file.getFileName() + ": holds a line that is no checkpoint, or out of order"
                                + (before == null ? "" : ", after that of " + before));
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        @Override
        public boolean hasNext() {
            return !cursors.isEmpty();
        }

        @Override
        public Seal next() {
            Cursor cursor = cursors.poll();
            if (cursor == null) {
                throw new NoSuchElementException();
            }
            advance(cursor.file, cursor.lines, cursor.seal);
            return cursor.seal;
        }

        @Override
        public void close() throws IOException {
            for (Closeable file : files) {
                file.close();
            }
        }
    }
}
