package io.kehu.customer.document;

import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import org.jspecify.annotations.Nullable;

/** Looks through files for what may harm who opens them. */
interface VirusScanner {
    /**
     * What a look came to.
     *
     * @param finding the name of what was found, at most 200 characters; null where the file is clean
     */
    record Verdict(String scanner, @Nullable String finding) {}

    /**
     * Reads the file to its end. Fails with {@code server.unavailable} where the scanner could not tell.
     *
     * @param file must not flow before it is resumed
     */
    Future<Verdict> scan(ReadStream<Buffer> file);
}
