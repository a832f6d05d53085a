package io.kehu.customer.imports;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.Schema;
import io.kehu.blob.Blobs;
import io.kehu.bus.Event;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.kehu.contract.Input;
import io.kehu.customer.bulk.CustomerChunks;
import io.kehu.customer.bulk.CustomerChunks.Entry;
import io.kehu.customer.bulk.CustomerChunks.Fate;
import io.kehu.customer.bulk.CustomerChunks.Keys;
import io.kehu.customer.bulk.CustomerChunks.Plan;
import io.kehu.customer.bulk.CustomerChunks.Verdict;
import io.kehu.customer.bulk.Sieve;
import io.kehu.customer.imports.sheet.Book;
import io.kehu.job.JobRun;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import java.nio.charset.Charset;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Carries one file over: reads a chunk, maps it, holds each row against the contract and the rules, and writes what is good,
 * what is wrong and how far it got in one transaction. While one chunk is written the next is read. Where somebody else was
 * faster with a document or an external id, the chunk is judged again.
 */
final class ImportWork {
    static final int MAX_FAULTS = 50_000;
    private static final int MAX_FAULTS_OF_A_ROW = 20;
    private static final int MAX_RACES = 5;
    private static final int HEAD_BYTES = 8;
    /** Workbooks of before 2007, and encrypted ones of today, are such (MS-CFB). */
    private static final byte[] COMPOUND_FILE = {
        (byte) 0xD0, (byte) 0xCF, 0x11, (byte) 0xE0, (byte) 0xA1, (byte) 0xB1, 0x1A, (byte) 0xE1
    };

    private static final byte[] NO_HASH = new byte[32];

    private final CustomerChunks customers;
    private final Sieve sieve;
    private final ImportStore store;
    private final Clock clock;
    private final ZoneId zone;
    private final int chunkRows;
    /** A customer as the contract has it. */
    private final Schema shape;

    ImportWork(
            CustomerChunks customers,
            Sieve sieve,
            ImportStore store,
            Schema shape,
            Clock clock,
            ZoneId zone,
            int chunkRows) {
        this.customers = customers;
        this.sieve = sieve;
        this.store = store;
        this.shape = shape;
        this.clock = clock;
        this.zone = zone;
        this.chunkRows = chunkRows;
    }

    /** What belongs to one taking of one import. */
    private record Task(
            JobRun run, Mapping mapping, Table rows, boolean dryRun, CustomerChunks.Place place, String duplicates) {}

    /** Rows that were read and mapped, and of the good ones what they say and how they are found. */
    private record Chunk(CsvRows.Batch batch, List<Mapping.Reading> readings, List<Entry> entries, List<Keys> keys) {
        long next(long first) {
            return first + readings.size();
        }
    }

    /** Fails with the codes of {@link CsvRows} and {@link Book}, {@code xlsx.old}, {@code import.columnUnknown}, {@code import.columnRepeated}. */
    Future<Void> run(JobRun run) {
        ObjectNode position = run.position();
        if (position.has("end")) {
            return ended(position);
        }
        ObjectNode params = run.params();
        UUID upload = UUID.fromString(params.required("uploadId").textValue());
        return run.readBlob(upload)
                .compose(file -> open(run, params, file))
                .compose(task -> {
                    Promise<Void> done = Promise.promise();
                    long first = position.path("row").longValue();
                    step(task, first, read(task, first), done);
                    return done.future().onComplete(v -> task.rows.close());
                })
                .transform(done -> {
                    Problem problem = Problem.in(done.cause());
                    boolean hopeless = problem != null
                            && (problem.code().startsWith("csv.")
                                    || problem.code().startsWith("xlsx.")
                                    || problem.code().startsWith("import."));
                    return done.succeeded() || hopeless ? end(run, upload, problem) : Future.failedFuture(done.cause());
                });
    }

    private Future<Task> open(JobRun run, ObjectNode params, Blobs.Content file) {
        Mapping mapping = Mapping.of((ObjectNode) params.required("mapping"));
        ImportService.mustMayFill(run.principal(), mapping);
        // Of the moment it was asked for: whoever has moved since does not take the rows along.
        CustomerChunks.Place place = params.has("place")
                ? CustomerChunks.Place.of(params)
                : ImportService.place(run.principal(), (ObjectNode) params.required("mapping"));
        if (place == null) {
            return Future.failedFuture(Problem.of("customer.branchUnknown"));
        }
        return run.total(file.facts().size())
                .compose(v -> head(file))
                .compose(head -> table(run, mapping, file, head))
                .map(rows -> {
                    try {
                        mapping.bind(rows.header(), rows instanceof SheetRows);
                        ImportService.mustMayFill(run.principal(), mapping);
                    } catch (Problem problem) {
                        rows.close();
                        throw problem;
                    }
                    return new Task(
                            run,
                            mapping,
                            rows,
                            params.path("dryRun").asBoolean(),
                            place,
                            params.path("duplicates").asText("create"));
                });
    }

    private static Future<byte[]> head(Blobs.Content file) {
        Promise<byte[]> done = Promise.promise();
        Buffer head = Buffer.buffer();
        ReadStream<Buffer> stream = file.read(0, HEAD_BYTES);
        stream.exceptionHandler(done::tryFail)
                .endHandler(v -> done.tryComplete(head.getBytes()))
                .handler(head::appendBuffer);
        stream.resume();
        return done.future();
    }

    /** By content: what the file is called says nothing. */
    private static Future<? extends Table> table(JobRun run, Mapping mapping, Blobs.Content file, byte[] head) {
        ObjectNode position = run.position();
        if (Book.isBook(head)) {
            return SheetRows.open(file, position, run::compute);
        }
        if (Arrays.equals(head, COMPOUND_FILE)) {
            return Future.failedFuture(Problem.of("xlsx.old"));
        }
        String given = position.path("encoding").asText(mapping.encoding());
        Future<Charset> encoding = given.isEmpty()
                ? CsvRows.encoding(file.read(0, Long.MAX_VALUE))
                : Future.succeededFuture(Charset.forName(given));
        return encoding.compose(
                charset -> CsvRows.open(from -> file.read(from, Long.MAX_VALUE), position, charset, run::compute));
    }

    private Future<Chunk> read(Task task, long first) {
        return task.rows
                .next(chunkRows)
                .compose(batch -> task.run.compute(() -> {
                    List<Mapping.Reading> readings =
                            new ArrayList<>(batch.rows().size());
                    List<Entry> entries = new ArrayList<>();
                    long number = first;
                    for (CsvRows.Row row : batch.rows()) {
                        if (task.mapping.passesOver(row)) {
                            continue;
                        }
                        Mapping.Reading reading = task.mapping.read(row, ++number);
                        if (reading.faults().isEmpty()) {
                            reading.faults().addAll(Input.faults(shape, reading.draft(), false));
                        }
                        if (reading.faults().isEmpty()) {
                            entries.add(new Entry(reading.draft(), reading.defaults()));
                        }
                        readings.add(reading);
                    }
                    return new Chunk(batch, readings, entries, customers.keys(entries));
                }));
    }

    /** One chunk after the other. A promise and not a chain of futures, which would keep every chunk in memory. */
    private void step(Task task, long first, Future<Chunk> ready, Promise<Void> done) {
        ready.onFailure(done::fail).onSuccess(chunk -> {
            Future<Chunk> following = chunk.batch.isLast() ? Future.succeededFuture() : read(task, chunk.next(first));
            enter(task, chunk, first, MAX_RACES).onFailure(done::fail).onSuccess(v -> {
                if (chunk.batch.isLast()) {
                    done.complete();
                } else {
                    step(task, chunk.next(first), following, done);
                }
            });
        });
    }

    private Future<Void> enter(Task task, Chunk chunk, long first, int races) {
        LocalDate today = clock.now().atZoneSameInstant(zone).toLocalDate();
        return customers
                .find(task.run.call(), chunk.keys)
                .compose(found -> sieve.sift(task.run.call(), task.duplicates, chunk.entries, chunk.keys, found, today)
                        .compose(sifted -> task.run
                                .compute(() -> customers.plan(
                                        task.run.principal(),
                                        sifted.entries(),
                                        sifted.keys(),
                                        found,
                                        task.place,
                                        today))
                                .compose(plan -> write(task, chunk, sifted, chunk.next(first), plan))))
                .recover(failure -> {
                    Problem problem = Problem.in(failure);
                    if (problem == null || !CustomerChunks.LOST_RACES.contains(problem.code())) {
                        return Future.failedFuture(failure);
                    }
                    return races > 0
                            ? enter(task, chunk, first, races - 1)
                            : Future.failedFuture(Problem.of("server.contended"));
                });
    }

    private Future<Void> write(Task task, Chunk chunk, Sieve.Sifted sifted, long rows, Plan plan) {
        ObjectNode before = task.run.position();
        long kept = before.path("errors").longValue();
        List<ImportStore.Fault> faults = new ArrayList<>();
        Map<Fate, Long> fates = new EnumMap<>(Fate.class);
        int good = 0;
        int entry = 0;
        long like = 0;
        for (Mapping.Reading reading : chunk.readings) {
            List<FieldError> found = reading.faults();
            Fate fate = Fate.REFUSED;
            if (found.isEmpty()) {
                int alike = sifted.alike()[good];
                boolean left = sifted.left()[good++];
                if (!left) {
                    Verdict verdict = plan.verdicts().get(entry++);
                    fate = verdict.fate();
                    found = verdict.faults();
                }
                if (alike > 0 && found.isEmpty()) {
                    like++;
                    found = List.of(new FieldError(
                            "",
                            left ? "customer.possibleDuplicate" : "import.alike",
                            List.of(Integer.toString(alike))));
                }
            }
            fates.merge(fate, 1L, Long::sum);
            for (FieldError fault : found.subList(0, Math.min(found.size(), MAX_FAULTS_OF_A_ROW))) {
                if (kept + faults.size() < MAX_FAULTS) {
                    faults.add(new ImportStore.Fault(
                            reading.line(), reading.column(fault.pointer()), fault.code(), fault.args()));
                }
            }
        }
        ObjectNode position = chunk.batch.position().deepCopy();
        position.put("row", rows).put("errors", kept + faults.size());
        count(position, before, "created", fates.getOrDefault(Fate.CREATED, 0L));
        count(position, before, "changed", fates.getOrDefault(Fate.CHANGED, 0L));
        count(position, before, "unchanged", fates.getOrDefault(Fate.UNCHANGED, 0L));
        count(position, before, "alike", like);
        long refused = fates.getOrDefault(Fate.REFUSED, 0L);
        JobRun.Progress progress = new JobRun.Progress(
                chunk.readings.size(), chunk.readings.size() - refused, refused, chunk.batch.bytes());
        boolean writes = !task.dryRun && !plan.isEmpty();
        if (!writes && faults.isEmpty()) {
            return task.run.move(position, progress);
        }
        return task.run.chunk(tx -> store.add(tx, task.run.id(), kept, faults)
                .compose(v -> writes
                        ? customers.write(tx, plan, task.mapping.source())
                        : Future.succeededFuture(nothing(task.run, "import.rowsRefused", faults.size())))
                .map(done -> new JobRun.Step(done, position, progress)));
    }

    private static void count(ObjectNode position, ObjectNode before, String counter, long more) {
        position.put(counter, before.path(counter).longValue() + more);
    }

    private static Database.Chunk nothing(JobRun run, String event, long rows) {
        String id = run.id().toString();
        return new Database.Chunk(
                "import",
                0,
                NO_HASH,
                id,
                id,
                Event.of(event, run.id(), run.fence(), ImportService.PERMISSION)
                        .within(null, run.principal().subject())
                        .with("rows", rows));
    }

    /** The file has served: its key goes, and with it what it held. How it ended is kept for a run that comes after a crash. */
    private static Future<Void> end(JobRun run, UUID upload, @Nullable Problem problem) {
        ObjectNode position = run.position();
        position.put("end", problem == null ? "" : problem.code());
        if (problem != null) {
            problem.args().forEach(position.putArray("endArgs")::add);
        }
        return run.chunk(tx -> release(tx, run, upload, position)).compose(v -> ended(position));
    }

    private static Future<JobRun.Step> release(Tx tx, JobRun run, UUID upload, ObjectNode position) {
        return Blobs.release(tx, upload)
                .map(v -> new JobRun.Step(
                        nothing(run, "import.fileReleased", position.path("row").longValue()),
                        position,
                        new JobRun.Progress(0, 0, 0, null)));
    }

    private static Future<Void> ended(ObjectNode position) {
        String code = position.path("end").asText();
        List<String> args = new ArrayList<>();
        position.path("endArgs").forEach(arg -> args.add(arg.asText()));
        return code.isEmpty()
                ? Future.succeededFuture()
                : Future.failedFuture(Problem.of(code, args.toArray(String[]::new)));
    }
}
