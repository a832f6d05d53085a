package io.kehu.kernel;

import io.kehu.bus.Operations;
import io.kehu.bus.Problem;
import io.vertx.core.Future;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * How a domain or sub-domain makes itself known: its verticle implements this and is named in {@code
 * META-INF/services/io.kehu.kernel.Domain}. Every node makes one, and serves those whose top-level name its settings name. So a
 * new domain changes no line of the kernel.
 */
public interface Domain {
    /** The table of its operations; called once per node, before the node answers. */
    Operations operations(Kernel kernel);

    /**
     * Makes what must be there before the domain is served, e.g. demo data in an empty database; in the order of the
     * services file, on every node, so it must do nothing the second time.
     *
     * @return lines for the console. Fails with {@link Unfit} where Kehu must not start
     */
    default Future<List<String>> prepare(Kernel kernel) {
        return Future.succeededFuture(List.of());
    }

    /**
     * Fills the domain with invented data for demonstrations and load tests; what is there already is not made again.
     *
     * @param customers how many customers the bank shall have
     * @param progress takes a line now and then
     */
    default Future<?> seed(Kernel kernel, long customers, Consumer<String> progress) {
        return Future.succeededFuture();
    }

    /**
     * Makes an administrator without anybody signed in; only the domain that owns staff does. Comes without {@link
     * #prepare}, so that a bank may begin with its administrator and nobody else.
     *
     * @param password null for a random one
     * @return the password, or null where the domain has no staff. Fails with {@link Problem}
     */
    default Future<@Nullable String> administrator(Kernel kernel, String username, @Nullable String password) {
        return Future.succeededFuture(null);
    }

    /** Kehu must not start; the message is one line that names what is wrong and the remedy. */
    final class Unfit extends RuntimeException {
        public Unfit(String line) {
            super(line, null, false, false);
        }
    }
}
