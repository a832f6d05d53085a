package io.kehu.app;

import io.kehu.audit.Archive;
import io.kehu.audit.CheckpointFolder;
import io.kehu.audit.Dump;
import io.kehu.audit.Sealer;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Signer;
import io.kehu.sql.Clock;
import io.micrometer.core.instrument.MeterRegistry;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.pgclient.PgBuilder;
import io.vertx.pgclient.PgConnectOptions;
import io.vertx.sqlclient.Pool;
import io.vertx.sqlclient.PoolOptions;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a node does for the chain of the audit: seals it at a steady pace, archives its old months at night. */
final class Sealing {
    private static final Logger LOG = LoggerFactory.getLogger(Sealing.class);
    private static final String ROLE = "kehu_seal";
    private static final int STATEMENT_MILLIS = 30_000;
    private static final long NIGHT_LOOK_MILLIS = 3_600_000;
    private static final int NIGHT_FROM_HOUR = 1;
    private static final int NIGHT_TO_HOUR = 5;

    private final Vertx vertx;
    private final Settings settings;
    private final Sealer sealer;
    private final CheckpointFolder checkpoints;
    private final Archive archive;
    private final WorkerExecutor worker;
    private final long timer;

    Sealing(Vertx vertx, Settings settings, KeyStore keys, Clock clock, MeterRegistry metrics) {
        Signer signer = new Signer(keys, "kehu");
        this.vertx = vertx;
        this.settings = settings;
        this.checkpoints = new CheckpointFolder(
                settings.audit().checkpointFolder(), settings.node().name());
        this.sealer = new Sealer(
                vertx,
                pool(vertx, settings.postgresql()),
                signer,
                checkpoints,
                settings.audit().sealMillis());
        this.archive = archive(settings, signer);
        this.worker = vertx.createSharedWorkerExecutor("kehu-archive", 1, 12, TimeUnit.HOURS);
        this.timer = vertx.setPeriodic(NIGHT_LOOK_MILLIS, id -> {
            int hour = clock.now().atZoneSameInstant(settings.zone()).getHour();
            if (hour >= NIGHT_FROM_HOUR && hour < NIGHT_TO_HOUR) {
                archive();
            }
        });
        metrics.gauge("kehu.audit.intact", sealer, s -> s.intact() ? 1 : 0);
        metrics.gauge("kehu.audit.working", sealer, s -> s.working() ? 1 : 0);
        metrics.gauge("kehu.audit.seal", sealer, Sealer::newest);
    }

    /** Begins; in production not with a chain that was cut or replaced. */
    Future<Void> start() {
        return sealer.start()
                .recover(failure -> Future.failedFuture(new StartFailure(
                        "audit: the chain cannot be compared with its checkpoints (as kehu_seal, by postgresql.sealUri): "
                                + failure.getMessage())))
                .compose(wrong -> wrong != null && settings.production()
                        ? Future.failedFuture(new StartFailure("audit.checkpointFolder: " + wrong
                                + "; find out why (kehu audit verify), and after a restore begin a new incarnation"))
                        : Future.succeededFuture());
    }

    /** Whether the chain is the one that was there before, grows, and is noted outside the database. */
    boolean healthy() {
        return sealer.intact() && sealer.working();
    }

    private void archive() {
        worker.executeBlocking(archive::run)
                .onSuccess(lines -> lines.forEach(LOG::info))
                .onFailure(e -> LOG.error("the audit could not be archived: {}", e.getMessage()));
    }

    Future<Void> close() {
        vertx.cancelTimer(timer);
        return sealer.close()
                .transform(v -> worker.close())
                .transform(v -> vertx.executeBlocking(() -> {
                    checkpoints.close();
                    return null;
                }));
    }

    static Archive archive(Settings settings, Signer signer) {
        Settings.Audit audit = settings.audit();
        return new Archive(
                source(settings.postgresql()),
                signer::publicKeys,
                new Archive.Options(audit.archiveFolder(), audit.hotDays(), audit.accessLogDays()));
    }

    static Dump.Source source(Settings.Postgresql postgresql) {
        return () -> {
            Connection connection = Migrations.connect(postgresql.sealUri(), postgresql.connectMillis());
            if (!Migrations.user(postgresql.sealUri()).equals(ROLE)) {
                try (Statement sql = connection.createStatement()) {
                    sql.execute("SET ROLE " + ROLE);
                } catch (SQLException e) {
                    connection.close();
                    throw e;
                }
            }
            return connection;
        };
    }

    private static Pool pool(Vertx vertx, Settings.Postgresql postgresql) {
        PgConnectOptions connect =
                PgConnectOptions.fromUri(postgresql.sealUri()).setCachePreparedStatements(true);
        connect.addProperty("application_name", "kehu-seal")
                .addProperty("TimeZone", "UTC")
                .addProperty("statement_timeout", Integer.toString(STATEMENT_MILLIS))
                .addProperty("lock_timeout", Integer.toString(postgresql.lockTimeoutMillis()))
                .addProperty(
                        "idle_in_transaction_session_timeout", Integer.toString(postgresql.idleInTransactionMillis()));
        if (!ROLE.equals(connect.getUser())) {
            connect.addProperty("role", ROLE);
        }
        return PgBuilder.pool()
                .with(new PoolOptions()
                        .setName("kehu-seal")
                        .setMaxSize(1)
                        .setMaxWaitQueueSize(4)
                        .setConnectionTimeout(postgresql.connectMillis())
                        .setConnectionTimeoutUnit(TimeUnit.MILLISECONDS))
                .connectingTo(connect)
                .using(vertx)
                .build();
    }
}
