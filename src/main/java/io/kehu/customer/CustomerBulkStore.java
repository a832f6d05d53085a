package io.kehu.customer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Event;
import io.kehu.crypto.Sha256;
import io.kehu.crypto.Vault;
import io.kehu.customer.identity.CustomerRules;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Tuple;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/** SQL of many new customers at once. */
public final class CustomerBulkStore {
    private static final String INSERT_MANY = """
            WITH given AS (
                SELECT * FROM unnest($1::uuid[], $2::int4[], $3::bytea[], $4::uuid[], $5::uuid[], $6::text[], $7::bytea[], %s)
                    WITH ORDINALITY AS g(id, epoch, wrapped, branch_id, manager_id, tokens, personal, %s, place)),
            key AS (
                INSERT INTO kehu.data_key (subject_id, kind, epoch, wrapped)
                SELECT id, 'customer', epoch, wrapped FROM given),
            made AS (
                INSERT INTO customer.customer (id, branch_id, manager_id, tokens, %s)
                SELECT id, branch_id, manager_id, tokens::int4[], %s FROM given ORDER BY place)
            INSERT INTO customer.sealed (id, personal) SELECT id, personal FROM given""".formatted(
                    CustomerStore.many(i -> "$" + (i + 8) + "::text[]"),
                    CustomerStore.FACTS,
                    CustomerStore.FACTS,
                    CustomerStore.many(i ->
                            Fact.ALL.get(i).column() + "::" + Fact.ALL.get(i).type()));

    /**
     * A statement of its own, and a subselect: the planner does not know that it looks up thousands among millions, and
     * would read all customers for a join.
     */
    private static final String BLIND_MANY = """
            INSERT INTO customer.blind (seq, kind, value)
            SELECT (SELECT c.seq FROM customer.customer c WHERE c.id = b.id), b.kind, b.value
            FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS b(id, kind, value)""";

    private final CustomerSeals seals;

    public CustomerBulkStore(CustomerSeals seals) {
        this.seals = seals;
    }

    /**
     * Rows of a chunk, sealed and in the form of the statement's arrays.
     *
     * @param hash SHA-256 over ids and ciphertexts in order
     */
    @SuppressWarnings("ArrayRecordComponent") // on its way to the database, never compared
    public record Chunk(List<Customer> rows, Tuple values, Tuple blinds, byte[] hash) {}

    /**
     * Seals, tokenises and blinds a chunk of new customers: about 40 µs of computing each, so call it from a worker.
     *
     * @param rows drafts that went through {@link CustomerRules#checked}, 1 to 5,000
     */
    public Chunk prepare(List<Customer> rows) {
        int n = rows.size();
        UUID[] ids = new UUID[n];
        Integer[] epochs = new Integer[n];
        Buffer[] wrapped = new Buffer[n];
        UUID[] branches = new UUID[n];
        UUID[] managers = new UUID[n];
        String[] tokens = new String[n];
        Buffer[] personal = new Buffer[n];
        List<UUID> owners = new ArrayList<>(3 * n);
        List<CustomerSeals.Blind> blinds = new ArrayList<>(3 * n);
        MessageDigest digest = Sha256.start();
        for (int i = 0; i < n; i++) {
            Customer row = rows.get(i);
            ObjectNode fields = row.personal().tree();
            Vault.NewKey key = seals.newKey(row.id());
            ids[i] = row.id();
            epochs[i] = key.epoch();
            wrapped[i] = Buffer.buffer(key.wrapped());
            branches[i] = row.branchId();
            managers[i] = row.managerId();
            tokens[i] = Arrays.toString(seals.tokens(fields)).replace('[', '{').replace(']', '}');
            personal[i] = seals.seal(seals.key(key), row.personal());
            for (CustomerSeals.Blind blind : seals.blinds(fields)) {
                owners.add(row.id());
                blinds.add(blind);
            }
            digest.update(ByteBuffer.allocate(16)
                    .putLong(row.id().getMostSignificantBits())
                    .putLong(row.id().getLeastSignificantBits())
                    .array());
            digest.update(personal[i].getBytes());
        }
        Tuple values = Tuple.tuple()
                .addArrayOfUUID(ids)
                .addArrayOfInteger(epochs)
                .addArrayOfBuffer(wrapped)
                .addArrayOfUUID(branches)
                .addArrayOfUUID(managers)
                .addArrayOfString(tokens)
                .addArrayOfBuffer(personal);
        Tuple lookups = Tuple.tuple()
                .addArrayOfUUID(owners.toArray(UUID[]::new))
                .addArrayOfString(CustomerStore.kinds(blinds))
                .addArrayOfBuffer(CustomerStore.values(blinds));
        for (Fact fact : Fact.ALL) {
            values.addArrayOfString(
                    rows.stream().map(row -> row.fact(fact.field())).toArray(String[]::new));
        }
        return new Chunk(rows, values, lookups, digest.digest());
    }

    /**
     * Inserts a prepared chunk through the bulk door's transaction: two statements, one range event, no audit per row.
     * Problems: customer.idTaken, customer.externalIdTaken, customer.branchUnknown, customer.managerUnknown; the whole
     * chunk is refused then.
     */
    public Future<Database.Chunk> insertMany(Tx tx, Chunk chunk) {
        List<Customer> rows = chunk.rows();
        UUID first = rows.get(0).id();
        UUID last = rows.get(rows.size() - 1).id();
        Event event = Event.of("customer.manyCreated", tx.auditId(), 1, "customer:read")
                .with("rows", rows.size())
                .with("first", first.toString())
                .with("last", last.toString());
        return tx.query(INSERT_MANY, chunk.values())
                .compose(made -> tx.query(BLIND_MANY, chunk.blinds()))
                .map(done -> new Database.Chunk(
                        "customer", rows.size(), chunk.hash(), first.toString(), last.toString(), event));
    }
}
