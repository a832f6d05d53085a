package io.kehu.customer.source;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerReach;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.source. */
public final class SourceVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        SourceService service = new SourceService(
                kernel.database(), new SourceStore(kernel.database()), new CustomerReach(kernel.database()));
        return Operations.at("customer.source")
                .on("getCustomerSources", service::get)
                .on("releaseCustomerField", service::release);
    }
}
