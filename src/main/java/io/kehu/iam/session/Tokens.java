package io.kehu.iam.session;

import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.crypto.Sha256;
import io.kehu.crypto.Signer;
import io.vertx.core.buffer.Buffer;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.UUID;

/** Access tokens, which are signed, and refresh tokens, which are random and known only by their hash. */
final class Tokens {
    /** The only cookie of Kehu; browsers send it to the paths of this tag alone, and never across sites. */
    static final String COOKIE = "kehu_refresh";

    private static final String ATTRIBUTES = "; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=";

    private final Signer signer;
    private final Lives lives;

    /**
     * How long things live.
     *
     * @param access an access token
     * @param idle a session without a refresh
     * @param absolute a session in any case
     */
    record Lives(Duration access, Duration idle, Duration absolute) {}

    Tokens(Signer signer, Lives lives) {
        this.signer = signer;
        this.lives = lives;
    }

    Lives lives() {
        return lives;
    }

    /** Seconds that an access token of now lives: never beyond its session. */
    long seconds(OffsetDateTime now, OffsetDateTime sessionEnd) {
        return Math.max(
                1,
                Math.min(
                        lives.access().toSeconds(),
                        Duration.between(now, sessionEnd).toSeconds()));
    }

    /** Begins and ends a second early, because nodes follow the database's clock from a little behind. */
    String access(
            UUID subject,
            Principal.Audience audience,
            UUID session,
            long rights,
            OffsetDateTime now,
            OffsetDateTime sessionEnd) {
        long second = now.toEpochSecond();
        return signer.issue(new Signer.Claims(
                subject,
                session,
                rights,
                audience,
                second - 1,
                second - 1,
                second - 1 + seconds(now, sessionEnd),
                Ids.next()));
    }

    static Buffer hash(String refresh) {
        return Buffer.buffer(Sha256.of(refresh));
    }

    /** When a refresh token of now ends: idle that long, and never after its session. */
    OffsetDateTime refreshEnd(OffsetDateTime now, OffsetDateTime sessionEnd) {
        OffsetDateTime idle = now.plus(lives.idle());
        return idle.isBefore(sessionEnd) ? idle : sessionEnd;
    }

    static String cookie(String refresh, OffsetDateTime now, OffsetDateTime end) {
        return COOKIE + "=" + refresh + ATTRIBUTES
                + Math.max(0, Duration.between(now, end).toSeconds());
    }

    static String noCookie() {
        return COOKIE + "=" + ATTRIBUTES + "0";
    }
}
