package io.kehu.ops.parameter;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag ops.parameter. */
public final class ParameterVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ParameterService service =
                new ParameterService(kernel.database(), new ParameterStore(kernel.database()), kernel::cursorMac);
        return Operations.at("ops.parameter")
                .on("listParameters", service::list)
                .on("getParameter", service::get)
                .on("createParameter", service::create)
                .on("changeParameter", service::change)
                .on("listParameterVersions", service::versions);
    }
}
