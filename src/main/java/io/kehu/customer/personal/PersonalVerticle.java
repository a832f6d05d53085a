package io.kehu.customer.personal;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerReach;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.personal. */
public final class PersonalVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        PersonalService service = new PersonalService(
                kernel.database(),
                new CustomerReach(kernel.database()),
                new PersonalStore(kernel.database(), kernel.vault(), kernel.text("zone")),
                kernel.blobs(),
                kernel.number("personalData.perDay"));
        return Operations.at("customer.personal")
                .on("exportPersonalData", service::export)
                .on("exportOwnPersonalData", service::exportOwn);
    }
}
