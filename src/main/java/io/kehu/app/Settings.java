package io.kehu.app;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.time.ZoneId;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Every setting, checked once. Names, units, defaults and comments stand in {@code conf/kehu.yaml}; empty text is "not set".
 */
public record Settings(
        Mode mode,
        ZoneId zone,
        Node node,
        Http http,
        Calls calls,
        Postgresql postgresql,
        Redis redis,
        Cluster cluster,
        Keys keys,
        Auth auth,
        Rate rate,
        Blob blob,
        Jobs jobs,
        Events events,
        Audit audit,
        Vault vault,
        Cache cache,
        Seed seed,
        Log log,
        SettingsTree tree) {

    public enum Mode {
        DEMO,
        TEST,
        PRODUCTION
    }

    public enum PasswordProfile {
        NIST,
        MLPS3
    }

    public enum BlobKind {
        LOCAL,
        S3
    }

    public enum Level {
        ERROR,
        WARN,
        INFO,
        DEBUG
    }

    public record Node(String name, boolean http, List<String> domains) {
        /** Whether this node runs the domain. */
        public boolean runs(String domain) {
            return domains.contains("all") || domains.contains(domain);
        }
    }

    /** Where trusted proxies say whom they speak for. */
    public enum ProxyHeader {
        X_FORWARDED_FOR,
        /** RFC 7239. */
        FORWARDED
    }

    public record Tls(String certificate, String key, int reloadMillis) {
        public boolean enabled() {
            return !certificate.isEmpty();
        }
    }

    public record Http(
            String host,
            int port,
            String managementHost,
            int managementPort,
            Tls tls,
            List<String> trustedProxies,
            ProxyHeader proxyHeader,
            List<String> corsOrigins,
            int maxHeaderBytes,
            int maxUrlBytes,
            int maxConnections,
            int maxConnectionsPerAddress,
            int headerTimeoutMillis,
            int bodyTimeoutMillis,
            int minUploadBytesPerSecond,
            int idleTimeoutMillis,
            int gzipAboveBytes,
            int drainMillis) {}

    public record Calls(int defaultTimeoutMillis, int maxInFlight, int idempotencyHours, int maxReplyBytes) {}

    public record Pool(int size, int maxWaiting, int statementTimeoutMillis) {}

    public record Postgresql(
            String uri,
            String ownerUri,
            String sealUri,
            Path dataFolder,
            int embeddedPort,
            int connectMillis,
            int lockTimeoutMillis,
            int idleInTransactionMillis,
            int cachedStatements,
            Pool point,
            Pool search,
            Pool heavy,
            Pool job) {
        public boolean embedded() {
            return uri.isEmpty();
        }
    }

    public record Redis(
            String uri, Path dataFolder, int embeddedPort, int poolSize, int maxWaiting, int timeoutMillis) {
        public boolean embedded() {
            return uri.isEmpty();
        }
    }

    public record Cluster(boolean enabled, String name, String host, int port, List<String> members) {}

    public record Keys(Path folder, int reloadMillis, int jwksSeconds) {}

    public record Auth(
            int accessMinutes,
            int refreshHours,
            int idleMinutes,
            int absoluteHours,
            int argon2MemoryKib,
            int hashWorkers,
            int hashesPerSecond,
            int hashQueue,
            int signatureWorkers,
            int signatureQueue,
            int verifiedTokens,
            int principals,
            int revocationPollMillis,
            int revocationStaleMillis,
            PasswordProfile passwordProfile,
            List<String> passwordWords,
            int passwordFormer,
            int resetMinutes) {}

    public record Rate(
            int perAddressPerSecond,
            int perSubjectPerSecond,
            int loginPerAddressPerMinute,
            int loginPerMinute,
            int burstSeconds) {}

    public record S3(String endpoint, String region, String bucket, String accessKey, String secretKey) {
        @Override
        public String toString() {
            return "S3[" + endpoint + "/" + bucket + "]";
        }
    }

    public record Blob(BlobKind kind, Path folder, S3 s3, long maxUploadBytes, int unclaimedMinutes) {}

    public record Jobs(
            int workers,
            int leaseMillis,
            int heartbeatMillis,
            int pollMillis,
            int chunkRows,
            int renderWorkers,
            int renderQueue) {}

    public record Events(
            int tickMillis, int pollMillis, int streamMaxPerNode, int streamMaxPerSubject, int streamQueue) {}

    public record Audit(
            int accessLogFlushMillis,
            int accessLogQueue,
            int sealMillis,
            Path checkpointFolder,
            Path archiveFolder,
            int hotDays,
            int accessLogDays) {}

    public record Vault(int rememberedKeys) {}

    public record Cache(int maxEntryBytes) {}

    public record Seed(int customers) {}

    public record Log(Path folder, Level level) {}

    /**
     * Reads the defaults, then the file, then the environment.
     *
     * @param file overlay, or null; a file without {@code postgresql:} leaves that group at its defaults
     * @throws StartFailure one line that names the setting, its unit and the bound
     */
    public static Settings load(@Nullable Path file, Map<String, String> environment) {
        Settings settings = from(SettingsTree.load(file, environment));
        settings.check();
        return settings;
    }

    /** The effective settings as YAML, passwords and secret keys masked, for people. */
    public static String masked(@Nullable Path file, Map<String, String> environment) {
        SettingsTree tree = SettingsTree.load(file, environment);
        from(tree).check();
        return tree.masked();
    }

    /** The value of a setting by its path: what domains read. */
    public JsonNode at(String path) {
        return tree.at(path);
    }

    public boolean production() {
        return mode == Mode.PRODUCTION;
    }

    /** The same with other servers. */
    public Settings withServers(String postgresqlUri, String ownerUri, String redisUri) {
        return from(tree.with(
                Map.of("postgresql.uri", postgresqlUri, "postgresql.ownerUri", ownerUri, "redis.uri", redisUri)));
    }

    private static Settings from(SettingsTree root) {
        SettingsTree node = root.group("node");
        SettingsTree cluster = root.group("cluster");
        SettingsTree auth = root.group("auth");
        SettingsTree rate = root.group("rate");
        SettingsTree jobs = root.group("jobs");
        SettingsTree events = root.group("events");
        SettingsTree calls = root.group("calls");
        SettingsTree log = root.group("log");
        return new Settings(
                root.oneOf("mode", Mode.class),
                root.zone("zone"),
                new Node(node.name("name"), node.bool("http"), node.list("domains", "[a-z]+", "names of domains")),
                http(root.group("http")),
                new Calls(
                        calls.millis("defaultTimeoutMillis", 100, 60_000),
                        calls.count("maxInFlight", "requests", 1, 100_000),
                        calls.count("idempotencyHours", "hours", 1, 720),
                        calls.count("maxReplyBytes", "bytes", 65_536, 16 << 20)),
                postgresql(root.group("postgresql")),
                redis(root.group("redis")),
                new Cluster(
                        cluster.bool("enabled"),
                        cluster.name("name"),
                        cluster.host("host"),
                        cluster.count("port", "port number", 1, 65_535),
                        cluster.list("members", "\\S+:\\d{1,5}", "host:port")),
                new Keys(
                        root.group("keys").path("folder"),
                        root.group("keys").millis("reloadMillis", 100, 60_000),
                        root.group("keys").count("jwksSeconds", "seconds", 0, 86_400)),
                new Auth(
                        auth.count("accessMinutes", "minutes", 1, 60),
                        auth.count("refreshHours", "hours", 1, 24 * 30),
                        auth.count("idleMinutes", "minutes", 1, 24 * 60),
                        auth.count("absoluteHours", "hours", 1, 24 * 30),
                        // RFC 9106 and OWASP: 46 MiB is the least for one pass; tests may go lower, production may not.
                        auth.count("argon2MemoryKib", "KiB", 1_024, 1 << 18),
                        auth.count("hashWorkers", "threads", 1, 64),
                        auth.count("hashesPerSecond", "hashes per second", 1, 1_000),
                        auth.count("hashQueue", "sign-ins", 1, 10_000),
                        auth.count("signatureWorkers", "threads", 1, 64),
                        auth.count("signatureQueue", "tokens", 1, 100_000),
                        auth.count("verifiedTokens", "tokens", 100, 1_000_000),
                        auth.count("principals", "people", 100, 1_000_000),
                        auth.millis("revocationPollMillis", 50, 1_000),
                        auth.millis("revocationStaleMillis", 1_000, 60_000),
                        auth.oneOf("passwordProfile", PasswordProfile.class),
                        auth.list("passwordWords", "\\S.{0,39}", "names of up to 40 characters"),
                        auth.count("passwordFormer", "passwords", 0, 10),
                        auth.count("resetMinutes", "minutes", 1, 24 * 60)),
                new Rate(
                        rate.count("perAddressPerSecond", "requests per second", 1, 1_000_000),
                        rate.count("perSubjectPerSecond", "requests per second", 1, 1_000_000),
                        rate.count("loginPerAddressPerMinute", "sign-ins per minute", 1, 1_000_000),
                        rate.count("loginPerMinute", "sign-ins per minute", 1, 1_000_000),
                        rate.count("burstSeconds", "seconds", 1, 60)),
                blob(root.group("blob")),
                new Jobs(
                        jobs.count("workers", "jobs", 0, 64),
                        jobs.millis("leaseMillis", 1_000, 600_000),
                        jobs.millis("heartbeatMillis", 100, 300_000),
                        jobs.millis("pollMillis", 50, 60_000),
                        jobs.count("chunkRows", "rows", 100, 5_000),
                        jobs.count("renderWorkers", "threads", 1, 64),
                        jobs.count("renderQueue", "pieces of work", 1, 10_000)),
                new Events(
                        events.millis("tickMillis", 10, 10_000),
                        events.millis("pollMillis", 10, 10_000),
                        events.count("streamMaxPerNode", "streams", 0, 100_000),
                        events.count("streamMaxPerSubject", "streams", 0, 1_000),
                        events.count("streamQueue", "events", 10, 100_000)),
                new Audit(
                        root.group("audit").millis("accessLogFlushMillis", 50, 1_000),
                        root.group("audit").count("accessLogQueue", "lines", 100, 1_000_000),
                        root.group("audit").millis("sealMillis", 50, 60_000),
                        root.group("audit").path("checkpointFolder"),
                        root.group("audit").path("archiveFolder"),
                        // The database does not give up what is younger than 30 days, whatever is set.
                        root.group("audit").count("hotDays", "days", 30, 36_500),
                        root.group("audit").count("accessLogDays", "days", 30, 36_500)),
                new Vault(root.group("vault").count("rememberedKeys", "keys", 100, 10_000_000)),
                new Cache(root.group("cache").count("maxEntryBytes", "bytes", 1_024, 16 << 20)),
                new Seed(root.group("seed").count("customers", "customers", 0, 10_000_000)),
                new Log(log.path("folder"), log.oneOf("level", Level.class)),
                root);
    }

    private static Http http(SettingsTree http) {
        SettingsTree tls = http.group("tls");
        return new Http(
                http.host("host"),
                http.count("port", "port number", 0, 65_535),
                http.host("managementHost"),
                http.count("managementPort", "port number", 0, 65_535),
                new Tls(tls.text("certificate"), tls.text("key"), tls.millis("reloadMillis", 100, 86_400_000)),
                http.list("trustedProxies", "[0-9a-fA-F.:]+/\\d{1,3}", "CIDR ranges like 10.0.0.0/8"),
                http.oneOf("proxyHeader", ProxyHeader.class),
                http.list("corsOrigins", "https?://[^/*\\s]+", "origins like https://bank.example"),
                http.count("maxHeaderBytes", "bytes", 1_024, 65_536),
                http.count("maxUrlBytes", "bytes", 256, 65_536),
                http.count("maxConnections", "connections", 1, 1_000_000),
                http.count("maxConnectionsPerAddress", "connections", 1, 1_000_000),
                http.millis("headerTimeoutMillis", 100, 600_000),
                http.millis("bodyTimeoutMillis", 100, 600_000),
                http.count("minUploadBytesPerSecond", "bytes per second", 1, 1 << 30),
                http.millis("idleTimeoutMillis", 1_000, 3_600_000),
                http.count("gzipAboveBytes", "bytes", 0, 1 << 30),
                http.millis("drainMillis", 0, 600_000));
    }

    private static Postgresql postgresql(SettingsTree group) {
        String uri = group.uri("uri", "postgresql", "postgres");
        String ownerUri = group.uri("ownerUri", "postgresql", "postgres");
        String sealUri = group.uri("sealUri", "postgresql", "postgres");
        return new Postgresql(
                uri,
                ownerUri.isEmpty() ? uri : ownerUri,
                // Without a password only the embedded server lets anybody in: there each role is a login of its own.
                sealUri.isEmpty() ? uri.replace("://kehu_app@", "://kehu_seal@") : sealUri,
                group.path("dataFolder"),
                group.count("embeddedPort", "port number", 1, 65_535),
                group.millis("connectMillis", 100, 60_000),
                group.millis("lockTimeoutMillis", 10, 60_000),
                group.millis("idleInTransactionMillis", 100, 600_000),
                group.count("cachedStatements", "statements", 0, 10_000),
                pool(group.group("point")),
                pool(group.group("search")),
                pool(group.group("heavy")),
                pool(group.group("job")));
    }

    private static Pool pool(SettingsTree pool) {
        return new Pool(
                pool.count("size", "connections", 1, 1_000),
                pool.count("maxWaiting", "calls", 0, 100_000),
                pool.millis("statementTimeoutMillis", 10, 3_600_000));
    }

    private static Redis redis(SettingsTree group) {
        return new Redis(
                group.uri("uri", "redis", "rediss"),
                group.path("dataFolder"),
                group.count("embeddedPort", "port number", 1, 65_535),
                group.count("poolSize", "connections", 1, 1_000),
                group.count("maxWaiting", "commands", 0, 1_000_000),
                group.millis("timeoutMillis", 10, 60_000));
    }

    private static Blob blob(SettingsTree group) {
        SettingsTree s3 = group.group("s3");
        return new Blob(
                group.oneOf("kind", BlobKind.class),
                group.path("folder"),
                new S3(
                        s3.uri("endpoint", "https", "http"),
                        s3.text("region"),
                        s3.text("bucket"),
                        s3.text("accessKey"),
                        s3.text("secretKey")),
                group.count("maxUploadBytes", "bytes", 1, 1 << 30),
                group.count("unclaimedMinutes", "minutes", 1, 1_440));
    }

    /** What single values cannot say. */
    private void check() {
        must(
                http.tls.certificate.isEmpty() == http.tls.key.isEmpty(),
                "http.tls: certificate and key must both be set, or neither");
        must(
                http.tls.enabled() || loopback(http.host) || !http.trustedProxies.isEmpty(),
                "http.host: plain HTTP is served on a loopback address or behind http.trustedProxies only, not on "
                        + http.host + "; set http.tls.certificate and http.tls.key, or http.trustedProxies");
        must(
                jobs.heartbeatMillis * 2L <= jobs.leaseMillis,
                "jobs.heartbeatMillis: must be at most half of jobs.leaseMillis (" + jobs.leaseMillis
                        + " milliseconds), is " + jobs.heartbeatMillis);
        must(
                blob.kind == BlobKind.LOCAL
                        || !(blob.s3.endpoint.isEmpty() || blob.s3.bucket.isEmpty() || blob.s3.secretKey.isEmpty()),
                "blob.kind: s3 needs blob.s3.endpoint, blob.s3.bucket, blob.s3.accessKey and blob.s3.secretKey");
        Remote.from(tree).check();
        PasskeySettings.from(tree.group("auth").group("passkeys")).check(production());
        SecondFactor.from(tree);
        CustomerSettings.from(tree);
        must(
                !postgresql.embedded() || postgresql.ownerUri.isEmpty(),
                "postgresql.ownerUri: is set but postgresql.uri is not; set both, or neither for the embedded server");
        must(
                !postgresql.sealUri.contains("://kehu_app:"),
                "postgresql.sealUri: must be set where postgresql.uri signs in as kehu_app, which may not become kehu_seal");
        must(
                !(production() || cluster.enabled) || !(postgresql.embedded() || redis.embedded()),
                "postgresql.uri and redis.uri: must be set (KEHU_PG_URI, KEHU_REDIS_URI) in production mode and in a"
                        + " cluster; the embedded servers are for one node in demo mode");
        must(
                !production() || auth.argon2MemoryKib >= 47_104,
                "auth.argon2MemoryKib: must be at least 47104 KiB in production mode, is " + auth.argon2MemoryKib);
    }

    static void must(boolean holds, String line) {
        if (!holds) {
            throw new StartFailure(line);
        }
    }

    private static boolean loopback(String host) {
        return host.equals("localhost") || host.startsWith("127.") || host.equals("::1");
    }

    /** A URI as it may be shown: without its password. */
    public static String withoutPassword(String uri) {
        return uri.replaceAll("(?<=://)([^:/@\\s]*):[^/\\s]*@", "$1:***@")
                .replaceAll("(?i)([?&](?:password|sslpassword)=)[^&\\s]*", "$1***");
    }
}
