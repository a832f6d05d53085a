package io.kehu.customer;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Principal;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Whether somebody may reach a customer: the question that every sub-domain asks before it shows or takes what belongs to one.
 * An id that was merged into another leads to that one.
 */
public final class CustomerReach {
    private final Database database;

    public CustomerReach(Database database) {
        this.database = database;
    }

    /**
     * A customer in reach.
     *
     * @param id of the record that stands for the customer today; rows of his are those of {@code customer.sides(id)}
     * @param side the id that was asked for: what arrives is kept under it
     */
    public record Reached(
            UUID id,
            UUID side,
            String kind,
            UUID branchId,
            @Nullable UUID managerId) {
        static Reached from(Row row, UUID side) {
            return new Reached(
                    row.getUUID("id"),
                    side,
                    row.getString("kind"),
                    row.getUUID("branch_id"),
                    row.getUUID("manager_id"));
        }

        /** An event about something of the customer's, seen by who may see him and has the permission. */
        public Event event(String type, UUID aggregate, long version, String permission) {
            return Event.of(type, aggregate, version, permission)
                    .within(branchId, managerId)
                    .with("customerId", id.toString());
        }
    }

    /** Fails with {@code customer.notFound}, also out of scope and where he is deleted. */
    public Future<Reached> of(Call call, UUID id) {
        Where where = within(call.principal(), id);
        return database.row(call, CustomerStore.PLACE + where.sql(), where.values(), "customer.notFound")
                .map(row -> Reached.from(row, id));
    }

    /** The same within a transaction: nobody deletes, merges or hands him over before it ends. */
    public Future<Reached> held(Tx tx, UUID id) {
        return held(tx, id, " FOR SHARE");
    }

    /**
     * The same for who goes on to change the record itself: two that hold it together and both want it alone would wait for
     * each other.
     */
    public Future<Reached> heldAlone(Tx tx, UUID id) {
        return held(tx, id, " FOR NO KEY UPDATE");
    }

    private static Future<Reached> held(Tx tx, UUID id, String how) {
        Where where = within(tx.principal(), id);
        return tx.row(CustomerStore.PLACE + where.sql() + how, where.values(), "customer.notFound")
                .map(row -> Reached.from(row, id));
    }

    private static Where within(Principal who, UUID id) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id")
                .and("c.id = customer.root(?)", id)
                .and("c.deleted_at IS NULL");
    }
}
