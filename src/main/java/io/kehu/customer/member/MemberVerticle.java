package io.kehu.customer.member;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.member. */
public final class MemberVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        MemberService service = new MemberService(
                kernel.database(),
                new CustomerStore(kernel.database(), seals),
                new MemberStore(),
                seals,
                kernel.vault(),
                kernel.rates(),
                kernel.codes(),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")));
        return Operations.at("customer.member")
                .on("registerMember", service::register)
                .on("getOwnCustomer", service::getOwn);
    }
}
