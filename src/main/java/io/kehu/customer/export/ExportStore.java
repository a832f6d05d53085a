package io.kehu.customer.export;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.blob.Blobs;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.kernel.Kernel;
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
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** SQL of exports: who is in them, what they came to, and who has asked for how much. */
final class ExportStore {
    static final String KIND = "customer.export";

    private static final String READ = """
            SELECT e.id, e.kind, e.maker_id, e.branch_id, e.job_id, e.request::text AS request, e.purpose, e.counted, e.newest,
                encode(e.reach, 'hex') AS reach, e.made_at, j.state, j.units_done, j.units_total, j.error_code, j.started_at, j.ended_at,
                f.blob_id, f.rows, f.suppressed, f.size, f.sha256, f.expires_at
            FROM customer.export e JOIN kehu.job j ON j.id = e.job_id LEFT JOIN customer.export_file f ON f.export_id = e.id
            """;
    private static final String OF_MAKER = READ + "WHERE e.id = $1 AND e.maker_id = $2";
    private static final String OF_JOB = READ + "WHERE e.job_id = $1";

    private static final String INSERT = """
            INSERT INTO customer.export (id, kind, maker_id, branch_id, job_id, request, purpose, counted, newest, reach)
            VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9, decode($10, 'hex'))""";
    private static final String KEEP_SECRET =
            "INSERT INTO customer.export_secret (export_id, password) VALUES ($1, $2)";
    private static final String SECRET = "SELECT password FROM customer.export_secret WHERE export_id = $1";
    private static final String FORGET_SECRET = "DELETE FROM customer.export_secret WHERE export_id = $1";

    /** One statement: of two requests at once the second waits for the first, and sees what it left. */
    private static final String CHARGE = """
            INSERT INTO customer.export_quota AS q (maker_id, day, rows)
            SELECT $1, (kehu.now() AT TIME ZONE $2)::date, $3::bigint WHERE $3::bigint <= $4::bigint
            ON CONFLICT (maker_id, day) DO UPDATE SET rows = q.rows + $3::bigint WHERE q.rows + $3::bigint <= $4::bigint
            RETURNING rows""";
    /** What a file has more than was counted, or fewer. */
    private static final String CORRECT = """
            UPDATE customer.export_quota q SET rows = greatest(0, q.rows + $2)
            FROM customer.export e WHERE e.id = $1 AND q.maker_id = e.maker_id AND q.day = (e.made_at AT TIME ZONE $3)::date""";

    private static final String FILE = """
            INSERT INTO customer.export_file (export_id, blob_id, rows, suppressed, size, sha256, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, kehu.now() + make_interval(hours => $7))""";
    private static final String IN_IT = """
            INSERT INTO customer.exported (export_id, part, seqs)
            SELECT $1, $4::int + ((r.ord - 1) / 1000)::int, range_agg(int8range(r.first, r.behind))
            FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY r(first, behind, ord) GROUP BY 2""";
    private static final int ROW_RANGES = 1_000;
    /** Ranges of one statement, a multiple of those of a row: some megabyte. */
    private static final int RANGES = 50_000;

    private static final String EXPIRED = """
            SELECT export_id, blob_id FROM customer.export_file
            WHERE blob_id IS NOT NULL AND expires_at <= kehu.now() ORDER BY expires_at LIMIT 100""";
    private static final String DROP =
            "UPDATE customer.export_file SET blob_id = NULL WHERE export_id = $1 AND blob_id = $2 RETURNING export_id";

    /** Passwords of archives that will never be. */
    private static final String FORGET_SECRETS = """
            DELETE FROM customer.export_secret s USING customer.export e, kehu.job j
            WHERE e.id = s.export_id AND j.id = e.job_id AND j.state IN ('failed', 'cancelled')""";

    private static final String LINK = """
            INSERT INTO customer.export_link (export_id, hash, expires_at) VALUES ($1, $2, kehu.now() + make_interval(mins => $3))
            ON CONFLICT (export_id) DO UPDATE SET hash = EXCLUDED.hash, expires_at = EXCLUDED.expires_at, used_at = NULL
            RETURNING expires_at""";
    /** Used and told of in one statement: of two who follow it at once one gets the file. */
    private static final String USE = """
            UPDATE customer.export_link l SET used_at = kehu.now() FROM customer.export e
            WHERE l.hash = $1 AND e.id = l.export_id AND e.maker_id = $2 AND l.used_at IS NULL AND l.expires_at > kehu.now()
            RETURNING l.export_id""";

    private static final String KNOWN = """
            SELECT FROM customer.export_link l JOIN customer.export e ON e.id = l.export_id WHERE l.hash = $1 AND e.maker_id = $2""";

    private static final String RIGHTS = "SELECT version FROM iam.standing($1)";
    private static final String NEWEST = "SELECT coalesce(max(seq), 0) FROM customer.customer";

    private static final String CUSTOMERS = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM customer.customer c
            LEFT JOIN customer.sealed s ON s.id = c.id
            LEFT JOIN kehu.data_key k ON k.subject_id = c.id
            """;

    private final Database database;
    private final CustomerStore customers;
    private final String zone;

    ExportStore(Kernel kernel) {
        this.database = kernel.database();
        this.customers = new CustomerStore(database, CustomerSeals.of(kernel));
        this.zone = kernel.text("zone");
    }

    // ---- who is in it

    /** Whoever is in the scope, fits, and was neither deleted nor merged nor erased. */
    static Where who(Principal principal, Filter filter, Moment moment) {
        Where where = Where.inScopeOf(principal, "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
        filter.into(where, moment);
        return where;
    }

    /** How many there are, counted no further than the bound and one. */
    Future<Long> count(Tx tx, Filter filter, Moment moment, int bound) {
        Where where = who(tx.principal(), filter, moment);
        String sql = "SELECT count(*) FROM (SELECT FROM customer.customer c " + where.sql() + " LIMIT "
                + where.bind(bound + 1L) + ") n";
        return tx.row(sql, where.values(), "server.failure").map(row -> row.getLong(0));
    }

    /** The last customer who has been entered. */
    Future<Long> newest(Tx tx) {
        return tx.row(NEWEST, Tuple.tuple(), "server.failure").map(row -> row.getLong(0));
    }

    /** Some of them in the order of entry. */
    Future<RowSet<Row>> page(Call call, Where where, int limit) {
        return database.query(
                call, CUSTOMERS + where.sql() + " ORDER BY c.seq LIMIT " + where.bind((long) limit), where.values());
    }

    /**
     * How many are alike in all the classes, of one moment: a row for each group of so many at least, with its number {@code n}; and
     * one without classes whose {@code n} is not above zero, for those who are left out.
     */
    Future<RowSet<Row>> groups(Call call, Where where, List<AnalysisColumn> classes, LocalDate today, int smallest) {
        String date = where.bind(today);
        StringBuilder columns = new StringBuilder();
        for (int i = 0; i < classes.size(); i++) {
            columns.append(classes.get(i).sql().replace("#today", date))
                    .append(" AS g")
                    .append(i)
                    .append(", ");
        }
        String names = IntStream.range(0, classes.size()).mapToObj(i -> "g" + i).collect(Collectors.joining(", "));
        String none = names.replaceAll("g[0-9]+", "NULL");
        String least = where.bind((long) smallest);
        String sql = """
                WITH alike AS MATERIALIZED (
                    SELECT %s count(*) AS n FROM customer.customer c %s AND %s::date IS NOT NULL GROUP BY %s)
                SELECT %s, n FROM alike WHERE n >= %s
                UNION ALL SELECT %s, -coalesce(sum(n), 0)::bigint FROM alike WHERE n < %s""".formatted(columns, where.sql(), date, names, names, least, none, least);
        return database.query(call, sql, where.values());
    }

    /** Opens a ciphertext, so call it from a worker. */
    Customer opened(Row row) {
        return customers.opened(row);
    }

    /** The version of what somebody may do, as it is now; -1 for who works here no more. */
    Future<Long> rights(UUID staff) {
        return database.query(Call.Lane.JOB, RIGHTS, Tuple.of(staff))
                .map(rows -> rows.size() == 0 ? -1 : rows.iterator().next().getLong("version"));
    }

    // ---- requests

    /** Counts the rows against the day; {@code export.quota} where they are more than are left. */
    Future<Void> charge(Tx tx, long rows, int perDay) {
        return tx.query(CHARGE, Tuple.of(tx.principal().subject(), zone, rows, (long) perDay))
                .compose(done -> done.size() == 1
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of("export.quota", Integer.toString(perDay))));
    }

    Future<Export> insert(
            Tx tx, UUID id, UUID job, String kind, ObjectNode request, String purpose, long counted, long newest) {
        Principal maker = tx.principal();
        Tuple values = Tuple.tuple()
                .addUUID(id)
                .addString(kind)
                .addUUID(maker.subject())
                .addUUID(maker.branchId())
                .addUUID(job)
                .addString(request.toString())
                .addString(purpose)
                .addLong(counted)
                .addLong(newest)
                .addString(Export.reach(maker));
        return tx.query(INSERT, values).compose(v -> own(tx, id));
    }

    Future<?> keepSecret(Tx tx, UUID id, byte[] sealed) {
        return tx.query(KEEP_SECRET, Tuple.of(id, Buffer.buffer(sealed)));
    }

    Future<byte[]> secret(Call call, UUID id) {
        return database.row(call, SECRET, Tuple.of(id), "server.failure")
                .map(row -> row.getBuffer("password").getBytes());
    }

    /** Fails with {@code export.notFound}, also for another person's. */
    Future<Export> own(Tx tx, UUID id) {
        return tx.row(OF_MAKER, Tuple.of(id, tx.principal().subject()), "export.notFound")
                .map(Export::from);
    }

    Future<Export> ofJob(Call call, UUID job) {
        return database.row(call, OF_JOB, Tuple.of(job), "export.notFound").map(Export::from);
    }

    private static Where visible(Call call) {
        return Where.inScopeOf(call.principal(), "e.branch_id", "e.maker_id");
    }

    Future<Export> find(Call call, UUID id) {
        Where where = visible(call).and("e.id = ?", id);
        return database.row(call, READ + where.sql(), where.values(), "export.notFound")
                .map(Export::from);
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = visible(call);
        if (!page.after().isEmpty()) {
            where.and("e.id < ?", UUID.fromString(page.after().get(0)));
        }
        return database.query(
                call, READ + where.sql() + " ORDER BY e.id DESC LIMIT " + where.bind(page.fetch()), where.values());
    }

    // ---- files

    /** Takes the file over and lets nothing of the password be. */
    Future<Void> file(Tx tx, Export export, Blobs.Facts file, long rows, long suppressed, int hours) {
        Tuple values = Tuple.of(export.id(), file.id(), rows, suppressed, file.size(), file.sha256())
                .addInteger(hours);
        return Blobs.claim(tx, file.id(), file.owner(), file.purpose())
                .compose(v -> tx.query(FILE, values))
                .compose(v -> tx.query(FORGET_SECRET, Tuple.of(export.id())))
                .compose(v -> tx.query(CORRECT, Tuple.of(export.id(), rows + suppressed - export.counted(), zone)))
                .mapEmpty();
    }

    /** Who is in the file. */
    Future<Void> inIt(Tx tx, UUID export, Seqs seqs) {
        Future<Void> done = Future.succeededFuture();
        for (Tuple values : seqs.statements(export)) {
            done = done.compose(v -> tx.query(IN_IT, values).mapEmpty());
        }
        return done;
    }

    /**
     * Places in the order of entry, ascending, as ranges: two numbers for each run of neighbours, so 16 MiB for a file of a million
     * of whom no two are neighbours.
     */
    static final class Seqs {
        /** The first of a range and the one behind its last, in turn. */
        private long[] bounds = new long[64];

        private int size;

        void add(long seq) {
            if (size > 0 && bounds[size - 1] >= seq) {
                if (bounds[size - 1] > seq) {
                    throw new IllegalArgumentException("out of order");
                }
                bounds[size - 1]++;
                return;
            }
            if (size == bounds.length) {
                bounds = Arrays.copyOf(bounds, 2 * size);
            }
            bounds[size++] = seq;
            bounds[size++] = seq + 1;
        }

        /** Values of {@link #IN_IT}, in slices. */
        List<Tuple> statements(UUID export) {
            List<Tuple> all = new ArrayList<>();
            for (int from = 0; from < size; from += 2 * RANGES) {
                Long[] first = new Long[Math.min(RANGES, (size - from) / 2)];
                Long[] behind = new Long[first.length];
                for (int i = 0; i < first.length; i++) {
                    first[i] = bounds[from + 2 * i];
                    behind[i] = bounds[from + 2 * i + 1];
                }
                all.add(Tuple.tuple()
                        .addUUID(export)
                        .addArrayOfLong(first)
                        .addArrayOfLong(behind)
                        .addInteger(from / 2 / ROW_RANGES));
            }
            return all;
        }
    }

    /** Files whose time is over; forgets passwords that have no use on the way. */
    Future<RowSet<Row>> expired() {
        return database.query(Call.Lane.JOB, FORGET_SECRETS, Tuple.tuple())
                .compose(v -> database.query(Call.Lane.JOB, EXPIRED, Tuple.tuple()));
    }

    /** Fails with {@code request.stale} where another node was faster. */
    Future<Void> drop(Tx tx, UUID export, UUID blob) {
        return tx.row(DROP, Tuple.of(export, blob), "request.stale").compose(v -> Blobs.release(tx, blob));
    }

    // ---- links

    /** Makes it the one link to this file. */
    Future<OffsetDateTime> link(Tx tx, UUID export, byte[] hash, int minutes) {
        return tx.row(LINK, Tuple.of(export, Buffer.buffer(hash), minutes), "server.failure")
                .map(row -> row.getOffsetDateTime("expires_at"));
    }

    /** Uses a link up. Fails with {@code export.linkUnknown}, also for another person's, {@code export.linkOver}. */
    Future<UUID> use(Tx tx, byte[] hash) {
        Tuple values = Tuple.of(Buffer.buffer(hash), tx.principal().subject());
        return tx.query(USE, values).compose(used -> {
            if (used.size() == 1) {
                return Future.succeededFuture(used.iterator().next().getUUID("export_id"));
            }
            return tx.row(KNOWN, values, "export.linkUnknown")
                    .compose(known -> Future.failedFuture(Problem.of("export.linkOver")));
        });
    }

    static byte[] bytes(@Nullable String sha256) {
        return HexFormat.of().parseHex(String.valueOf(sha256));
    }

    static ObjectNode position(String key, int value) {
        return Json.object().put(key, value);
    }
}
