package io.kehu.customer.connector;

import io.kehu.crypto.Sha256;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;

/** Whether a delivery comes from who knows the secret, and now. Pure. */
final class SignatureRules {
    /** Seconds that the clocks of two systems, and the way between them, may take. */
    private static final long WINDOW = 300;

    private SignatureRules() {}

    static boolean isInTime(long sent, long now) {
        return Math.abs(now - sent) <= WINDOW;
    }

    /** HMAC-SHA256 (RFC 2104) over {@code time.delivery.payload}, in hexadecimal. */
    static String signature(String secret, long time, String delivery, String payload) {
        String text = time + "." + delivery + "." + payload;
        return HexFormat.of()
                .formatHex(Sha256.mac(secret.getBytes(StandardCharsets.UTF_8))
                        .doFinal(text.getBytes(StandardCharsets.UTF_8)));
    }

    /** By any of the secrets; takes as long whichever it is. */
    static boolean fits(List<String> secrets, long time, String delivery, String payload, String given) {
        boolean fits = false;
        for (String secret : secrets) {
            byte[] wanted = signature(secret, time, delivery, payload).getBytes(StandardCharsets.US_ASCII);
            fits |= MessageDigest.isEqual(wanted, given.getBytes(StandardCharsets.US_ASCII));
        }
        return fits;
    }
}
