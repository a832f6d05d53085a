package io.kehu.ops.work;

import io.kehu.blob.Blobs;
import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.util.Map;

/** The operations of the tag ops.work; sendUpload among them goes beside the bus. */
public final class WorkVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        // What may be uploaded, under the names that the contract lists.
        Map<String, Blobs.Purpose> purposes = Map.of(
                "customer-import", new Blobs.Purpose("customer:import", kernel.number("blob.maxUploadBytes")),
                "customer-document", new Blobs.Purpose("document:manage", kernel.number("documents.maxBytes")));
        WorkService service = new WorkService(
                kernel.database(),
                kernel.blobs(),
                kernel.jobs(),
                new WorkStore(kernel.database()),
                purposes,
                kernel::cursorMac);
        return Operations.at("ops.work")
                .on("createUpload", service::createUpload)
                .on("getUpload", service::getUpload)
                .on("listJobs", service::listJobs)
                .on("getJob", service::getJob)
                .on("cancelJob", service::cancelJob);
    }
}
