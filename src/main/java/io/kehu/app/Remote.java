package io.kehu.app;

import java.util.List;

/**
 * Settings of the servers of others: identity providers, directories, and what may be called at all. Checked here; read by
 * the domain that calls.
 */
record Remote(Oidc oidc, Ldap ldap, Codes codes, Outgoing outgoing) {

    private static final int SECRET_MIN = 32;

    public record Oidc(
            String name,
            String issuer,
            String clientId,
            String clientSecret,
            String redirectUri,
            String groupsClaim,
            boolean createStaff) {
        public boolean enabled() {
            return !name.isEmpty();
        }

        @Override
        public String toString() {
            return "Oidc[" + name + "]";
        }
    }

    public record Ldap(
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
            int workers,
            int queue) {
        public boolean enabled() {
            return !url.isEmpty();
        }

        @Override
        public String toString() {
            return "Ldap[" + url + "]";
        }
    }

    public record Codes(String gateway, String gatewaySecret) {
        @Override
        public String toString() {
            return "Codes[" + gateway + "]";
        }
    }

    public record Outgoing(List<String> networks, List<String> ports, String trust, int timeoutMillis, int maxBytes) {}

    static Remote from(SettingsTree root) {
        return new Remote(
                oidc(root.group("oidc")),
                ldap(root.group("ldap")),
                codes(root.group("codes")),
                outgoing(root.group("outgoing")));
    }

    private static Oidc oidc(SettingsTree oidc) {
        return new Oidc(
                oidc.text("name"),
                oidc.uri("issuer", "https"),
                oidc.text("clientId"),
                oidc.text("clientSecret"),
                oidc.uri("redirectUri", "https", "http"),
                oidc.text("groupsClaim"),
                oidc.bool("createStaff"));
    }

    private static Ldap ldap(SettingsTree ldap) {
        return new Ldap(
                ldap.uri("url", "ldaps", "ldap"),
                ldap.text("bindDn"),
                ldap.text("bindPassword"),
                ldap.text("baseDn"),
                ldap.text("userFilter"),
                ldap.name("idAttribute"),
                ldap.name("nameAttribute"),
                ldap.name("groupsAttribute"),
                ldap.bool("createStaff"),
                ldap.millis("timeoutMillis", 100, 60_000),
                ldap.count("workers", "threads", 1, 64),
                ldap.count("queue", "sign-ins", 1, 10_000));
    }

    private static Codes codes(SettingsTree codes) {
        return new Codes(codes.uri("gateway", "https"), codes.text("gatewaySecret"));
    }

    private static Outgoing outgoing(SettingsTree outgoing) {
        return new Outgoing(
                outgoing.list("networks", "[0-9a-fA-F.:]+/\\d{1,3}", "CIDR ranges like 10.0.0.0/8"),
                outgoing.list("ports", "[1-9][0-9]{0,4}", "port numbers"),
                outgoing.text("trust"),
                outgoing.millis("timeoutMillis", 100, 60_000),
                outgoing.count("maxBytes", "bytes", 1_024, 16 << 20));
    }

    /** What single values cannot say. */
    void check() {
        Settings.must(
                oidc.name.matches("([a-z][a-z0-9-]{0,39})?") && !oidc.name.equals("ldap"),
                "oidc.name: must be small letters, digits and hyphens, and not ldap");
        Settings.must(
                !oidc.enabled()
                        || !(oidc.issuer.isEmpty()
                                || oidc.clientId.isEmpty()
                                || oidc.clientSecret.isEmpty()
                                || oidc.redirectUri.isEmpty()),
                "oidc.name: is set, so oidc.issuer, oidc.clientId, oidc.clientSecret and oidc.redirectUri must be, too");
        Settings.must(
                !ldap.enabled()
                        || (ldap.userFilter.contains("{0}")
                                && !(ldap.bindDn.isEmpty() || ldap.bindPassword.isEmpty() || ldap.baseDn.isEmpty())),
                "ldap.url: is set, so ldap.bindDn, ldap.bindPassword and ldap.baseDn must be, too, and ldap.userFilter"
                        + " must hold {0}");
        Settings.must(
                codes.gateway.isEmpty() || codes.gatewaySecret.length() >= SECRET_MIN,
                "codes.gatewaySecret: must have 32 characters or more where codes.gateway is set");
    }
}
