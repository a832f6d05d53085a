package io.kehu.iam.role;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** SQL of roles. */
final class RoleStore {
    private static final String COLUMNS =
            "id, code, name_en, name_zh, scope, permissions, second_factor, built_in, version, valid_from";
    private static final String LIST = "SELECT " + COLUMNS + " FROM iam.role ORDER BY code";
    private static final String FIND = "SELECT " + COLUMNS + " FROM iam.role WHERE code = $1";
    private static final String FIND_AS_OF =
            "SELECT " + COLUMNS + " FROM iam.role_all WHERE code = $1 AND valid_from <= $2 AND valid_to > $2";
    private static final String LOCK = FIND + " FOR UPDATE";
    private static final String LOCK_RIGHTS = "SELECT iam.lock_rights()";
    /** Also what a grant brings, now or later. */
    private static final String HOLDS = "SELECT $1 = ANY (iam.role_holders($2)) AS holds";

    private static final String INSERT = """
            INSERT INTO iam.role (id, code, name_en, name_zh, scope, permissions, second_factor)
            VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, iam.wants_factor($6)))
            RETURNING\s""" + COLUMNS;
    private static final String UPDATE = """
            UPDATE iam.role SET name_en = $2, name_zh = $3, scope = $4, permissions = $5,
                second_factor = coalesce($6, second_factor OR (iam.wants_factor($5) AND NOT iam.wants_factor(permissions)))
            WHERE id = $1
            RETURNING\s""" + COLUMNS;
    private static final String DELETE = "DELETE FROM iam.role WHERE id = $1";

    private final Database database;

    RoleStore(Database database) {
        this.database = database;
    }

    Future<List<Role>> list(Call call) {
        return database.query(call, LIST, Tuple.tuple()).map(rows -> {
            List<Role> roles = new ArrayList<>();
            rows.forEach(row -> roles.add(Role.from(row)));
            return roles;
        });
    }

    Future<Role> find(Call call, @Nullable OffsetDateTime asOf) {
        String code = call.text("roleCode");
        return (asOf == null
                        ? database.row(call, FIND, Tuple.of(code), "role.notFound")
                        : database.row(call, FIND_AS_OF, Tuple.of(code, asOf), "role.notFound"))
                .map(Role::from);
    }

    /** Before any row: changes of rights stand in one line. */
    Future<Void> lock(Tx tx) {
        return tx.query(LOCK_RIGHTS, Tuple.tuple()).mapEmpty();
    }

    Future<Role> locked(Tx tx) {
        return tx.row(LOCK, Tuple.of(tx.call().text("roleCode")), "role.notFound")
                .map(Role::from);
    }

    /** Whether the caller himself holds a role. */
    Future<Boolean> holds(Tx tx, String code) {
        return tx.query(HOLDS, Tuple.of(tx.principal().subject(), code))
                .map(rows -> rows.iterator().next().getBoolean("holds"));
    }

    Future<Role> insert(Tx tx, Role role) {
        return tx.row(
                        INSERT,
                        Tuple.of(
                                role.id(),
                                role.code(),
                                role.nameEn(),
                                role.nameZh(),
                                role.scope().name(),
                                role.permissions().toArray(String[]::new),
                                role.secondFactor()),
                        "server.failure")
                .map(Role::from);
    }

    Future<Role> update(Tx tx, Role role) {
        return tx.row(
                        UPDATE,
                        Tuple.of(
                                role.id(),
                                role.nameEn(),
                                role.nameZh(),
                                role.scope().name(),
                                role.permissions().toArray(String[]::new),
                                role.secondFactor()),
                        "role.notFound")
                .map(Role::from);
    }

    Future<Void> delete(Tx tx, Role role) {
        return tx.query(DELETE, Tuple.of(role.id())).mapEmpty();
    }
}
