package io.kehu.iam.federation;

import io.kehu.bus.Operations;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Sessions;
import io.kehu.iam.session.SignIn;
import io.kehu.iam.staff.StaffEntry;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.kehu.outgoing.Outgoing;
import org.jspecify.annotations.Nullable;

/** The operations of the tag iam.federation. */
public final class FederationVerticle implements Domain {
    /** Threads that check signatures of id tokens: about a millisecond each. */
    private static final int VERIFIERS = 1;

    @Override
    public Operations operations(Kernel kernel) {
        FederationService service = new FederationService(
                kernel.database(),
                new FederationStore(kernel.database()),
                StaffEntry.of(kernel),
                kernel.vault(),
                Sessions.of(kernel),
                SignIn.of(kernel),
                Attempts.of(kernel),
                provider(kernel),
                directory(kernel));
        return Operations.at("iam.federation")
                .on("getGroupMappings", service::mappings)
                .on("replaceGroupMappings", service::replaceMappings)
                .on("startOidc", service::startOidc)
                .on("finishOidc", service::finishOidc)
                .on("loginLdap", service::loginLdap);
    }

    private static @Nullable OidcProvider provider(Kernel kernel) {
        if (kernel.text("oidc.name").isEmpty()) {
            return null;
        }
        return new OidcProvider(
                new OidcProvider.Settings(
                        kernel.text("oidc.name"),
                        kernel.text("oidc.issuer"),
                        kernel.text("oidc.clientId"),
                        kernel.text("oidc.clientSecret"),
                        kernel.text("oidc.redirectUri"),
                        kernel.text("oidc.groupsClaim"),
                        kernel.settings().apply("oidc.createStaff").asBoolean()),
                new Outgoing(kernel.vertx(), Outgoing.Options.of(kernel.settings())),
                kernel.vertx().createSharedWorkerExecutor("kehu-oidc", VERIFIERS),
                kernel.clock());
    }

    private static @Nullable LdapDirectory directory(Kernel kernel) {
        if (kernel.text("ldap.url").isEmpty()) {
            return null;
        }
        return new LdapDirectory(
                new LdapDirectory.Settings(
                        kernel.text("ldap.url"),
                        kernel.text("ldap.bindDn"),
                        kernel.text("ldap.bindPassword"),
                        kernel.text("ldap.baseDn"),
                        kernel.text("ldap.userFilter"),
                        kernel.text("ldap.idAttribute"),
                        kernel.text("ldap.nameAttribute"),
                        kernel.text("ldap.groupsAttribute"),
                        kernel.settings().apply("ldap.createStaff").asBoolean(),
                        kernel.number("ldap.timeoutMillis"),
                        kernel.number("ldap.queue"),
                        kernel.text("outgoing.trust")),
                kernel.vertx().createSharedWorkerExecutor("kehu-ldap", kernel.number("ldap.workers")));
    }
}
