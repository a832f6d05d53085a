package io.kehu.customer.version;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerChanges;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.version. */
public final class VersionVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        CustomerStore customers = new CustomerStore(kernel.database(), seals);
        VersionService service = new VersionService(
                kernel.database(),
                customers,
                new CustomerChanges(customers, kernel.clock(), ZoneId.of(kernel.text("zone"))),
                new VersionStore(kernel.database()),
                new ReasonStore(kernel.vault()),
                kernel::cursorMac);
        return Operations.at("customer.version")
                .on("listCustomerVersions", service::list)
                .on("restoreCustomerVersion", service::restore);
    }
}
