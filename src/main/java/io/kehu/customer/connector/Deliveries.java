package io.kehu.customer.connector;

import com.fasterxml.jackson.databind.JsonNode;
import com.networknt.schema.Schema;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.kehu.bus.Reply;
import io.kehu.contract.Input;
import io.kehu.customer.FieldSourceStore;
import io.kehu.customer.bulk.CustomerChunks;
import io.kehu.customer.bulk.CustomerChunks.Entry;
import io.kehu.customer.bulk.CustomerChunks.Fate;
import io.kehu.customer.bulk.CustomerChunks.Keys;
import io.kehu.customer.bulk.CustomerChunks.Plan;
import io.kehu.customer.bulk.Sieve;
import io.kehu.customer.imports.Mapping;
import io.kehu.job.Jobs;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Takes what a connector sends: judges the signature, maps each row, leaves out what a better source has said, holds the rest
 * against the contract and the rules of createCustomer, and writes what is good together with a note of all.
 */
public final class Deliveries {
    private static final String PERMISSION = "customer:import";
    /** Of one delivery, which is one transaction. */
    public static final int MAX_ROWS = 100;

    private static final int MAX_FAULTS_OF_A_ROW = 20;
    private static final int MAX_RACES = 5;

    private final Jobs jobs;
    private final Database database;
    private final ConnectorStore store;
    private final FieldSourceStore sources;
    private final CustomerChunks customers;
    private final Sieve sieve;
    private final PrecedenceRules precedence;
    private final Schema shape;
    private final Clock clock;
    private final ZoneId zone;

    private Deliveries(
            Jobs jobs,
            Database database,
            ConnectorStore store,
            FieldSourceStore sources,
            CustomerChunks customers,
            Sieve sieve,
            PrecedenceRules precedence,
            Schema shape,
            Clock clock,
            ZoneId zone) {
        this.jobs = jobs;
        this.database = database;
        this.store = store;
        this.sources = sources;
        this.customers = customers;
        this.sieve = sieve;
        this.precedence = precedence;
        this.shape = shape;
        this.clock = clock;
        this.zone = zone;
    }

    public static Deliveries of(Kernel kernel) {
        List<String> precedence = new ArrayList<>();
        kernel.settings().apply("connectors.precedence").forEach(line -> precedence.add(line.asText()));
        CustomerChunks customers = new CustomerChunks(kernel);
        return new Deliveries(
                kernel.jobs(),
                kernel.database(),
                new ConnectorStore(kernel.database(), kernel.vault()),
                new FieldSourceStore(kernel.database()),
                customers,
                new Sieve(kernel, customers),
                new PrecedenceRules(precedence),
                kernel.contract().body("createCustomer"),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")));
    }

    /** What goes along in the transaction of a delivery. */
    @FunctionalInterface
    public interface Along {
        Future<?> go(Tx tx, ConnectorStore.Counts counts);
    }

    /** One row as it was read. */
    private record Read(int number, Mapping.Reading reading, List<FieldError> faults) {}

    /**
     * What is to be done.
     *
     * @param said of each good row which field somebody else has said
     */
    private record Judged(
            List<Read> rows,
            List<Entry> entries,
            List<Keys> keys,
            List<Map<String, String>> said,
            Sieve.Sifted sifted,
            Plan plan) {}

    /**
     * Problems: connector.refused, connector.late, connector.payloadInvalid, connector.replayed, customer.branchUnknown,
     * customer.managerUnknown, server.contended.
     */
    Future<Reply> take(Call call) {
        String delivery = call.params().required("Kehu-Delivery").textValue();
        long time = call.params().required("Kehu-Time").longValue();
        String payload = call.json().required("payload").textValue();
        return store.open(call).compose(open -> {
            if (!SignatureRules.fits(open.secrets(), time, delivery, payload, call.text("Kehu-Signature", ""))) {
                return Future.failedFuture(ConnectorStore.refused());
            }
            // Said only to who knows the secret.
            if (!SignatureRules.isInTime(time, open.now())) {
                return Future.failedFuture(Problem.of("connector.late"));
            }
            Connector connector = open.connector();
            return enter(
                    call,
                    connector,
                    UUID.fromString(delivery),
                    () -> read(connector, payload),
                    (tx, counts) -> Future.succeededFuture());
        });
    }

    /**
     * Enters rows that were asked for, as if they had been sent.
     *
     * @param delivery a new id
     * @param first how many rows of the same answer came before
     * @param rows at most {@link #MAX_ROWS}; what stands under a name, empty for nothing
     */
    public Future<Void> enter(
            Call call, Connector connector, UUID delivery, int first, List<UnaryOperator<String>> rows, Along along) {
        return enter(call, connector, delivery, () -> read(connector, first, rows), along)
                .mapEmpty();
    }

    private Future<Reply> enter(Call call, Connector connector, UUID delivery, Callable<List<Read>> rows, Along along) {
        return store.owner(call, connector)
                .compose(owner -> owner.may(PERMISSION)
                                && Mapping.named(connector.mapping()).forbidden(owner) == null
                        ? compute(rows)
                                .compose(read -> enter(as(call, owner), connector, delivery, read, along, MAX_RACES))
                        : Future.failedFuture(ConnectorStore.refused()));
    }

    /** The same call in the name of the one whose rights it works with. */
    private static Call as(Call call, Principal owner) {
        return new Call(
                call.operationId(),
                call.params(),
                call.body(),
                owner,
                call.mode(),
                call.pool(),
                call.meta(),
                call.approval(),
                call.deadlineMillis());
    }

    private <T> Future<T> compute(Callable<T> work) {
        return jobs.compute(work);
    }

    private List<Read> read(Connector connector, String payload) {
        List<UnaryOperator<String>> cells = new ArrayList<>();
        for (JsonNode row : rows(payload)) {
            cells.add(name -> row.path(name).isValueNode() ? row.path(name).asText("") : "");
        }
        return read(connector, 0, cells);
    }

    private List<Read> read(Connector connector, int first, List<UnaryOperator<String>> cells) {
        Mapping mapping = Mapping.named(connector.mapping());
        List<Read> rows = new ArrayList<>();
        for (UnaryOperator<String> row : cells) {
            int number = first + rows.size() + 1;
            Mapping.Reading reading = mapping.read(number, row);
            List<FieldError> faults = new ArrayList<>(reading.faults());
            if (faults.isEmpty()) {
                faults.addAll(Input.faults(shape, reading.draft(), false));
            }
            rows.add(new Read(number, reading, faults));
        }
        return rows;
    }

    private static JsonNode rows(String payload) {
        JsonNode rows;
        try {
            rows = Json.parse(Buffer.buffer(payload));
        } catch (RuntimeException e) {
            throw Problem.of("connector.payloadInvalid", Integer.toString(MAX_ROWS));
        }
        if (!rows.isArray() || rows.size() > MAX_ROWS || rows.valueStream().anyMatch(row -> !row.isObject())) {
            throw Problem.of("connector.payloadInvalid", Integer.toString(MAX_ROWS));
        }
        return rows;
    }

    private Future<Reply> enter(
            Call call, Connector connector, UUID delivery, List<Read> rows, Along along, int races) {
        Principal owner = call.principal();
        CustomerChunks.Place place = place(connector, owner);
        if (place == null) {
            return Future.failedFuture(Problem.of("customer.branchUnknown"));
        }
        LocalDate today = clock.now().atZoneSameInstant(zone).toLocalDate();
        List<Entry> entries = rows.stream()
                .filter(row -> row.faults.isEmpty())
                .map(row -> new Entry(row.reading.draft(), row.reading.defaults()))
                .toList();
        return compute(() -> customers.keys(entries))
                .compose(keys -> customers
                        .find(call, keys)
                        // After the customers themselves: who changes one meanwhile changes its version too.
                        .compose(found -> said(call, keys).compose(said -> {
                            List<Map<String, String>> his = keys.stream()
                                    .map(key -> key.external() == null
                                            ? Map.<String, String>of()
                                            : said.getOrDefault(key.external(), Map.of()))
                                    .toList();
                            List<Entry> held = hold(connector, entries, his);
                            return sieve.sift(call, connector.duplicates(), held, keys, found, today)
                                    .compose(sifted -> compute(() -> new Judged(
                                            rows,
                                            held,
                                            keys,
                                            his,
                                            sifted,
                                            customers.plan(
                                                    owner, sifted.entries(), sifted.keys(), found, place, today))));
                        })))
                .compose(judged -> database.write(call, tx -> write(tx, connector, delivery, judged, along)))
                .recover(failure -> {
                    Problem problem = Problem.in(failure);
                    if (problem == null || !CustomerChunks.LOST_RACES.contains(problem.code())) {
                        return Future.failedFuture(failure);
                    }
                    return races > 0
                            ? enter(call, connector, delivery, rows, along, races - 1)
                            : Future.failedFuture(Problem.of("server.contended"));
                });
    }

    private static CustomerChunks.@Nullable Place place(Connector connector, Principal owner) {
        String branch = connector.mapping().path("branchId").textValue();
        String manager = connector.mapping().path("managerId").textValue();
        UUID where = branch == null ? owner.branchId() : UUID.fromString(branch);
        UUID who = manager != null
                ? UUID.fromString(manager)
                : owner.scope() == Principal.Scope.OWN ? owner.subject() : null;
        return where == null ? null : new CustomerChunks.Place(where, who);
    }

    private Future<Map<Buffer, Map<String, String>>> said(Call call, List<Keys> keys) {
        Set<Buffer> externals = new HashSet<>();
        for (Keys one : keys) {
            if (one.external() != null) {
                externals.add(one.external());
            }
        }
        return externals.isEmpty() ? Future.succeededFuture(Map.of()) : sources.said(call, externals);
    }

    /** The entries, of which those fields stay that a better source has said. */
    private List<Entry> hold(Connector connector, List<Entry> entries, List<Map<String, String>> said) {
        List<Entry> held = new ArrayList<>(entries.size());
        for (int i = 0; i < entries.size(); i++) {
            Entry entry = entries.get(i);
            Set<String> fields = new HashSet<>();
            said.get(i).forEach((field, source) -> {
                if (entry.draft().has(field) && precedence.stays(field, source, connector.source())) {
                    fields.add(field);
                }
            });
            held.add(new Entry(entry.draft(), entry.defaults(), fields));
        }
        return held;
    }

    private Future<Reply> write(Tx tx, Connector connector, UUID delivery, Judged judged, Along along) {
        List<ConnectorStore.Fault> faults = new ArrayList<>();
        Map<Fate, Integer> fates = new EnumMap<>(Fate.class);
        List<Buffer> externals = new ArrayList<>();
        List<String> fields = new ArrayList<>();
        int good = 0;
        int entry = 0;
        int kept = 0;
        for (Read row : judged.rows) {
            Fate fate = Fate.REFUSED;
            List<FieldError> found = row.faults;
            if (found.isEmpty()) {
                CustomerChunks.Verdict verdict = judged.sifted.left()[good]
                        ? CustomerChunks.Verdict.refused(
                                "", "customer.possibleDuplicate", judged.sifted.alike()[good])
                        : judged.plan.verdicts().get(entry++);
                fate = verdict.fate();
                found = verdict.faults();
                int alike = judged.sifted.alike()[good];
                if (alike > 0 && found.isEmpty()) {
                    found = List.of(new FieldError("", "import.alike", List.of(Integer.toString(alike))));
                }
                Map<String, String> said = judged.said.get(good);
                for (String field : new TreeSet<>(verdict.kept())) {
                    kept++;
                    faults.add(new ConnectorStore.Fault(
                            row.number,
                            row.reading.column("/" + field),
                            "field.kept",
                            List.of(field, said.getOrDefault(field, ""))));
                }
                Buffer external = judged.keys.get(good).external();
                if (fate != Fate.REFUSED && external != null) {
                    for (String field : said(judged.entries.get(good), fate)) {
                        externals.add(external);
                        fields.add(field);
                    }
                }
                good++;
            }
            fates.merge(fate, 1, Integer::sum);
            for (FieldError fault : found.subList(0, Math.min(found.size(), MAX_FAULTS_OF_A_ROW))) {
                faults.add(new ConnectorStore.Fault(
                        row.number, row.reading.column(fault.pointer()), fault.code(), fault.args()));
            }
        }
        ConnectorStore.Counts counts = new ConnectorStore.Counts(
                judged.rows.size(),
                fates.getOrDefault(Fate.CREATED, 0),
                fates.getOrDefault(Fate.CHANGED, 0),
                fates.getOrDefault(Fate.UNCHANGED, 0),
                fates.getOrDefault(Fate.REFUSED, 0),
                kept);
        // The note first: what has arrived before ends here.
        return store.add(tx, connector.id(), delivery, counts)
                .compose(row -> store.addErrors(tx, connector.id(), delivery, faults)
                        .compose(v -> judged.plan.isEmpty()
                                ? Future.succeededFuture()
                                : customers
                                        .write(tx, judged.plan, connector.source())
                                        .onSuccess(chunk -> tx.event(chunk.event())))
                        .compose(v -> sources.say(tx, externals, fields, connector.source()))
                        .compose(v -> along.go(tx, counts))
                        .map(v -> {
                            tx.event(Event.of(
                                            "connector.delivered",
                                            connector.id(),
                                            connector.version(),
                                            ConnectorService.READ)
                                    .with("deliveryId", delivery.toString())
                                    .with("rows", counts.rows()));
                            String at = Json.instant(row.getOffsetDateTime("at"));
                            return Reply.created("/v1/connectors/" + connector.id() + "/deliveries", json -> {
                                json.writeStartObject();
                                json.writeStringField("id", delivery.toString());
                                json.writeStringField("at", at);
                                json.writeNumberField("rows", counts.rows());
                                json.writeNumberField("created", counts.created());
                                json.writeNumberField("changed", counts.changed());
                                json.writeNumberField("unchanged", counts.unchanged());
                                json.writeNumberField("refused", counts.refused());
                                json.writeNumberField("kept", counts.kept());
                                json.writeEndObject();
                            });
                        }));
    }

    /** The fields that a row has said something of, whether that was known or not. */
    private static Set<String> said(Entry entry, Fate fate) {
        Set<String> fields = new HashSet<>();
        entry.draft().fieldNames().forEachRemaining(fields::add);
        fields.removeAll(FieldSourceStore.IDENTIFYING);
        if (fate != Fate.CREATED) {
            fields.removeAll(entry.held());
            fields.removeAll(entry.defaults());
        }
        return fields;
    }
}
