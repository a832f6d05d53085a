package io.kehu.customer.export.format;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import net.lingala.zip4j.io.outputstream.ZipOutputStream;
import net.lingala.zip4j.model.ZipParameters;
import net.lingala.zip4j.model.enums.AesKeyStrength;
import net.lingala.zip4j.model.enums.CompressionMethod;
import net.lingala.zip4j.model.enums.EncryptionMethod;

/** One file in a zip archive, encrypted with AES-256 (WinZip AE-2), written as it comes. */
public final class Archive extends OutputStream {
    private final ZipOutputStream zip;

    /** @param name of the file within */
    public Archive(OutputStream out, String name, String password) {
        try {
            zip = new ZipOutputStream(out, password.toCharArray());
            ZipParameters entry = new ZipParameters();
            entry.setFileNameInZip(name);
            entry.setCompressionMethod(CompressionMethod.DEFLATE);
            entry.setEncryptFiles(true);
            entry.setEncryptionMethod(EncryptionMethod.AES);
            entry.setAesKeyStrength(AesKeyStrength.KEY_STRENGTH_256);
            zip.putNextEntry(entry);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void write(int b) throws IOException {
        zip.write(b);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
        zip.write(bytes, from, length);
    }

    @Override
    public void close() throws IOException {
        zip.closeEntry();
        zip.close();
    }
}
