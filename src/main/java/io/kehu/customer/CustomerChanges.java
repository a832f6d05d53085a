package io.kehu.customer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.identity.CustomerRules;
import io.kehu.sql.Clock;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The one way in which somebody changes a customer: every rule, then the row, the ciphertext, the indexes and the event. */
public final class CustomerChanges {
    private static final String READ = "customer:read";

    private final CustomerStore store;
    private final Clock clock;
    private final ZoneId zone;

    public CustomerChanges(CustomerStore store, Clock clock, ZoneId zone) {
        this.store = store;
        this.clock = clock;
        this.zone = zone;
    }

    /** Fails with {@code customer.fieldForbidden} where the fields hold a figure that the caller may not see. */
    public static void mustSeeFinance(Principal who, ObjectNode fields, Iterable<String> finance) {
        if (!who.may("customer:finance")) {
            for (String field : finance) {
                if (fields.has(field)) {
                    throw Problem.of("customer.fieldForbidden", field);
                }
            }
        }
    }

    /**
     * Changes the version that the caller has seen (If-Match). Problems: customer.notFound, request.stale, request.invalid,
     * customer.idTaken, customer.externalIdTaken, customer.branchUnknown, customer.managerUnknown.
     *
     * @param patch a merge patch of {@code CustomerPatch} of the contract
     */
    public Future<Customer> apply(Tx tx, UUID id, ObjectNode patch) {
        return apply(tx, id, () -> Future.succeededFuture(patch));
    }

    /** The same with a patch that is made once the customer is found and held. */
    public Future<Customer> apply(Tx tx, UUID id, Supplier<Future<ObjectNode>> patch) {
        return store.locked(tx, id).compose(row -> patch.get().compose(made -> apply(tx, id, row, made)));
    }

    private Future<Customer> apply(Tx tx, UUID side, Row row, ObjectNode patch) {
        Customer before = store.opened(row);
        if (!matches(tx.call(), before.version())) {
            return Future.failedFuture(Problem.of("request.stale"));
        }
        ObjectNode checked = checked(before, patch);
        UUID branch = patch.has("branchId") ? id(patch, "branchId") : before.branchId();
        UUID manager = patch.has("managerId") ? id(patch, "managerId") : before.managerId();
        Customer after = before.with(checked, Objects.requireNonNull(branch), manager);
        boolean moved = !after.branchId().equals(before.branchId()) || !Objects.equals(manager, before.managerId());
        return (moved ? store.mustBeHis(tx, after.branchId(), manager) : Future.<Void>succeededFuture())
                .compose(v -> store.update(tx, row, before, after, side, FieldSourceStore.STAFF))
                .onSuccess(customer -> tx.event(event("customer.changed", customer)));
    }

    /**
     * The fields that a change would make of a customer, normalised and completed; nothing is written. Problems:
     * request.invalid.
     */
    public ObjectNode checked(Customer before, ObjectNode patch) {
        ObjectNode draft = before.toDraft();
        withoutPlace(patch).properties().forEach(e -> {
            if (e.getValue().isNull()) {
                draft.remove(e.getKey());
            } else {
                draft.set(e.getKey(), e.getValue());
            }
        });
        return CustomerRules.checked(draft, patch::has, today());
    }

    /** A tag of an unmasked reading ({@code "3.u"}) names the same version. */
    private static boolean matches(Call call, long version) {
        String seen = call.meta().ifMatch();
        return seen != null
                && (seen.endsWith(".u") ? seen.substring(0, seen.length() - 2) : seen).equals(Long.toString(version));
    }

    static ObjectNode withoutPlace(ObjectNode body) {
        ObjectNode fields = body.deepCopy();
        fields.remove(List.of("branchId", "managerId"));
        return fields;
    }

    static @Nullable UUID id(ObjectNode body, String field) {
        JsonNode value = body.path(field);
        return value.isTextual() ? UUID.fromString(value.textValue()) : null;
    }

    LocalDate today() {
        OffsetDateTime now = clock.now();
        return now.atZoneSameInstant(zone).toLocalDate();
    }

    static Event event(String type, Customer customer) {
        return Event.of(type, customer.id(), customer.version(), READ)
                .within(customer.branchId(), customer.managerId());
    }
}
