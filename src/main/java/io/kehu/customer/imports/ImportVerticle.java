package io.kehu.customer.imports;

import io.kehu.bus.Operations;
import io.kehu.customer.bulk.CustomerChunks;
import io.kehu.customer.bulk.Sieve;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.imports, and the work behind them. */
public final class ImportVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerChunks customers = new CustomerChunks(kernel);
        ImportStore store = new ImportStore(kernel.database());
        ImportWork work = new ImportWork(
                customers,
                new Sieve(kernel, customers),
                store,
                kernel.contract().body("createCustomer"),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")),
                kernel.number("jobs.chunkRows"));
        kernel.jobs().register(ImportStore.KIND, ImportService.PERMISSION, work::run);
        ImportService service = new ImportService(
                kernel.database(),
                kernel.blobs(),
                kernel.jobs(),
                customers,
                store,
                new ImportTemplate(kernel.contract()));
        return Operations.at("customer.imports")
                .on("createImport", service::create)
                .on("getImportTemplate", service::template)
                .on("getImport", service::get)
                .on("getImportErrors", service::errors)
                .on("cancelImport", service::cancel);
    }
}
