package io.kehu.ops.event;

import io.kehu.bus.Operations;
import io.kehu.event.EventLog;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;

/** The operations of the tag ops.event. */
public final class EventVerticle extends VerticleBase {
    private final EventService service;

    public EventVerticle(Database database, EventLog log) {
        this.service = new EventService(database, new EventStore(), log);
    }

    @Override
    public Future<?> start() {
        return Operations.at("ops.event")
                .on("listEvents", service::list)
                .on("createStreamTicket", service::createTicket)
                .serve(vertx);
    }
}
