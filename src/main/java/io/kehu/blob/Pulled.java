package io.kehu.blob;

import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A stream that is made piece by piece, as fast as somebody takes it. */
public final class Pulled implements ReadStream<Buffer> {
    private final Supplier<Future<@Nullable Buffer>> next;
    private @Nullable Handler<Buffer> handler;
    private @Nullable Handler<Void> end;
    private @Nullable Handler<Throwable> failed;
    private long demand;
    private boolean busy;
    private boolean over;

    /** @param next asked one at a time; null ends the stream, an empty piece is passed over */
    public Pulled(Supplier<Future<@Nullable Buffer>> next) {
        this.next = next;
    }

    @Override
    public Pulled exceptionHandler(@Nullable Handler<Throwable> to) {
        failed = to;
        return this;
    }

    @Override
    public Pulled handler(@Nullable Handler<Buffer> to) {
        handler = to;
        return this;
    }

    @Override
    public Pulled endHandler(@Nullable Handler<Void> to) {
        end = to;
        return this;
    }

    @Override
    public Pulled pause() {
        demand = 0;
        return this;
    }

    @Override
    public Pulled resume() {
        return fetch(Long.MAX_VALUE);
    }

    @Override
    public Pulled fetch(long amount) {
        demand = demand + amount < 0 ? Long.MAX_VALUE : demand + amount;
        pull();
        return this;
    }

    private void pull() {
        if (busy || over || demand == 0) {
            return;
        }
        busy = true;
        next.get().onComplete(done -> {
            busy = false;
            Buffer piece = done.result();
            if (done.failed()) {
                over = true;
                if (failed != null) {
                    failed.handle(done.cause());
                }
            } else if (piece == null) {
                over = true;
                if (end != null) {
                    end.handle(null);
                }
            } else {
                if (piece.length() > 0) {
                    demand = demand == Long.MAX_VALUE ? demand : Math.max(0, demand - 1);
                    if (handler != null) {
                        handler.handle(piece);
                    }
                }
                pull();
            }
        });
    }
}
