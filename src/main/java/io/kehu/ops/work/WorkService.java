package io.kehu.ops.work;

import io.kehu.blob.Blobs;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.vertx.core.Future;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** The rules of who may upload what, and who sees and stops which work. */
final class WorkService {
    private static final String READ_ALL = "job:read";
    private static final String MANAGE = "job:manage";

    private final Database database;
    private final Blobs blobs;
    private final Jobs jobs;
    private final WorkStore store;
    private final Map<String, Blobs.Purpose> purposes;
    private final UnaryOperator<byte[]> mac;

    WorkService(
            Database database,
            Blobs blobs,
            Jobs jobs,
            WorkStore store,
            Map<String, Blobs.Purpose> purposes,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.blobs = blobs;
        this.jobs = jobs;
        this.store = store;
        this.purposes = purposes;
        this.mac = mac;
    }

    /** Makes room for a file. Problems: auth.forbidden (of the purpose), upload.tooLarge. */
    Future<Reply> createUpload(Call call) {
        String name = call.json().get("purpose").textValue();
        Blobs.Purpose purpose = purposes.get(name);
        if (purpose == null) {
            return Future.failedFuture(Problem.of("request.unavailable"));
        }
        if (!call.principal().may(purpose.permission())) {
            return Future.failedFuture(Problem.of("auth.forbidden", purpose.permission()));
        }
        long size = call.json().get("size").longValue();
        if (size > purpose.maxBytes()) {
            return Future.failedFuture(Problem.of("upload.tooLarge", Long.toString(purpose.maxBytes())));
        }
        Blobs.Draft draft = Blobs.Draft.of(
                call.principal().subject(),
                name,
                purpose.permission(),
                call.json().get("name").textValue(),
                size);
        return database.write(
                call,
                tx -> blobs.stage(tx, draft).map(facts -> {
                    tx.object("upload", facts.id(), 1);
                    return Reply.created("/v1/uploads/" + facts.id(), write(facts, 0));
                }));
    }

    /** An own upload and how much of it is there. Problems: upload.notFound, blob.unavailable. */
    Future<Reply> getUpload(Call call) {
        return blobs.facts(call.pool(), call.id("uploadId")).compose(facts -> {
            if (!facts.owner().equals(call.principal().subject())) {
                return Future.failedFuture(Problem.of("upload.notFound"));
            }
            return blobs.received(facts).map(received -> Reply.ok(write(facts, received)));
        });
    }

    /** The own jobs, or all of them, newest first. Problems: request.cursorInvalid. */
    Future<Reply> listJobs(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page, seesAll(call.principal()))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getUUID("id").toString()),
                        (json, row) -> Job.from(row).toJson(json))));
    }

    /** One job. Problems: job.notFound. */
    Future<Reply> getJob(Call call) {
        return find(call).map(job -> Reply.ok(job::toJson));
    }

    /** Ends a job at once, or before its next chunk. Problems: job.notFound, auth.forbidden (another person's), job.ended. */
    Future<Reply> cancelJob(Call call) {
        Principal principal = call.principal();
        return find(call)
                .compose(job -> {
                    if (!job.owner().equals(principal.subject()) && !principal.may(MANAGE)) {
                        return Future.failedFuture(Problem.of("auth.forbidden", MANAGE));
                    }
                    return database.write(
                            call,
                            tx -> Jobs.cancel(tx, job.id())
                                    .compose(v -> store.find(tx, job.id()))
                                    .map(cancelled -> Reply.ok(cancelled::toJson)));
                })
                .onSuccess(reply -> jobs.hint());
    }

    private Future<Job> find(Call call) {
        return store.find(call, call.id("jobId"), seesAll(call.principal()));
    }

    private static boolean seesAll(Principal principal) {
        return principal.may(READ_ALL);
    }

    private static Json.Writer write(Blobs.Facts facts, long received) {
        return json -> {
            json.writeStartObject();
            json.writeStringField("id", facts.id().toString());
            json.writeStringField("purpose", facts.purpose());
            json.writeStringField("name", facts.name());
            json.writeStringField(
                    "state", facts.state().equals("claimed") ? "claimed" : facts.isWhole() ? "complete" : "receiving");
            json.writeNumberField("size", facts.size());
            json.writeNumberField("received", received);
            json.writeStringField("sha256", facts.sha256());
            json.writeStringField("contentType", facts.contentType());
            json.writeStringField(
                    "expiresAt",
                    facts.expiresAt() == null
                            ? null
                            : facts.expiresAt().toInstant().toString());
            json.writeEndObject();
        };
    }
}
