package io.kehu.iam.member;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of the accounts of customers. */
final class MemberStore {
    /** Only of customers who are still there. */
    private static final String MEMBER = """
            SELECT m.id, m.password_hash, m.rights
            FROM iam.member m JOIN customer.present_customer c ON c.id = m.id
            """;

    private static final String ACCOUNT = MEMBER + "WHERE m.username = $1";
    private static final String BY_ID = MEMBER + "WHERE m.id = $1";
    /** The password that was looked at must still be the one that counts. */
    private static final String UNCHANGED = BY_ID + " AND m.password_hash = $2 FOR UPDATE OF m";

    private static final String TRY = """
            UPDATE iam.registration SET tries = tries + 1
            WHERE id = $1 AND tries < 5 AND used_at IS NULL AND expires_at > kehu.now()
            RETURNING customer_id, code_hash""";
    private static final String USE = "UPDATE iam.registration SET used_at = kehu.now() WHERE id = $1";
    /** One at a time for each customer: there is no row yet that could be locked. */
    private static final String LOCK =
            "SELECT pg_advisory_xact_lock(hashtextextended('iam.member ' || $1::uuid::text, 0))";

    private static final String CHANGE = """
            UPDATE iam.member m SET username = $2, password_hash = $3, rights = rights + 1
            WHERE id = $1 AND EXISTS (SELECT FROM customer.present_customer c WHERE c.id = m.id)
            RETURNING id, rights, version""";
    private static final String INSERT = """
            INSERT INTO iam.member (id, username, password_hash)
            SELECT c.id, $2, $3 FROM customer.present_customer c WHERE c.id = $1
            RETURNING id, rights, version""";

    private final Database database;

    /** What is needed to look at a password. */
    record Account(UUID id, String passwordHash, long rights) {
        static Optional<Account> first(RowSet<Row> rows) {
            for (Row row : rows) {
                return Optional.of(
                        new Account(row.getUUID("id"), row.getString("password_hash"), row.getLong("rights")));
            }
            return Optional.empty();
        }

        @Override
        public String toString() {
            return "Account[" + id + "]";
        }
    }

    /** A code that is under way; of nobody where the registration leads nowhere. */
    record Registration(@Nullable UUID customer, Buffer codeHash) {}

    /** An account as it was just stored. */
    record Stored(UUID id, long rights, long version) {}

    MemberStore(Database database) {
        this.database = database;
    }

    Future<Optional<Account>> account(Call call, Buffer username) {
        return database.query(call, ACCOUNT, Tuple.of(username)).map(Account::first);
    }

    Future<Optional<Account>> unchanged(Tx tx, Account account) {
        return tx.query(UNCHANGED, Tuple.of(account.id(), account.passwordHash()))
                .map(Account::first);
    }

    Future<Optional<Account>> byId(Tx tx, UUID id) {
        return tx.query(BY_ID, Tuple.of(id)).map(Account::first);
    }

    /** Counts a try; empty where there is nothing to try, or not any more. */
    Future<Optional<Registration>> tryCode(Tx tx, UUID registration) {
        return tx.query(TRY, Tuple.of(registration)).map(rows -> {
            for (Row row : rows) {
                return Optional.of(new Registration(row.getUUID("customer_id"), row.getBuffer("code_hash")));
            }
            return Optional.empty();
        });
    }

    /** Makes the account, or gives it a new name and password; the code is worth nothing afterwards. */
    Future<Stored> put(Tx tx, UUID registration, UUID customer, Buffer username, String passwordHash) {
        Tuple account = Tuple.of(customer, username, passwordHash);
        return tx.query(USE, Tuple.of(registration))
                .compose(v -> tx.query(LOCK, Tuple.of(customer)))
                .compose(v -> tx.query(CHANGE, account))
                .compose(changed -> changed.size() > 0
                        ? Future.succeededFuture(changed.iterator().next())
                        : tx.row(INSERT, account, "member.codeInvalid"))
                .map(row -> new Stored(row.getUUID("id"), row.getLong("rights"), row.getLong("version")));
    }
}
