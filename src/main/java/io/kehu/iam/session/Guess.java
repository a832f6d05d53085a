package io.kehu.iam.session;

import io.kehu.bus.Network;
import io.kehu.crypto.Vault;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;

/**
 * One look at a password, as the counters know it: keyed hashes of the account name and of where it comes from, so that
 * what people type into the wrong field is nowhere to be read.
 *
 * @param source the address; of IPv6 its first 64 bits, which is what one household or server is given
 */
public record Guess(Buffer account, Buffer origin, String source) {
    static Guess of(Vault vault, String username, String address) {
        String source = Network.source(address);
        return new Guess(hash(vault, "account " + username), hash(vault, "source " + source), source);
    }

    private static Buffer hash(Vault vault, String text) {
        return Buffer.buffer(vault.hmac("attempt", text.getBytes(StandardCharsets.UTF_8)));
    }

    Tuple keys() {
        return Tuple.of(account, origin);
    }

    Tuple keys(String outcome) {
        return Tuple.of(account, origin, outcome);
    }
}
