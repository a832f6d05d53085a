package io.kehu.job;

import io.vertx.core.Handler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;

/** A stream of one buffer. */
final class OneBuffer implements ReadStream<Buffer> {
    private final Buffer buffer;
    private Handler<Buffer> handler;
    private Handler<Void> end;
    private boolean given;

    OneBuffer(Buffer buffer) {
        this.buffer = buffer;
    }

    @Override
    public OneBuffer exceptionHandler(Handler<Throwable> to) {
        return this;
    }

    @Override
    public OneBuffer handler(Handler<Buffer> to) {
        handler = to;
        return this;
    }

    @Override
    public OneBuffer pause() {
        return this;
    }

    @Override
    public OneBuffer resume() {
        return fetch(Long.MAX_VALUE);
    }

    @Override
    public OneBuffer fetch(long amount) {
        if (!given) {
            given = true;
            handler.handle(buffer);
            end.handle(null);
        }
        return this;
    }

    @Override
    public OneBuffer endHandler(Handler<Void> to) {
        end = to;
        return this;
    }
}
