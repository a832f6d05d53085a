package io.kehu.bus;

import java.security.SecureRandom;
import java.util.Base64;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;

/** What nobody chooses: secrets, and UUIDs of version 7 (RFC 9562, section 5.7): in the order of their making on one node, unguessable across nodes. */
public final class Ids {
    private static final SecureRandom RANDOM = new SecureRandom();
    /** Milliseconds in the upper 52 bits, a 12-bit counter below: method 1 of RFC 9562, section 6.2. */
    private static final AtomicLong LAST = new AtomicLong();

    private static final int SECRET_BYTES = 32;

    private Ids() {}

    /** 256 random bits in letters of URLs: nobody guesses it, so that a fast hash keeps it. */
    public static String secret() {
        byte[] bytes = new byte[SECRET_BYTES];
        RANDOM.nextBytes(bytes);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    public static UUID next() {
        long stamp = LAST.updateAndGet(last -> Math.max(last + 1, System.currentTimeMillis() << 12));
        long high = (stamp >>> 12 << 16) | 0x7000L | (stamp & 0xfff);
        long low = (RANDOM.nextLong() & 0x3fff_ffff_ffff_ffffL) | 0x8000_0000_0000_0000L;
        return new UUID(high, low);
    }
}
