package io.kehu.customer.statistics;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.statistics, and what keeps the numbers of branches. */
public final class StatisticsVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        StatisticsStore store = new StatisticsStore(kernel.database(), kernel.number("statistics.values"));
        StatisticsService service = new StatisticsService(store, kernel.clock(), ZoneId.of(kernel.text("zone")));
        service.keep(kernel, kernel.number("statistics.pollMillis"));
        return Operations.at("customer.statistics")
                .on("getCustomerStatistics", service::kept)
                .on("queryCustomerStatistics", service::live);
    }
}
