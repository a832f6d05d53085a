package io.kehu.customer.duplicate;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.duplicate, and the work behind them. */
public final class DuplicateVerticle implements Domain {
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
        kernel.jobs().register(ScanStore.KIND, DuplicateService.SCAN, work::run);
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
