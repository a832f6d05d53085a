package io.kehu.ops.clock;

import io.kehu.bus.Operations;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;

/** The operations of the tag ops.clock. */
public final class ClockVerticle extends VerticleBase {
    private final ClockService service;

    /**
     * Serves the clock.
     *
     * @param movable whether it may be moved: in demo and test mode only
     */
    public ClockVerticle(Database database, Clock clock, boolean movable) {
        this.service = new ClockService(database, clock, movable);
    }

    @Override
    public Future<?> start() {
        return Operations.at("ops.clock")
                .on("getClock", service::get)
                .on("moveClock", service::move)
                .serve(vertx);
    }
}
