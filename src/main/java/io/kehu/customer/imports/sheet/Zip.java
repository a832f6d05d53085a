package io.kehu.customer.imports.sheet;

import io.kehu.bus.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;

/**
 * The entries of an archive (PKWARE APPNOTE 6.3.10), read where they lie. What the directory says is believed only as far as it
 * proves true: an entry that unpacks to more than it says, to another checksum, or to more than {@link #MAX_RATIO} times its
 * packed size is refused while it is read, before the rest of it is made.
 *
 * <p>Not java.util.zip.ZipFile, which needs a file in plain text on the disk; nor ZipInputStream, which reads the entries in the
 * order of the file, and the texts of a workbook lie behind the sheet that needs them.
 */
final class Zip {
    static final int MAX_ENTRIES = 5_000;
    private static final int MAX_DIRECTORY_BYTES = 1 << 20;
    /** Sheets of equal rows pack 50 to 1, what deflate can do at most is 1,032 to 1. */
    static final int MAX_RATIO = 250;

    private static final int FREE_BYTES = 1 << 20;
    private static final int WINDOW = 1 << 18;
    private static final int END = 0x06054b50;
    private static final int END_BYTES = 22;
    private static final int LOCATOR = 0x07064b50;
    private static final int LOCATOR_BYTES = 20;
    private static final int END64 = 0x06064b50;
    private static final int END64_BYTES = 56;
    private static final int HEADER = 0x02014b50;
    private static final int HEADER_BYTES = 46;
    private static final int LOCAL = 0x04034b50;
    private static final int LOCAL_BYTES = 30;
    private static final long ASKS_64 = 0xFFFFFFFFL;

    private final Bytes bytes;
    private final Map<String, Entry> entries = new LinkedHashMap<>();

    private record Entry(int flags, int method, long crc, long packed, long plain, long at) {
        long mostPlain() {
            return FREE_BYTES + MAX_RATIO * packed;
        }
    }

    private Zip(Bytes bytes) {
        this.bytes = bytes;
    }

    /** Fails with {@code xlsx.damaged}, {@code xlsx.unsafe}. */
    static Zip open(Bytes bytes) throws IOException {
        Zip zip = new Zip(bytes);
        int tail = (int) Math.min(bytes.size(), END_BYTES + 0xFFFF);
        long start = bytes.size() - tail;
        ByteBuffer end = little(bytes.read(start, tail));
        int at = tail - END_BYTES;
        while (at >= 0 && !(end.getInt(at) == END && at + END_BYTES + u16(end, at + 20) == tail)) {
            at--;
        }
        if (at < 0) {
            throw damaged();
        }
        long count = u16(end, at + 10);
        long length = u32(end, at + 12);
        long from = u32(end, at + 16);
        if (at >= LOCATOR_BYTES && end.getInt(at - LOCATOR_BYTES) == LOCATOR) {
            ByteBuffer end64 = zip.part(end.getLong(at - LOCATOR_BYTES + 8), END64_BYTES);
            if (end64.getInt(0) != END64) {
                throw damaged();
            }
            count = end64.getLong(32);
            length = end64.getLong(40);
            from = end64.getLong(48);
        }
        if (count < 0 || count > MAX_ENTRIES || length < 0 || length > MAX_DIRECTORY_BYTES) {
            throw unsafe("directory");
        }
        zip.directory(zip.part(from, (int) length), (int) count);
        return zip;
    }

    private void directory(ByteBuffer directory, int count) {
        int at = 0;
        for (int i = 0; i < count; i++) {
            if (at + HEADER_BYTES > directory.capacity() || directory.getInt(at) != HEADER) {
                throw damaged();
            }
            int nameLength = u16(directory, at + 28);
            int extra = u16(directory, at + 30);
            int next = at + HEADER_BYTES + nameLength + extra + u16(directory, at + 32);
            if (next > directory.capacity()) {
                throw damaged();
            }
            byte[] name = new byte[nameLength];
            directory.get(at + HEADER_BYTES, name);
            long[] sizes = {u32(directory, at + 24), u32(directory, at + 20), u32(directory, at + 42)};
            large(directory, at + HEADER_BYTES + nameLength, extra, sizes);
            Entry entry = new Entry(
                    u16(directory, at + 8),
                    u16(directory, at + 10),
                    u32(directory, at + 16),
                    sizes[1],
                    sizes[0],
                    sizes[2]);
            String path = new String(name, StandardCharsets.UTF_8);
            if (path.startsWith("/") || path.contains("\\") || ("/" + path + "/").contains("/../")) {
                throw unsafe("path");
            }
            if (entries.put(path, entry) != null) {
                throw unsafe("directory");
            }
            at = next;
        }
    }

    /** Sizes of more than 4 GB stand in an extra field, those that are needed and in this order. */
    private static void large(ByteBuffer directory, int from, int length, long[] sizes) {
        for (int at = from; at + 4 <= from + length; at += 4 + u16(directory, at + 2)) {
            if (u16(directory, at) != 1) {
                continue;
            }
            int value = at + 4;
            for (int i = 0; i < sizes.length; i++) {
                if (sizes[i] == ASKS_64 && value + 8 <= from + length) {
                    sizes[i] = directory.getLong(value);
                    value += 8;
                }
            }
        }
    }

    boolean has(String name) {
        return entries.containsKey(name);
    }

    /**
     * The unpacked bytes of an entry; reading fails with {@code xlsx.damaged}, {@code xlsx.unsafe}, {@code xlsx.tooLarge}.
     *
     * @param max bytes that it may unpack to
     */
    Unpacked open(String name, long max) throws IOException {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw damaged();
        }
        if ((entry.flags & 1) != 0) {
            throw unsafe("encryption");
        }
        if (entry.plain > max) {
            throw tooLarge(max);
        }
        // Said openly, it need not be found out.
        if (entry.plain > entry.mostPlain()) {
            throw unsafe("size");
        }
        ByteBuffer local = part(entry.at, LOCAL_BYTES);
        if (local.getInt(0) != LOCAL || (entry.method != 0 && entry.method != 8)) {
            throw damaged();
        }
        long from = entry.at + LOCAL_BYTES + u16(local, 26) + u16(local, 28);
        if (entry.packed < 0 || from + entry.packed > bytes.size()) {
            throw damaged();
        }
        return new Unpacked(entry, from);
    }

    private ByteBuffer part(long from, int length) throws IOException {
        if (from < 0 || from > bytes.size() - length) {
            throw damaged();
        }
        return little(bytes.read(from, length));
    }

    /** Of one entry. */
    final class Unpacked extends InputStream {
        private final Entry entry;
        private final Inflater inflater = new Inflater(true);
        private final CRC32 crc = new CRC32();
        private final long to;
        private long from;
        private long made;
        private long stepFrom;
        private long maxStep = Long.MAX_VALUE;

        Unpacked(Entry entry, long from) {
            this.entry = entry;
            this.from = from;
            this.to = from + entry.packed;
        }

        /** How far the entry is read, as a part of the whole file: of its bytes, not of those before and behind. */
        long at() {
            long left = to - from + inflater.getRemaining();
            return entry.packed == 0 ? bytes.size() : (long) ((1 - (double) left / entry.packed) * bytes.size());
        }

        /** From here on at most so many bytes until the next call: what the reader holds at a time. */
        void step(long max) {
            stepFrom = made;
            maxStep = max;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] into, int at, int length) throws IOException {
            if (length == 0) {
                return 0;
            }
            int count = entry.method == 0 ? stored(into, at, length) : inflated(into, at, length);
            if (count < 0) {
                if (made != entry.plain || crc.getValue() != entry.crc) {
                    throw damaged();
                }
                return -1;
            }
            crc.update(into, at, count);
            made += count;
            if (made > entry.plain || made > entry.mostPlain()) {
                throw unsafe("size");
            }
            if (made - stepFrom > maxStep) {
                throw unsafe("text");
            }
            return count;
        }

        private int stored(byte[] into, int at, int length) throws IOException {
            int count = (int) Math.min(Math.min(length, WINDOW), to - from);
            if (count == 0) {
                return -1;
            }
            System.arraycopy(bytes.read(from, count), 0, into, at, count);
            from += count;
            return count;
        }

        private int inflated(byte[] into, int at, int length) throws IOException {
            try {
                int count = 0;
                while (count == 0) {
                    if (inflater.finished()) {
                        return -1;
                    }
                    if (inflater.needsInput()) {
                        int more = (int) Math.min(WINDOW, to - from);
                        if (more == 0) {
                            throw damaged();
                        }
                        inflater.setInput(bytes.read(from, more));
                        from += more;
                    }
                    count = inflater.inflate(into, at, length);
                    if (count == 0 && inflater.needsDictionary()) {
                        throw damaged();
                    }
                }
                return count;
            } catch (DataFormatException e) {
                throw damaged();
            }
        }

        @Override
        public void close() {
            inflater.end();
        }
    }

    static Problem damaged() {
        return Problem.of("xlsx.damaged");
    }

    static Problem unsafe(String what) {
        return Problem.of("xlsx.unsafe", what);
    }

    static Problem tooLarge(long max) {
        return Problem.of("xlsx.tooLarge", Long.toString(max));
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static int u16(ByteBuffer from, int at) {
        return from.getShort(at) & 0xFFFF;
    }

    private static long u32(ByteBuffer from, int at) {
        return from.getInt(at) & ASKS_64;
    }

    /** Whether a file begins as an archive. */
    static boolean isArchive(byte @Nullable [] head) {
        return head != null && head.length >= 4 && head[0] == 'P' && head[1] == 'K' && head[2] == 3 && head[3] == 4;
    }
}
