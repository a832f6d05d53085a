package io.kehu.customer;

import io.kehu.bus.Operations;
import io.kehu.customer.duplicate.EntryCheck;
import io.kehu.customer.seed.SeedRun;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.time.ZoneId;
import java.util.List;
import java.util.function.Consumer;

/** The operations of the tag customer. */
public final class CustomerVerticle implements Domain {
    /** The population that every demonstration and every load test knows. */
    private static final long SEED = 1;

    /** Invented customers, in the first start of demo mode. */
    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        return kernel.text("mode").equalsIgnoreCase("demo")
                ? seed(kernel, kernel.number("seed.customers"), line -> {}).map(List.of())
                : Future.succeededFuture(List.of());
    }

    @Override
    public Future<?> seed(Kernel kernel, long customers, Consumer<String> progress) {
        return new SeedRun(kernel, SEED, progress).run(customers);
    }

    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        CustomerService service = new CustomerService(
                kernel.database(),
                new CustomerStore(kernel.database(), seals),
                new CustomerSearchStore(kernel.database(), seals, kernel::cursorMac),
                new EntryCheck(kernel.database(), seals),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")));
        return Operations.at("customer")
                .on("createCustomer", service::create)
                .on("getCustomer", service::get)
                .on("changeCustomer", service::change)
                .on("listCustomers", service::list)
                .on("searchCustomers", service::search);
    }
}
