package io.kehu.customer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.duplicate.EntryCheck;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.customer.identity.CustomerRules;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.FourEyes;
import io.kehu.sql.Past;
import io.vertx.core.Future;
import java.time.ZoneId;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;

/** The rules of who may enter, see and change which customer, and how much of it. */
final class CustomerService {
    private final Database database;
    private final CustomerStore store;
    private final CustomerSearchStore searches;
    private final CustomerChanges changes;
    private final EntryCheck entries;
    private final Clock clock;
    private final ZoneId zone;

    CustomerService(
            Database database,
            CustomerStore store,
            CustomerSearchStore searches,
            EntryCheck entries,
            Clock clock,
            ZoneId zone) {
        this.database = database;
        this.store = store;
        this.searches = searches;
        this.entries = entries;
        this.changes = new CustomerChanges(store, clock, zone);
        this.clock = clock;
        this.zone = zone;
    }

    /**
     * Enters a customer; whom the caller confirmed to be somebody else is kept, and so audited, as a
     * dismissed pair. Problems: customer.possibleDuplicate, customer.idTaken, customer.externalIdTaken, customer.branchUnknown,
     * customer.managerUnknown, customer.fieldForbidden.
     */
    Future<Reply> create(Call call) {
        ObjectNode body = call.json();
        CustomerChanges.mustSeeFinance(call.principal(), body, Customer.FINANCE);
        ObjectNode draft = CustomerChanges.withoutPlace(body);
        Set<UUID> confirmed = new TreeSet<>();
        draft.path("confirmDuplicates").forEach(id -> confirmed.add(UUID.fromString(id.textValue())));
        draft.remove("confirmDuplicates");
        draft.properties().removeIf(e -> e.getValue().isNull());
        Set<String> entered = new TreeSet<>();
        draft.fieldNames().forEachRemaining(entered::add);
        ObjectNode checked = CustomerRules.checked(draft, draft::has, changes.today());
        return database.write(call, tx -> {
            Principal who = tx.principal();
            UUID branch = body.has("branchId") ? CustomerChanges.id(body, "branchId") : who.branchId();
            boolean own = who.scope() == Principal.Scope.OWN && Objects.equals(branch, who.branchId());
            UUID manager = own && !body.has("managerId") ? who.subject() : CustomerChanges.id(body, "managerId");
            if (branch == null) {
                return Future.failedFuture(Problem.of("customer.branchUnknown"));
            }
            // First the row: of one with the same document a unique index says so, whoever else he may be like.
            return store.mustBeHis(tx, branch, manager)
                    .compose(v -> store.insert(tx, Customer.draft(Ids.next(), checked, branch, manager), entered))
                    .compose(made ->
                            entries.mustBeNew(tx, made.id(), checked, confirmed).map(made))
                    .map(customer -> {
                        tx.event(CustomerChanges.event("customer.created", customer));
                        return Reply.created(
                                        "/v1/customers/" + customer.id(),
                                        json -> customer.toJson(json, view(call, Set.of())))
                                .etag(customer.version());
                    });
        });
    }

    /**
     * One customer, now or as of an instant, masked or with parts in full. Problems: customer.notFound,
     * request.asOfTooLate, customer.unmaskForbidden, customer.unmaskQuota.
     */
    Future<Reply> get(Call call) {
        Set<String> unmask = Set.copyOf(call.list("unmask"));
        if (!unmask.isEmpty() && !call.principal().may("customer:unmask")) {
            return database.write(call, tx -> {
                tx.kind("unmask");
                tx.object("customer", call.id("customerId"), 0); // not read: of no version
                return tx.refuse(Problem.of("customer.unmaskForbidden"));
            });
        }
        return Past.instant(call, database)
                .compose(asOf -> store.find(call, call.id("customerId"), asOf))
                .compose(found -> unmask.isEmpty()
                        ? Future.succeededFuture(reply(call, found, unmask))
                        : unmasked(call, found, unmask));
    }

    /** The reading is in the audit before the values leave. */
    private Future<Reply> unmasked(Call call, FourEyes.Found<Customer> found, Set<String> unmask) {
        return database.write(
                call, tx -> store.readInFull(tx, found.value(), zone).map(v -> reply(call, found, unmask)));
    }

    private static Reply reply(Call call, FourEyes.Found<Customer> found, Set<String> unmask) {
        Customer customer = found.value();
        Reply shown = found.beside(Reply.ok(json -> customer.toJson(json, view(call, unmask))), customer.version());
        return unmask.isEmpty() ? shown : shown.etag(customer.version() + ".u");
    }

    /**
     * Changes fields, or hands the customer to another branch or manager. Problems: customer.notFound, request.stale,
     * customer.idTaken, customer.externalIdTaken, customer.branchUnknown, customer.managerUnknown,
     * customer.fieldForbidden.
     */
    Future<Reply> change(Call call) {
        CustomerChanges.mustSeeFinance(call.principal(), call.json(), Customer.FINANCE);
        return database.write(
                call,
                tx -> changes.apply(tx, call.id("customerId"), call.json())
                        .map(customer -> Reply.ok(json -> customer.toJson(json, view(call, Set.of())))
                                .etag(customer.version())));
    }

    /** All customers in scope that fit the filters. Problems: request.cursorInvalid, customer.fieldForbidden. */
    Future<Reply> list(Call call) {
        return page(call, call.params());
    }

    /** The same by terms that must not stand in a URL. Problems: request.cursorInvalid, customer.fieldForbidden. */
    Future<Reply> search(Call call) {
        return page(call, call.json());
    }

    private Future<Reply> page(Call call, ObjectNode terms) {
        CustomerChanges.mustSeeFinance(call.principal(), terms, List.of("assetsFrom", "assetsTo"));
        if (terms.path("sort").asText().equals("assets") && !call.principal().may("customer:finance")) {
            throw Problem.of("customer.fieldForbidden", "assets");
        }
        Filter filter = terms.has("filter") ? Filter.parse(terms.get("filter"), "/filter") : Filter.everybody();
        filter.mustBeOpenTo(call.principal());
        return searches.page(call, terms, filter, Moment.at(clock.now(), zone), view(call, Set.of()));
    }

    /** A customer as the caller may see him. */
    static Customer.View view(Call call, Set<String> unmask) {
        return new Customer.View(call.principal().may("customer:finance"), unmask);
    }
}
