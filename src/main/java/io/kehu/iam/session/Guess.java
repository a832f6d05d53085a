package io.kehu.iam.session;

import io.kehu.crypto.Vault;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Tuple;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * One look at a password, as the counters know it: keyed hashes of the account name and of where it comes from, so that
 * what people type into the wrong field is nowhere to be read.
 *
 * @param source the address; of IPv6 its first 64 bits, which is what one household or server is given
 */
record Guess(Buffer account, Buffer origin, String source) {
    private static final int PREFIX_BYTES = 8;

    static Guess of(Vault vault, String username, String address) {
        String source = source(address);
        return new Guess(hash(vault, "account " + username), hash(vault, "source " + source), source);
    }

    private static Buffer hash(Vault vault, String text) {
        return Buffer.buffer(vault.hmac("attempt", text.getBytes(StandardCharsets.UTF_8)));
    }

    private static String source(String address) {
        if (!address.contains(":")) {
            return address;
        }
        try {
            // Written in digits, so nothing is looked up.
            int zone = address.indexOf('%');
            InetAddress parsed = InetAddress.getByName(zone < 0 ? address : address.substring(0, zone));
            return parsed instanceof Inet6Address
                    ? HexFormat.of().formatHex(Arrays.copyOf(parsed.getAddress(), PREFIX_BYTES))
                    : String.valueOf(parsed.getHostAddress());
        } catch (UnknownHostException e) {
            return address;
        }
    }

    Tuple keys() {
        return Tuple.of(account, origin);
    }

    Tuple keys(String outcome) {
        return Tuple.of(account, origin, outcome);
    }
}
