package io.kehu.iam.staff;

import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Vault;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.time.OffsetDateTime;
import java.util.UUID;

/** Brings staff in line with what a directory of the bank says of them, by the rules for all staff. */
public final class StaffEntry {
    private static final String READ = "staff:read";

    private final StaffStore store;
    private final Vault vault;
    private final Passwords passwords;

    private StaffEntry(StaffStore store, Vault vault, Passwords passwords) {
        this.store = store;
        this.vault = vault;
        this.passwords = passwords;
    }

    public static StaffEntry of(Kernel kernel) {
        return new StaffEntry(new StaffStore(kernel.database(), kernel.vault()), kernel.vault(), kernel.passwords());
    }

    /** A member of staff as he comes in. */
    public record Entrant(Staff staff, long rights) {
        public boolean active() {
            return staff.state().equals("active");
        }
    }

    /**
     * Takes somebody on who has his password elsewhere: no password opens this account here. Problems: staff.usernameTaken
     * (never the account of another), staff.branchUnknown, staff.branchClosed, staff.roleUnknown.
     */
    public Future<Entrant> create(Tx tx, String username, String name, StaffPlace place) {
        Staff draft = new Staff(
                Ids.next(),
                username,
                name,
                null,
                place.branchId(),
                place.roles(),
                "active",
                false,
                1,
                OffsetDateTime.MIN);
        return store.mustBeOpen(tx, place.branchId())
                .compose(v -> store.insert(tx, draft, passwords.absent()))
                .map(staff -> {
                    tx.event(Event.of("staff.created", staff.id(), staff.version(), READ)
                            .within(staff.branchId(), null));
                    return new Entrant(staff, 1);
                });
    }

    /**
     * Gives somebody the roles and the branch that he has elsewhere; a change makes every token of before worthless. Who is
     * not active stays as he is. Problems: staff.lastAdministrator, staff.branchUnknown, staff.branchClosed,
     * staff.roleUnknown.
     */
    public Future<Entrant> place(Tx tx, UUID id, StaffPlace place) {
        return store.lockAdministrators(tx).compose(v -> store.locked(tx, id)).compose(row -> {
            Staff before = Staff.from(row, vault);
            Staff after = before.at(place);
            if (!before.state().equals("active") || after.hasRightsOf(before)) {
                return store.rights(tx, id).map(rights -> new Entrant(before, rights));
            }
            Future<Void> open = after.branchId().equals(before.branchId())
                    ? Future.succeededFuture()
                    : store.mustBeOpen(tx, after.branchId());
            return open.compose(v -> store.update(tx, row, before, after))
                    .compose(staff -> store.mustHaveAdministrator(tx)
                            .compose(v -> store.rights(tx, id))
                            .map(rights -> {
                                tx.event(Event.of("staff.changed", id, staff.version(), READ)
                                        .within(staff.branchId(), null));
                                return new Entrant(staff, rights);
                            }));
        });
    }

    /**
     * Notes that the caller alone gave an account a new way in: until another person has approved what it may do, it counts
     * as his, beside those it counted as before.
     */
    public Future<Void> hold(Tx tx, UUID id) {
        return store.hold(tx, id);
    }

    /** For the audit: what somebody is called. Problems: staff.notFound. */
    public Future<String> username(Tx tx, UUID id) {
        return store.locked(tx, id).map(row -> row.getString("username"));
    }
}
