package io.kehu.customer.tag;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.tag. */
public final class TagVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        TagStore tags = new TagStore(kernel.database());
        TagService service = new TagService(kernel.database(), tags, kernel::cursorMac);
        CustomerTagService given = new CustomerTagService(
                kernel.database(), tags, new CustomerTagStore(kernel.database(), kernel.vault()), kernel::cursorMac);
        return Operations.at("customer.tag")
                .on("listTagCategories", service::categories)
                .on("getTagCategory", service::category)
                .on("createTagCategory", service::createCategory)
                .on("changeTagCategory", service::changeCategory)
                .on("listTags", service::list)
                .on("getTag", service::get)
                .on("createTag", service::create)
                .on("changeTag", service::change)
                .on("assignTag", given::assign)
                .on("listCustomerTags", given::list)
                .on("getCustomerTag", given::get)
                .on("putCustomerTag", given::put)
                .on("removeCustomerTag", given::remove);
    }
}
