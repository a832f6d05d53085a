package io.kehu.customer.seed;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerBulkStore;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.identity.CustomerRules;
import io.kehu.customer.seed.SeedStore.Place;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Enters invented customers through the rules, the vault and the bulk door. Which people they are is decided by the seed
 * alone; a run that was cut goes on where it stopped, and one that asks for fewer than there are does nothing. While one
 * chunk is written the next is invented and sealed on a worker.
 */
public final class SeedRun {
    /** Well under two seconds each on two cores, and few enough in memory. */
    private static final int CHUNK = 2_000;

    /** A line of progress for so many customers. */
    private static final int TOLD = 25 * CHUNK;

    private static final int CHUNK_MILLIS = 60_000;

    private final Vertx vertx;
    private final Database database;
    private final CustomerBulkStore store;
    private final SeedStore seeds;
    private final long seed;
    private final Consumer<String> progress;

    /**
     * Prepares a run.
     *
     * @param seed which population
     * @param progress takes a line now and then
     */
    public SeedRun(Kernel kernel, long seed, Consumer<String> progress) {
        this(kernel.vertx(), kernel.database(), new CustomerBulkStore(CustomerSeals.of(kernel)), seed, progress);
    }

    public SeedRun(Vertx vertx, Database database, CustomerBulkStore store, long seed, Consumer<String> progress) {
        this.vertx = vertx;
        this.database = database;
        this.store = store;
        this.seeds = new SeedStore(database);
        this.seed = seed;
        this.progress = progress;
    }

    /** Where the run stands. */
    private record Plan(
            People people, LocalDate reference, List<Place> places, long from, long to, long startedNanos) {}

    /**
     * Enters customers until there are this many of the seed.
     *
     * @param customers 0 to {@link People#CAPACITY}
     * @return how many were entered now; fails where there is no branch to put them
     */
    public Future<Long> run(long customers) {
        if (customers < 0 || customers > People.CAPACITY) {
            return Future.failedFuture(new IllegalArgumentException("between 0 and " + People.CAPACITY + " customers"));
        }
        return plan(customers).compose(plan -> {
            long rows = plan.to - plan.from;
            if (rows <= 0) {
                return Future.succeededFuture(0L);
            }
            Promise<Void> end = Promise.promise();
            chunks(plan, plan.from, prepared(plan, plan.from), end);
            return end.future().compose(v -> seeds.tidy()).map(rows);
        });
    }

    private Future<Plan> plan(long customers) {
        return seeds.stand(seed)
                .compose(stand -> seeds.places().map(found -> {
                    if (found.isEmpty()) {
                        throw new IllegalStateException("there is no open branch to put customers into");
                    }
                    LocalDate reference = stand == null ? LocalDate.now(java.time.ZoneOffset.UTC) : stand.reference();
                    long from = stand == null ? 0 : stand.position();
                    return new Plan(
                            People.asOf(reference), reference, weighted(found), from, customers, System.nanoTime());
                }));
    }

    /** Some managers have four times the customers of others. */
    private static List<Place> weighted(List<Place> found) {
        List<Place> places = new ArrayList<>();
        for (int i = 0; i < found.size(); i++) {
            places.addAll(Collections.nCopies(i % 4 + 1, found.get(i)));
        }
        return places;
    }

    /** Invents and seals the chunk that starts here. */
    private Future<CustomerBulkStore.@Nullable Chunk> prepared(Plan plan, long from) {
        if (from >= plan.to) {
            return Future.succeededFuture(null);
        }
        return vertx.executeBlocking(
                () -> {
                    List<Customer> rows = new ArrayList<>(CHUNK);
                    for (long i = from; i < Math.min(plan.to, from + CHUNK); i++) {
                        Place place = plan.places.get(new Dice(~seed, i).below(plan.places.size()));
                        ObjectNode draft = draft(plan.people.at(seed, i));
                        rows.add(Customer.draft(
                                Ids.next(),
                                CustomerRules.checked(draft, draft::has, plan.reference),
                                place.branch(),
                                place.manager()));
                    }
                    return store.prepare(rows);
                },
                false);
    }

    /** One chunk after the other. A promise and not a chain of futures, which would keep every chunk in memory. */
    private void chunks(Plan plan, long from, Future<CustomerBulkStore.@Nullable Chunk> ready, Promise<Void> end) {
        ready.onFailure(end::fail).onSuccess(chunk -> {
            if (chunk == null) {
                end.complete();
                return;
            }
            long next = from + chunk.rows().size();
            Future<CustomerBulkStore.@Nullable Chunk> following = prepared(plan, next);
            Call call = Call.internal("seedCustomers", Call.Lane.JOB, CHUNK_MILLIS);
            database.bulk(
                            call,
                            tx -> seeds.move(tx, seed, plan.reference, from, next)
                                    .compose(v -> store.insertMany(tx, chunk)))
                    .onFailure(end::fail)
                    .onSuccess(done -> {
                        tell(plan, next);
                        chunks(plan, next, following, end);
                    });
        });
    }

    private void tell(Plan plan, long position) {
        if (position % TOLD < CHUNK || position == plan.to) {
            double seconds = (System.nanoTime() - plan.startedNanos) / 1e9;
            progress.accept(String.format(
                    Locale.ROOT,
                    "%,d of %,d customers, %,.0f a second",
                    position,
                    plan.to,
                    (position - plan.from) / seconds));
        }
    }

    /** As a member of staff would have entered it. */
    private static ObjectNode draft(SeededCustomer from) {
        boolean person = from.kind() == SeededCustomer.Kind.PERSON;
        ObjectNode draft = Json.object()
                .put("kind", word(from.kind()))
                .put("name", from.name())
                .put("lifecycle", word(from.lifecycle()))
                .put("tier", word(from.tier()))
                .put("risk", from.riskTolerance().name())
                .put("regionCode", from.regionCode())
                .put("channel", word(from.preferredChannel()))
                .put("annualIncome", from.annualIncome().toPlainString())
                .put("assets", from.assets().toPlainString())
                .put("liabilities", from.liabilities().toPlainString());
        put(draft, "birthDate", from.birthDate());
        put(draft, "foundedOn", from.foundedOn());
        put(draft, "gender", from.gender() == null ? null : word(from.gender()));
        put(draft, "maritalStatus", from.maritalStatus() == null ? null : word(from.maritalStatus()));
        put(draft, "occupation", from.occupationCode());
        put(draft, "industry", from.industryCode());
        put(draft, "customerSince", from.customerSince());
        draft.putArray("documents")
                .addObject()
                .put("type", person ? "resident_id" : "credit_code")
                .put("number", from.idNumber());
        draft.putArray("phones").addObject().put("number", from.phone()).put("label", person ? "mobile" : "work");
        if (from.email() != null) {
            draft.putArray("emails").add(from.email());
        }
        draft.putArray("addresses")
                .addObject()
                .put("line", from.regionName() + from.addressLine())
                .put("regionCode", from.regionCode())
                .put("postCode", from.postCode())
                .put("label", person ? "home" : "work");
        return draft;
    }

    private static void put(ObjectNode draft, String field, @Nullable Object value) {
        if (value != null) {
            draft.put(field, value.toString());
        }
    }

    private static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }
}
