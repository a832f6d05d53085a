package io.kehu.customer.household;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.household. */
public final class HouseholdVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        HouseholdService service = new HouseholdService(
                kernel.database(),
                new HouseholdStore(kernel.database(), seals, kernel.vault()),
                kernel::cursorMac,
                kernel.clock(),
                ZoneId.of(kernel.text("zone")));
        return Operations.at("customer.household")
                .on("listHouseholds", service::list)
                .on("createHousehold", service::create)
                .on("getHousehold", service::get)
                .on("changeHousehold", service::change)
                .on("addHouseholdMember", service::add)
                .on("removeHouseholdMember", service::remove)
                .on("getHouseholdFinances", service::finances);
    }
}
