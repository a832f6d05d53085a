package io.kehu.iam.federation;

import com.unboundid.ldap.listener.InMemoryDirectoryServer;
import com.unboundid.ldap.listener.InMemoryDirectoryServerConfig;
import com.unboundid.ldap.listener.InMemoryListenerConfig;
import com.unboundid.ldap.sdk.Entry;
import com.unboundid.ldap.sdk.LDAPException;
import com.unboundid.ldap.sdk.Modification;
import com.unboundid.ldap.sdk.ModificationType;
import com.unboundid.ldap.sdk.OperationType;
import io.kehu.TestCertificate;
import java.net.InetAddress;
import java.util.HashMap;
import java.util.Map;

/** A directory of the test's own; nobody reads it without a name, and it takes passwords over TLS only. */
public final class TestDirectory implements AutoCloseable {
    static final String BASE = "ou=people,dc=bank,dc=example";
    private static final String READER = "cn=kehu,dc=bank,dc=example";
    private static final String READER_PASSWORD = "reader-password";
    private final InMemoryDirectoryServer server;
    private final TestCertificate certificate;

    private TestDirectory(InMemoryDirectoryServer server, TestCertificate certificate) {
        this.server = server;
        this.certificate = certificate;
    }

    public static TestDirectory start(TestCertificate certificate) {
        try {
            InMemoryDirectoryServerConfig config = new InMemoryDirectoryServerConfig("dc=bank,dc=example");
            config.setSchema(null);
            config.addAdditionalBindCredentials(READER, READER_PASSWORD);
            config.setAuthenticationRequiredOperationTypes(OperationType.SEARCH, OperationType.COMPARE);
            config.setListenerConfigs(InMemoryListenerConfig.createLDAPConfig(
                    "ldap",
                    InetAddress.getLoopbackAddress(),
                    0,
                    certificate.forServer().getSocketFactory()));
            InMemoryDirectoryServer server = new InMemoryDirectoryServer(config);
            server.add(entry("dc=bank,dc=example", "domain"));
            server.add(entry(BASE, "organizationalUnit"));
            server.startListening();
            return new TestDirectory(server, certificate);
        } catch (LDAPException e) {
            throw new IllegalStateException(e);
        }
    }

    public Map<String, String> settings() {
        return new HashMap<>(Map.of(
                "KEHU_LDAP_URL",
                "ldap://127.0.0.1:" + server.getListenPort(),
                "KEHU_LDAP_BIND_DN",
                READER,
                "KEHU_LDAP_BIND_PASSWORD",
                READER_PASSWORD,
                "KEHU_LDAP_BASE_DN",
                BASE,
                "KEHU_LDAP_CREATE_STAFF",
                "true",
                "KEHU_OUTGOING_TRUST",
                certificate.pem()));
    }

    private static Entry entry(String dn, String kind) {
        Entry entry = new Entry(dn);
        entry.addAttribute("objectClass", kind);
        return entry;
    }

    /** Somebody with this password, in these groups. */
    public void add(String uid, String password, String... groups) {
        try {
            Entry entry = entry("uid=" + uid + "," + BASE, "inetOrgPerson");
            entry.addAttribute("uid", uid);
            entry.addAttribute("cn", "目录用户");
            entry.addAttribute("userPassword", password);
            entry.addAttribute("memberOf", groups);
            server.add(entry);
        } catch (LDAPException e) {
            throw new IllegalStateException(e);
        }
    }

    void groups(String uid, String... groups) {
        try {
            server.modify("uid=" + uid + "," + BASE, new Modification(ModificationType.REPLACE, "memberOf", groups));
        } catch (LDAPException e) {
            throw new IllegalStateException(e);
        }
    }

    void stop() {
        server.shutDown(true);
    }

    @Override
    public void close() {
        stop();
    }
}
