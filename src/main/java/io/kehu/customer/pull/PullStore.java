package io.kehu.customer.pull;

import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.customer.connector.Connector;
import io.kehu.customer.connector.ConnectorStore;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/** SQL of pulls. Who holds the lease names its fence; a former holder changes nothing. */
final class PullStore {
    private static final String TABLE = "customer.pull";
    private static final String CLASS = "C3";

    private static final String PULL = """
            p.id, p.url, p.format, p.items, p.parameter, p.field, p.minutes, p.enabled, p.secret IS NOT NULL AS has_secret,
            p.version, p.valid_from, s.state, s.watermark, s.due_at, s.attempts, s.error_code, s.error_args""";
    private static final String READ = "SELECT " + PULL
            + " FROM customer.pull p JOIN customer.pull_state s ON s.connector_id = p.id WHERE p.id = $1";
    private static final String KEY = "SELECT epoch, wrapped FROM kehu.data_key WHERE subject_id = $1";
    /** The secret stays where none is given and $10 says so. */
    private static final String PUT = """
            INSERT INTO customer.pull AS p (id, url, format, items, parameter, field, minutes, enabled, secret)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (id) DO UPDATE SET url = $2, format = $3, items = $4, parameter = $5, field = $6, minutes = $7,
                enabled = $8, secret = CASE WHEN $10 THEN p.secret ELSE $9 END""";
    /** A run that is under way is another's from here on. */
    private static final String PUT_STATE = """
            INSERT INTO customer.pull_state AS s (connector_id) VALUES ($1)
            ON CONFLICT (connector_id) DO UPDATE SET state = 'waiting', attempts = 0, due_at = kehu.now(), fence = s.fence + 1,
                lease_until = NULL, error_code = NULL, error_args = '{}', mac = NULL,
                watermark = CASE WHEN $2 THEN NULL ELSE s.watermark END""";

    private static final String REMOVE = "DELETE FROM customer.pull WHERE id = $1 RETURNING version";
    private static final String ASK = """
            UPDATE customer.pull_state SET due_at = kehu.now(), attempts = CASE state WHEN 'running' THEN attempts ELSE 0 END,
                state = CASE state WHEN 'running' THEN state ELSE 'waiting' END, mac = NULL
            WHERE connector_id = $1 RETURNING state""";

    private static final String CLAIM = """
            WITH due AS (
                SELECT s.connector_id, s.attempts FROM customer.pull_state s
                JOIN customer.pull p ON p.id = s.connector_id JOIN customer.connector c ON c.id = p.id
                WHERE p.enabled AND c.enabled AND s.state <> 'stopped' AND s.due_at <= kehu.now()
                    AND (s.lease_until IS NULL OR s.lease_until < kehu.now())
                ORDER BY s.due_at LIMIT 1 FOR UPDATE OF s SKIP LOCKED),
            broken AS (
                UPDATE customer.pull_run r SET outcome = 'failed', error_code = 'pull.interrupted', ended_at = kehu.now()
                FROM due WHERE r.connector_id = due.connector_id AND r.outcome = 'running'),
            begun AS (
                INSERT INTO customer.pull_run (id, connector_id, attempt)
                SELECT uuidv7(), due.connector_id, due.attempts + 1 FROM due RETURNING id, connector_id)
            UPDATE customer.pull_state s SET state = 'running', fence = s.fence + 1, attempts = s.attempts + 1,
                lease_until = kehu.now() + $1::int * interval '1 millisecond'
            FROM begun WHERE s.connector_id = begun.connector_id
            RETURNING s.connector_id, begun.id AS run_id, s.fence, s.attempts, s.watermark, s.mac""";
    private static final String OPEN = "SELECT " + PULL + ", p.secret, k.epoch, k.wrapped"
            + " FROM customer.pull p JOIN customer.pull_state s ON s.connector_id = p.id"
            + " JOIN kehu.data_key k ON k.subject_id = p.id WHERE p.id = $1";
    private static final String CONNECTOR =
            "SELECT " + ConnectorStore.COLUMNS + " FROM customer.connector c WHERE c.id = $1";
    private static final String MOVE = """
            WITH held AS (
                UPDATE customer.pull_state SET watermark = coalesce($3, watermark),
                    lease_until = kehu.now() + $4::int * interval '1 millisecond'
                WHERE connector_id = $1 AND fence = $2 AND state = 'running' RETURNING connector_id)
            UPDATE customer.pull_run r SET rows = rows + $6, created = created + $7, changed = changed + $8,
                unchanged = unchanged + $9, refused = refused + $10, kept = kept + $11
            FROM held WHERE r.id = $5 RETURNING r.id""";
    private static final String DONE = """
            WITH held AS (
                UPDATE customer.pull_state SET state = 'waiting', attempts = 0, lease_until = NULL, error_code = NULL,
                    error_args = '{}', mac = $3, due_at = kehu.now() + $4::int * interval '1 minute'
                WHERE connector_id = $1 AND fence = $2 AND state = 'running' RETURNING connector_id)
            UPDATE customer.pull_run r SET outcome = 'done', ended_at = kehu.now() FROM held WHERE r.id = $5""";
    private static final String FAILED = """
            WITH held AS (
                UPDATE customer.pull_state SET state = $3, lease_until = NULL, error_code = $4, error_args = $5,
                    attempts = attempts - $8::int, due_at = kehu.now() + $6::int * interval '1 millisecond'
                WHERE connector_id = $1 AND fence = $2 AND state = 'running' RETURNING connector_id)
            UPDATE customer.pull_run r SET outcome = 'failed', ended_at = kehu.now(), error_code = $4, error_args = $5
            WHERE r.id = $7 AND r.outcome = 'running'""";
    private static final int BATCH = 1_000;
    private static final String FORGET = """
            WITH old AS (
                SELECT d.connector_id, d.id FROM customer.delivery d
                WHERE d.at < kehu.now() - $1::int * interval '1 day' ORDER BY d.at LIMIT $2),
            errors AS (
                DELETE FROM customer.delivery_error e USING old WHERE e.connector_id = old.connector_id AND e.delivery_id = old.id),
            runs AS (
                DELETE FROM customer.pull_run WHERE started_at < kehu.now() - $1::int * interval '1 day' AND outcome <> 'running')
            DELETE FROM customer.delivery d USING old WHERE d.connector_id = old.connector_id AND d.id = old.id""";

    private final Database database;
    private final Vault vault;

    PullStore(Database database, Vault vault) {
        this.database = database;
        this.vault = vault;
    }

    /** One beginning that this node holds. */
    @SuppressWarnings("ArrayRecordComponent") // compared by its own means
    record Held(
            UUID connector,
            UUID run,
            long fence,
            int attempts,
            @Nullable String watermark,
            byte[] mac) {}

    /** What is to be asked, and with which Authorization header. */
    record Opened(Pull pull, @Nullable String secret) {}

    /** Fails with {@code pull.notFound}. */
    Future<Pull> find(Call call) {
        return database.row(call, READ, Tuple.of(call.id("connectorId")), "pull.notFound")
                .map(Pull::from);
    }

    Future<Optional<Pull>> held(Tx tx, UUID id) {
        return tx.query(READ + " FOR UPDATE OF p, s", Tuple.of(id))
                .map(rows -> rows.size() == 0
                        ? Optional.empty()
                        : Optional.of(Pull.from(rows.iterator().next())));
    }

    /**
     * @param secret given now, or null
     * @param keepsSecret leaves the one that is there
     * @param fromStart forgets how far it got
     */
    Future<Pull> put(Tx tx, Pull pull, @Nullable String secret, boolean keepsSecret, boolean fromStart) {
        return tx.row(KEY, Tuple.of(pull.id()), "connector.notFound")
                .compose(row -> tx.query(
                        PUT,
                        Tuple.of(pull.id(), pull.url(), pull.format(), pull.items(), pull.parameter(), pull.field())
                                .addInteger(pull.minutes())
                                .addBoolean(pull.enabled())
                                .addBuffer(secret == null ? null : seal(key(pull.id(), row), secret))
                                .addBoolean(keepsSecret)))
                .compose(v -> tx.query(PUT_STATE, Tuple.of(pull.id(), fromStart)))
                .compose(v -> tx.row(READ, Tuple.of(pull.id()), "pull.notFound"))
                .map(Pull::from);
    }

    private Vault.Key key(UUID connector, Row row) {
        return vault.key(
                connector, row.getInteger("epoch"), row.getBuffer("wrapped").getBytes());
    }

    private Buffer seal(Vault.Key key, String secret) {
        return Buffer.buffer(vault.seal(key, TABLE, CLASS, secret.getBytes(StandardCharsets.UTF_8)));
    }

    /** Fails with {@code pull.notFound}. */
    Future<Row> remove(Tx tx, UUID id) {
        return tx.row(REMOVE, Tuple.of(id), "pull.notFound");
    }

    /** Makes it due now, from the first attempt on. Fails with {@code pull.notFound}. */
    Future<Pull> ask(Tx tx, UUID id) {
        return tx.row(ASK, Tuple.of(id), "pull.notFound")
                .compose(row -> tx.row(READ, Tuple.of(id), "pull.notFound"))
                .map(Pull::from);
    }

    Future<RowSet<Row>> runs(Call call, Page page) {
        Where where = Where.ofAll().and("r.connector_id = ?", call.id("connectorId"));
        if (!page.after().isEmpty()) {
            where.and("r.id < ?", UUID.fromString(page.after().get(0)));
        }
        return database.query(
                call,
                "SELECT r.id, r.attempt, r.started_at, r.ended_at, r.outcome, r.error_code, r.error_args, r.rows, r.created,"
                        + " r.changed, r.unchanged, r.refused, r.kept FROM customer.pull_run r "
                        + where.sql() + " ORDER BY r.id DESC LIMIT " + where.bind(page.fetch()),
                where.values());
    }

    // ---- the work

    /** The one that is due longest, if any. */
    Future<Optional<Held>> claim(int leaseMillis) {
        return database.query(Call.Lane.JOB, CLAIM, Tuple.of(leaseMillis)).map(rows -> {
            if (rows.size() == 0) {
                return Optional.empty();
            }
            Row row = rows.iterator().next();
            Buffer mac = row.getBuffer("mac");
            return Optional.of(new Held(
                    row.getUUID("connector_id"),
                    row.getUUID("run_id"),
                    row.getLong("fence"),
                    row.getInteger("attempts"),
                    row.getString("watermark"),
                    mac == null ? new byte[0] : mac.getBytes()));
        });
    }

    Future<Opened> open(Call call, UUID id) {
        return database.row(call, OPEN, Tuple.of(id), "pull.notFound").map(row -> {
            Buffer sealed = row.getBuffer("secret");
            String secret = sealed == null
                    ? null
                    : new String(vault.open(key(id, row), TABLE, CLASS, sealed.getBytes()), StandardCharsets.UTF_8);
            return new Opened(Pull.from(row), secret);
        });
    }

    Future<Connector> connector(Call call, UUID id) {
        return database.row(call, CONNECTOR, Tuple.of(id), "connector.notFound").map(Connector::from);
    }

    /** In the transaction of the rows. Fails with {@code pull.interrupted} where another node holds it by now. */
    Future<Void> move(Tx tx, Held held, @Nullable String watermark, int leaseMillis, ConnectorStore.Counts counts) {
        return tx.query(
                        MOVE,
                        Tuple.of(held.connector, held.fence, watermark, leaseMillis, held.run)
                                .addInteger(counts.rows())
                                .addInteger(counts.created())
                                .addInteger(counts.changed())
                                .addInteger(counts.unchanged())
                                .addInteger(counts.refused())
                                .addInteger(counts.kept()))
                .compose(rows -> rows.size() == 1
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of("pull.interrupted")));
    }

    Future<Void> done(Held held, byte[] mac, int minutes) {
        return database.query(
                        Call.Lane.JOB,
                        DONE,
                        Tuple.of(held.connector, held.fence, Buffer.buffer(mac), minutes, held.run))
                .mapEmpty();
    }

    /**
     * Ends a run that failed.
     *
     * @param state retrying or stopped
     * @param uncounted 1 where the attempt does not count, else 0
     */
    Future<?> failed(
            BiFunction<String, Tuple, Future<RowSet<Row>>> ask,
            Held held,
            String state,
            Problem problem,
            int waitMillis,
            int uncounted) {
        List<String> args = problem.args();
        return ask.apply(
                FAILED,
                Tuple.of(held.connector, held.fence, state, problem.code())
                        .addArrayOfString(args.toArray(String[]::new))
                        .addInteger(waitMillis)
                        .addUUID(held.run)
                        .addInteger(uncounted));
    }

    /** In batches until none is old: a busy source delivers more between two looks than one batch. */
    Future<Void> forget(int days) {
        return database.query(Call.Lane.JOB, FORGET, Tuple.of(days, BATCH))
                .compose(gone -> gone.rowCount() < BATCH ? Future.succeededFuture() : forget(days));
    }
}
