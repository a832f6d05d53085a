package io.kehu.customer.cleaning;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Mask;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.cleaning.CleaningRules.Action;
import io.kehu.customer.cleaning.CleaningStore.Cleaning;
import io.kehu.customer.filter.Filter;
import io.kehu.job.Jobs;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import java.io.IOException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** The rules of who cleans what, and what is told of it. */
final class CleaningService {
    static final String CLEAN = "quality:clean";
    private static final String UPDATE = "customer:update";

    private final Database database;
    private final Jobs jobs;
    private final CleaningStore store;
    private final CustomerStore customers;
    private final Clock clock;
    private final ZoneId zone;

    CleaningService(
            Database database, Jobs jobs, CleaningStore store, CustomerStore customers, Clock clock, ZoneId zone) {
        this.database = database;
        this.jobs = jobs;
        this.store = store;
        this.customers = customers;
        this.clock = clock;
        this.zone = zone;
    }

    /** Whoever changes many may change one. Fails with {@code auth.forbidden}. */
    static void mustMayClean(Principal who) {
        for (String permission : List.of(CLEAN, UPDATE)) {
            if (!who.may(permission)) {
                throw Problem.of("auth.forbidden", permission);
            }
        }
    }

    /** Problems: auth.forbidden, customer.fieldForbidden, and those of the words of filters. */
    Future<Reply> create(Call call) {
        mustMayClean(call.principal());
        ObjectNode body = call.json();
        if (body.has("filter")) {
            Filter.parse(body.get("filter"), "/filter").mustBeOpenTo(call.principal());
        }
        return database.write(
                        call,
                        tx -> jobs.submit(tx, CleaningStore.KIND, body)
                                .compose(id -> {
                                    tx.event(Event.of("cleaning.requested", id, 1, CLEAN)
                                            .within(null, tx.principal().subject()));
                                    return store.find(tx, id);
                                })
                                .map(made ->
                                        Reply.accepted("/v1/quality/cleanings/" + made.id(), write(made, List.of()))))
                .onSuccess(reply -> jobs.hint());
    }

    /** With what a dry run would change, of the first that are in scope now. Problems: quality.cleaningNotFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("cleaningId")).compose(found -> {
            List<UUID> ids = new ArrayList<>();
            found.position().path("samples").forEach(id -> ids.add(UUID.fromString(id.textValue())));
            return ids.isEmpty()
                    ? Future.succeededFuture(Reply.ok(write(found, List.of())))
                    : store.some(call, ids).map(rows -> {
                        List<Customer> samples = new ArrayList<>();
                        rows.forEach(row -> samples.add(customers.opened(row)));
                        return Reply.ok(write(found, samples));
                    });
        });
    }

    /** Problems: quality.cleaningNotFound, job.ended. */
    Future<Reply> cancel(Call call) {
        UUID id = call.id("cleaningId");
        return database.write(
                        call,
                        tx -> store.find(tx, id)
                                .compose(found -> Jobs.cancel(tx, id))
                                .compose(v -> store.find(tx, id))
                                .map(cancelled -> Reply.ok(write(cancelled, List.of()))))
                .onSuccess(reply -> jobs.hint());
    }

    private Json.Writer write(Cleaning found, List<Customer> samples) {
        Action action = Action.of(found.params().required("action").textValue());
        LocalDate today = clock.now().atZoneSameInstant(zone).toLocalDate();
        return json -> {
            json.writeStartObject();
            json.writeStringField("id", found.id().toString());
            json.writeStringField("action", found.params().get("action").textValue());
            json.writeStringField("state", found.state());
            json.writeBooleanField("dryRun", found.isDryRun());
            json.writeNumberField("read", found.read());
            json.writeNumberField("changed", found.changed());
            json.writeNumberField("refused", found.refused());
            json.writeFieldName("percent");
            json.writeObject(found.percent());
            json.writeBooleanField("cancelAsked", found.cancelAsked());
            json.writeStringField("errorCode", found.errorCode());
            json.writeStringField("createdAt", instant(found.createdAt()));
            json.writeStringField("startedAt", instant(found.startedAt()));
            json.writeStringField("endedAt", instant(found.endedAt()));
            json.writeArrayFieldStart("samples");
            for (Customer sample : samples) {
                sample(json, action, sample, today);
            }
            json.writeEndArray();
            json.writeEndObject();
        };
    }

    private static @Nullable String instant(@Nullable OffsetDateTime time) {
        return time == null ? null : Json.instant(time);
    }

    private static void sample(JsonGenerator json, Action action, Customer sample, LocalDate today) throws IOException {
        ObjectNode before = sample.toDraft();
        ObjectNode after;
        try {
            after = CleaningRules.cleaned(action, before, today);
        } catch (Problem problem) {
            after = null;
        }
        if (after == null) {
            return; // changed since
        }
        TreeSet<String> fields = new TreeSet<>();
        before.fieldNames().forEachRemaining(fields::add);
        after.fieldNames().forEachRemaining(fields::add);
        json.writeStartObject();
        json.writeStringField("customerId", sample.id().toString());
        json.writeArrayFieldStart("changes");
        for (String field : fields) {
            if (!before.path(field).equals(after.path(field))) {
                json.writeStartObject();
                json.writeStringField("field", field);
                Json.strings(json, "before", shown(field, before.path(field)));
                Json.strings(json, "after", shown(field, after.path(field)));
                json.writeEndObject();
            }
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    /** As lists show it: the name in full, all else that is personal masked. */
    private static List<String> shown(String field, JsonNode value) {
        List<String> shown = new ArrayList<>();
        switch (field) {
            case "documents" -> value.forEach(v -> shown.add(document(v)));
            case "phones" ->
                value.forEach(v -> shown.add(Mask.phone(v.path("number").asText())));
            case "emails" -> value.forEach(v -> shown.add(Mask.email(v.asText())));
            case "addresses" ->
                value.forEach(v -> shown.add(Mask.address(v.path("line").asText())
                        + (v.has("regionCode") ? " " + v.get("regionCode").asText() : "")));
            case "externalIds" ->
                value.forEach(v -> shown.add(Mask.passport(v.path("id").asText())));
            default -> {
                if (!value.isMissingNode()) {
                    shown.add(value.asText());
                }
            }
        }
        return shown;
    }

    private static String document(JsonNode document) {
        String number = document.path("number").asText();
        return document.path("type").asText().endsWith("resident_id") ? Mask.idNumber(number) : Mask.passport(number);
    }
}
