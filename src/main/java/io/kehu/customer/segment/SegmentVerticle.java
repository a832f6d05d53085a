package io.kehu.customer.segment;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;

/** The operations of the tag customer.segment, and what keeps live segments in step. */
public final class SegmentVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ZoneId zone = ZoneId.of(kernel.text("zone"));
        SegmentService service = new SegmentService(
                kernel.database(), new SegmentStore(kernel.database()), kernel.clock(), zone, kernel::cursorMac);
        new SegmentFollower(
                        kernel.database(),
                        kernel.clock(),
                        zone,
                        new SegmentFollower.Options(
                                kernel.number("segments.pollMillis"),
                                kernel.number("segments.batch"),
                                kernel.number("segments.answers"),
                                kernel.number("segments.rebuildAbove"),
                                kernel.number("segments.rebuildRows")))
                .start(kernel);
        return Operations.at("customer.segment")
                .on("listSegments", service::list)
                .on("createSegment", service::create)
                .on("getSegment", service::get)
                .on("changeSegment", service::change)
                .on("deleteSegment", service::delete)
                .on("listSegmentMembers", service::members)
                .on("countSegmentMembers", service::count)
                .on("explainSegment", service::explain);
    }
}
