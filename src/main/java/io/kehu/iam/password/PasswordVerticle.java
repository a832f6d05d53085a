package io.kehu.iam.password;

import io.kehu.bus.Operations;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Sessions;
import io.kehu.iam.staff.StaffEntry;
import io.kehu.iam.staff.StaffVerticle;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.Duration;

/** The operations of the tag iam.password. */
public final class PasswordVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        PasswordStore store = new PasswordStore(kernel.database(), Sessions.of(kernel));
        PasswordService service = new PasswordService(
                kernel.database(), store, kernel.passwords(), StaffVerticle.passwordRules(kernel), Attempts.of(kernel));
        ResetService resets = new ResetService(
                kernel.database(),
                store,
                StaffEntry.of(kernel),
                service,
                kernel.passwords(),
                Attempts.of(kernel),
                Duration.ofMinutes(kernel.number("auth.resetMinutes")));
        return Operations.at("iam.password")
                .on("changePassword", service::change)
                .on("resetStaffPassword", resets::make)
                .on("redeemPasswordReset", resets::redeem)
                .on("resetStaffFactors", resets::factors);
    }
}
