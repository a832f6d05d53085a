package io.kehu.job;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** What somebody may do now in whose name work is done; it may be less, or more, than when he asked for it. */
public final class Standing {
    /** What {@code iam} publishes: one row for somebody who works here, none otherwise. */
    public static final String STANDING = """
            SELECT version, name, branch_id, permissions, scope, branch_ids, customer_ids FROM iam.standing($1)""";

    private final Database database;

    Standing(Database database) {
        this.database = database;
    }

    /** The same person today. Who has left may do nothing and sees nothing; Kehu itself stays what it is. */
    Future<Principal> of(Principal then) {
        return then.subject().equals(Principal.SYSTEM)
                ? Future.succeededFuture(then)
                : database.query(Call.Lane.JOB, STANDING, Tuple.of(then.subject()))
                        .map(rows -> rows.size() == 0
                                ? without(then)
                                : with(
                                        then.subject(),
                                        then.audience(),
                                        then.session(),
                                        rows.iterator().next()));
    }

    private static Principal without(Principal then) {
        return new Principal(
                then.subject(),
                then.audience(),
                then.session(),
                then.version(),
                then.name(),
                then.branchId(),
                Set.of(),
                Principal.Scope.NONE,
                List.of(),
                List.of(),
                List.of(),
                0,
                Long.MAX_VALUE);
    }

    /** A member of staff who works without being signed in, from his row of {@link #STANDING}. */
    public static Principal ofStaff(UUID staff, Row row) {
        return with(staff, Principal.Audience.STAFF, null, row);
    }

    private static Principal with(UUID subject, Principal.Audience audience, @Nullable UUID session, Row row) {
        return new Principal(
                subject,
                audience,
                session,
                row.getLong("version"),
                row.getString("name"),
                row.getUUID("branch_id"),
                Set.of(row.getArrayOfStrings("permissions")),
                Principal.Scope.valueOf(row.getString("scope")),
                List.of(row.getArrayOfUUIDs("branch_ids")),
                List.of(row.getArrayOfUUIDs("customer_ids")),
                List.of(),
                0,
                Long.MAX_VALUE);
    }
}
