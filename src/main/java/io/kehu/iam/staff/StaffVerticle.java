package io.kehu.iam.staff;

import io.kehu.bus.Operations;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import java.util.function.UnaryOperator;

/** The operations of the tag iam.staff. */
public final class StaffVerticle extends VerticleBase {
    private final StaffService service;

    /**
     * Serves staff and roles.
     *
     * @param profile what a password must be
     * @param mac keyed hash for cursors
     */
    public StaffVerticle(
            Database database, Vault vault, Passwords passwords, Passwords.Profile profile, UnaryOperator<byte[]> mac) {
        this.service = new StaffService(database, new StaffStore(database, vault), vault, passwords, profile, mac);
    }

    @Override
    public Future<?> start() {
        return Operations.at("iam.staff")
                .on("listStaff", service::list)
                .on("getStaff", service::get)
                .on("createStaff", service::create)
                .on("changeStaff", service::change)
                .on("listRoles", service::roles)
                .serve(vertx);
    }
}
