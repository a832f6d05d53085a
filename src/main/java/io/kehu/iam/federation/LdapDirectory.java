package io.kehu.iam.federation;

import io.kehu.bus.Problem;
import io.vertx.core.Future;
import io.vertx.core.WorkerExecutor;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Hashtable;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import javax.naming.AuthenticationException;
import javax.naming.Context;
import javax.naming.NamingEnumeration;
import javax.naming.NamingException;
import javax.naming.OperationNotSupportedException;
import javax.naming.directory.Attribute;
import javax.naming.directory.Attributes;
import javax.naming.directory.SearchControls;
import javax.naming.directory.SearchResult;
import javax.naming.ldap.InitialLdapContext;
import javax.naming.ldap.LdapContext;
import javax.naming.ldap.StartTlsRequest;
import javax.naming.ldap.StartTlsResponse;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The bank's directory: an account of ours looks a person up, then a bind as the person proves the password (RFC 4513). Only
 * over TLS: ldaps, or StartTLS before anything else. Blocks, so it runs on workers of its own, of which there is a bounded
 * queue.
 */
final class LdapDirectory {
    private static final Logger LOG = LoggerFactory.getLogger(LdapDirectory.class);
    /** The issuer of identities, and the source of groups. */
    static final String SOURCE = "ldap";

    private final Settings settings;
    private final WorkerExecutor workers;
    private final AtomicInteger waiting = new AtomicInteger();
    private final @Nullable SSLSocketFactory sockets;

    /**
     * Where the directory is and how people stand in it.
     *
     * @param userFilter RFC 4515, with {0} for the name
     * @param trust PEM file with the authorities that StartTLS trusts, or empty for those of Java
     * @param queue looks that may run or wait
     */
    record Settings(
            String url,
            String bindDn,
            String bindPassword,
            String baseDn,
            String userFilter,
            String idAttribute,
            String nameAttribute,
            String groupsAttribute,
            boolean createStaff,
            int timeoutMillis,
            int queue,
            String trust) {
        @Override
        public String toString() {
            return "LdapDirectory[" + url + "]";
        }
    }

    /** A connection, and what has to be closed before it. */
    private record Line(LdapContext context, @Nullable StartTlsResponse tls) implements AutoCloseable {
        @Override
        public void close() {
            try {
                if (tls != null) {
                    tls.close();
                }
                context.close();
            } catch (IOException | NamingException e) {
                LOG.debug("a connection to the directory was not closed in order");
            }
        }
    }

    private record Entry(String dn, Attributes attributes) {}

    LdapDirectory(Settings settings, WorkerExecutor workers) {
        this.settings = settings;
        this.workers = workers;
        this.sockets = settings.trust.isEmpty() ? null : trusting(Path.of(settings.trust));
    }

    private static SSLSocketFactory trusting(Path pem) {
        try (InputStream in = Files.newInputStream(pem)) {
            KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
            trusted.load(null, null);
            int n = 0;
            for (Certificate certificate :
                    CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                trusted.setCertificateEntry("authority" + n++, certificate);
            }
            TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            managers.init(trusted);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, managers.getTrustManagers(), null);
            return context.getSocketFactory();
        } catch (IOException | GeneralSecurityException e) {
            throw new IllegalStateException("outgoing.trust: no certificates can be read from " + pem, e);
        }
    }

    /**
     * Who has this name and password; empty where nobody has. Looks up and binds in any case, so that the time says nothing.
     * Problems: auth.providerUnavailable, request.tooManyRequests.
     *
     * @param free false for a locked account, whose password is not looked at: somebody else's bind takes its time
     */
    Future<Optional<Identity>> identity(String username, String password, boolean free) {
        if (waiting.incrementAndGet() > settings.queue) {
            waiting.decrementAndGet();
            return Future.failedFuture(Problem.of("request.tooManyRequests", "1"));
        }
        return workers.executeBlocking(() -> look(username, password, free), false)
                .onComplete(done -> waiting.decrementAndGet())
                .recover(failure -> {
                    LOG.warn("the directory cannot be used: {}", failure.toString());
                    return Future.failedFuture(Problem.of("auth.providerUnavailable"));
                });
    }

    private Optional<Identity> look(String username, String password, boolean free)
            throws NamingException, IOException {
        Optional<Entry> found = find(username);
        // RFC 4513, section 5.1.2: a bind with a name and no password succeeds and proves nothing.
        boolean possible = free && !password.isEmpty();
        String dn = possible && found.isPresent() ? found.get().dn : "cn=" + UUID.randomUUID() + "," + settings.baseDn;
        boolean right = binds(dn, password.isEmpty() ? "none" : password);
        return found.isPresent() && possible && right
                ? Optional.of(identity(username, found.get().attributes))
                : Optional.empty();
    }

    /**
     * Asks for texts of one entry and for no object: nothing is made of what the answer holds, which is what makes JNDI
     * dangerous elsewhere.
     */
    @SuppressWarnings("BanJNDI")
    private Optional<Entry> find(String username) throws NamingException, IOException {
        try (Line line = connect()) {
            bind(line.context, settings.bindDn, settings.bindPassword);
            SearchControls controls = new SearchControls(
                    SearchControls.SUBTREE_SCOPE,
                    2,
                    settings.timeoutMillis,
                    new String[] {settings.idAttribute, settings.nameAttribute, settings.groupsAttribute},
                    false,
                    false);
            // The arguments of a filter are escaped as RFC 4515 asks.
            NamingEnumeration<SearchResult> results =
                    line.context.search(settings.baseDn, settings.userFilter, new Object[] {username}, controls);
            Optional<Entry> only = Optional.empty();
            int found = 0;
            while (found < 2 && results.hasMore()) {
                SearchResult result = results.next();
                only = Optional.of(new Entry(result.getNameInNamespace(), result.getAttributes()));
                found++;
            }
            // Two people of one name are nobody.
            return found == 1 ? only : Optional.empty();
        }
    }

    private boolean binds(String dn, String password) throws NamingException, IOException {
        try (Line line = connect()) {
            bind(line.context, dn, password);
            return true;
        } catch (AuthenticationException | OperationNotSupportedException e) {
            // Wrong, or an account that the directory has shut.
            return false;
        }
    }

    /** Without a name yet: nothing is said before the line is safe. */
    @SuppressWarnings("JdkObsolete") // JNDI takes nothing else
    private Line connect() throws NamingException, IOException {
        Hashtable<String, String> environment = new Hashtable<>();
        environment.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.ldap.LdapCtxFactory");
        environment.put(Context.PROVIDER_URL, settings.url);
        environment.put(Context.SECURITY_AUTHENTICATION, "none");
        environment.put(Context.REFERRAL, "ignore");
        environment.put("java.naming.ldap.version", "3");
        environment.put("java.naming.ldap.attributes.binary", "objectGUID");
        environment.put("com.sun.jndi.ldap.connect.timeout", Integer.toString(settings.timeoutMillis));
        environment.put("com.sun.jndi.ldap.read.timeout", Integer.toString(settings.timeoutMillis));
        LdapContext context = new InitialLdapContext(environment, null);
        if (settings.url.startsWith("ldaps:")) {
            return new Line(context, null);
        }
        try {
            StartTlsResponse tls = (StartTlsResponse) context.extendedOperation(new StartTlsRequest());
            if (sockets == null) {
                tls.negotiate();
            } else {
                tls.negotiate(sockets);
            }
            return new Line(context, tls);
        } catch (NamingException | IOException e) {
            context.close();
            throw e;
        }
    }

    private static void bind(LdapContext context, String dn, String password) throws NamingException {
        context.addToEnvironment(Context.SECURITY_AUTHENTICATION, "simple");
        context.addToEnvironment(Context.SECURITY_PRINCIPAL, dn);
        context.addToEnvironment(Context.SECURITY_CREDENTIALS, password);
        context.reconnect(null);
    }

    private Identity identity(String username, Attributes attributes) throws NamingException {
        String id = text(attributes.get(settings.idAttribute));
        if (id == null) {
            throw new NamingException("an entry has no " + settings.idAttribute);
        }
        String name = text(attributes.get(settings.nameAttribute));
        Set<String> groups = new LinkedHashSet<>();
        Attribute memberships = attributes.get(settings.groupsAttribute);
        for (int i = 0; memberships != null && i < memberships.size() && i < Identity.GROUPS_MAX; i++) {
            groups.add(text(memberships.get(i)));
        }
        return new Identity(
                SOURCE, SOURCE, id, username, name == null ? username : name, groups, settings.createStaff, false);
    }

    private static @Nullable String text(@Nullable Attribute attribute) throws NamingException {
        return attribute == null || attribute.size() == 0 ? null : text(attribute.get(0));
    }

    private static String text(Object value) {
        return value instanceof byte[] bytes ? HexFormat.of().formatHex(bytes) : value.toString();
    }
}
