package io.kehu.customer.consent;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerReach;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.consent. */
public final class ConsentVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ConsentService service = new ConsentService(
                kernel.database(),
                new CustomerReach(kernel.database()),
                new ConsentStore(kernel.database()),
                kernel::cursorMac);
        return Operations.at("customer.consent")
                .on("listConsents", service::list)
                .on("createConsent", service::create)
                .on("checkConsent", service::check)
                .on("listConsentPurposes", service::purposes);
    }
}
