package io.kehu.customer.merge;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.merge. */
public final class MergeVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        CustomerStore customers = new CustomerStore(kernel.database(), seals);
        MergeService service = new MergeService(
                kernel.database(),
                customers,
                new SideStore(customers, seals),
                new MergeStore(kernel.database()),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")),
                kernel::cursorMac);
        return Operations.at("customer.merge")
                .on("listMerges", service::list)
                .on("getMerge", service::get)
                .on("mergeCustomers", service::merge)
                .on("undoMerge", service::undo);
    }
}
