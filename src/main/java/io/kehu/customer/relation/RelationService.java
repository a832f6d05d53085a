package io.kehu.customer.relation;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.CustomerReach.Reached;
import io.kehu.customer.relation.Relation.Terms;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The rules of relations. Whoever does not see both ends sees no relation: to be told that a customer has a spouse, somewhere
 * else in the bank, is to be told of the spouse.
 */
final class RelationService {
    private static final String READ = "relation:read";

    private final Database database;
    private final RelationStore store;
    private final CustomerReach reach;
    private final UnaryOperator<byte[]> mac;

    RelationService(Database database, RelationStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.reach = new CustomerReach(database);
        this.mac = mac;
    }

    /**
     * Those of a customer, now or as known at an instant. Problems: customer.notFound, request.asOfTooLate,
     * request.cursorInvalid.
     */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return reach.of(call, call.id("customerId"))
                .compose(customer ->
                        Past.instant(call, database).compose(asOf -> store.list(call, customer, page, asOf)))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("made_at").toString(),
                                row.getUUID("id").toString()),
                        store::writeItem)));
    }

    /** One. Problems: relation.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("relationId"))
                .map(relation -> Reply.ok(relation::toJson).etag(relation.version()));
    }

    /**
     * Relates two customers. Problems: customer.notFound, relation.withItself, relation.exists, relation.endsUnfit,
     * relation.periodInvalid, relation.valueUnfit.
     */
    Future<Reply> create(Call call) {
        ObjectNode body = call.json();
        UUID other = UUID.fromString(body.get("customerId").textValue());
        return database.write(
                call,
                tx -> ends(tx, List.of(call.id("customerId"), other))
                        .compose(RelationService::mustDiffer)
                        .compose(ends -> store.insert(
                                        tx,
                                        Ids.next(),
                                        body.get("role").textValue(),
                                        ends.get(0).side(),
                                        ends.get(1).side(),
                                        Terms.of(body))
                                .compose(id -> store.find(tx, id))
                                .map(relation -> {
                                    tx.event(event("relation.created", relation, relation.version(), ends));
                                    return Reply.created("/v1/relations/" + relation.id(), relation::toJson)
                                            .etag(relation.version());
                                })));
    }

    private static Future<List<Reached>> mustDiffer(List<Reached> ends) {
        return ends.get(0).id().equals(ends.get(1).id())
                ? Future.failedFuture(Problem.of("relation.withItself"))
                : Future.succeededFuture(ends);
    }

    /** Changes days, share, amount or note. Problems: relation.notFound, request.stale, relation.exists,
     * relation.periodInvalid, relation.valueUnfit. */
    Future<Reply> change(Call call) {
        UUID id = call.id("relationId");
        ObjectNode patch = call.json();
        return database.write(
                call,
                tx -> held(tx, id)
                        .compose(ends -> store.find(tx, id)
                                .compose(before -> Past.mustMatch(call, before.version())
                                        .compose(v -> store.update(
                                                tx, before, before.terms().patched(patch), patch.has("note"))))
                                .compose(changed -> store.find(tx, id))
                                .map(relation -> {
                                    tx.event(event("relation.changed", relation, relation.version(), ends));
                                    return Reply.ok(relation::toJson).etag(relation.version());
                                })));
    }

    /** Takes one away. Problems: relation.notFound, request.stale. */
    Future<Reply> delete(Call call) {
        UUID id = call.id("relationId");
        return database.write(
                call,
                tx -> held(tx, id)
                        .compose(ends -> store.find(tx, id)
                                .compose(before -> Past.mustMatch(call, before.version())
                                        .compose(v -> store.delete(tx, id))
                                        .map(version -> {
                                            tx.event(event("relation.deleted", before, version, ends));
                                            return Reply.empty();
                                        }))));
    }

    /** Both ends, in reach; neither is deleted, merged or handed over before the transaction ends. */
    private Future<List<Reached>> ends(Tx tx, List<UUID> ids) {
        return reach.held(tx, ids.get(0))
                .compose(one -> reach.held(tx, ids.get(1)).map(other -> List.of(one, other)));
    }

    /** The same of a relation, which is not there for who reaches only one end. */
    private Future<List<Reached>> held(Tx tx, UUID id) {
        return store.locked(tx, id)
                .compose(ids -> ends(tx, ids)
                        .recover(failure -> Future.failedFuture(
                                failure instanceof Problem problem
                                                && problem.code().equals("customer.notFound")
                                        ? Problem.of("relation.notFound")
                                        : failure)));
    }

    /**
     * Told only to who sees both ends by one and the same fact: their branch, or their manager. Who sees all sees what is of no
     * branch.
     */
    private static Event event(String type, Relation relation, long version, List<Reached> ends) {
        Reached one = ends.get(0);
        Reached other = ends.get(1);
        UUID branch = one.branchId().equals(other.branchId()) ? one.branchId() : Principal.NOBODY;
        @Nullable UUID manager = Objects.equals(one.managerId(), other.managerId()) ? one.managerId() : null;
        return Event.of(type, relation.id(), version, READ)
                .within(branch, manager)
                .with("kind", relation.kind())
                .with("fromId", relation.fromId().toString())
                .with("toId", relation.toId().toString());
    }
}
