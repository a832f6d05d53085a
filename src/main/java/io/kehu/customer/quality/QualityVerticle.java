package io.kehu.customer.quality;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.quality. */
public final class QualityVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        QualityService service = new QualityService(
                kernel.database(),
                new QualityStore(kernel.database(), kernel.clock(), ZoneId.of(kernel.text("zone"))),
                Dictionary.ALL,
                CustomerSeals.of(kernel),
                kernel.number("quality.keptSeconds"),
                kernel::cursorMac);
        return Operations.at("customer.quality")
                .on("listDictionaries", service::dictionaries)
                .on("getDictionary", service::dictionary)
                .on("listDictionaryEntries", service::entries)
                .on("listQualityRules", service::rules)
                .on("createQualityRule", service::createRule)
                .on("changeQualityRule", service::changeRule)
                .on("getCustomerQuality", service::ofCustomer)
                .on("getQualitySummary", service::summary)
                .on("listQualityIssues", service::issues);
    }
}
