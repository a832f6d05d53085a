package io.kehu.iam.password;

import io.vertx.sqlclient.Row;
import java.util.UUID;

/**
 * What is needed to change the password of a member of staff.
 *
 * @param hash of the password that opens it now
 * @param secondFactor whether signing in asks for a second factor too
 */
record Account(UUID id, String username, String hash, boolean active, boolean secondFactor) {
    static final String COLUMNS =
            "s.id, s.username, s.password_hash, s.state, iam.staff_has_factor(s.id) AS has_factor";

    static Account from(Row row) {
        return new Account(
                row.getUUID("id"),
                row.getString("username"),
                row.getString("password_hash"),
                row.getString("state").equals("active"),
                row.getBoolean("has_factor"));
    }

    @Override
    public String toString() {
        return "Account";
    }
}
