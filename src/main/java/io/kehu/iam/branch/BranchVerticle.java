package io.kehu.iam.branch;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag iam.branch. */
public final class BranchVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        BranchService service =
                new BranchService(kernel.database(), new BranchStore(kernel.database()), kernel::cursorMac);
        return Operations.at("iam.branch")
                .on("listBranches", service::list)
                .on("getBranch", service::get)
                .on("createBranch", service::create)
                .on("changeBranch", service::change);
    }
}
