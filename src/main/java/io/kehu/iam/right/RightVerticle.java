package io.kehu.iam.right;

import io.kehu.bus.Operations;
import io.kehu.iam.role.Permissions;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag iam.right. */
public final class RightVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        RightService service = new RightService(
                new RightStore(kernel.database()),
                kernel.contract().operations(),
                Permissions.of(kernel.contract()),
                kernel::cursorMac);
        return Operations.at("iam.right")
                .on("getStaffRights", service::ofStaff)
                .on("listRightHolders", service::holders);
    }
}
