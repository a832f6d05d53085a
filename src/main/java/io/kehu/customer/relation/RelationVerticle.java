package io.kehu.customer.relation;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.relation. */
public final class RelationVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        CustomerSeals seals = CustomerSeals.of(kernel);
        RelationService relations = new RelationService(
                kernel.database(), new RelationStore(kernel.database(), seals, kernel.vault()), kernel::cursorMac);
        GraphService graphs = new GraphService(
                kernel.database(),
                new GraphStore(kernel.database(), seals),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")));
        return Operations.at("customer.relation")
                .on("listRelations", relations::list)
                .on("createRelation", relations::create)
                .on("getRelation", relations::get)
                .on("changeRelation", relations::change)
                .on("deleteRelation", relations::delete)
                .on("getRelationGraph", graphs::graph)
                .on("getCustomerGroup", graphs::group);
    }
}
