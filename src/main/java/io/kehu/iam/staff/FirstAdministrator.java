package io.kehu.iam.staff;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.PasswordRules;
import io.kehu.crypto.Passwords;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Makes an administrator from the command line, for a bank that has none yet or whose administrators are all shut out:
 * whoever runs it holds the database and the keys anyway. Makes the head office too where there is no branch.
 */
final class FirstAdministrator {
    private static final Pattern USERNAME = Pattern.compile("[a-z][a-z0-9._-]{1,31}");
    private static final long TIMEOUT_MILLIS = 20_000;

    private FirstAdministrator() {}

    /**
     * Makes the administrator at the head office; the password must be changed at the first sign-in.
     *
     * @param given the password, or null for a random one
     * @return the password. Fails with staff.usernameTaken, or request.invalid for a name or password that will not do
     */
    static Future<String> create(
            Database database,
            StaffStore store,
            Passwords passwords,
            PasswordRules rules,
            String username,
            @Nullable String given) {
        if (!USERNAME.matcher(username).matches()) {
            return Future.failedFuture(Problem.at("username", "field.pattern"));
        }
        String password = given == null ? StaffService.randomPassword(rules) : given;
        List<Problem.FieldError> faults = rules.faults("password", password, false, username);
        if (!faults.isEmpty()) {
            return Future.failedFuture(Problem.invalid(faults));
        }
        return passwords
                .hash(password)
                .compose(hash -> database.write(
                        Call.internal("createAdministrator", Call.Lane.POINT, TIMEOUT_MILLIS),
                        tx -> store.headOffice(tx, Ids.next())
                                .compose(head -> store.insert(tx, administrator(username, head), hash))
                                .map(staff -> {
                                    tx.kind("grant");
                                    tx.event(Event.of("staff.created", staff.id(), staff.version(), "staff:read")
                                            .within(staff.branchId(), null));
                                    return Reply.empty();
                                })))
                .map(password);
    }

    private static Staff administrator(String username, UUID branch) {
        return new Staff(
                Ids.next(),
                username,
                username,
                null,
                branch,
                List.of("administrator"),
                "active",
                true,
                1,
                OffsetDateTime.MIN);
    }
}
