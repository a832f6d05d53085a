package io.kehu.ops.clock;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag ops.clock. */
public final class ClockVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        boolean movable = !kernel.text("mode").equalsIgnoreCase("production");
        ClockService service =
                new ClockService(kernel.database(), new ClockStore(kernel.database()), kernel.clock(), movable);
        return Operations.at("ops.clock").on("getClock", service::get).on("moveClock", service::move);
    }
}
