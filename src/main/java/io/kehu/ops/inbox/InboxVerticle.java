package io.kehu.ops.inbox;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operation of the tag ops.inbox. */
public final class InboxVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        InboxService service = new InboxService(kernel.codes());
        return Operations.at("ops.inbox").on("readDemoInbox", service::read);
    }
}
