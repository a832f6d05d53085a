package io.kehu.iam.grant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.bus.Principal;
import io.kehu.bus.Principal.Scope;
import io.kehu.bus.Problem;
import io.kehu.iam.grant.GrantRules.RoleFacts;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class GrantRulesTest {
    private static final UUID BRANCH = new UUID(1, 1);
    private static final OffsetDateTime NOW = OffsetDateTime.parse("2026-03-01T12:00:00Z");
    private static final List<String> WORDS = List.of("a:read", "b:read", "c:read", "d:read");

    private static Principal reviewer(Scope scope, Set<String> permissions, UUID... branches) {
        return new Principal(
                new UUID(0, 9),
                Principal.Audience.STAFF,
                null,
                1,
                "reviewer",
                BRANCH,
                permissions,
                scope,
                List.of(branches),
                List.of(),
                List.of(),
                0,
                Long.MAX_VALUE);
    }

    private static Gift gift(List<String> permissions, List<UUID> branches) {
        return new Gift(List.of(), permissions, branches, List.of(), null, NOW.plusDays(1), "why");
    }

    @Property
    void permissionsAreLentByThoseAloneWhoHaveThem(
            @ForAll @Size(max = 4) Set<Word> own,
            @ForAll @Size(max = 4) Set<Word> asked,
            @ForAll @Size(max = 4) Set<Word> role) {
        boolean has = own.containsAll(asked) && own.containsAll(role);
        Principal reviewer = reviewer(Scope.BRANCH, words(own), BRANCH);
        boolean exceeds = GrantRules.exceeds(
                reviewer,
                gift(List.copyOf(words(asked)), List.of()),
                List.of(new RoleFacts(List.copyOf(words(role)), Scope.BRANCH)),
                BRANCH);
        assertThat(exceeds).isEqualTo(!has);
    }

    enum Word {
        A,
        B,
        C,
        D
    }

    private static Set<String> words(Set<Word> words) {
        return Set.copyOf(words.stream().map(word -> WORDS.get(word.ordinal())).toList());
    }

    @Property
    void aRoleWithoutAPlaceBringsNoWiderScopeThanTheReviewers(
            @ForAll Scope own, @ForAll Scope brought, @ForAll boolean placed) {
        Principal reviewer = reviewer(own, Set.of(), own == Scope.BRANCH ? new UUID[] {BRANCH} : new UUID[0]);
        boolean exceeds = GrantRules.exceeds(
                reviewer,
                gift(List.of(), placed && own == Scope.BRANCH ? List.of(BRANCH) : List.of()),
                List.of(new RoleFacts(List.of(), brought)),
                BRANCH);
        boolean fits =
                brought == Scope.NONE || own == Scope.ALL || (own == Scope.BRANCH && (brought != Scope.ALL || placed));
        assertThat(exceeds).isEqualTo(!fits);
    }

    @Test
    void whoManagesStaffIsNotAskedWhatHeHas() {
        Gift all = gift(List.of("a:read"), List.of(new UUID(7, 7)));
        assertThat(GrantRules.exceeds(reviewer(Scope.NONE, Set.of("staff:manage")), all, List.of(), BRANCH))
                .isFalse();
    }

    @Test
    void aPeriodLiesAheadAndWithinAYear() {
        GrantRules.mustLieAhead(NOW, NOW.plusDays(366), NOW);
        GrantRules.mustLieAhead(NOW.plusDays(10), NOW.plusDays(11), NOW);
        for (OffsetDateTime until :
                List.of(NOW, NOW.minusSeconds(1), NOW.plusDays(366).plusNanos(1))) {
            assertThatThrownBy(() -> GrantRules.mustLieAhead(NOW, until, NOW)).isInstanceOf(Problem.class);
        }
        assertThatThrownBy(() -> GrantRules.mustLieAhead(NOW.plusDays(2), NOW.plusDays(2), NOW))
                .isInstanceOf(Problem.class);
    }
}
