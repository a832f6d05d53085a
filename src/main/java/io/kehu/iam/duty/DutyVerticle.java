package io.kehu.iam.duty;

import io.kehu.bus.Operations;
import io.kehu.iam.role.Permissions;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag iam.duty. */
public final class DutyVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        DutyService service = new DutyService(
                kernel.database(),
                new DutyStore(kernel.database()),
                Permissions.of(kernel.contract()),
                kernel::cursorMac);
        return Operations.at("iam.duty")
                .on("listDutyConflicts", service::list)
                .on("createDutyConflict", service::create)
                .on("deleteDutyConflict", service::delete);
    }
}
