package io.kehu.customer.access;

import io.kehu.bus.Call;
import io.kehu.bus.Reply;
import io.kehu.sql.Page;
import io.vertx.core.Future;
import java.util.List;
import java.util.function.UnaryOperator;

/** Who may be told who looked: whoever has the permission, of customers in scope. */
final class AccessService {
    private final AccessStore store;
    private final UnaryOperator<byte[]> mac;

    AccessService(AccessStore store, UnaryOperator<byte[]> mac) {
        this.store = store;
        this.mac = mac;
    }

    /** Each look at the record, newest first. Problems: customer.notFound, request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.sides(call)
                .compose(sides -> store.list(call, sides, page))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("at").toString(),
                                row.getString("request_id"),
                                row.getUUID("object_id").toString()),
                        (json, row) -> Access.from(row).toJson(json))));
    }
}
