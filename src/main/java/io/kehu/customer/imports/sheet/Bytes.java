package io.kehu.customer.imports.sheet;

import java.io.IOException;

/** Bytes at any place of a file. Calls block. */
public interface Bytes {
    long size();

    /** Exactly so many from there on. */
    byte[] read(long from, int length) throws IOException;
}
