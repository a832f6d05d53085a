package io.kehu.ops.inbox;

import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.outgoing.CodeChannel;
import io.vertx.core.Future;

/** The rules of the demo inbox. */
final class InboxService {
    private final CodeChannel codes;

    InboxService(CodeChannel codes) {
        this.codes = codes;
    }

    /** The newest codes, at most a hundred. Problems: request.unknownPath (in production). */
    Future<Reply> read(Call call) {
        return codes.inbox()
                .map(sent -> Future.succeededFuture(Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeArrayFieldStart("items");
                    for (CodeChannel.Sent one : sent) {
                        json.writeStartObject();
                        json.writeStringField("about", one.about());
                        json.writeStringField("id", one.id().toString());
                        json.writeStringField("phone", one.phone());
                        json.writeStringField("code", one.code());
                        json.writeStringField("at", one.at().toInstant().toString());
                        json.writeEndObject();
                    }
                    json.writeEndArray();
                    json.writeEndObject();
                })))
                .orElseGet(() -> Future.failedFuture(Problem.of("request.unknownPath")));
    }
}
