package io.kehu.customer.household;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.crypto.Vault;
import io.kehu.customer.CustomerBrief;
import io.kehu.customer.CustomerReach.Reached;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerTotals;
import io.kehu.customer.SealedTextStore;
import io.kehu.customer.household.Household.Member;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of households. Of a household the scope asks for the head, of its members for each of them. */
final class HouseholdStore {

    private static final String READ = """
            SELECT h.id, h.head_id, h.name, h.ends_on, h.made_at, h.version, h.valid_from, c.branch_id, c.manager_id,
                   q.epoch AS head_epoch, q.wrapped AS head_wrapped,
            """ + CustomerBrief.COLUMNS + """

            FROM customer.household h
            LEFT JOIN customer.merged m ON m.id = h.head_id
            JOIN customer.customer c ON c.id = coalesce(m.survivor_id, h.head_id)
            LEFT JOIN kehu.data_key q ON q.subject_id = h.head_id
            """ + CustomerBrief.JOINS;

    private static final String FROM_MEMBERS = """

            FROM customer.household_member b
            LEFT JOIN customer.merged m ON m.id = b.customer_id
            JOIN customer.customer c ON c.id = coalesce(m.survivor_id, b.customer_id)
            """;
    private static final String MEMBERS =
            "SELECT b.role, b.starts_on, b.ends_on, " + CustomerBrief.COLUMNS + FROM_MEMBERS + CustomerBrief.JOINS;
    private static final String TOTALS = "SELECT " + CustomerTotals.COLUMNS + FROM_MEMBERS;

    private static final String INSERT = "INSERT INTO customer.household (id, head_id, name) VALUES ($1, $2, $3)";
    private static final String UPDATE =
            "UPDATE customer.household SET head_id = $2, name = coalesce($3, name), ends_on = $4 WHERE id = $1";

    private static final String ADD = """
            INSERT INTO customer.household_member (id, household_id, customer_id, role, starts_on)
            VALUES (uuidv7(), $1, $2, $3, $4)""";
    private static final String REMOVE = """
            UPDATE customer.household_member SET ends_on = $3
            WHERE household_id = $1 AND customer_id IN (SELECT customer.sides($2)) AND (ends_on IS NULL OR ends_on > $3)
            RETURNING id""";
    private static final String END =
            "UPDATE customer.household_member SET ends_on = $2 WHERE household_id = $1 AND (ends_on IS NULL OR ends_on > $2)";
    private static final String NO_HEAD =
            "UPDATE customer.household_member SET role = 'other' WHERE household_id = $1 AND role = 'head' AND ends_on IS NULL";
    private static final String HEAD = """
            UPDATE customer.household_member SET role = 'head'
            WHERE household_id = $1 AND customer_id IN (SELECT customer.sides($2)) AND ends_on IS NULL
            RETURNING customer_id""";
    /** So that a refusal is one of this command and not of its COMMIT. */
    private static final String SETTLE = "SET CONSTRAINTS ALL IMMEDIATE";

    private final Database database;
    private final CustomerSeals seals;
    private final SealedTextStore texts;

    HouseholdStore(Database database, CustomerSeals seals, Vault vault) {
        this.database = database;
        this.seals = seals;
        this.texts = new SealedTextStore(vault, "customer.household");
    }

    private static Where within(Principal who) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id").and("c.deleted_at IS NULL");
    }

    /** @param member who must have belonged to it; null for anybody */
    Future<RowSet<Row>> list(Call call, Page page, @Nullable Reached member) {
        Where where = within(call.principal());
        if (member != null) {
            where.and("""
                    EXISTS (SELECT FROM customer.household_member b WHERE b.household_id = h.id
                            AND b.customer_id IN (SELECT customer.sides(?)))""", member.id());
        }
        if (!page.after().isEmpty()) {
            where.and(
                    "(h.made_at, h.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        String sql = READ + where.sql() + " ORDER BY h.made_at DESC, h.id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    /** Fails with {@code household.notFound}, also where the head is out of scope. */
    Future<Household> find(Call call, UUID id) {
        Where where = within(call.principal()).and("h.id = ?", id);
        return database.row(call, READ + where.sql(), where.values(), "household.notFound")
                .map(this::from);
    }

    /** The same within a transaction that holds it. */
    Future<Household> locked(Tx tx, UUID id) {
        Where where = within(tx.principal()).and("h.id = ?", id);
        return tx.row(READ + where.sql() + " FOR UPDATE OF h", where.values(), "household.notFound")
                .map(this::from);
    }

    Household from(Row row) {
        UUID head = row.getUUID("head_id");
        return new Household(
                row.getUUID("id"),
                head,
                CustomerBrief.from(row, seals),
                texts.open(head, row.getInteger("head_epoch"), row.getBuffer("head_wrapped"), row.getBuffer("name")),
                row.getLocalDate("ends_on"),
                row.getOffsetDateTime("made_at"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"),
                row.getUUID("branch_id"),
                row.getUUID("manager_id"));
    }

    /** The members in scope on a day, the head first. */
    Future<List<Member>> members(Call call, UUID household, LocalDate on) {
        Where where = members(call.principal(), household, on);
        return database.query(call, listed(where), where.values()).map(this::members);
    }

    Future<List<Member>> members(Tx tx, UUID household, LocalDate on) {
        Where where = members(tx.principal(), household, on);
        return tx.query(listed(where), where.values()).map(this::members);
    }

    private static Where members(Principal who, UUID household, LocalDate on) {
        return within(who).and("b.household_id = ?", household).and("b.lasts @> ?::date", on);
    }

    private static String listed(Where where) {
        return MEMBERS + where.sql() + " ORDER BY b.role <> 'head', b.starts_on, b.id";
    }

    private List<Member> members(RowSet<Row> rows) {
        List<Member> members = new ArrayList<>(rows.size());
        rows.forEach(row -> members.add(new Member(
                row.getString("role"),
                CustomerBrief.from(row, seals),
                row.getLocalDate("starts_on"),
                row.getLocalDate("ends_on"))));
        return members;
    }

    /** Of the members in scope on a day. */
    Future<CustomerTotals> totals(Call call, UUID household, LocalDate on) {
        Where where = members(call.principal(), household, on);
        return database.row(call, TOTALS + where.sql(), where.values(), "server.failure")
                .map(CustomerTotals::from);
    }

    Future<?> insert(Tx tx, UUID id, UUID head, String name, LocalDate startsOn) {
        return texts.seal(tx, head, name)
                .compose(bytes -> tx.query(INSERT, Tuple.of(id, head, bytes)))
                .compose(made -> add(tx, id, head, "head", startsOn));
    }

    Future<?> add(Tx tx, UUID household, UUID customer, String role, LocalDate startsOn) {
        return tx.query(ADD, Tuple.of(household, customer, role, startsOn));
    }

    /** Fails with {@code household.notMember}. */
    Future<?> remove(Tx tx, UUID household, UUID customer, LocalDate on) {
        return tx.row(REMOVE, Tuple.of(household, customer, on), "household.notMember");
    }

    Future<?> end(Tx tx, UUID household, LocalDate on) {
        return tx.query(END, Tuple.of(household, on));
    }

    /** @return the id under which the new head is a member; fails with {@code household.notMember} */
    Future<UUID> head(Tx tx, UUID household, UUID customer) {
        return tx.query(NO_HEAD, Tuple.of(household))
                .compose(v -> tx.row(HEAD, Tuple.of(household, customer), "household.notMember"))
                .map(row -> row.getUUID("customer_id"));
    }

    /**
     * Also where only its members have changed: that counts as a version of it.
     *
     * @param name null to keep what is there
     */
    Future<?> update(Tx tx, UUID id, UUID head, @Nullable String name, @Nullable LocalDate endsOn) {
        Future<@Nullable Buffer> sealing = name == null
                ? Future.succeededFuture(null)
                : texts.seal(tx, head, name).map(bytes -> bytes);
        return sealing.compose(bytes -> tx.query(UPDATE, Tuple.of(id, head, bytes, endsOn)))
                .compose(v -> tx.query(SETTLE, Tuple.tuple()));
    }
}
