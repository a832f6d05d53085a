package io.kehu.customer.quality;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.vertx.core.Future;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.UnaryOperator;

/** What is asked of quality: dictionaries, rules, and what they find. */
final class QualityService {
    private static final String READ = "quality:read";
    private static final int WHOLE = 100;

    private final Database database;
    private final QualityStore store;
    private final CustomerReach reach;
    private final List<Dictionary> dictionaries;
    private final UnaryOperator<byte[]> mac;

    QualityService(Database database, QualityStore store, List<Dictionary> dictionaries, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.reach = new CustomerReach(database);
        this.dictionaries = dictionaries;
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
                        .map(changed -> {
                            tx.event(Event.of("quality.ruleChanged", changed.id(), changed.version(), READ));
                            return Reply.ok(changed::toJson).etag(changed.version());
                        }));
    }

    /** Problems: customer.notFound. */
    Future<Reply> ofCustomer(Call call) {
        return reach.of(call, call.id("customerId"))
                .compose(customer -> inForce(call)
                        .compose(rules -> store.of(call, customer.id(), rules)
                                .map(row -> Reply.ok(json -> {
                                    json.writeStartObject();
                                    json.writeStringField(
                                            "customerId", customer.id().toString());
                                    found(json, rules, Set.of(row.getArrayOfStrings("failed")));
                                    json.writeEndObject();
                                }))));
    }

    private Future<List<QualityRule>> inForce(Call call) {
        return store.rules(call)
                .map(rules -> rules.stream().filter(QualityRule::enabled).toList());
    }

    /** Problems: quality.ruleNotFound, request.cursorInvalid. */
    Future<Reply> issues(Call call) {
        Page page = Page.of(call, mac);
        String wanted = call.text("rule");
        return inForce(call).compose(all -> {
            List<QualityRule> rules = wanted == null
                    ? all
                    : all.stream()
                            .filter(rule -> Objects.equals(rule.code(), wanted))
                            .toList();
            if (wanted != null && rules.isEmpty()) {
                return Future.failedFuture(Problem.of("quality.ruleNotFound"));
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
