package io.kehu.bus;

import java.net.InetAddress;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Who is calling, as PostgreSQL knew it a moment ago: travels in every {@link Call}, never in a thread or context local.
 *
 * @param subject the person or system; {@link #NOBODY} for anonymous calls
 * @param audience staff, customer, partner or public
 * @param session the sign-in this call belongs to; null for anonymous and internal calls
 * @param version counts every change of rights: a token of an older version is refused
 * @param name what a log or an audit page may call the subject (a sign-in name, never a person's name)
 * @param branchId the branch the subject works at
 * @param permissions what the subject may do, in the form domain:verb
 * @param scope which rows of customer data the subject sees
 * @param branchIds for {@link Scope#BRANCH}: the branch and all below it; for {@link Scope#OWN} too: branches it was given for
 *     a while, seen whole
 * @param customers customers it was given for a while one by one, whatever the scope; at most 1,000
 * @param networks where the subject may call from; empty for everywhere
 * @param factorAt when the subject last proved itself with a factor, in epoch milliseconds; 0 for never
 * @param goodUntil when what it may do changes by itself, because a grant begins or ends, in epoch milliseconds
 * @param requestKey by which each request has to be signed ({@link io.kehu.crypto.RequestSignature}); null for unsigned ones
 */
public record Principal(
        UUID subject,
        Audience audience,
        @Nullable UUID session,
        long version,
        String name,
        @Nullable UUID branchId,
        Set<String> permissions,
        Scope scope,
        List<UUID> branchIds,
        List<UUID> customers,
        List<Network> networks,
        long factorAt,
        long goodUntil,
        @Nullable String requestKey) {

    /** Whose requests need no signature. */
    public Principal(
            UUID subject,
            Audience audience,
            @Nullable UUID session,
            long version,
            String name,
            @Nullable UUID branchId,
            Set<String> permissions,
            Scope scope,
            List<UUID> branchIds,
            List<UUID> customers,
            List<Network> networks,
            long factorAt,
            long goodUntil) {
        this(
                subject,
                audience,
                session,
                version,
                name,
                branchId,
                permissions,
                scope,
                branchIds,
                customers,
                networks,
                factorAt,
                goodUntil,
                null);
    }

    /** The subject of calls without a token. */
    public static final UUID NOBODY = new UUID(0, 0);

    /** The subject of work that Kehu does by itself: seeds, maintenance. */
    public static final UUID SYSTEM = new UUID(0, 1);

    public static final Principal ANONYMOUS = new Principal(
            NOBODY,
            Audience.PUBLIC,
            null,
            0,
            "anonymous",
            null,
            Set.of(),
            Scope.NONE,
            List.of(),
            List.of(),
            List.of(),
            0,
            Long.MAX_VALUE);

    public static final Principal KEHU = new Principal(
            SYSTEM,
            Audience.STAFF,
            null,
            0,
            "kehu",
            null,
            Set.of(),
            Scope.ALL,
            List.of(),
            List.of(),
            List.of(),
            0,
            Long.MAX_VALUE);

    public Principal {
        permissions = Set.copyOf(permissions);
        branchIds = List.copyOf(branchIds);
        // Jobs keep their principal: one that an older version wrote has none.
        customers = customers == null ? List.of() : List.copyOf(customers);
        networks = List.copyOf(networks);
    }

    public boolean may(String permission) {
        return permissions.contains(permission);
    }

    /** Whether the scope is made of whole branches, so that numbers kept of each can be added up for it. */
    public boolean seesWholeBranches() {
        return scope == Scope.ALL || (scope == Scope.BRANCH && customers.isEmpty());
    }

    /** Whether what belongs to a branch, and is looked after by a member of staff, lies within the scope. */
    public boolean sees(@Nullable UUID branch, @Nullable UUID owner) {
        boolean within = branch != null && branchIds.contains(branch);
        return switch (scope) {
            case ALL -> true;
            case BRANCH -> within;
            case OWN -> within || subject.equals(owner);
            case NONE -> false;
        };
    }

    /** The same of a customer, who may also have been given alone. */
    public boolean sees(UUID customer, @Nullable UUID branch, @Nullable UUID owner) {
        return sees(branch, owner) || (scope != Scope.NONE && customers.contains(customer));
    }

    /** Whether an address, written in digits, lies in one of the networks. */
    public boolean mayCallFrom(String address) {
        if (networks.isEmpty()) {
            return true;
        }
        InetAddress parsed = Network.address(address);
        return parsed != null && networks.stream().anyMatch(n -> n.holds(parsed));
    }

    /** The four kinds of callers; a token of one is worth nothing to operations of another. */
    public enum Audience {
        STAFF,
        CUSTOMER,
        PARTNER,
        PUBLIC
    }

    /** Which rows of customer data a subject sees: none, its own, those of its branch and the branches below, all. */
    public enum Scope {
        NONE,
        OWN,
        BRANCH,
        ALL
    }
}
