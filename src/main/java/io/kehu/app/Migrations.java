package io.kehu.app;

import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.output.MigrateResult;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings a database to the version of this program: roles, extensions, then the numbered files of
 * {@code db/migration}, all of which {@code kehu_owner} owns. Blocking; runs before any event loop does.
 */
public final class Migrations {
    /** Migrates and owns; works; seals the audit. A login is a member of them, or has one of these names itself. */
    public static final List<String> ROLES = List.of("kehu_owner", "kehu_app", "kehu_seal");

    /** All of them are trusted: whoever may create in the database may install them. */
    public static final List<String> EXTENSIONS =
            List.of("pg_trgm", "btree_gin", "btree_gist", "pgcrypto", "citext", "unaccent", "ltree", "fuzzystrmatch");

    private static final Logger LOG = LoggerFactory.getLogger(Migrations.class);

    /** Nodes that start together must not create the same role twice. Any number will do, as long as it stays. */
    private static final long BOOTSTRAP_LOCK = 0x6b65_6875L;

    private static final int BOOTSTRAP_WAIT_SECONDS = 60;

    private Migrations() {}

    /**
     * Prepares roles and extensions and applies what is missing.
     *
     * @return how many migrations were applied; 0 when the database was up to date
     * @throws StartFailure when the database is away, older than 18, or an administrator must act first
     */
    public static int run(Settings.Postgresql settings) {
        String url = jdbcUrl(settings.ownerUri());
        try (Connection connection = connect(settings.ownerUri(), settings.connectMillis())) {
            bootstrap(connection, user(settings.uri()));
        } catch (SQLException e) {
            throw new StartFailure("postgresql.ownerUri: the database cannot be prepared: " + e.getMessage());
        }
        Properties login = login(settings.ownerUri());
        try {
            MigrateResult result = Flyway.configure(Migrations.class.getClassLoader())
                    .dataSource(url, login.getProperty("user"), login.getProperty("password"))
                    .locations("classpath:db/migration")
                    .schemas("kehu")
                    .table("migration")
                    .initSql("SET ROLE kehu_owner")
                    .connectRetries(0)
                    .load()
                    .migrate();
            if (result.migrationsExecuted > 0) {
                LOG.atInfo()
                        .addKeyValue("applied", result.migrationsExecuted)
                        .addKeyValue("version", result.targetSchemaVersion)
                        .log("database migrated");
            }
            return result.migrationsExecuted;
        } catch (FlywayException e) {
            throw new StartFailure("postgresql.ownerUri: the migration failed: " + e.getMessage());
        }
    }

    /**
     * A plain JDBC connection for start, tests and diagnosis.
     *
     * @param uri as in the settings: {@code postgresql://user:password@host:port/database?sslmode=...}
     * @throws StartFailure when nobody answers there or the login is refused
     */
    public static Connection connect(String uri, int connectMillis) {
        Properties login = login(uri);
        login.setProperty("connectTimeout", Integer.toString(Math.max(1, connectMillis / 1_000)));
        login.setProperty("loginTimeout", Integer.toString(Math.max(1, connectMillis / 1_000)));
        try {
            return DriverManager.getConnection(jdbcUrl(uri), login);
        } catch (SQLException e) {
            throw new StartFailure("postgresql.uri: the database " + Settings.withoutPassword(uri)
                    + " cannot be reached: " + e.getMessage());
        }
    }

    /** The login name in the URI, or an empty text. */
    public static String user(String uri) {
        return login(uri).getProperty("user", "");
    }

    private static String jdbcUrl(String uri) {
        URI parsed = URI.create(uri);
        String query = parsed.getRawQuery();
        return "jdbc:postgresql://" + parsed.getHost() + ":" + (parsed.getPort() < 0 ? 5432 : parsed.getPort())
                + parsed.getRawPath() + (query == null ? "" : "?" + query);
    }

    private static Properties login(String uri) {
        Properties login = new Properties();
        String info = URI.create(uri).getRawUserInfo();
        if (info != null) {
            int colon = info.indexOf(':');
            login.setProperty("user", decoded(colon < 0 ? info : info.substring(0, colon)));
            if (colon >= 0) {
                login.setProperty("password", decoded(info.substring(colon + 1)));
            }
        }
        return login;
    }

    private static String decoded(String text) {
        return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
    }

    private static void bootstrap(Connection connection, String worker) throws SQLException {
        try (Statement sql = connection.createStatement()) {
            if (number(sql, "SELECT current_setting('server_version_num')::int") < 180_000) {
                throw new StartFailure("postgresql.uri: Kehu needs PostgreSQL 18 or later, the server is "
                        + text(sql, "SELECT current_setting('server_version')"));
            }
            sql.execute("SET lock_timeout = '" + BOOTSTRAP_WAIT_SECONDS + "s'");
            sql.execute("SELECT pg_advisory_lock(" + BOOTSTRAP_LOCK + ")");
            String owner = text(sql, "SELECT session_user");
            List<String> missing = missing(sql, owner, worker);
            if (!missing.isEmpty()) {
                boolean done = execute(sql, missing);
                // Asked again, because a GRANT without the right to it may be a mere warning.
                if (!done || !missing(sql, owner, worker).isEmpty()) {
                    throw new StartFailure("postgresql.ownerUri: " + owner
                            + " may not prepare the database; an administrator must run there: "
                            + String.join(" ", missing));
                }
            }
            sql.execute("SET ROLE kehu_owner");
            for (String extension : EXTENSIONS) {
                // Asked first, because IF NOT EXISTS leaves a notice for each one at every start.
                if (number(sql, "SELECT count(*) FROM pg_extension WHERE extname = '" + extension + "'") == 0) {
                    sql.execute("CREATE EXTENSION IF NOT EXISTS " + extension + " SCHEMA public");
                }
            }
        }
    }

    private static boolean execute(Statement sql, List<String> statements) {
        try {
            for (String statement : statements) {
                sql.execute(statement);
            }
            return true;
        } catch (SQLException e) {
            return false;
        }
    }

    /** What has to be run, as text, so that the same statements can be executed or shown to an administrator. */
    private static List<String> missing(Statement sql, String owner, String worker) throws SQLException {
        List<String> statements = new ArrayList<>();
        Set<String> absent = new LinkedHashSet<>();
        for (String role : ROLES) {
            if (number(sql, "SELECT count(*) FROM pg_roles WHERE rolname = '" + role + "'") == 0) {
                absent.add(role);
                statements.add("CREATE ROLE " + role + " NOLOGIN;");
            }
        }
        boolean superuser = number(sql, "SELECT rolsuper::int FROM pg_roles WHERE rolname = session_user") == 1;
        member(sql, statements, absent, "kehu_owner", owner, superuser);
        if (!worker.isEmpty() && !worker.equals("kehu_app")) {
            for (String role : List.of("kehu_app", "kehu_seal")) {
                member(sql, statements, absent, role, worker, superuser && worker.equals(owner));
            }
        }
        // Asked one by one: a list of privileges would be answered by any of them.
        if (absent.contains("kehu_owner")
                || number(
                                sql,
                                "SELECT (has_database_privilege('kehu_owner', current_database(), 'CREATE')"
                                        + " AND has_database_privilege('kehu_owner', current_database(), 'TEMPORARY'))::int")
                        == 0) {
            statements.add(text(
                    sql, "SELECT format('GRANT CREATE, TEMPORARY ON DATABASE %I TO kehu_owner;', current_database())"));
        }
        return statements;
    }

    private static void member(
            Statement sql, List<String> statements, Set<String> absent, String role, String login, boolean superuser)
            throws SQLException {
        if (superuser || role.equals(login)) {
            return;
        }
        String name = "'" + login.replace("'", "''") + "'";
        if (absent.contains(role) || number(sql, "SELECT pg_has_role(" + name + ", '" + role + "', 'SET')::int") == 0) {
            statements.add(
                    text(sql, "SELECT format('GRANT " + role + " TO %I WITH SET TRUE, INHERIT FALSE;', " + name + ")"));
        }
    }

    private static long number(Statement sql, String query) throws SQLException {
        try (ResultSet rows = sql.executeQuery(query)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    private static String text(Statement sql, String query) throws SQLException {
        try (ResultSet rows = sql.executeQuery(query)) {
            rows.next();
            return rows.getString(1);
        }
    }
}
