package io.kehu.customer.merge;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of the records behind one: a change that arrives for any of them is kept with each on the way to the one that is shown. */
public final class SideStore {
    static final String TABLE = "customer.merge";

    private static final String MERGES = """
            SELECT id, survivor_id, duplicate_id, own FROM customer.merge
            WHERE undone_at IS NULL AND survivor_id IN (SELECT customer.sides($1)) ORDER BY place""";
    private static final String KEEP_OWN = "UPDATE customer.merge SET own = $2 WHERE id = $1";

    private final CustomerStore customers;
    private final CustomerSeals seals;

    public SideStore(CustomerStore customers, CustomerSeals seals) {
        this.customers = customers;
        this.seals = seals;
    }

    /** One merge in force. */
    record Link(UUID merge, UUID survivor) {}

    /** A record that is shown and all behind it, held until the transaction ends. */
    final class Family {
        private final Customer root;
        private final Map<UUID, Row> rows = new HashMap<>();
        private final Map<UUID, Customer> records = new LinkedHashMap<>();
        private final Map<UUID, Layers> layers = new HashMap<>();
        /** By the duplicate. */
        private final Map<UUID, Link> links = new HashMap<>();

        private Family(Customer root) {
            this.root = root;
        }

        int size() {
            return records.size();
        }

        /** Null where it is not behind the one that is shown, or its key is gone. */
        @Nullable
        Customer record(UUID id) {
            return records.get(id);
        }

        @Nullable
        Link link(UUID duplicate) {
            return links.get(duplicate);
        }

        Layers layers(UUID id) {
            return layers.computeIfAbsent(id, i -> new Layers());
        }

        Row row(UUID id) {
            return Objects.requireNonNull(rows.get(id));
        }

        /** A record and all that are merged into it, directly or not. */
        List<Customer> below(UUID top) {
            List<Customer> below = new ArrayList<>();
            for (Customer record : records.values()) {
                UUID id = record.id();
                while (!id.equals(top) && links.containsKey(id)) {
                    id = Objects.requireNonNull(links.get(id)).survivor;
                }
                if (id.equals(top)) {
                    below.add(record);
                }
            }
            return below;
        }

        Buffer seal(UUID survivor, ObjectNode own) {
            return seals.seal(seals.key(row(survivor)), TABLE, own);
        }

        /** Writes one record of the family with the layers that have changed; see {@link CustomerStore#put}. */
        Future<Customer> put(Tx tx, Customer after, @Nullable String source) {
            List<ObjectNode> owns = new ArrayList<>();
            Future<?> kept = Future.succeededFuture();
            for (Layers.Layer layer : layers(after.id()).all()) {
                ObjectNode own = layer.own().deepCopy();
                owns.add(own);
                if (layer.isTouched()) {
                    Buffer sealed = seal(after.id(), own);
                    kept = kept.compose(v -> tx.query(KEEP_OWN, Tuple.of(layer.merge(), sealed)));
                }
            }
            Long side = after.id().equals(root.id()) ? null : after.seq();
            CustomerStore.Claims claims = new CustomerStore.Claims(
                    root.seq(), side, owns.stream().map(SideStore::unique).toList());
            Customer before = Objects.requireNonNull(records.get(after.id()));
            return kept.compose(v -> customers.put(tx, row(after.id()), before, after, claims, source));
        }
    }

    /** What belongs to one customer at a time stays claimed, also while it is not shown. */
    private static ObjectNode unique(ObjectNode own) {
        ObjectNode unique = own.deepCopy();
        unique.retain(List.of("documents", "externalIds"));
        return unique;
    }

    /** @param root a record that stands for itself, held already */
    Future<Family> family(Tx tx, Customer root) {
        Family family = new Family(root);
        return customers.family(tx, root.id()).compose(rows -> {
            for (Row row : rows) {
                family.rows.put(row.getUUID("id"), row);
                family.records.put(row.getUUID("id"), customers.opened(row));
            }
            return tx.query(MERGES, Tuple.of(root.id())).map(merges -> {
                for (Row merge : merges) {
                    UUID survivor = merge.getUUID("survivor_id");
                    Row holder = family.rows.get(survivor);
                    if (holder != null) {
                        UUID id = merge.getUUID("id");
                        family.links.put(merge.getUUID("duplicate_id"), new Link(id, survivor));
                        family.layers(survivor)
                                .add(new Layers.Layer(
                                        id, seals.open(seals.key(holder), TABLE, merge.getBuffer("own"))));
                    }
                }
                return family;
            });
        });
    }

    /**
     * Writes a change of the record that is shown, and of all between it and the one it is for. Fails with {@code request.stale}
     * where that one has been separated meanwhile.
     *
     * @param side the id the change arrived for
     * @param source who says so, of each of them; null where it is not known
     */
    public Future<Customer> carry(Tx tx, Customer before, Customer after, UUID side, @Nullable String source) {
        return family(tx, before).compose(family -> {
            Customer arrived = family.record(side);
            if (arrived == null) {
                return Future.failedFuture(Problem.of("request.stale"));
            }
            ObjectNode shown = whole(before);
            ObjectNode next = whole(after);
            family.layers(side).own(shown, next);
            List<Customer> ways = new ArrayList<>();
            Customer record = arrived;
            while (!record.id().equals(before.id())) {
                ways.add(with(record, MergeRules.changed(whole(record), shown, next)));
                Link link = Objects.requireNonNull(family.link(record.id()));
                record = Objects.requireNonNull(family.record(link.survivor));
                family.layers(record.id()).lent(link.merge, whole(record), shown, next);
            }
            Future<?> written = Future.succeededFuture();
            for (Customer way : ways) {
                written = written.compose(v -> family.put(tx, way, source));
            }
            return written.compose(v -> family.put(tx, after, source));
        });
    }

    /** All of a record that can be chosen, lent and changed. */
    static ObjectNode whole(Customer customer) {
        ObjectNode whole = customer.toDraft();
        whole.put("branchId", customer.branchId().toString());
        if (customer.managerId() != null) {
            whole.put("managerId", customer.managerId().toString());
        }
        return whole;
    }

    static Customer with(Customer customer, ObjectNode whole) {
        ObjectNode draft = whole.deepCopy();
        draft.remove(List.of("branchId", "managerId"));
        String manager = whole.path("managerId").textValue();
        return customer.with(
                draft,
                UUID.fromString(whole.path("branchId").asText()),
                manager == null ? null : UUID.fromString(manager));
    }
}
