package io.kehu.customer.cleaning;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.cleaning, and the work behind them. */
public final class CleaningVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        CustomerStore customers = new CustomerStore(kernel.database(), seals);
        CleaningStore store = new CleaningStore(kernel.database());
        ZoneId zone = ZoneId.of(kernel.text("zone"));
        CleaningWork work = new CleaningWork(customers, store, kernel.clock(), zone, kernel.number("jobs.chunkRows"));
        kernel.jobs().register(CleaningStore.KIND, CleaningService.CLEAN, work::run);
        CleaningService service =
                new CleaningService(kernel.database(), kernel.jobs(), store, customers, kernel.clock(), zone);
        return Operations.at("customer.cleaning")
                .on("createCleaning", service::create)
                .on("getCleaning", service::get)
                .on("cancelCleaning", service::cancel);
    }
}
