package io.kehu.customer.member;

import io.kehu.bus.Problem;
import io.vertx.core.Future;
import java.util.Locale;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The way by which a code reaches the phone on record. */
interface CodeChannel {
    /** Whether codes can be sent at all. Fails with {@code member.channelMissing} where not, before anything is begun. */
    Future<Void> ready();

    /**
     * Sends a code.
     *
     * @param registration what the code is for
     * @param phone in E.164
     */
    Future<Void> send(UUID registration, String phone, String code);

    /** Demo and test mode show codes to whoever reads the log; elsewhere there is no channel yet, and nobody registers. */
    static CodeChannel of(String mode) {
        return mode.toLowerCase(Locale.ROOT).equals("production") ? new None() : new Shown();
    }

    /** Writes codes into the log, which only demo and test mode may. */
    final class Shown implements CodeChannel {
        private static final Logger LOG = LoggerFactory.getLogger(CodeChannel.class);

        @Override
        public Future<Void> ready() {
            return Future.succeededFuture();
        }

        @Override
        public Future<Void> send(UUID registration, String phone, String code) {
            LOG.atInfo()
                    .addKeyValue("registration", registration)
                    .addKeyValue("code", code)
                    .log("a code for a demo registration");
            return Future.succeededFuture();
        }
    }

    /** No way at all. */
    final class None implements CodeChannel {
        @Override
        public Future<Void> ready() {
            return Future.failedFuture(Problem.of("member.channelMissing"));
        }

        @Override
        public Future<Void> send(UUID registration, String phone, String code) {
            return ready();
        }
    }
}
