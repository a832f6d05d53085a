package io.kehu.customer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.customer.merge.SideStore;
import io.kehu.sql.Database;
import io.kehu.sql.FourEyes;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** SQL of single customers. */
public final class CustomerStore {
    static final String FACTS = Fact.ALL.stream().map(Fact::column).collect(Collectors.joining(", "));

    /** Nine columns and then the facts; {@link Customer#from} reads them by place. */
    public static final String COLUMNS =
            "c.id, c.seq, c.branch_id, c.manager_id, c.sealed_version, c.created_at, c.deleted_at, c.version, c.valid_from, "
                    + columns(Fact.ALL);

    /** Whose a customer is, for {@link CustomerReach}. */
    static final String PLACE = "SELECT c.id, c.kind, c.branch_id, c.manager_id FROM customer.customer c ";

    private static final String READ = "SELECT " + COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM customer.customer c
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            """;
    /** A column for rows that are held to be changed: whether other records are merged into this one. */
    public static final String HAS_SIDES =
            "EXISTS (SELECT FROM customer.merged m WHERE m.survivor_id = c.id) AS has_sides";

    private static final String READ_HELD = READ.replace(", k.wrapped\n", ", k.wrapped, " + HAS_SIDES + "\n");
    /** Behind the columns of {@link #READ}: whether something waits for approval. */
    private static final String READ_WITH_WAITS =
            READ.replace(", k.wrapped\n", ", k.wrapped, " + FourEyes.waits("c.id") + "\n");
    /** The scope is today's, the values are of then; a ciphertext is opened by today's key or not at all. */
    private static final String READ_PAST = "SELECT " + COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM customer.customer live
            CROSS JOIN customer.customer_all c
            JOIN customer.sealed_all s ON s.id = c.id AND s.version = c.sealed_version
            JOIN kehu.data_key k ON k.subject_id = c.id
            """;
    /** The record that stood for an id then. */
    private static final String THEN = """
            c.id = coalesce((SELECT m.survivor_id FROM customer.merged_all m
                             WHERE m.id = ? AND m.valid_from <= ? AND m.valid_to > ?), ?)""";

    private static final String FAMILY = READ + """
            WHERE c.id IN (SELECT customer.sides($1)) ORDER BY c.id <> $1, c.id FOR UPDATE OF c""";
    private static final String NOT_FOUND = "customer.notFound";

    private static final String INSERT =
            """
            WITH key AS (
                INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped) VALUES ($1, 'customer', $2, $3)),
            made AS (
                INSERT INTO customer.customer (id, branch_id, manager_id, tokens, %s)
                VALUES ($1, $4, $5, $6, %s)
                RETURNING *),
            sealing AS (
                INSERT INTO customer.sealed (id, personal) VALUES ($1, $7)),
            blinding AS (
                INSERT INTO customer.blind (seq, kind, value)
                SELECT made.seq, b.kind, b.value FROM made, unnest($8::text[], $9::bytea[]) AS b(kind, value)),
            %s
            SELECT %s FROM made c""".formatted(FACTS, parameters(12), FieldSourceStore.saying("$1", 10, 11), COLUMNS);

    private static final String UPDATE =
            """
            WITH %s
            UPDATE customer.customer c
            SET branch_id = $2, manager_id = $3, tokens = $4, sealed_version = $5, (%s) = ROW(%s)
            WHERE id = $1 RETURNING %s""".formatted(FieldSourceStore.saying("$1", 6, 7), FACTS, parameters(8), COLUMNS);

    private static final String UPDATE_SEALED = "UPDATE customer.sealed SET personal = $2 WHERE id = $1";
    private static final String FORGET_BLINDS = """
            DELETE FROM customer.blind WHERE seq = $1 AND side IS NOT DISTINCT FROM $2::bigint AND value <> ALL ($3)""";
    /** What a merged record has claimed stays its own: its survivor only shows it. */
    private static final String ADD_BLINDS = """
            INSERT INTO customer.blind (seq, side, kind, value)
            SELECT $1, $2::bigint, b.kind, b.value FROM unnest($3::text[], $4::bytea[]) AS b(kind, value)
            WHERE NOT EXISTS (
                SELECT FROM customer.blind h WHERE h.seq = $1 AND h.value = b.value
                AND (h.side IS NOT DISTINCT FROM $2::bigint OR b.kind IN ('document', 'external')))""";

    /** Held until the end of the transaction: a branch that closes meanwhile waits. */
    private static final String OPEN_BRANCH = "SELECT id FROM iam.open_branch WHERE id = $1 FOR SHARE";

    private static final String STAFF_THERE =
            "SELECT id FROM iam.active_staff WHERE id = $1 AND branch_id = $2 FOR SHARE";

    /** A busy adviser sees some forty people a day; who reads two hundred in full is copying. */
    private static final int UNMASK_PER_DAY = 200;

    private static final String COUNT_UNMASKING = """
            INSERT INTO customer.unmasking AS u (staff_id, day, used)
            VALUES ($1, (kehu.now() AT TIME ZONE $2)::date, 1)
            ON CONFLICT (staff_id, day) DO UPDATE SET used = u.used + 1 WHERE u.used < $3
            RETURNING used""";

    /** The place of the first fact in {@link #COLUMNS}. */
    static final int FIRST_FACT = 9;

    private static final int WAITS = FIRST_FACT + Fact.ALL.size() + 3;

    private final Database database;
    private final CustomerSeals seals;
    private final SideStore sides;

    public CustomerStore(Database database, CustomerSeals seals) {
        this.database = database;
        this.seals = seals;
        this.sides = new SideStore(this, seals);
    }

    interface Part {
        String of(int i);
    }

    static String many(Part part) {
        return Stream.iterate(0, i -> i + 1)
                .limit(Fact.ALL.size())
                .map(part::of)
                .collect(Collectors.joining(", "));
    }

    /** Facts travel as texts and become what they are in the database. */
    private static String parameters(int from) {
        return many(i -> "$" + (from + i) + "::text::" + Fact.ALL.get(i).type());
    }

    /** Those of some facts, of the table c. */
    static String columns(List<Fact> facts) {
        return facts.stream().map(fact -> "c." + fact.column()).collect(Collectors.joining(", "));
    }

    public Customer opened(Row row) {
        return Customer.from(row, seals.open(row, FIRST_FACT + Fact.ALL.size()));
    }

    /**
     * One round trip, and another where something waits for approval or the id is that of a merged record. Fails with {@code
     * customer.notFound}, also out of scope.
     */
    public Future<FourEyes.Found<Customer>> find(Call call, UUID id, @Nullable OffsetDateTime asOf) {
        if (asOf == null) {
            return orOfSurvivor(is -> present(call, readable(call.principal(), is, id)));
        }
        Where where = Where.inScopeOf(call.principal(), "live.branch_id", "live.manager_id", "live.id")
                .and("live.id = customer.root(?)", id)
                .and("live.deleted_at IS NULL")
                .and(THEN, id, asOf, asOf, id)
                .and("c.deleted_at IS NULL")
                .and("c.valid_from <= ?", asOf)
                .and("c.valid_to > ?", asOf);
        return database.row(call, READ_PAST + where.sql(), where.values(), NOT_FOUND)
                .map(row -> new FourEyes.Found<>(opened(row), null));
    }

    private Future<FourEyes.Found<Customer>> present(Call call, Where where) {
        return database.row(call, READ_WITH_WAITS + where.sql(), where.values(), NOT_FOUND)
                .compose(row -> FourEyes.found(database, call, opened(row), row.getUUID("id"), row.getBoolean(WAITS)));
    }

    /** First what is nearly always meant: the record of that very id. */
    private static <T> Future<T> orOfSurvivor(Function<String, Future<T>> read) {
        return read.apply("c.id = ?")
                .recover(failure ->
                        failure instanceof Problem problem && problem.code().equals(NOT_FOUND)
                                ? read.apply("c.id = customer.root(?)")
                                : Future.failedFuture(failure));
    }

    /**
     * The customer with this document and this phone, whoever asks: for one who says that he is this customer and has to prove
     * it. A document belongs to one customer, so there is at most one.
     */
    public Future<Optional<Customer>> byIdentity(Call call, CustomerSeals.Blind document, CustomerSeals.Blind phone) {
        Where where = Where.ofAll()
                .and("c.deleted_at IS NULL")
                .and(
                        "c.seq = (SELECT d.seq FROM customer.blind d WHERE d.kind = 'document' AND d.value = ?)",
                        document.value())
                .and(
                        "EXISTS (SELECT FROM customer.blind p WHERE p.kind = 'phone' AND p.value = ? AND p.seq = c.seq)",
                        phone.value());
        return database.query(call, READ + where.sql(), where.values())
                .map(rows -> rows.size() == 0
                        ? Optional.empty()
                        : Optional.of(opened(rows.iterator().next())));
    }

    /** The customer who asks for himself. Fails with {@code customer.notFound}. */
    public Future<Customer> own(Call call) {
        Where where = himself(call.principal());
        return database.row(call, READ + where.sql(), where.values(), NOT_FOUND).map(this::opened);
    }

    /** The same within a transaction that holds the row: whatever else he asks for waits. */
    public Future<Customer> ownLocked(Tx tx) {
        Where where = himself(tx.principal());
        return tx.row(READ + where.sql() + " FOR UPDATE OF c", where.values(), NOT_FOUND)
                .map(this::opened);
    }

    private static Where himself(Principal who) {
        return Where.ofAll().and("c.id = customer.root(?)", who.subject()).and("c.deleted_at IS NULL");
    }

    private static Where readable(Principal principal, String is, UUID id) {
        return Where.inScopeOf(principal, "c.branch_id", "c.manager_id", "c.id")
                .and(is, id)
                .and("c.deleted_at IS NULL");
    }

    /** The same within a transaction that holds the row. */
    public Future<Row> locked(Tx tx, UUID id) {
        return orOfSurvivor(is -> {
            Where where = readable(tx.principal(), is, id);
            return tx.row(READ_HELD + where.sql() + " FOR UPDATE OF c", where.values(), NOT_FOUND);
        });
    }

    /** A record with all that are merged into it, held; the record itself first. */
    public Future<RowSet<Row>> family(Tx tx, UUID id) {
        return tx.query(FAMILY, Tuple.of(id));
    }

    /** Somebody enters him by hand, and these fields: others follow from them, or are what everybody begins with. */
    Future<Customer> insert(Tx tx, Customer customer, Collection<String> entered) {
        Vault.NewKey key = seals.newKey(customer.id());
        List<CustomerSeals.Blind> blinds = seals.blinds(customer.personal().tree());
        Tuple values = Tuple.of(
                customer.id(),
                key.epoch(),
                Buffer.buffer(key.wrapped()),
                customer.branchId(),
                customer.managerId(),
                seals.tokens(customer.personal().tree()),
                seals.seal(seals.key(key), customer.personal()));
        values.addArrayOfString(kinds(blinds)).addArrayOfBuffer(values(blinds));
        values.addArrayOfString(FieldSourceStore.array(entered)).addString(FieldSourceStore.STAFF);
        Fact.ALL.forEach(fact -> values.addString(customer.fact(fact.field())));
        return tx.row(INSERT, values, "server.failure").map(row -> Customer.from(row, customer.personal()));
    }

    /**
     * Writes what a record has become. What arrived for a merged id is remembered for that one too.
     *
     * @param row with {@link #HAS_SIDES}
     * @param before the same, opened
     * @param side the id the change is for: the record's own, or one merged into it
     * @param source who says what is changed: {@link FieldSourceStore#STAFF} or another system; null where it is not known
     */
    public Future<Customer> update(
            Tx tx, Row row, Customer before, Customer after, UUID side, @Nullable String source) {
        return row.getBoolean("has_sides")
                ? sides.carry(tx, before, after, side, source)
                : put(tx, row, before, after, new Claims(after.seq(), null, List.of()), source);
    }

    /**
     * Under what a record is found.
     *
     * @param holder the seq of the record that is found
     * @param side the seq of the record itself where it is merged into that one
     * @param more what it keeps claiming beside what it shows
     */
    public record Claims(long holder, @Nullable Long side, List<ObjectNode> more) {}

    /**
     * Writes one row, what it is found by and who says so.
     *
     * @param before the row, opened
     * @param source null where the fields keep theirs
     */
    public Future<Customer> put(
            Tx tx, Row row, Customer before, Customer after, Claims claims, @Nullable String source) {
        Tuple values = Tuple.of(
                after.id(),
                after.branchId(),
                after.managerId(),
                seals.tokens(after.personal().tree()),
                after.sealedVersion());
        values.addArrayOfString(source == null ? new String[0] : FieldSourceStore.array(after.differing(before)))
                .addString(source);
        Fact.ALL.forEach(fact -> values.addString(after.fact(fact.field())));
        Future<?> sealing = after.sealedVersion() == before.sealedVersion()
                ? Future.succeededFuture()
                : reseal(tx, row, after, claims);
        return sealing.compose(v -> tx.row(UPDATE, values, NOT_FOUND))
                .map(written -> Customer.from(written, after.personal()));
    }

    private Future<?> reseal(Tx tx, Row before, Customer after, Claims claims) {
        Set<CustomerSeals.Blind> all =
                new LinkedHashSet<>(seals.blinds(after.personal().tree()));
        claims.more.forEach(fields -> all.addAll(seals.blinds(fields)));
        List<CustomerSeals.Blind> blinds = List.copyOf(all);
        return tx.query(UPDATE_SEALED, Tuple.of(after.id(), seals.seal(seals.key(before), after.personal())))
                .compose(v -> tx.query(FORGET_BLINDS, Tuple.of(claims.holder, claims.side, (Object) values(blinds))))
                .compose(
                        v -> tx.query(ADD_BLINDS, Tuple.of(claims.holder, claims.side, kinds(blinds), values(blinds))));
    }

    static String[] kinds(List<CustomerSeals.Blind> blinds) {
        return blinds.stream().map(CustomerSeals.Blind::kind).toArray(String[]::new);
    }

    static Buffer[] values(List<CustomerSeals.Blind> blinds) {
        return blinds.stream().map(CustomerSeals.Blind::value).toArray(Buffer[]::new);
    }

    /** Fails with {@code customer.branchUnknown} unless the branch is open. */
    Future<Void> mustBeOpen(Tx tx, UUID branch) {
        return tx.row(OPEN_BRANCH, Tuple.of(branch), "customer.branchUnknown").mapEmpty();
    }

    /** Fails with {@code customer.managerUnknown} unless the staff member works at the branch. */
    Future<Void> mustWorkAt(Tx tx, @Nullable UUID manager, UUID branch) {
        return manager == null
                ? Future.succeededFuture()
                : tx.row(STAFF_THERE, Tuple.of(manager, branch), "customer.managerUnknown")
                        .mapEmpty();
    }

    /**
     * The place of a customer after the change lies within the caller's scope, the branch is open, and the manager works
     * there. What is not within scope and what does not exist are told apart by nobody. To have been given a customer is no
     * right to place him.
     */
    public Future<Void> mustBeHis(Tx tx, UUID branch, @Nullable UUID manager) {
        Principal who = tx.principal();
        boolean whole = who.sees(branch, null);
        boolean own = who.scope() == Principal.Scope.OWN && branch.equals(who.branchId());
        if (!whole && !own) {
            return Future.failedFuture(Problem.of("customer.branchUnknown"));
        }
        if (!whole && !who.subject().equals(manager)) {
            return Future.failedFuture(Problem.of("customer.managerUnknown"));
        }
        return mustBeOpen(tx, branch).compose(v -> mustWorkAt(tx, manager, branch));
    }

    /**
     * One reading in full, audited and counted before anything of it leaves: every operation that shows a customer's numbers or
     * addresses as they are comes through here. Fails with {@code customer.unmaskQuota} where the day's quota is used up.
     */
    public Future<Void> readInFull(Tx tx, Customer customer, ZoneId zone) {
        tx.kind("unmask");
        tx.object("customer", customer.id(), customer.version());
        return tx.row(
                        COUNT_UNMASKING,
                        Tuple.of(tx.principal().subject(), zone.getId(), UNMASK_PER_DAY),
                        "customer.unmaskQuota")
                .mapEmpty();
    }
}
