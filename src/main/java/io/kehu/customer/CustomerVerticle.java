package io.kehu.customer;

import io.kehu.bus.Operations;
import io.kehu.crypto.NameTokens;
import io.kehu.crypto.Vault;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import java.time.ZoneId;
import java.util.function.UnaryOperator;

/** The operations of the tag customer. */
public final class CustomerVerticle extends VerticleBase {
    private final CustomerService service;

    /**
     * Serves customers.
     *
     * @param mac keyed hash for cursors
     * @param zone where the bank's day begins: ages and quotas count by it
     */
    public CustomerVerticle(
            Database database, Vault vault, NameTokens tokens, UnaryOperator<byte[]> mac, Clock clock, ZoneId zone) {
        CustomerSeals seals = new CustomerSeals(vault, tokens);
        this.service = new CustomerService(
                database,
                new CustomerStore(database, seals),
                new CustomerSearchStore(database, seals, mac),
                clock,
                zone);
    }

    @Override
    public Future<?> start() {
        return Operations.at("customer")
                .on("createCustomer", service::create)
                .on("getCustomer", service::get)
                .on("changeCustomer", service::change)
                .on("listCustomers", service::list)
                .on("searchCustomers", service::search)
                .serve(vertx);
    }
}
