package io.kehu.iam.federation;

import java.util.Set;

/**
 * Who somebody is, as a server says that we trust.
 *
 * @param source the name of the identity provider in the settings, or ldap: whose groups these are
 * @param issuer who says so
 * @param subject the person there, for ever; together with the issuer the only key
 * @param username what the person would like to be called here, if there is an account to be made
 * @param name of the person; class C2
 * @param groups as the source names them
 * @param welcome whether somebody unknown becomes staff
 * @param secondFactor whether the source has seen a second factor of the person now
 */
record Identity(
        String source,
        String issuer,
        String subject,
        String username,
        String name,
        Set<String> groups,
        boolean welcome,
        boolean secondFactor) {
    static final int GROUPS_MAX = 1_000;

    Identity {
        groups = Set.copyOf(groups);
    }

    @Override
    public String toString() {
        return "Identity[" + source + "]"; // nothing of the person in a log
    }
}
