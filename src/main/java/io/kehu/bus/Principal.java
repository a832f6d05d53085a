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
 * @param branchIds for {@link Scope#BRANCH}: the branch and all below it; empty otherwise
 * @param networks where the subject may call from; empty for everywhere
 * @param factorAt when the subject last proved itself with a factor, in epoch milliseconds; 0 for never
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
        List<Network> networks,
        long factorAt) {

    /** The subject of calls without a token. */
    public static final UUID NOBODY = new UUID(0, 0);

    /** The subject of work that Kehu does by itself: seeds, maintenance. */
    public static final UUID SYSTEM = new UUID(0, 1);

    public static final Principal ANONYMOUS = new Principal(
            NOBODY, Audience.PUBLIC, null, 0, "anonymous", null, Set.of(), Scope.NONE, List.of(), List.of(), 0);

    public static final Principal KEHU =
            new Principal(SYSTEM, Audience.STAFF, null, 0, "kehu", null, Set.of(), Scope.ALL, List.of(), List.of(), 0);

    public Principal {
        permissions = Set.copyOf(permissions);
        branchIds = List.copyOf(branchIds);
        networks = List.copyOf(networks);
    }

    public boolean may(String permission) {
        return permissions.contains(permission);
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
