package io.kehu.ops.event;

import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Tuple;
import java.util.UUID;

/** SQL of the stream tickets. */
final class EventStore {
    private static final String INSERT_TICKET = """
            INSERT INTO kehu.stream_ticket (ticket_hash, session_id, good_until)
            VALUES ($1, $2, kehu.now() + make_interval(secs => $3))""";
    private static final String FORGET_OLD = "DELETE FROM kehu.stream_ticket WHERE good_until < kehu.now()";

    Future<Void> insertTicket(Tx tx, byte[] hash, UUID session, int goodSeconds) {
        return tx.query(FORGET_OLD, Tuple.tuple())
                .compose(v -> tx.query(INSERT_TICKET, Tuple.of(Buffer.buffer(hash), session, (double) goodSeconds)))
                .mapEmpty();
    }
}
