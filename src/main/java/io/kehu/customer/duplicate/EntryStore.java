package io.kehu.customer.duplicate;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * SQL of looking for a few customers at once, by three looks into indexes: by phone, by e-mail, by birth date and a part of the
 * name. What only the keys of a scan bring together is left to a scan.
 */
final class EntryStore {
    /** A number that more customers have (a company's, a made-up one) says little, and opening them all would take long. */
    private static final int MAX_OPENED = 50;

    /**
     * One look after the other, so that the planner reads no table for many looks; each with an end, before the names are compared:
     * of a birth date that more share (a made-up one; in a bank of a hundred million some 3,500 share a true one) only the newest are
     * looked at.
     */
    private static final String LOOKS = """
            SELECT e.n, f.seq FROM unnest(%1$s::int[], %2$s::bytea[]) AS e(n, value)
            CROSS JOIN LATERAL (SELECT b.seq FROM customer.blind b WHERE b.kind IN ('phone', 'email') AND b.value = e.value
                                ORDER BY b.seq DESC LIMIT 1000) f
            UNION
            SELECT e.n, f.seq FROM unnest(%3$s::int[], %4$s::date[], %5$s::text[]) AS e(n, born, tokens)
            CROSS JOIN LATERAL (SELECT m.seq, m.tokens FROM customer.customer m WHERE m.deleted_at IS NULL AND m.birth_date = e.born
                                ORDER BY m.seq DESC LIMIT 5000) f
            WHERE f.tokens && e.tokens::int4[]""";

    private static final String ALIKE = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped, c.n
            FROM (SELECT c.*, x.n, row_number() OVER (PARTITION BY x.n ORDER BY c.seq DESC) AS place
                  FROM (%s) x JOIN customer.customer c ON c.seq = x.seq %s) c
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            WHERE c.place <= %d
            ORDER BY c.n""";

    private static final String OF_IDS = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM customer.customer c
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            WHERE c.id = ANY ($1) AND c.deleted_at IS NULL""";

    private static final String OPEN = """
            SELECT d.id, d.a_id, d.b_id FROM customer.duplicate d
            WHERE d.state = 'open' AND (d.a_id = ANY ($1) OR d.b_id = ANY ($1)) LIMIT 1000""";

    private static final String KEEP = """
            INSERT INTO customer.duplicate (id, a_id, b_id, score, level, reasons, state, decided_by, decided_at)
            SELECT uuidv7(), least($1, g.other), greatest($1, g.other), g.score, g.level, g.reasons::jsonb, 'dismissed', $2, kehu.now()
            FROM unnest($3::uuid[], $4::numeric[], $5::text[], $6::text[]) AS g(other, score, level, reasons)""";

    private final CustomerSeals seals;
    private final CustomerStore customers;

    EntryStore(Database database, CustomerSeals seals) {
        this.seals = seals;
        this.customers = new CustomerStore(database, seals);
    }

    /** Reads, in a transaction or outside. */
    @FunctionalInterface
    interface Ask {
        Future<RowSet<Row>> query(String sql, Tuple values);
    }

    /** By what others are looked for; computes, so of many call it from a worker. */
    record Look(Buffer[] contacts, @Nullable LocalDate born, Integer[] tokens) {
        boolean isEmpty() {
            return contacts.length == 0 && (born == null || tokens.length == 0);
        }
    }

    /** @param fields of a customer, normalised */
    Look look(ObjectNode fields) {
        String born = fields.path("birthDate").textValue();
        return new Look(seals.contacts(fields), born == null ? null : LocalDate.parse(born), seals.tokens(fields));
    }

    /**
     * Who may be whom: customers in the order of the looks, the place of the look in the column n.
     *
     * @param scope conditions on the customer {@code c}
     */
    Future<RowSet<Row>> alike(Ask ask, Where scope, List<Look> looks) {
        List<Integer> ofContacts = new ArrayList<>();
        List<Buffer> contacts = new ArrayList<>();
        List<Integer> ofBirths = new ArrayList<>();
        List<LocalDate> births = new ArrayList<>();
        List<String> tokens = new ArrayList<>();
        for (int n = 0; n < looks.size(); n++) {
            Look look = looks.get(n);
            for (Buffer contact : look.contacts) {
                ofContacts.add(n);
                contacts.add(contact);
            }
            if (look.born != null && look.tokens.length > 0) {
                ofBirths.add(n);
                births.add(look.born);
                tokens.add(Arrays.stream(look.tokens).map(String::valueOf).collect(Collectors.joining(",", "{", "}")));
            }
        }
        scope.and("c.deleted_at IS NULL");
        String where = scope.sql();
        String found = LOOKS.formatted(
                scope.bind(ofContacts.toArray(Integer[]::new)),
                scope.bind(contacts.toArray(Buffer[]::new)),
                scope.bind(ofBirths.toArray(Integer[]::new)),
                scope.bind(births.toArray(LocalDate[]::new)),
                scope.bind(tokens.toArray(String[]::new)));
        return ask.query(ALIKE.formatted(found, where, MAX_OPENED), scope.values());
    }

    /** Those that are there. */
    Future<RowSet<Row>> ofIds(Tx tx, Collection<UUID> ids) {
        return tx.query(OF_IDS, Tuple.tuple().addArrayOfUUID(ids.toArray(UUID[]::new)));
    }

    /** Pairs that somebody is to decide about. */
    Future<RowSet<Row>> open(Tx tx, Collection<UUID> ids) {
        return tx.query(OPEN, Tuple.tuple().addArrayOfUUID(ids.toArray(UUID[]::new)));
    }

    Customer opened(Row row) {
        return customers.opened(row);
    }

    /** Pairs of a new customer with others that somebody has looked at and decided about. */
    Future<?> keep(Tx tx, UUID entered, List<UUID> others, List<MatchRules.Match> matches) {
        Tuple values = Tuple.of(entered, tx.principal().subject());
        values.addArrayOfUUID(others.toArray(UUID[]::new));
        values.addValue(
                matches.stream().map(match -> BigDecimal.valueOf(match.score())).toArray(BigDecimal[]::new));
        values.addArrayOfString(matches.stream().map(MatchRules.Match::level).toArray(String[]::new))
                .addArrayOfString(matches.stream().map(MatchRules.Match::json).toArray(String[]::new));
        return tx.query(KEEP, values);
    }
}
