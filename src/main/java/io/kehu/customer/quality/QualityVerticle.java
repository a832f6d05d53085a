package io.kehu.customer.quality;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.quality. */
public final class QualityVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        QualityService service = new QualityService(
                kernel.database(), new QualityStore(kernel.database()), Dictionary.ALL, kernel::cursorMac);
        return Operations.at("customer.quality")
                .on("listDictionaries", service::dictionaries)
                .on("getDictionary", service::dictionary)
                .on("listQualityRules", service::rules)
                .on("changeQualityRule", service::changeRule)
                .on("getCustomerQuality", service::ofCustomer)
                .on("listQualityIssues", service::issues);
    }
}
