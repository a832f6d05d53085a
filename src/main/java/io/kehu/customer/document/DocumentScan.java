package io.kehu.customer.document;

import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.crypto.Sha256;
import io.kehu.job.JobRun;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/** The job that looks through one file and lets it out of quarantine, or keeps it there for good. */
final class DocumentScan {
    static final String KIND = "customer.document-scan";

    private final DocumentStore store;
    private final VirusScanner scanner;

    DocumentScan(DocumentStore store, VirusScanner scanner) {
        this.store = store;
        this.scanner = scanner;
    }

    Future<Void> run(JobRun run) {
        UUID version = UUID.fromString(run.params().required("versionId").textValue());
        UUID blob = UUID.fromString(run.params().required("blobId").textValue());
        return run.readBlob(blob)
                .compose(file -> scanner.scan(file.read(0, file.facts().size())))
                .compose(verdict -> run.chunk(tx -> judge(tx, version, verdict)));
    }

    private Future<JobRun.Step> judge(Tx tx, UUID version, VirusScanner.Verdict verdict) {
        String state = verdict.finding() == null ? "clean" : "infected";
        return store.judge(tx, version, verdict).map(rows -> {
            Event event;
            if (rows.size() == 0) {
                event = Event.of("document.scanned", version, 1, DocumentService.READ)
                        .within(null, tx.principal().subject());
            } else {
                Row row = rows.iterator().next();
                event = Event.of("document.scanned", row.getUUID("id"), row.getLong("version"), DocumentService.READ)
                        .within(row.getUUID("branch_id"), row.getUUID("manager_id"))
                        .with("customerId", row.getUUID("customer_id").toString())
                        .with("number", Integer.toString(row.getInteger("number")))
                        .with("state", state);
            }
            byte[] hash = Sha256.start().digest((version + state).getBytes(StandardCharsets.UTF_8));
            String id = version.toString();
            return new JobRun.Step(
                    new Database.Chunk("document", rows.size(), hash, id, id, event),
                    Json.object(),
                    new JobRun.Progress(1, rows.size(), 0, null));
        });
    }
}
