package io.kehu.iam.staff;

import io.kehu.bus.Operations;
import io.kehu.crypto.PasswordRules;
import io.kehu.crypto.Passwords;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The operations of the tag iam.staff, and the demo users where the mode has them. */
public final class StaffVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        StaffService service = new StaffService(
                kernel.database(),
                new StaffStore(kernel.database(), kernel.vault()),
                kernel.vault(),
                kernel.passwords(),
                passwordRules(kernel),
                kernel::cursorMac);
        return Operations.at("iam.staff")
                .on("listStaff", service::list)
                .on("getStaff", service::get)
                .on("createStaff", service::create)
                .on("changeStaff", service::change);
    }

    /** Demo users have a public password: made in an empty database of demo and test mode, never served elsewhere. */
    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        StaffStore store = new StaffStore(kernel.database(), kernel.vault());
        String mode = kernel.text("mode").toLowerCase(Locale.ROOT);
        if (!mode.equals("production")) {
            return DemoStaff.seed(kernel.database(), store, kernel.passwords())
                    .map(made -> mode.equals("demo") ? DemoStaff.greeting() : List.of());
        }
        return DemoStaff.exist(store)
                .compose(there -> there
                        ? Future.failedFuture(new Domain.Unfit("mode: this database holds demo users, whose password"
                                + " everybody knows; production needs a database of its own"))
                        : Future.succeededFuture(List.of()));
    }

    @Override
    public Future<@Nullable String> administrator(Kernel kernel, String username, @Nullable String password) {
        return FirstAdministrator.create(
                        kernel.database(),
                        new StaffStore(kernel.database(), kernel.vault()),
                        kernel.passwords(),
                        passwordRules(kernel),
                        username,
                        password)
                .map(made -> made);
    }

    /** What a new password of a member of staff must be. */
    public static PasswordRules passwordRules(Kernel kernel) {
        List<String> words = new ArrayList<>();
        kernel.settings().apply("auth.passwordWords").forEach(word -> words.add(word.asText()));
        return new PasswordRules(profile(kernel), words, kernel.number("auth.passwordFormer"));
    }

    public static Passwords.Profile profile(Kernel kernel) {
        return Passwords.Profile.valueOf(kernel.text("auth.passwordProfile").toUpperCase(Locale.ROOT));
    }
}
