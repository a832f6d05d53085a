package io.kehu.iam.approval;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** The operations of the tag iam.approval, and the carrying out of what was approved. */
public final class ApprovalVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ApprovalStore store = new ApprovalStore(kernel.database());
        ApprovalService service = new ApprovalService(
                kernel.database(), store, work(kernel, store), kernel.vault(), kernel.contract(), kernel::cursorMac);
        return Operations.at("iam.approval")
                .on("listApprovals", service::list)
                .on("getApproval", service::get)
                .on("approveApproval", service::approve)
                .on("rejectApproval", service::reject)
                .on("withdrawApproval", service::withdraw)
                .on("listApprovalPolicies", service::policies)
                .on("getApprovalPolicy", service::policy)
                .on("changeApprovalPolicy", service::changePolicy);
    }

    private static ApprovalWork work(Kernel kernel, ApprovalStore store) {
        return new ApprovalWork(kernel.vertx(), kernel.database(), store, kernel.vault(), kernel.contract());
    }

    /** A policy that the contract names must be there: without it nobody could say whether a command may run. */
    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        ApprovalStore store = new ApprovalStore(kernel.database());
        ApprovalWork work = work(kernel, store);
        return store.codes().compose(codes -> {
            Set<String> missing = new TreeSet<>(work.policies());
            missing.removeAll(codes);
            if (!missing.isEmpty()) {
                return Future.failedFuture(
                        new Domain.Unfit("the contract names approval policies that the database does not" + " have: "
                                + String.join(", ", missing) + "; add them by a migration"));
            }
            work.start(kernel);
            return Future.succeededFuture(List.of());
        });
    }
}
