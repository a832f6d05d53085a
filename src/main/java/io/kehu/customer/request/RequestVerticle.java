package io.kehu.customer.request;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerChanges;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.SealedTextStore;
import io.kehu.customer.version.ReasonStore;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.request. */
public final class RequestVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ZoneId zone = ZoneId.of(kernel.text("zone"));
        CustomerStore customers = new CustomerStore(kernel.database(), CustomerSeals.of(kernel));
        RequestService service = new RequestService(
                kernel.database(),
                new RequestStore(
                        kernel.database(),
                        new SealedTextStore(kernel.vault(), "customer.change_request"),
                        zone.getId()),
                customers,
                new CustomerChanges(customers, kernel.clock(), zone),
                new ReasonStore(kernel.vault()),
                kernel.number("changeRequests.perDay"),
                zone,
                kernel::cursorMac);
        return Operations.at("customer.request")
                .on("createOwnChangeRequest", service::create)
                .on("listOwnChangeRequests", service::listOwn)
                .on("withdrawOwnChangeRequest", service::withdraw)
                .on("listChangeRequests", service::list)
                .on("getChangeRequest", service::get)
                .on("acceptChangeRequest", service::accept)
                .on("rejectChangeRequest", service::reject);
    }
}
