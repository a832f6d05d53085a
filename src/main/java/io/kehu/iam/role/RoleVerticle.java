package io.kehu.iam.role;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag iam.role. */
public final class RoleVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        RoleService service =
                new RoleService(kernel.database(), new RoleStore(kernel.database()), Permissions.of(kernel.contract()));
        return Operations.at("iam.role")
                .on("listRoles", service::list)
                .on("getRole", service::get)
                .on("createRole", service::create)
                .on("changeRole", service::change)
                .on("deleteRole", service::delete)
                .on("listPermissions", service::permissions);
    }
}
