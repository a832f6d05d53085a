package io.kehu.customer;

import io.kehu.bus.Domain;
import io.kehu.bus.Kernel;
import io.kehu.bus.Operations;
import io.kehu.crypto.NameTokens;
import java.time.ZoneId;

/** The operations of the tag customer. */
public final class CustomerVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = new CustomerSeals(kernel.vault(), new NameTokens(kernel.keys()));
        CustomerService service = new CustomerService(
                kernel.database(),
                new CustomerStore(kernel.database(), seals),
                new CustomerSearchStore(kernel.database(), seals, kernel::cursorMac),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")));
        return Operations.at("customer")
                .on("createCustomer", service::create)
                .on("getCustomer", service::get)
                .on("changeCustomer", service::change)
                .on("listCustomers", service::list)
                .on("searchCustomers", service::search);
    }
}
