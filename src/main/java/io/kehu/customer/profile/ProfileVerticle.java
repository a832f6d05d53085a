package io.kehu.customer.profile;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerReach;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.profile. */
public final class ProfileVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ProfileService service = new ProfileService(
                kernel.database(),
                new CustomerReach(kernel.database()),
                new ProfileStore(kernel.database(), kernel.vault()));
        return Operations.at("customer.profile")
                .on("getCustomerProfile", service::get)
                .on("changeCustomerProfile", service::change);
    }
}
