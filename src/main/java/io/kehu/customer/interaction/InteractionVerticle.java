package io.kehu.customer.interaction;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerReach;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.interaction. */
public final class InteractionVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        InteractionService service = new InteractionService(
                kernel.database(),
                new CustomerReach(kernel.database()),
                new InteractionStore(kernel.database(), kernel.vault(), kernel.text("zone")),
                kernel::cursorMac);
        return Operations.at("customer.interaction")
                .on("listInteractions", service::list)
                .on("createInteraction", service::create)
                .on("getInteraction", service::get)
                .on("changeInteraction", service::change)
                .on("getContactPreference", service::preference);
    }
}
