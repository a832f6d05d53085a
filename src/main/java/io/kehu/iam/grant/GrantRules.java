package io.kehu.iam.grant;

import io.kehu.bus.Principal;
import io.kehu.bus.Principal.Scope;
import io.kehu.bus.Problem;
import java.time.OffsetDateTime;
import java.util.Collection;
import java.util.List;
import java.util.UUID;

/** What may be given, for how long, by whom. Pure. */
final class GrantRules {
    /** Longer is no grant but a role. */
    static final int MAX_DAYS = 366;

    private static final String MANAGES_STAFF = "staff:manage";

    private GrantRules() {}

    /** What a role brings. */
    record RoleFacts(List<String> permissions, Scope scope) {}

    /** Fails with request.invalid unless the time from {@code from} lies ahead, in order, and within a year. */
    static void mustLieAhead(OffsetDateTime from, OffsetDateTime until, OffsetDateTime now) {
        if (!until.isAfter(now) || !until.isAfter(from) || until.isAfter(from.plusDays(MAX_DAYS))) {
            throw Problem.at("/endsAt", "field.period", Integer.toString(MAX_DAYS));
        }
    }

    /** When a gift begins that is given now: not in the past. */
    static OffsetDateTime start(Gift gift, OffsetDateTime now) {
        OffsetDateTime wanted = gift.startsAt();
        return wanted == null || wanted.isBefore(now) ? now : wanted;
    }

    /**
     * Whether a reviewer would lend what he does not have himself for as long. Who manages staff gives roles anyway; everybody else lends
     * permissions and places of his own. Customers named one by one are counted by the store.
     *
     * @param reviewer with what he may do until the end of the gift
     * @param branch where the receiver works
     */
    static boolean exceeds(Principal reviewer, Gift gift, Collection<RoleFacts> roles, UUID branch) {
        if (reviewer.may(MANAGES_STAFF)) {
            return false;
        }
        boolean permitted = reviewer.permissions().containsAll(gift.permissions())
                && roles.stream().allMatch(role -> reviewer.permissions().containsAll(role.permissions()));
        boolean placed = gift.branchIds().stream().allMatch(place -> reviewer.sees(place, null));
        boolean scoped = gift.isPlaced()
                || roles.stream().map(RoleFacts::scope).allMatch(scope -> switch (scope) {
                    case NONE -> true;
                    case OWN, BRANCH -> reviewer.sees(branch, null);
                    case ALL -> reviewer.scope() == Scope.ALL;
                });
        return !(permitted && placed && scoped);
    }

    /** Whether the customers that are named have to be looked at too. */
    static boolean mustSeeCustomers(Principal reviewer, Gift gift) {
        return !reviewer.may(MANAGES_STAFF) && !gift.customerIds().isEmpty();
    }
}
