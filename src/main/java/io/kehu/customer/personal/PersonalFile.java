package io.kehu.customer.personal;

import io.vertx.core.Handler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import org.jspecify.annotations.Nullable;

/** Everything about a customer as one JSON document, read page by page as fast as somebody takes it. */
final class PersonalFile implements ReadStream<Buffer> {
    private final PersonalStore.Reading reading;
    private @Nullable Handler<Buffer> handler;
    private @Nullable Handler<Void> end;
    private @Nullable Handler<Throwable> failed;
    private long demand;
    private boolean busy;
    private boolean over;

    PersonalFile(PersonalStore.Reading reading) {
        this.reading = reading;
    }

    @Override
    public PersonalFile exceptionHandler(@Nullable Handler<Throwable> to) {
        failed = to;
        return this;
    }

    @Override
    public PersonalFile handler(@Nullable Handler<Buffer> to) {
        handler = to;
        return this;
    }

    @Override
    public PersonalFile endHandler(@Nullable Handler<Void> to) {
        end = to;
        return this;
    }

    @Override
    public PersonalFile pause() {
        demand = 0;
        return this;
    }

    @Override
    public PersonalFile resume() {
        return fetch(Long.MAX_VALUE);
    }

    @Override
    public PersonalFile fetch(long amount) {
        demand = demand + amount < 0 ? Long.MAX_VALUE : demand + amount;
        pull();
        return this;
    }

    private void pull() {
        if (busy || over || demand == 0) {
            return;
        }
        busy = true;
        reading.next().onComplete(done -> {
            busy = false;
            if (done.failed()) {
                over = true;
                if (failed != null) {
                    failed.handle(done.cause());
                }
            } else if (done.result() == null) {
                over = true;
                if (end != null) {
                    end.handle(null);
                }
            } else {
                demand = demand == Long.MAX_VALUE ? demand : Math.max(0, demand - 1);
                if (handler != null) {
                    handler.handle(done.result());
                }
                pull();
            }
        });
    }
}
