package io.kehu.ops.event;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag ops.event. */
public final class EventVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        EventService service = new EventService(kernel.database(), new EventStore(), kernel.events());
        return Operations.at("ops.event")
                .on("listEvents", service::list)
                .on("createStreamTicket", service::createTicket);
    }
}
