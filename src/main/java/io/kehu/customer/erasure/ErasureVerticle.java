package io.kehu.customer.erasure;

import io.kehu.bus.Operations;
import io.kehu.crypto.Signer;
import io.kehu.customer.CustomerReach;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.nio.file.Path;
import java.util.List;

/**
 * The operations of the tag customer.erasure, and the erasing itself. Stands before all other domains of customers: a restored
 * copy forgets again before it shows anybody.
 */
public final class ErasureVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ErasureService service = new ErasureService(
                kernel.database(),
                new CustomerReach(kernel.database()),
                new ErasureStore(kernel.database()),
                kernel.number("erasure.graceDays"),
                kernel::cursorMac);
        return Operations.at("customer.erasure")
                .on("deleteCustomer", service::delete)
                .on("listDeletions", service::list)
                .on("getDeletion", service::get)
                .on("cancelDeletion", service::cancel)
                .on("getErasure", service::certificate);
    }

    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        ErasureList list = new ErasureList(Path.of(kernel.text("audit.checkpointFolder")), kernel.text("node.name"));
        ErasureWork work = new ErasureWork(
                kernel.vertx(),
                kernel.database(),
                new ErasureStore(kernel.database()),
                list,
                new Signer(kernel.keys(), "kehu"),
                kernel.vault(),
                kernel.number("backup.keepDays"));
        return work.replay().map(lines -> {
            work.start(kernel, kernel.number("erasure.pollMillis"));
            return lines;
        });
    }
}
