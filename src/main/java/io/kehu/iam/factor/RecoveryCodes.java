package io.kehu.iam.factor;

import io.kehu.crypto.Vault;
import io.vertx.core.buffer.Buffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.UUID;

/**
 * Codes for somebody who has lost his other factors: ten, each of 50 random bits, known only by a keyed hash (NIST SP 800-63B,
 * section 5.1.2: look-up secrets).
 */
final class RecoveryCodes {
    private static final int COUNT = 10;
    private static final int HALF = 5;
    /** Without letters that look like others. */
    private static final String LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    private static final String HASH = "iam.recovery_code";
    private static final SecureRandom RANDOM = new SecureRandom();

    private RecoveryCodes() {}

    /** As people read them: XXXXX-XXXXX. */
    static List<String> fresh() {
        List<String> codes = new ArrayList<>();
        for (int i = 0; i < COUNT; i++) {
            codes.add(letters() + '-' + letters());
        }
        return codes;
    }

    private static String letters() {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < HALF; i++) {
            text.append(LETTERS.charAt(RANDOM.nextInt(LETTERS.length())));
        }
        return text.toString();
    }

    /** However it was typed: small letters, blanks and dashes do not matter. */
    static Buffer hash(Vault vault, UUID staff, String code) {
        String plain = code.replaceAll("[\\s-]", "").toUpperCase(Locale.ROOT);
        return Buffer.buffer(vault.blind(HASH, staff + " " + plain));
    }
}
