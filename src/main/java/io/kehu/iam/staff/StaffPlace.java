package io.kehu.iam.staff;

import java.util.List;
import java.util.UUID;

/** What somebody is at the bank, and where: what decides over rights. */
public record StaffPlace(List<String> roles, UUID branchId) {
    public StaffPlace {
        roles = List.copyOf(roles);
    }
}
