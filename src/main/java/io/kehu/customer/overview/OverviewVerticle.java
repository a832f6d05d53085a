package io.kehu.customer.overview;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.overview. */
public final class OverviewVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        OverviewService service = new OverviewService(
                new CustomerStore(kernel.database(), seals), new OverviewStore(kernel.database(), seals));
        return Operations.at("customer.overview").on("getCustomerOverview", service::get);
    }
}
