package io.kehu.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.bus.Principal;
import io.kehu.bus.Principal.Scope;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** One text of SQL per shape of scope; who was given nothing has the text of everybody. */
class WhereTest {
    private static final UUID SELF = new UUID(0, 7);
    private static final UUID BRANCH = new UUID(0, 8);
    private static final UUID CUSTOMER = new UUID(0, 9);

    private static Principal caller(Scope scope, List<UUID> branches, List<UUID> customers) {
        return new Principal(
                SELF,
                Principal.Audience.STAFF,
                null,
                1,
                "caller",
                BRANCH,
                Set.of(),
                scope,
                branches,
                customers,
                List.of(),
                0,
                Long.MAX_VALUE);
    }

    private static String text(Scope scope, List<UUID> branches, List<UUID> customers) {
        return Where.inScopeOf(caller(scope, branches, customers), "c.branch_id", "c.manager_id", "c.id")
                .and("c.kind = ?", "person")
                .sql();
    }

    @Test
    void withoutGrantsAScopeIsOneCondition() {
        assertThat(text(Scope.ALL, List.of(), List.of())).isEqualTo("WHERE c.kind = $1");
        assertThat(text(Scope.BRANCH, List.of(BRANCH), List.of())).isEqualTo("WHERE c.branch_id = $1 AND c.kind = $2");
        assertThat(text(Scope.BRANCH, List.of(BRANCH, SELF), List.of()))
                .isEqualTo("WHERE c.branch_id = ANY($1) AND c.kind = $2");
        assertThat(text(Scope.OWN, List.of(), List.of())).isEqualTo("WHERE c.manager_id = $1 AND c.kind = $2");
        assertThat(text(Scope.NONE, List.of(), List.of())).isEqualTo("WHERE false AND c.kind = $1");
    }

    @Test
    void whatWasGivenIsAnotherWayIn() {
        assertThat(text(Scope.OWN, List.of(BRANCH), List.of()))
                .isEqualTo("WHERE (c.manager_id = $1 OR c.branch_id = $2) AND c.kind = $3");
        assertThat(text(Scope.BRANCH, List.of(BRANCH), List.of(CUSTOMER)))
                .isEqualTo("WHERE (c.branch_id = $1 OR c.id = $2) AND c.kind = $3");
        assertThat(text(Scope.OWN, List.of(BRANCH), List.of(CUSTOMER, SELF)))
                .isEqualTo("WHERE (c.manager_id = $1 OR c.branch_id = $2 OR c.id = ANY($3)) AND c.kind = $4");
        assertThat(text(Scope.ALL, List.of(BRANCH), List.of(CUSTOMER))).isEqualTo("WHERE c.kind = $1");
        assertThat(text(Scope.NONE, List.of(), List.of(CUSTOMER))).isEqualTo("WHERE false AND c.kind = $1");
    }

    @Test
    void customersGivenOneByOneOpenNothingElse() {
        Where staff = Where.inScopeOf(caller(Scope.OWN, List.of(), List.of(CUSTOMER)), "s.branch_id", "s.id");
        assertThat(staff.sql()).isEqualTo("WHERE s.id = $1");
    }
}
