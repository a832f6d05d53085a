package io.kehu.customer.access;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.access. */
public final class AccessVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        AccessService service = new AccessService(new AccessStore(kernel.database()), kernel::cursorMac);
        return Operations.at("customer.access").on("listCustomerAccesses", service::list);
    }
}
