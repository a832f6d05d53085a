package io.kehu.iam.partner;

import io.kehu.bus.Network;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.contract.Operation;
import io.kehu.crypto.RequestSignature;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** What a partner may be given. */
final class PartnerRules {
    private PartnerRules() {}

    /**
     * What operations open to partners ask for, and what events are read with. Nothing else would open anything today, and
     * none of it shall one day, when an operation is opened to partners and an old grant is forgotten.
     */
    static Set<String> grantable(Collection<Operation> operations) {
        Set<String> grantable = new TreeSet<>();
        for (Operation operation : operations) {
            String permission = operation.permission();
            if (permission != null
                    && (permission.endsWith(":read") || operation.audience().contains(Principal.Audience.PARTNER))) {
                grantable.add(permission);
            }
        }
        return grantable;
    }

    /** Null where everything may be given. */
    static @Nullable Problem fault(Partner partner, Set<String> grantable) {
        List<Problem.FieldError> faults = new ArrayList<>();
        for (int i = 0; i < partner.networks().size(); i++) {
            if (!isNetwork(partner.networks().get(i))) {
                faults.add(new Problem.FieldError("/networks/" + i, "field.format", List.of("CIDR")));
            }
        }
        if (partner.requestKey() != null && !RequestSignature.isKey(partner.requestKey())) {
            faults.add(new Problem.FieldError("/requestKey", "field.format", List.of("Ed25519")));
        }
        if (!faults.isEmpty()) {
            return Problem.invalid(faults);
        }
        return grantable.containsAll(partner.permissions()) ? null : Problem.of("partner.permissionUnknown");
    }

    private static boolean isNetwork(String text) {
        try {
            return Network.of(text).toString().equals(text);
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /**
     * The scopes of a token (RFC 6749, section 3.3): those asked for, or all that the partner has.
     *
     * @return null where one was asked for that the partner does not have
     */
    static @Nullable List<String> scopes(@Nullable String wanted, List<String> permissions) {
        if (wanted == null) {
            return permissions;
        }
        List<String> scopes = List.copyOf(new TreeSet<>(List.of(wanted.split(" "))));
        return permissions.containsAll(scopes) ? scopes : null;
    }
}
