package io.kehu.customer.merge;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.FieldSourceStore;
import io.kehu.customer.identity.CustomerRules;
import io.kehu.customer.merge.SideStore.Family;
import io.kehu.customer.merge.SideStore.Link;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.io.IOException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** The rules of who may make two records one, and of taking them apart. */
final class MergeService {
    private static final String READ = "merge:read";
    private static final String CUSTOMERS = "customer:read";
    /** All of them are read for each change of the one they have become. */
    private static final int MAX_SIDES = 20;

    private final Database database;
    private final CustomerStore customers;
    private final SideStore sides;
    private final MergeStore store;
    private final Clock clock;
    private final ZoneId zone;
    private final UnaryOperator<byte[]> mac;

    MergeService(
            Database database,
            CustomerStore customers,
            SideStore sides,
            MergeStore store,
            Clock clock,
            ZoneId zone,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.customers = customers;
        this.sides = sides;
        this.store = store;
        this.clock = clock;
        this.zone = zone;
        this.mac = mac;
    }

    /** Newest first. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getLong("place").toString()),
                        (json, row) -> Merge.from(row).toJson(json))));
    }

    /** Problems: merge.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("mergeId"))
                .map(merge -> Reply.ok(merge::toJson).etag(merge.version()));
    }

    /** Two records as they were found. */
    private record Pair(Customer survivor, Customer duplicate) {}

    /**
     * Makes one record of two. Problems: customer.notFound, merge.same, merge.kindsDiffer, merge.tooMany,
     * customer.fieldForbidden, request.invalid.
     */
    Future<Reply> merge(Call call) {
        ObjectNode body = call.json();
        ObjectNode choices = body.has("choice") ? (ObjectNode) body.get("choice") : Json.object();
        if (!call.principal().may("customer:finance")) {
            Customer.FINANCE.stream().filter(choices::has).findFirst().ifPresent(field -> {
                throw Problem.of("customer.fieldForbidden", field);
            });
        }
        UUID survivor = UUID.fromString(body.required("survivorId").textValue());
        UUID duplicate = UUID.fromString(body.required("duplicateId").textValue());
        String rule = body.path("rule").asText("survivor");
        return database.write(
                call,
                tx -> held(tx, survivor, duplicate)
                        .compose(pair -> sides.family(tx, pair.survivor)
                                .compose(one -> sides.family(tx, pair.duplicate)
                                        .compose(other -> join(tx, pair, one, other, rule, choices)))));
    }

    private Future<Pair> held(Tx tx, UUID survivor, UUID duplicate) {
        return store.roots(tx, survivor, duplicate).compose(roots -> {
            UUID one = roots.getUUID("one");
            UUID other = roots.getUUID("other");
            if (one.equals(other)) {
                return Future.failedFuture(Problem.of("merge.same"));
            }
            // In one order, whoever is to survive: two that are merged both ways at once wait for each other in turn.
            boolean first = one.compareTo(other) < 0;
            return customers
                    .locked(tx, first ? one : other)
                    .map(customers::opened)
                    .compose(low -> customers
                            .locked(tx, first ? other : one)
                            .map(customers::opened)
                            .compose(high -> mayBecomeOne(first ? new Pair(low, high) : new Pair(high, low))));
        });
    }

    private static Future<Pair> mayBecomeOne(Pair pair) {
        if (pair.survivor.id().equals(pair.duplicate.id())) {
            return Future.failedFuture(Problem.of("merge.same")); // merged while this one waited
        }
        return pair.survivor.facts().path("kind").equals(pair.duplicate.facts().path("kind"))
                ? Future.succeededFuture(pair)
                : Future.failedFuture(Problem.of("merge.kindsDiffer"));
    }

    private Future<Reply> join(Tx tx, Pair pair, Family family, Family other, String rule, ObjectNode choices) {
        if (family.size() + other.size() > MAX_SIDES) {
            return Future.failedFuture(Problem.of("merge.tooMany", Integer.toString(MAX_SIDES)));
        }
        Customer survivor = pair.survivor;
        Customer duplicate = pair.duplicate;
        Merge draft = new Merge(
                Ids.next(),
                survivor.id(),
                duplicate.id(),
                rule,
                choices,
                survivor.version(),
                duplicate.version(),
                tx.principal().subject(),
                tx.now(),
                null,
                null,
                1,
                tx.now());
        ObjectNode shown = SideStore.whole(survivor);
        ObjectNode merged = combined(draft, pair);
        Layers layers = family.layers(survivor.id());
        layers.add(draft.id(), shown, merged);
        ObjectNode own = layers.all().get(layers.all().size() - 1).own();
        return store.insert(tx, draft, family.seal(survivor.id(), own))
                .compose(merge -> store.join(tx, survivor, duplicate)
                        .compose(gone -> family.put(tx, SideStore.with(survivor, merged), null)
                                .compose(after -> FieldSourceStore.join(
                                                tx,
                                                survivor.id(),
                                                duplicate.id(),
                                                after.differing(survivor),
                                                fields(choices))
                                        .map(after))
                                .map(after -> {
                                    told(tx, "merge.made", merge, after, duplicate, gone);
                                    return Reply.created("/v1/merges/" + merge.id(), json -> {
                                                json.writeStartObject();
                                                merge.fields(json);
                                                json.writeFieldName("customer");
                                                after.toJson(json, tx.call());
                                                differences(json, tx.call(), pair, after);
                                                json.writeEndObject();
                                            })
                                            .etag(merge.version());
                                })));
    }

    /** Chosen one by one. */
    private static List<String> fields(ObjectNode choices) {
        List<String> fields = new ArrayList<>();
        choices.fieldNames().forEachRemaining(fields::add);
        return fields;
    }

    /** What the two come to together, by the rules of every customer. */
    private ObjectNode combined(Merge merge, Pair pair) {
        Map<String, MergeRules.Side> choices = MergeRules.choices(merge.choices());
        ObjectNode combined = MergeRules.combined(
                SideStore.whole(pair.survivor),
                SideStore.whole(pair.duplicate),
                choices,
                merge.recipe(),
                pair.duplicate.since().isAfter(pair.survivor.since()));
        ObjectNode checked = CustomerRules.checked(
                combined.deepCopy().without(List.of("branchId", "managerId")), choices::containsKey, today());
        ObjectNode whole = SideStore.whole(pair.survivor);
        whole.retain(List.of("branchId", "managerId"));
        return checked.setAll(whole);
    }

    /** Masked, and without what the caller may not see. */
    private static void differences(JsonGenerator json, Call call, Pair pair, Customer after) throws IOException {
        ObjectNode one = shown(call, pair.survivor);
        ObjectNode other = shown(call, pair.duplicate);
        ObjectNode merged = shown(call, after);
        json.writeArrayFieldStart("differences");
        for (String field : MergeRules.differing(SideStore.whole(pair.survivor), SideStore.whole(pair.duplicate))) {
            JsonNode before = MergeRules.value(one, field);
            JsonNode lent = MergeRules.value(other, field);
            if (before.isNull() && lent.isNull()) {
                continue; // not for the caller to see
            }
            json.writeStartObject();
            json.writeStringField("field", field);
            value(json, "survivor", before);
            value(json, "duplicate", lent);
            value(json, "merged", MergeRules.value(merged, field));
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static ObjectNode shown(Call call, Customer customer) {
        return Json.read(Objects.requireNonNull(
                        Reply.ok(json -> customer.toJson(json, call)).body())
                .toString());
    }

    /** Texts as they are, lists as lists. */
    private static void value(JsonGenerator json, String name, JsonNode value) throws IOException {
        if (!value.isNull()) {
            json.writeFieldName(name);
            json.writeTree(value);
        }
    }

    /**
     * Takes two records apart again, each with what arrived for it meanwhile. Problems: merge.notFound, merge.undone,
     * merge.underAnother, customer.idTaken, customer.externalIdTaken.
     */
    Future<Reply> undo(Call call) {
        UUID id = call.id("mergeId");
        return database.write(
                call,
                tx -> store.held(tx, id)
                        .compose(merge -> merge.undoneAt() == null
                                ? Future.succeededFuture(merge)
                                : Future.failedFuture(Problem.of("merge.undone")))
                        .compose(merge -> store.mustStandForItself(tx, merge.survivorId())
                                .compose(v -> customers.locked(tx, merge.survivorId()))
                                .compose(row -> sides.family(tx, customers.opened(row)))
                                .compose(family -> part(tx, merge, family))));
    }

    private Future<Reply> part(Tx tx, Merge merge, Family family) {
        Customer survivor = family.record(merge.survivorId());
        Customer duplicate = family.record(merge.duplicateId());
        Link link = family.link(merge.duplicateId());
        if (survivor == null
                || duplicate == null
                || link == null
                || !link.survivor().equals(merge.survivorId())) {
            return Future.failedFuture(Problem.of("merge.underAnother"));
        }
        List<Customer> below = family.below(duplicate.id());
        Customer without = SideStore.with(survivor, apart(family, merge, survivor, below));
        return store.part(tx, duplicate, below)
                .compose(version -> family.put(tx, without, null)
                        .compose(after -> FieldSourceStore.part(
                                        tx, survivor.id(), merge.madeAt(), after.differing(survivor))
                                .map(after))
                        .compose(after -> store.undone(tx, merge.id()).map(undone -> {
                            told(tx, "merge.undone", undone, after, duplicate, version);
                            return Reply.ok(undone::toJson).etag(undone.version());
                        })));
    }

    /** What the survivor has without the duplicate; papers and ids of other systems go with the record that has them. */
    private static ObjectNode apart(Family family, Merge merge, Customer survivor, List<Customer> below) {
        ObjectNode whole = family.layers(survivor.id()).without(merge.id(), SideStore.whole(survivor));
        for (Customer leaving : below) {
            ObjectNode its = SideStore.whole(leaving);
            for (String field : List.of("documents", "externalIds")) {
                MergeRules.put(
                        whole,
                        field,
                        MergeRules.without(field, MergeRules.value(whole, field), MergeRules.value(its, field)));
            }
        }
        return whole;
    }

    private static void told(Tx tx, String type, Merge merge, Customer survivor, Customer duplicate, long version) {
        List<Event> events = new ArrayList<>();
        events.add(within(Event.of(type, merge.id(), merge.version(), READ), survivor)
                .with("survivorId", survivor.id().toString())
                .with("duplicateId", duplicate.id().toString()));
        events.add(within(Event.of("customer.changed", survivor.id(), survivor.version(), CUSTOMERS), survivor));
        events.add(within(Event.of("customer.changed", duplicate.id(), version, CUSTOMERS), duplicate));
        events.forEach(tx::event);
    }

    private static Event within(Event event, Customer customer) {
        return event.within(customer.branchId(), customer.managerId());
    }

    private LocalDate today() {
        OffsetDateTime now = clock.now();
        return now.atZoneSameInstant(zone).toLocalDate();
    }
}
