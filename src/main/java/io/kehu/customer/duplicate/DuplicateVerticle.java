package io.kehu.customer.duplicate;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.event.Consumer;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.util.List;

/** The operations of the tag customer.duplicate, and the work behind them. */
public final class DuplicateVerticle implements Domain {
    /** Only nodes that serve customers follow. */
    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        DuplicateFollower follower = new DuplicateFollower(
                kernel.database(),
                kernel.jobs(),
                new EntryStore(kernel.database(), seals),
                new ScanStore(kernel),
                kernel.number("duplicates.atOnce"),
                kernel.number("duplicates.unaskedRows"),
                kernel.number("duplicates.calmMillis"));
        int pollMillis = kernel.number("events.pollMillis");
        Consumer consumer = new Consumer(
                kernel.vertx(),
                kernel.database(),
                DuplicateFollower.CONSUMER,
                DuplicateFollower.EVENTS,
                false,
                pollMillis,
                follower::follow);
        kernel.atStop().accept(consumer::stop);
        kernel.every(kernel.number("duplicates.pollMillis"), follower::start, DuplicateFollower::later);
        return Future.succeededFuture(List.of());
    }

    @Override
    public Operations operations(Kernel kernel) {
        DuplicateStore store = new DuplicateStore(kernel);
        ScanStore scans = new ScanStore(kernel);
        ScanWork work = new ScanWork(
                scans,
                kernel.vault(),
                new ScanWork.Bounds(
                        kernel.number("jobs.chunkRows"),
                        kernel.number("duplicates.blockMax"),
                        kernel.number("duplicates.bucketRows")));
        // Those that begin by themselves are Kehu's own; of the others the work asks for the permission.
        kernel.jobs().register(ScanStore.KIND, null, work::run);
        DuplicateService service =
                new DuplicateService(kernel.database(), kernel.jobs(), store, scans, kernel::cursorMac);
        return Operations.at("customer.duplicate")
                .on("listDuplicates", service::list)
                .on("getDuplicate", service::get)
                .on("dismissDuplicate", service::dismiss)
                .on("createDuplicateScan", service::scan)
                .on("getDuplicateScan", service::getScan)
                .on("cancelDuplicateScan", service::cancelScan);
    }
}
