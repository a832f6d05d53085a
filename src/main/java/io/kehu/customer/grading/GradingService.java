package io.kehu.customer.grading;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.io.IOException;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The rules of who says by which rules customers are graded, and what is told of it. */
final class GradingService {
    static final String READ = "grading-rule:read";
    static final String MANAGE = "grading-rule:manage";
    private static final Logger LOG = LoggerFactory.getLogger(GradingService.class);
    private static final int NIGHT_MILLIS = 10_000;

    private final Database database;
    private final GradingRuleStore rules;
    private final GradeStore store;
    private final CustomerReach reach;
    private final Jobs jobs;
    private final UnaryOperator<byte[]> mac;

    GradingService(Database database, GradingRuleStore rules, GradeStore store, Jobs jobs, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.rules = rules;
        this.store = store;
        this.reach = new CustomerReach(database);
        this.jobs = jobs;
        this.mac = mac;
    }

    /** All rules, by kind and in the order in which they are asked. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return rules.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getString("kind"),
                                row.getInteger("priority").toString(),
                                row.getUUID("id").toString()),
                        (json, row) -> GradingRule.from(row).toJson(json))));
    }

    /** Problems: grading.ruleNotFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> rules.find(call, call.id("ruleId"), asOf))
                .map(rule -> Reply.ok(rule::toJson).etag(rule.version()));
    }

    /**
     * Problems: grading.wholeBank, grading.resultInvalid, grading.tagUnknown, grading.tooManyRules, and those of the words of
     * filters.
     */
    Future<Reply> create(Call call) {
        mustGrade(call.principal());
        GradingRule draft = GradingRule.draft(Ids.next(), call.json());
        store.check(call.principal(), draft);
        return database.write(
                call,
                tx -> rules.insert(tx, draft).map(rule -> {
                    tx.event(event("grading.ruleCreated", rule));
                    return Reply.created("/v1/grading-rules/" + rule.id(), rule::toJson)
                            .etag(rule.version());
                }));
    }

    /** Problems: grading.ruleNotFound, grading.wholeBank, grading.resultInvalid, request.stale, and those of filters. */
    Future<Reply> change(Call call) {
        mustGrade(call.principal());
        return database.write(
                call,
                tx -> rules.held(tx, call.id("ruleId"))
                        .compose(
                                before -> Past.mustMatch(call, before.version()).map(before.patched(call.json())))
                        .compose(after -> {
                            store.check(call.principal(), after);
                            return rules.update(tx, after);
                        })
                        .map(rule -> {
                            tx.event(event("grading.ruleChanged", rule));
                            return Reply.ok(rule::toJson).etag(rule.version());
                        }));
    }

    /** How many customers a rule speaks of, and how many it would move. Problems: grading.ruleNotFound, those of filters. */
    Future<Reply> trial(Call call) {
        return rules.find(call, call.id("ruleId"), null).compose(rule -> {
            store.check(call.principal(), rule);
            return database.query(call, GradingRuleStore.ENABLED, Tuple.tuple())
                    .map(rows -> before(rule, GradingRuleStore.rules(rows)))
                    .compose(before -> store.trial(call, rule, before))
                    .map(row -> Reply.ok(json -> {
                        json.writeStartObject();
                        count(json, "matches", row.getLong("matches"));
                        count(json, "moves", row.getLong("moves"));
                        json.writeEndObject();
                    }));
        });
    }

    private static void count(JsonGenerator json, String field, long counted) throws IOException {
        json.writeObjectFieldStart(field);
        json.writeNumberField("count", Math.min(counted, GradeStore.COUNT_LIMIT));
        json.writeBooleanField("more", counted > GradeStore.COUNT_LIMIT);
        json.writeEndObject();
    }

    /** The enabled rules of the same kind, of tags of the same group, that are asked first. */
    private static List<GradingRule> before(GradingRule rule, List<GradingRule> enabled) {
        return enabled.stream()
                .filter(other -> !other.id().equals(rule.id())
                        && other.kind() == rule.kind()
                        && other.slot().equals(rule.slot())
                        && (other.priority() < rule.priority()
                                || (other.priority() == rule.priority()
                                        && other.id().compareTo(rule.id()) < 0)))
                .toList();
    }

    /** Looks at all customers now instead of at night. Problems: grading.wholeBank. */
    Future<Reply> start(Call call) {
        mustGrade(call.principal());
        return database.write(
                        call,
                        tx -> submit(tx)
                                .map(id -> Reply.accepted("/v1/jobs/" + id, json -> {
                                    json.writeStartObject();
                                    json.writeStringField("jobId", id.toString());
                                    json.writeEndObject();
                                })))
                .onSuccess(reply -> jobs.hint());
    }

    private Future<UUID> submit(Tx tx) {
        return jobs.submit(tx, GradingWork.KIND, Json.object())
                .onSuccess(id -> tx.event(Event.of("grading.started", id, 1, READ)));
    }

    /** Asked now and then by every node; the row of the day lets one of them begin. */
    Future<?> startNight(String zone, int hour) {
        Call call = Call.internal("startGradingNight", Call.Lane.JOB, NIGHT_MILLIS);
        return rules.nightDue(call, zone, hour)
                .compose(due -> due
                        ? database.write(
                                        call,
                                        tx -> rules.takeNight(tx, zone)
                                                .compose(v -> submit(tx))
                                                .compose(id -> rules.nightJob(tx, zone, id))
                                                .map(v -> Reply.empty()))
                                .onSuccess(reply -> jobs.hint())
                        : Future.succeededFuture());
    }

    static void later(Throwable failure) {
        Problem problem = Problem.in(failure);
        if (problem == null || !problem.code().equals("request.stale")) {
            LOG.warn("tonight's grading could not begin: {}", String.valueOf(failure));
        }
    }

    /** What a customer has come to, and how. Problems: customer.notFound. */
    Future<Reply> grades(Call call) {
        return reach.of(call, call.id("customerId"))
                .compose(customer -> store.of((sql, values) -> database.query(call, sql, values), customer.id()))
                .map(rows -> Reply.ok(json -> write(json, rows)));
    }

    /** Says somebody's class by hand. Problems: customer.notFound. */
    Future<Reply> putClass(Call call) {
        return database.write(
                call,
                tx -> reach.held(tx, call.id("customerId"))
                        .compose(customer -> store.say(
                                        tx,
                                        customer.id(),
                                        call.json().required("value").textValue())
                                .compose(row -> {
                                    tx.event(customer.event(
                                            "grading.classSaid",
                                            row.getUUID("id"),
                                            row.getLong("version"),
                                            "customer:read"));
                                    return store.of(tx::query, customer.id());
                                })
                                .map(rows -> Reply.ok(json -> write(json, rows)))));
    }

    private static void write(JsonGenerator json, RowSet<Row> rows) throws IOException {
        json.writeStartObject();
        json.writeArrayFieldStart("items");
        for (Row row : rows) {
            UUID rule = row.getUUID("rule_id");
            UUID actor = row.getUUID("actor");
            json.writeStartObject();
            json.writeStringField("kind", row.getString("kind"));
            json.writeStringField("value", row.getString("value"));
            json.writeStringField("since", Json.instant(row.getOffsetDateTime("since")));
            json.writeStringField("by", rule != null ? "rule" : row.getUUID("cause_id") == null ? "entry" : "hand");
            if (rule != null) {
                named(json, "rule", rule, row.getString("rule_name"));
            } else if (actor != null) {
                named(json, "person", actor, row.getString("actor_name"));
            }
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private static void named(JsonGenerator json, String field, UUID id, String name) throws IOException {
        json.writeObjectFieldStart(field);
        json.writeStringField("id", id.toString());
        json.writeStringField("name", name);
        json.writeEndObject();
    }

    private static void mustGrade(Principal who) {
        if (!mayGrade(who)) {
            throw Problem.of("grading.wholeBank");
        }
    }

    /** Rules are the whole bank's. */
    static boolean mayGrade(Principal who) {
        return who.may(MANAGE) && who.scope() == Principal.Scope.ALL;
    }

    private static Event event(String type, GradingRule rule) {
        return Event.of(type, rule.id(), rule.version(), READ)
                .with("kind", rule.kind().word());
    }
}
