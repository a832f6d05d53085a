package io.kehu.iam.partner;

import io.kehu.bus.Operations;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Sessions;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag iam.partner. */
public final class PartnerVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        PartnerService service = new PartnerService(
                kernel.database(),
                new PartnerStore(kernel.database()),
                kernel.vault(),
                Sessions.of(kernel),
                Attempts.of(kernel),
                PartnerRules.grantable(kernel.contract().operations()),
                kernel::cursorMac);
        return Operations.at("iam.partner")
                .on("listPartners", service::list)
                .on("getPartner", service::get)
                .on("createPartner", service::create)
                .on("changePartner", service::change)
                .on("createPartnerKey", service::createKey)
                .on("deletePartnerKey", service::deleteKey)
                .on("issueToken", service::issueToken)
                .on("getOwnPartner", service::getOwn);
    }
}
