package io.kehu.customer.imports.sheet;

import io.kehu.bus.Problem;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * The texts that the cells of a workbook name by number. A million names and addresses do not fit into the memory that a job
 * may have, so they lie in a file that is gone when this is closed, in blocks of {@value #BLOCK} bytes, each encrypted under a
 * key that only this object has: what a killed process leaves behind nobody can read. Sheets name texts about in the order in
 * which they came, so few blocks are read twice.
 */
final class SharedTexts implements Closeable {
    private static final int BLOCK = 1 << 16;
    private static final int REMEMBERED = 200;
    private static final int TAG_BITS = 128;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final FileChannel file;
    private final SecretKeySpec key;
    private long[] offsets = new long[64];
    private int[] firsts = new int[64];
    private int blocks;
    private int count;
    private long end;
    private ByteArrayOutputStream open = new ByteArrayOutputStream(BLOCK);
    private final Map<Integer, String[]> remembered = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, String[]> eldest) {
            return size() > REMEMBERED;
        }
    };

    SharedTexts() throws IOException {
        Path path = Files.createTempFile("kehu-texts-", ".tmp");
        file = FileChannel.open(
                path, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE);
        byte[] bytes = new byte[32];
        RANDOM.nextBytes(bytes);
        key = new SecretKeySpec(bytes, "AES");
    }

    int count() {
        return count;
    }

    void add(String text) throws IOException {
        if (open.size() == 0) {
            if (blocks == firsts.length) {
                firsts = Arrays.copyOf(firsts, 2 * blocks);
                offsets = Arrays.copyOf(offsets, 2 * blocks);
            }
            firsts[blocks] = count;
        }
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        DataOutputStream out = new DataOutputStream(open);
        out.writeInt(utf8.length);
        out.write(utf8);
        count++;
        if (open.size() >= BLOCK) {
            store();
        }
    }

    /** No more will come. */
    void seal() throws IOException {
        if (open.size() > 0) {
            store();
        }
        open = new ByteArrayOutputStream(0);
    }

    private void store() throws IOException {
        byte[] sealed = crypt(Cipher.ENCRYPT_MODE, blocks, open.toByteArray());
        offsets[blocks++] = end;
        ByteBuffer bytes = ByteBuffer.wrap(sealed);
        while (bytes.hasRemaining()) {
            end += file.write(bytes, end);
        }
        open.reset();
    }

    /** Fails with {@code xlsx.damaged} where there is no such text. */
    String get(int number) throws IOException {
        if (number < 0 || number >= count) {
            throw Problem.of("xlsx.damaged");
        }
        int found = Arrays.binarySearch(firsts, 0, blocks, number);
        int block = found >= 0 ? found : -found - 2;
        String[] texts = remembered.get(block);
        if (texts == null) {
            texts = load(block);
            remembered.put(block, texts);
        }
        return texts[number - firsts[block]];
    }

    private String[] load(int block) throws IOException {
        long to = block + 1 < blocks ? offsets[block + 1] : end;
        ByteBuffer sealed = ByteBuffer.allocate((int) (to - offsets[block]));
        while (sealed.hasRemaining()) {
            if (file.read(sealed, offsets[block] + sealed.position()) < 0) {
                throw new IOException("the file of texts is cut");
            }
        }
        byte[] plain = crypt(Cipher.DECRYPT_MODE, block, sealed.array());
        String[] texts = new String[(block + 1 < blocks ? firsts[block + 1] : count) - firsts[block]];
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(plain));
        for (int i = 0; i < texts.length; i++) {
            texts[i] = new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
        }
        return texts;
    }

    /** Each block once under its own number, so no nonce comes twice. */
    private byte[] crypt(int mode, int block, byte[] bytes) throws IOException {
        try {
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            byte[] nonce = ByteBuffer.allocate(12).putInt(block).array();
            cipher.init(mode, key, new GCMParameterSpec(TAG_BITS, nonce));
            return cipher.doFinal(bytes);
        } catch (GeneralSecurityException e) {
            throw new IOException("a block of texts is not as it was written", e);
        }
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
