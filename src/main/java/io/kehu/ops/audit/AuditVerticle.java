package io.kehu.ops.audit;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag ops.audit. */
public final class AuditVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        AuditService service = new AuditService(
                kernel.vertx(), kernel.database(), new AuditStore(kernel.database()), kernel::cursorMac);
        return Operations.at("ops.audit")
                .on("listAuditEntries", service::list)
                .on("getAuditEntry", service::get)
                .on("getAuditProof", service::proof)
                .on("listAuditSeals", service::seals)
                .on("listAuditArchives", service::archives);
    }
}
