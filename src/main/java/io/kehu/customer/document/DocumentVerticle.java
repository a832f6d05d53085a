package io.kehu.customer.document;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The operations of the tag customer.document, and the work behind them. */
public final class DocumentVerticle implements Domain {
    private static final Logger LOG = LoggerFactory.getLogger(DocumentVerticle.class);
    private static final String OFF = "off";
    private static final long AGAIN_MILLIS = 60_000;

    /** A scanner that was away for long makes nobody's document wait for ever. */
    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        DocumentStore store = new DocumentStore(kernel.database(), kernel.vault());
        kernel.every(
                AGAIN_MILLIS,
                store::lookAgain,
                e -> LOG.warn("documents stay in quarantine longer: {}", e.getMessage()));
        return Future.succeededFuture(List.of());
    }

    @Override
    public Operations operations(Kernel kernel) {
        DocumentStore store = new DocumentStore(kernel.database(), kernel.vault());
        String address = kernel.text("antivirus.address");
        boolean scans = !address.isEmpty() || !kernel.text("mode").equals("production");
        VirusScanner scanner = address.isEmpty() || address.equals(OFF)
                ? file -> Future.succeededFuture(new VirusScanner.Verdict(OFF, null))
                : new Clamd(kernel.vertx(), address, kernel.number("antivirus.timeoutMillis"));
        kernel.jobs().register(DocumentScan.KIND, null, new DocumentScan(store, scanner)::run);
        List<String> taken = new ArrayList<>();
        kernel.settings().apply("documents.contentTypes").forEach(type -> taken.add(type.asText()));
        DocumentService service = new DocumentService(
                kernel.database(),
                kernel.blobs(),
                kernel.jobs(),
                store,
                new DocumentRules(taken),
                new DocumentService.Bounds(
                        kernel.number("documents.perCustomer"), kernel.number("documents.versions"), scans),
                kernel::cursorMac);
        return Operations.at("customer.document")
                .on("listDocuments", service::list)
                .on("createDocument", service::create)
                .on("getDocument", service::get)
                .on("changeDocument", service::change)
                .on("deleteDocument", service::delete)
                .on("getDocumentContent", service::content)
                .on("listDocumentVersions", service::versions)
                .on("createDocumentVersion", service::createVersion)
                .on("getDocumentVersionContent", service::content);
    }
}
