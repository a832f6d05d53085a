package io.kehu.bus;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.bus.Principal.Scope;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class PrincipalTest {
    private static final UUID SELF = new UUID(0, 1);
    private static final UUID OTHER = new UUID(0, 2);
    private static final UUID HERE = new UUID(1, 1);
    private static final UUID THERE = new UUID(1, 2);
    private static final UUID GIVEN = new UUID(2, 1);
    private static final UUID NOT_GIVEN = new UUID(2, 2);

    private static Principal caller(Scope scope, List<UUID> branches, List<UUID> customers) {
        return new Principal(
                SELF,
                Principal.Audience.STAFF,
                null,
                1,
                "caller",
                HERE,
                Set.of("customer:read"),
                scope,
                branches,
                customers,
                List.of(Network.of("10.0.0.0/8")),
                5,
                Long.MAX_VALUE);
    }

    @Property
    void whatLiesWithinTheScopeIsSeenAndNothingElse(
            @ForAll Scope scope,
            @ForAll boolean branchGiven,
            @ForAll boolean customerGiven,
            @ForAll boolean isHere,
            @ForAll boolean isOwn,
            @ForAll boolean isGiven) {
        Principal caller =
                caller(scope, branchGiven ? List.of(HERE) : List.of(), customerGiven ? List.of(GIVEN) : List.of());
        boolean byBranch = branchGiven && isHere && scope != Scope.NONE;
        boolean expected = scope == Scope.ALL || byBranch || (scope == Scope.OWN && isOwn);
        UUID branch = isHere ? HERE : THERE;
        UUID owner = isOwn ? SELF : OTHER;
        assertThat(caller.sees(branch, owner)).isEqualTo(expected);
        assertThat(caller.sees(isGiven ? GIVEN : NOT_GIVEN, branch, owner))
                .isEqualTo(expected || (customerGiven && isGiven && scope != Scope.NONE));
    }

    @Test
    void aPrincipalTravelsWhole() {
        Principal caller = caller(Scope.OWN, List.of(HERE), List.of(GIVEN));
        assertThat(Json.read(Json.bytes(caller), Principal.class)).isEqualTo(caller);
    }

    /** Jobs keep who asked for them; one that an older version wrote says nothing of grants. */
    @Test
    void aPrincipalOfAnOlderVersionHasNoGrants() {
        String stored = """
                {"subject": "%s", "audience": "STAFF", "session": null, "version": 1, "name": "caller", "branchId": null,
                 "permissions": ["customer:import"], "scope": "OWN", "branchIds": [], "networks": [], "factorAt": 0}""".formatted(SELF);
        Principal read = Json.read(stored.getBytes(StandardCharsets.UTF_8), Principal.class);
        assertThat(read.customers()).isEmpty();
        assertThat(read.may("customer:import")).isTrue();
    }
}
