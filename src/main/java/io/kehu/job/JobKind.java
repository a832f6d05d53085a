package io.kehu.job;

import io.vertx.core.Future;

/**
 * One kind of long work, registered by the domain that does it: {@code jobs.register("customer.import", "customer:import",
 * service::run)}.
 */
@FunctionalInterface
public interface JobKind {
    /**
     * Does the work from {@link JobRun#position} on, chunk by chunk. It may be called again for the same job, on any node, after
     * a crash or a failure that may pass: what was moved by {@link JobRun#chunk} is there exactly once, all else is as if it
     * had never been.
     *
     * <p>The job ends as done when the future succeeds, and as failed with the code of the {@link io.kehu.bus.Problem} it
     * fails with ({@code server.failure} for anything else).
     */
    Future<Void> run(JobRun run);
}
