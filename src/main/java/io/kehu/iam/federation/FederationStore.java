package io.kehu.iam.federation;

import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;

/** SQL of group mappings, of who staff are elsewhere, and of sign-ins under way. */
final class FederationStore {
    private static final String VERSION = "SELECT id, version FROM iam.group_mapping_set";
    private static final String LOCK_SET = VERSION + " FOR UPDATE";
    private static final String TOUCH = "UPDATE iam.group_mapping_set SET changes = changes + 1 RETURNING id, version";
    private static final String MAPPINGS = "SELECT source, group_name, roles, branch_id FROM iam.group_mapping ";
    private static final String ALL = MAPPINGS + "ORDER BY source, lower(group_name)";
    private static final String OF_GROUPS = MAPPINGS + "WHERE source = $1 AND lower(group_name) = ANY ($2)";
    private static final String MAY_CALL = "SELECT iam.staff_may_call($1, $2) AS may";
    private static final String FORGET_ALL = "DELETE FROM iam.group_mapping";
    private static final String INSERT = """
            INSERT INTO iam.group_mapping (id, source, group_name, roles, branch_id)
            VALUES ($1, $2, $3, $4, $5)""";

    /** One at a time for each person: there may be no row yet that could be locked. */
    private static final String LOCK_PERSON =
            "SELECT pg_advisory_xact_lock(hashtextextended('iam.federated_identity ' || $1::text || ' ' || $2::text, 0))";

    private static final String LINK = "SELECT staff_id FROM iam.federated_identity WHERE issuer = $1 AND subject = $2";
    private static final String INSERT_LINK =
            "INSERT INTO iam.federated_identity (id, staff_id, issuer, subject) VALUES ($1, $2, $3, $4)";

    private static final String FORGET_FLOWS = """
            DELETE FROM iam.oidc_flow WHERE state_hash = ANY (ARRAY(
                SELECT state_hash FROM iam.oidc_flow WHERE expires_at < kehu.now() LIMIT 10 FOR UPDATE SKIP LOCKED))""";
    private static final String ADD_FLOW = """
            INSERT INTO iam.oidc_flow (state_hash, flow_hash, provider, sealed, expires_at) VALUES ($1, $2, $3, $4, $5)""";
    /** Commits by itself: a state is gone with its first use, whatever comes of it. */
    private static final String TAKE_FLOW = """
            DELETE FROM iam.oidc_flow WHERE state_hash = $1
            RETURNING flow_hash = $2 AND provider = $3 AND expires_at > kehu.now() AS good, sealed""";

    private final Database database;

    FederationStore(Database database) {
        this.database = database;
    }

    /** All mappings, and the version of them as a whole. */
    record Mappings(UUID id, long version, List<GroupMapping> items) {}

    Future<Mappings> mappings(Call call) {
        return database.row(call, VERSION, Tuple.tuple(), "server.failure")
                .compose(row -> database.query(call, ALL, Tuple.tuple()).map(rows -> mappings(row, rows)));
    }

    private static Mappings mappings(Row set, RowSet<Row> rows) {
        List<GroupMapping> items = new ArrayList<>();
        rows.forEach(row -> items.add(GroupMapping.from(row)));
        return new Mappings(set.getUUID("id"), set.getLong("version"), items);
    }

    /** The version, held until the end of the transaction. */
    Future<Long> lockedVersion(Tx tx) {
        return tx.row(LOCK_SET, Tuple.tuple(), "server.failure").map(row -> row.getLong("version"));
    }

    Future<Mappings> replace(Tx tx, List<GroupMapping> items) {
        Future<?> done = tx.query(FORGET_ALL, Tuple.tuple());
        for (GroupMapping item : items) {
            done = done.compose(v -> tx.query(
                    INSERT,
                    Tuple.of(
                            Ids.next(),
                            item.source(),
                            item.group(),
                            item.roles().toArray(String[]::new),
                            item.branchId())));
        }
        return done.compose(v -> tx.row(TOUCH, Tuple.tuple(), "server.failure"))
                .compose(set -> tx.query(ALL, Tuple.tuple()).map(rows -> mappings(set, rows)));
    }

    /** The mappings that a person's groups meet. */
    Future<List<GroupMapping>> mappingsOf(Tx tx, Identity person) {
        String[] groups = person.groups().stream()
                .map(group -> group.toLowerCase(Locale.ROOT))
                .toArray(String[]::new);
        return tx.query(OF_GROUPS, Tuple.of(person.source(), (Object) groups)).map(rows -> {
            List<GroupMapping> met = new ArrayList<>();
            rows.forEach(row -> met.add(GroupMapping.from(row)));
            return met;
        });
    }

    // Who staff are elsewhere

    Future<Optional<UUID>> linked(Tx tx, Identity person) {
        Tuple key = Tuple.of(person.issuer(), person.subject());
        return tx.query(LOCK_PERSON, key)
                .compose(v -> tx.query(LINK, key))
                .map(rows -> rows.size() == 0
                        ? Optional.empty()
                        : Optional.of(rows.iterator().next().getUUID("staff_id")));
    }

    Future<Void> link(Tx tx, UUID staff, Identity person) {
        return tx.query(INSERT_LINK, Tuple.of(Ids.next(), staff, person.issuer(), person.subject()))
                .mapEmpty();
    }

    // Sign-ins under way

    Future<Void> addFlow(Tx tx, byte[] state, byte[] flow, String provider, byte[] sealed, OffsetDateTime end) {
        return tx.query(FORGET_FLOWS, Tuple.tuple())
                .compose(v -> tx.query(
                        ADD_FLOW,
                        Tuple.of(Buffer.buffer(state), Buffer.buffer(flow), provider, Buffer.buffer(sealed), end)))
                .mapEmpty();
    }

    /** What was sealed for this state; empty where there is none, it is over, or another began it. */
    Future<Optional<byte[]>> takeFlow(byte[] state, byte[] flow, String provider) {
        return database.query(Call.Lane.POINT, TAKE_FLOW, Tuple.of(Buffer.buffer(state), Buffer.buffer(flow), provider))
                .map(rows -> {
                    for (Row row : rows) {
                        if (row.getBoolean("good")) {
                            return Optional.of(row.getBuffer("sealed").getBytes());
                        }
                    }
                    return Optional.empty();
                });
    }

    /** Whether a member of staff may call from where this call comes from. */
    Future<Boolean> mayCall(Tx tx, UUID staff) {
        return tx.query(MAY_CALL, Tuple.of(staff, tx.call().meta().address()))
                .map(rows -> rows.iterator().next().getBoolean("may"));
    }
}
