package io.kehu.customer.quality;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.quality.QualityStore.Counts;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.vertx.core.Future;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** What is asked of quality: dictionaries, rules, and what they find. */
final class QualityService {
    private static final String READ = "quality:read";
    private static final int WHOLE = 100;
    private static final int MAX_RULES = 60;
    private static final int MAX_FORMATS = 20;

    private final Database database;
    private final QualityStore store;
    private final CustomerReach reach;
    private final List<Dictionary> dictionaries;
    private final CustomerSeals seals;
    private final int keptSeconds;
    private final UnaryOperator<byte[]> mac;

    QualityService(
            Database database,
            QualityStore store,
            List<Dictionary> dictionaries,
            CustomerSeals seals,
            int keptSeconds,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.reach = new CustomerReach(database);
        this.dictionaries = dictionaries;
        this.seals = seals;
        this.keptSeconds = keptSeconds;
        this.mac = mac;
    }

    Future<Reply> dictionaries(Call call) {
        return Future.succeededFuture(Reply.ok(json -> {
            json.writeStartObject();
            json.writeArrayFieldStart("items");
            for (Dictionary dictionary : dictionaries) {
                json.writeStartObject();
                dictionary.head(json);
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }));
    }

    /** Problems: dictionary.notFound. */
    Future<Reply> dictionary(Call call) {
        Dictionary found = Dictionary.of(call.text("dictionaryCode", ""));
        return found == null
                ? Future.failedFuture(Problem.of("dictionary.notFound"))
                : Future.succeededFuture(Reply.ok(found::toJson).etag(found.version()));
    }

    /** Problems: dictionary.notFound, request.cursorInvalid. */
    Future<Reply> entries(Call call) {
        Page page = Page.of(call, mac);
        Dictionary found = Dictionary.of(call.text("dictionaryCode", ""));
        if (found == null) {
            return Future.failedFuture(Problem.of("dictionary.notFound"));
        }
        String after = page.after().isEmpty() ? "" : page.after().get(0);
        List<Dictionary.Entry> entries =
                found.select(call.text("parent"), call.integer("level", 0), call.text("search"), after, page.fetch());
        return Future.succeededFuture(Reply.ok(page.write(
                entries, entries.size(), entry -> List.of(entry.code()), (json, entry) -> entry.toJson(json))));
    }

    Future<Reply> rules(Call call) {
        return store.rules(call)
                .map(rules -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeArrayFieldStart("items");
                    for (QualityRule rule : rules) {
                        rule.toJson(json);
                    }
                    json.writeEndArray();
                    json.writeEndObject();
                }));
    }

    /** Problems: quality.ruleNotFound, quality.daysInvalid, request.stale. */
    Future<Reply> changeRule(Call call) {
        return database.write(
                call,
                tx -> store.held(tx, call.text("ruleCode"))
                        .compose(rule -> Past.mustMatch(call, rule.version()).compose(v -> {
                            JsonNode patch = call.json();
                            return store.update(
                                    tx,
                                    rule.id(),
                                    patch.path("weight").asInt(rule.weight()),
                                    patch.path("enabled").asBoolean(rule.enabled()),
                                    patch.has("days")
                                            ? Integer.valueOf(patch.get("days").intValue())
                                            : rule.days());
                        }))
                        .compose(changed -> store.forget(tx).map(changed))
                        .map(changed -> {
                            tx.event(Event.of("quality.ruleChanged", changed.id(), changed.version(), READ));
                            return Reply.ok(changed::toJson).etag(changed.version());
                        }));
    }

    /**
     * A rule in the words of filters, or of what a field looks like. Whoever reads issues sees what it asks about, so it may ask of
     * nothing that takes a right of its own, and of what is sealed the shape alone. Problems: quality.codeTaken,
     * quality.fieldForbidden, quality.tooManyRules, request.invalid, and those of the words of filters.
     */
    Future<Reply> createRule(Call call) {
        ObjectNode body = call.json();
        if (body.has("condition") == body.has("format")) {
            throw Problem.invalid(List.of(new FieldError("", "field.oneOf", List.of("condition, format"))));
        }
        QualityRule draft = QualityRule.draft(Ids.next(), body);
        if (draft.condition() == null) {
            List<FieldError> faults = draft.faults();
            if (!faults.isEmpty()) {
                throw Problem.invalid(faults);
            }
        } else if (!Filter.parse(draft.condition(), "/condition").permissions().isEmpty()) {
            throw Problem.of("quality.fieldForbidden");
        }
        return database.write(
                call,
                tx -> store.insert(tx, draft, MAX_RULES, MAX_FORMATS)
                        .compose(made -> store.forget(tx).map(made))
                        .map(made -> {
                            tx.event(Event.of("quality.ruleCreated", made.id(), made.version(), READ));
                            return Reply.created("/v1/quality/rules/" + made.code(), made::toJson)
                                    .etag(made.version());
                        }));
    }

    /**
     * How many records in scope fail which rule: of whole branches as kept a while ago, else counted now. Who finds the kept
     * numbers old makes them anew; whoever asks meanwhile is told the old ones, and of when they are.
     */
    Future<Reply> summary(Call call) {
        boolean whole = call.principal().seesWholeBranches();
        return countable(call)
                .compose(rules -> (whole ? keptOrMade(call, rules) : Future.succeededFuture(Optional.<Counts>empty()))
                        .compose(
                                kept -> kept.isPresent() ? Future.succeededFuture(kept.get()) : store.live(call, rules))
                        .map(counts -> Reply.ok(json -> summary(json, rules, counts))));
    }

    private Future<Optional<Counts>> keptOrMade(Call call, List<QualityRule> rules) {
        return store.claim(call, keptSeconds)
                .compose(claimed -> claimed ? store.keep(call, rules) : Future.succeededFuture())
                .compose(v -> store.kept(call, rules));
    }

    private static void summary(JsonGenerator json, List<QualityRule> rules, Counts counts) throws IOException {
        json.writeStartObject();
        json.writeStringField("asOf", Json.instant(counts.at()));
        json.writeNumberField("customers", counts.customers());
        json.writeArrayFieldStart("rules");
        int i = 0;
        for (QualityRule rule : rules) {
            json.writeStartObject();
            json.writeStringField("rule", rule.code());
            json.writeStringField("kind", rule.kind());
            if (rule.field() != null) {
                json.writeStringField("field", rule.field());
            }
            json.writeNumberField("failing", counts.failing()[i++]);
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    /** Problems: customer.notFound. */
    Future<Reply> ofCustomer(Call call) {
        return reach.of(call, call.id("customerId"))
                .compose(customer -> inForce(call)
                        .compose(rules -> failedBy(call, customer.id(), rules)
                                .map(failed -> Reply.ok(json -> {
                                    json.writeStartObject();
                                    json.writeStringField(
                                            "customerId", customer.id().toString());
                                    found(json, rules, failed);
                                    json.writeEndObject();
                                }))));
    }

    /** By what the database sees, and where a rule asks for it by the opened record. */
    private Future<Set<String>> failedBy(Call call, UUID customer, List<QualityRule> rules) {
        List<QualityRule> seen = rules.stream().filter(rule -> !rule.isSealed()).toList();
        List<QualityRule> sealed = rules.stream().filter(QualityRule::isSealed).toList();
        return store.of(call, customer, seen).compose(row -> {
            Set<String> failed = new HashSet<>(List.of(row.getArrayOfStrings("failed")));
            if (sealed.isEmpty()) {
                return Future.succeededFuture(failed);
            }
            return store.sealed(call, customer).map(record -> {
                if (record.getBuffer("wrapped") != null) {
                    JsonNode personal = seals.open(seals.key(record), "customer.sealed", record.getBuffer("personal"));
                    sealed.stream()
                            .filter(rule -> rule.failed(record.getString("kind"), personal))
                            .forEach(rule -> failed.add(rule.code()));
                }
                return failed;
            });
        });
    }

    /** Those that the database holds against all customers. */
    private Future<List<QualityRule>> countable(Call call) {
        return inForce(call)
                .map(rules -> rules.stream().filter(rule -> !rule.isSealed()).toList());
    }

    private Future<List<QualityRule>> inForce(Call call) {
        return store.rules(call)
                .map(rules -> rules.stream().filter(QualityRule::enabled).toList());
    }

    /** Problems: quality.ruleNotFound, quality.ruleOfRecord, request.cursorInvalid. */
    Future<Reply> issues(Call call) {
        Page page = Page.of(call, mac);
        String wanted = call.text("rule");
        return inForce(call).compose(all -> {
            List<QualityRule> rules = wanted == null
                    ? all.stream().filter(rule -> !rule.isSealed()).toList()
                    : all.stream()
                            .filter(rule -> Objects.equals(rule.code(), wanted))
                            .toList();
            if (wanted != null && rules.isEmpty()) {
                return Future.failedFuture(Problem.of("quality.ruleNotFound"));
            }
            if (rules.stream().anyMatch(QualityRule::isSealed)) {
                return Future.failedFuture(Problem.of("quality.ruleOfRecord"));
            }
            return store.issues(call, rules, page)
                    .map(rows -> Reply.ok(page.write(
                            rows, row -> List.of(row.getUUID("id").toString()), (json, row) -> {
                                json.writeStartObject();
                                json.writeStringField(
                                        "customerId", row.getUUID("id").toString());
                                failed(json, rules, Set.of(row.getArrayOfStrings("failed")));
                                json.writeEndObject();
                            })));
        });
    }

    /** The share of the weights of all rules that the record does not fail. */
    private static void found(JsonGenerator json, List<QualityRule> rules, Set<String> failed) throws IOException {
        int all = rules.stream().mapToInt(QualityRule::weight).sum();
        int lost = rules.stream()
                .filter(rule -> failed.contains(rule.code()))
                .mapToInt(QualityRule::weight)
                .sum();
        json.writeNumberField("score", all == 0 ? WHOLE : WHOLE - (WHOLE * lost + all / 2) / all);
        failed(json, rules, failed);
    }

    private static void failed(JsonGenerator json, List<QualityRule> rules, Set<String> failed) throws IOException {
        json.writeArrayFieldStart("issues");
        for (QualityRule rule : rules) {
            if (failed.contains(rule.code())) {
                json.writeStartObject();
                json.writeStringField("rule", rule.code());
                json.writeStringField("kind", rule.kind());
                if (rule.field() != null) {
                    json.writeStringField("field", rule.field());
                }
                json.writeEndObject();
            }
        }
        json.writeEndArray();
    }
}
