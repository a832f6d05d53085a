package io.kehu.customer.export;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.time.ZoneId;
import java.util.List;

/** The operations of the tag customer.export, and the work behind them. */
public final class ExportVerticle implements Domain {
    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        work(kernel).start(kernel, kernel.number("exports.pollMillis"));
        return Future.succeededFuture(List.of());
    }

    @Override
    public Operations operations(Kernel kernel) {
        kernel.jobs().register(ExportStore.KIND, Export.DOWNLOAD, work(kernel)::run);
        ExportService service = new ExportService(
                kernel.database(),
                new ExportStore(kernel),
                kernel.jobs(),
                kernel.vault(),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")),
                new ExportService.Bounds(
                        kernel.number("exports.rowsPerDay"),
                        kernel.number("exports.maxRows"),
                        kernel.number("exports.documentRows"),
                        kernel.number("exports.linkMinutes")),
                kernel::cursorMac);
        return Operations.at("customer.export")
                .on("createExport", service::create)
                .on("createAnalysisExport", service::createAnalysis)
                .on("listExports", service::list)
                .on("getExport", service::get)
                .on("cancelExport", service::cancel)
                .on("createExportLink", service::link)
                .on("downloadExport", service::download);
    }

    private static ExportWork work(Kernel kernel) {
        return new ExportWork(
                new ExportStore(kernel),
                kernel.blobs(),
                kernel.vault(),
                kernel.database(),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")),
                kernel.number("exports.pageRows"),
                kernel.number("exports.fileHours"),
                kernel.number("exports.smallestGroup"));
    }
}
