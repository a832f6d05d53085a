package io.kehu.iam.grant;

import io.kehu.bus.Operations;
import io.kehu.iam.role.Permissions;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag iam.grant. */
public final class GrantVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        GrantStore store = new GrantStore(kernel.database());
        Permissions permissions = Permissions.of(kernel.contract());
        GrantService grants = new GrantService(kernel.database(), store, permissions, kernel::cursorMac);
        RequestService requests = new RequestService(
                kernel.database(), new RequestStore(kernel.database()), store, permissions, kernel::cursorMac);
        return Operations.at("iam.grant")
                .on("listGrants", grants::list)
                .on("getGrant", grants::get)
                .on("createGrant", grants::create)
                .on("endGrant", grants::end)
                .on("listPermissionRequests", requests::list)
                .on("getPermissionRequest", requests::get)
                .on("createPermissionRequest", requests::create)
                .on("approvePermissionRequest", requests::approve)
                .on("rejectPermissionRequest", requests::reject)
                .on("withdrawPermissionRequest", requests::withdraw);
    }
}
