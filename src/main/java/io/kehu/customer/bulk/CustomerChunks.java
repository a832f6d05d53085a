package io.kehu.customer.bulk;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.kehu.crypto.Sha256;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerBulkStore;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.identity.CustomerRules;
import io.kehu.customer.identity.IdentityRules;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Enters or changes customers by the thousand: each through the rules of a single one, a refused one without harm to the
 * others. First {@link #keys}, {@link #find} and {@link #plan} say what is to happen to each, outside any transaction; then
 * {@link #write} does it, or fails as a whole where somebody else was faster (see {@link #LOST_RACES}): plan again then.
 */
public final class CustomerChunks {
    /** Somebody entered, changed or took away what the plan relied on. */
    public static final Set<String> LOST_RACES =
            Set.of("customer.idTaken", "customer.externalIdTaken", "customer.notFound", "request.stale");

    private static final String READ = "customer:read";

    private final CustomerSeals seals;
    private final CustomerStore store;
    private final CustomerBulkStore many;
    private final CustomerChunkStore chunks;

    public CustomerChunks(Kernel kernel) {
        this.seals = CustomerSeals.of(kernel);
        this.store = new CustomerStore(kernel.database(), seals);
        this.many = new CustomerBulkStore(seals);
        this.chunks = new CustomerChunkStore(kernel.database());
    }

    /** Where new customers go. */
    public record Place(UUID branch, @Nullable UUID manager) {
        /** The parameters of a job, and this place. */
        public ObjectNode into(ObjectNode params) {
            ObjectNode with = params.deepCopy();
            with.putObject("place")
                    .put("branch", branch.toString())
                    .put("manager", manager == null ? null : manager.toString());
            return with;
        }

        /** The place in the parameters of a job. */
        public static Place of(ObjectNode params) {
            JsonNode place = params.required("place");
            String manager = place.required("manager").textValue();
            return new Place(
                    UUID.fromString(place.required("branch").textValue()),
                    manager == null ? null : UUID.fromString(manager));
        }
    }

    /**
     * What is said of one customer.
     *
     * @param draft fits {@code CustomerDraft} of the contract; no place. A customer who has its external id is changed,
     *     otherwise one is made
     * @param defaults fields of the draft that hold only for those who have none
     * @param held fields of the draft that stay as one who is there has them: a better source has said them
     */
    public record Entry(ObjectNode draft, Set<String> defaults, Set<String> held) {
        public Entry(ObjectNode draft, Set<String> defaults) {
            this(draft, defaults, Set.of());
        }

        /** Of one who is there: he has the id he was found by, whether he shows it or not. */
        private Entry found() {
            ObjectNode rest = draft.deepCopy();
            ((ArrayNode) rest.path("externalIds")).remove(0);
            if (rest.path("externalIds").isEmpty()) {
                rest.remove("externalIds");
            }
            return new Entry(rest, defaults, held);
        }

        private Entry left() {
            if (held.isEmpty()) {
                return this;
            }
            ObjectNode rest = draft.deepCopy();
            rest.remove(held);
            return new Entry(rest, defaults);
        }
    }

    /** What becomes of an entry. */
    public enum Fate {
        CREATED,
        CHANGED,
        UNCHANGED,
        REFUSED
    }

    /**
     * The same with the reasons.
     *
     * @param faults of a refused one: pointers into the draft, with field codes or the code of a problem
     * @param kept the held fields that would have become something else
     */
    public record Verdict(Fate fate, List<FieldError> faults, Set<String> kept) {
        private static Verdict of(Fate fate, Set<String> kept) {
            return new Verdict(fate, List.of(), kept);
        }

        private static Verdict refused(List<FieldError> faults) {
            return new Verdict(Fate.REFUSED, faults, Set.of());
        }

        /** Left out, as so many others are like it. */
        public static Verdict refused(String pointer, String code, int count) {
            return refused(List.of(new FieldError(pointer, code, List.of(Integer.toString(count)))));
        }

        private static Verdict refused(String pointer, String code) {
            return refused(List.of(new FieldError(pointer, code, List.of())));
        }
    }

    /** The blind indexes of an entry. */
    public record Keys(@Nullable Buffer external, List<Buffer> documents) {}

    /** Who has these keys. */
    public record Found(List<Row> externals, Map<Buffer, UUID> documents) {}

    /** A change that arrived for an id: the customer's own, or one merged into it. */
    private record Step(UUID side, Customer after) {}

    /** What is to be written. */
    public static final class Plan {
        private final Place place;
        private final List<Verdict> verdicts = new ArrayList<>();
        private final Map<UUID, Customer> before = new HashMap<>();
        private final Map<UUID, Customer> made = new LinkedHashMap<>();
        private final Map<UUID, Customer> changed = new LinkedHashMap<>();
        /** What becomes of a known customer, one id after the other that something arrived for. */
        private final Map<UUID, List<Step>> steps = new HashMap<>();
        /** Which external ids are those of a record that is merged into the one they lead to. */
        private final Map<Buffer, UUID> sides = new HashMap<>();

        private CustomerBulkStore.@Nullable Chunk sealed;

        private Plan(Place place) {
            this.place = place;
        }

        /** One for each entry, in order. */
        public List<Verdict> verdicts() {
            return verdicts;
        }

        public boolean isEmpty() {
            return made.isEmpty() && changed.isEmpty();
        }
    }

    /** The blind indexes of entries; computes, so call it from a worker. */
    public List<Keys> keys(List<Entry> entries) {
        List<Keys> keys = new ArrayList<>(entries.size());
        for (Entry entry : entries) {
            JsonNode external = entry.draft.path("externalIds").path(0);
            List<Buffer> documents = new ArrayList<>();
            for (JsonNode document : entry.draft.path("documents")) {
                String type = document.path("type").asText();
                String number = document.path("number").asText();
                documents.add(seals.document(type, IdentityRules.normalDocument(type, number))
                        .value());
            }
            keys.add(new Keys(
                    external.isMissingNode()
                            ? null
                            : seals.external(
                                            external.path("source").asText(),
                                            external.path("id").asText())
                                    .value(),
                    documents));
        }
        return keys;
    }

    /** Who has these keys, in two queries. */
    public Future<Found> find(Call call, List<Keys> keys) {
        Set<Buffer> externals = new HashSet<>();
        Set<Buffer> documents = new HashSet<>();
        for (Keys one : keys) {
            if (one.external != null) {
                externals.add(one.external);
            }
            documents.addAll(one.documents);
        }
        Future<List<Row>> known = externals.isEmpty()
                ? Future.succeededFuture(List.of())
                : chunks.byExternal(call, externals).map(rows -> {
                    List<Row> list = new ArrayList<>(rows.size());
                    rows.forEach(list::add);
                    return list;
                });
        return known.compose(list -> {
            Map<Buffer, UUID> owners = new HashMap<>();
            return (documents.isEmpty()
                            ? Future.succeededFuture()
                            : chunks.byDocument(call, documents)
                                    .onSuccess(rows ->
                                            rows.forEach(row -> owners.put(row.getBuffer("value"), row.getUUID("id")))))
                    .map(v -> new Found(list, owners));
        });
    }

    /**
     * The fields, normalised, of those entries that would be new customers; null for others, which are known by their external
     * id or document, or will be refused. Computes, so call it from a worker.
     */
    public List<@Nullable ObjectNode> newcomers(List<Entry> entries, List<Keys> keys, Found found, LocalDate today) {
        Set<Buffer> known = new HashSet<>(found.documents.keySet());
        found.externals.forEach(row -> known.add(row.getBuffer("value")));
        List<@Nullable ObjectNode> drafts = new ArrayList<>(entries.size());
        for (int i = 0; i < entries.size(); i++) {
            Keys his = keys.get(i);
            boolean isKnown = his.documents.stream().anyMatch(known::contains)
                    || (his.external != null && !known.add(his.external));
            drafts.add(isKnown ? null : checked(entries.get(i), today));
        }
        return drafts;
    }

    private static @Nullable ObjectNode checked(Entry entry, LocalDate today) {
        try {
            return CustomerRules.checked(entry.draft, entry.draft::has, today);
        } catch (Problem problem) {
            return null; // the plan says what is wrong with it
        }
    }

    /**
     * What becomes of each entry; opens and seals, so call it from a worker. Entries of one call see each other: the second
     * with an external id changes what the first made.
     */
    public Plan plan(Principal who, List<Entry> entries, List<Keys> keys, Found found, Place place, LocalDate today) {
        Plan plan = new Plan(place);
        Map<Buffer, Customer> known = new HashMap<>();
        for (Row row : found.externals) {
            Customer customer = store.opened(row);
            known.put(row.getBuffer("value"), customer);
            plan.before.put(customer.id(), customer);
            UUID side = row.getUUID("side");
            if (side != null) {
                plan.sides.put(row.getBuffer("value"), side);
            }
        }
        Map<Buffer, UUID> owners = new HashMap<>(found.documents);
        for (int i = 0; i < entries.size(); i++) {
            try {
                plan.verdicts.add(judge(plan, who, entries.get(i), keys.get(i), known, owners, today));
            } catch (Problem problem) {
                plan.verdicts.add(Verdict.refused(
                        problem.errors().isEmpty()
                                ? List.of(new FieldError("", problem.code(), problem.args()))
                                : problem.errors()));
            }
        }
        if (!plan.made.isEmpty()) {
            plan.sealed = many.prepare(List.copyOf(plan.made.values()));
        }
        return plan;
    }

    private static Verdict judge(
            Plan plan,
            Principal who,
            Entry entry,
            Keys keys,
            Map<Buffer, Customer> known,
            Map<Buffer, UUID> owners,
            LocalDate today) {
        Customer there = keys.external == null ? null : known.get(keys.external);
        if (there != null) {
            there = plan.changed.getOrDefault(there.id(), there); // by another of its ids, a moment ago
        }
        boolean isNew = there == null;
        UUID id = there == null ? Ids.next() : there.id();
        Customer next;
        Set<String> kept = Set.of();
        if (there == null) {
            ObjectNode checked = CustomerRules.checked(entry.draft, entry.draft::has, today);
            next = Customer.draft(id, checked, plan.place.branch, plan.place.manager);
        } else {
            if (there.deletedAt() != null || (!plan.made.containsKey(id) && !EntryRules.isWithin(who, there))) {
                return Verdict.refused("/externalIds/0", "customer.externalIdTaken");
            }
            if (!entry.draft.path("kind").equals(there.facts().path("kind"))) {
                return Verdict.refused("/kind", "field.notForKind");
            }
            Entry found = entry.found();
            Entry left = found.left();
            kept = EntryRules.kept(there, found, today);
            ObjectNode checked = CustomerRules.checked(EntryRules.merged(there, left), entry.left().draft::has, today);
            // From the stored one, so that two changes of one customer are one new version.
            next = plan.before.getOrDefault(id, there).with(checked, there.branchId(), there.managerId());
            if (EntryRules.isSame(there, next)) {
                return Verdict.of(Fate.UNCHANGED, kept);
            }
        }
        for (int i = 0; i < keys.documents.size(); i++) {
            UUID owner = owners.get(keys.documents.get(i));
            if (owner != null && !owner.equals(id)) {
                return Verdict.refused("/documents/" + i, "customer.idTaken");
            }
        }
        keys.documents.forEach(document -> owners.put(document, id));
        if (keys.external != null) {
            known.put(keys.external, next);
        }
        if (isNew || plan.made.containsKey(id)) {
            plan.made.put(id, next);
        } else {
            plan.changed.put(id, next);
            UUID side = plan.sides.getOrDefault(keys.external, id);
            List<Step> steps = plan.steps.computeIfAbsent(id, i -> new ArrayList<>());
            if (!steps.isEmpty() && steps.get(steps.size() - 1).side.equals(side)) {
                steps.remove(steps.size() - 1);
            }
            steps.add(new Step(side, next));
        }
        return Verdict.of(isNew ? Fate.CREATED : Fate.CHANGED, kept);
    }

    /**
     * Does what was planned, in the transaction of a bulk chunk. Fails with one of {@link #LOST_RACES}, or with {@code
     * customer.branchUnknown} or {@code customer.managerUnknown} where the place of new customers is gone.
     *
     * @param source who says what is changed; null where it is not known. Of new customers nobody is noted
     */
    public Future<Database.Chunk> write(Tx tx, Plan plan, @Nullable String source) {
        Future<Void> changes = Future.succeededFuture();
        for (Map.Entry<UUID, List<Step>> known : plan.steps.entrySet()) {
            Customer before = Objects.requireNonNull(plan.before.get(known.getKey()));
            changes = changes.compose(v -> change(tx, before, known.getValue(), source));
        }
        CustomerBulkStore.Chunk sealed = plan.sealed;
        if (sealed == null) {
            return changes.map(v -> chunk(tx, plan, null));
        }
        return changes.compose(v -> check(tx, plan.place))
                .compose(v -> many.insertMany(tx, sealed))
                .map(made -> chunk(tx, plan, made));
    }

    /** New customers may go to this place. Fails with {@code customer.branchUnknown}, {@code customer.managerUnknown}. */
    public Future<Void> check(Tx tx, Place place) {
        return store.mustBeHis(tx, place.branch, place.manager);
    }

    private Future<Void> change(Tx tx, Customer before, List<Step> steps, @Nullable String source) {
        Future<Void> changes = Future.succeededFuture();
        for (int i = 0; i < steps.size(); i++) {
            Step step = steps.get(i);
            boolean first = i == 0;
            changes = changes.compose(v -> chunks.locked(tx, step.after.id()))
                    .compose(row -> {
                        if (first) {
                            return row.getLong("version") == before.version()
                                    ? store.update(tx, row, before, step.after, step.side, source)
                                    : Future.<Customer>failedFuture(Problem.of("request.stale"));
                        }
                        Customer after = step.after;
                        Customer there = store.opened(row);
                        Customer next = there.with(after.toDraft(), after.branchId(), after.managerId());
                        return store.update(tx, row, there, next, step.side, source);
                    })
                    .map(customer -> {
                        tx.event(Event.of("customer.changed", customer.id(), customer.version(), READ)
                                .within(customer.branchId(), customer.managerId()));
                        return null;
                    });
        }
        return changes;
    }

    private static Database.Chunk chunk(Tx tx, Plan plan, Database.@Nullable Chunk made) {
        if (plan.changed.isEmpty() && made != null) {
            return made;
        }
        MessageDigest digest = Sha256.start();
        List<UUID> ids = new ArrayList<>(plan.made.keySet());
        if (made != null) {
            digest.update(made.hash());
        }
        plan.changed.values().forEach(customer -> {
            ids.add(customer.id());
            digest.update((customer.id() + " " + (customer.version() + 1)).getBytes(StandardCharsets.UTF_8));
        });
        Event event = made != null
                ? made.event()
                : Event.of("customer.manyChanged", tx.auditId(), 1, READ).with("rows", ids.size());
        return new Database.Chunk(
                "customer",
                ids.size(),
                digest.digest(),
                ids.get(0).toString(),
                ids.get(ids.size() - 1).toString(),
                event);
    }
}
