package io.kehu.ops.work;

import io.kehu.blob.Blobs;
import io.kehu.bus.Operations;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import java.util.Map;
import java.util.function.UnaryOperator;

/** The operations of the tag ops.work. */
public final class WorkVerticle extends VerticleBase {
    private final WorkService service;

    /**
     * Serves uploads and jobs.
     *
     * @param purposes what may be uploaded, under the names that the contract lists
     * @param mac keyed hash for cursors
     */
    public WorkVerticle(
            Database database, Blobs blobs, Jobs jobs, Map<String, Blobs.Purpose> purposes, UnaryOperator<byte[]> mac) {
        this.service = new WorkService(database, blobs, jobs, new WorkStore(database), purposes, mac);
    }

    @Override
    public Future<?> start() {
        return Operations.at("ops.work")
                .on("createUpload", service::createUpload)
                .on("getUpload", service::getUpload)
                .on("listJobs", service::listJobs)
                .on("getJob", service::getJob)
                .on("cancelJob", service::cancelJob)
                .serve(vertx);
    }
}
