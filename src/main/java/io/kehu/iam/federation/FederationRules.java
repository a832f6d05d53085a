package io.kehu.iam.federation;

import io.kehu.iam.staff.StaffPlace;
import java.text.Normalizer;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What groups make of a person. */
final class FederationRules {
    private static final int ROLES_MAX = 5;
    private static final int NAME_MAX = 80;
    /** As {@code createStaff} of the contract takes it. */
    private static final Pattern USERNAME = Pattern.compile("[a-z][a-z0-9._-]{1,31}");

    private FederationRules() {}

    /**
     * The roles of all groups together, and the one branch they name.
     *
     * @return empty where no role comes out, more than five, or not exactly one branch: then nobody guesses which was meant
     */
    static Optional<StaffPlace> place(Collection<GroupMapping> mappings) {
        Set<String> roles = new TreeSet<>();
        mappings.forEach(mapping -> roles.addAll(mapping.roles()));
        Set<UUID> branches = mappings.stream()
                .map(GroupMapping::branchId)
                .filter(Objects::nonNull)
                .collect(Collectors.toSet());
        return roles.isEmpty() || roles.size() > ROLES_MAX || branches.size() != 1
                ? Optional.empty()
                : Optional.of(
                        new StaffPlace(List.copyOf(roles), branches.iterator().next()));
    }

    /**
     * The sign-in name of a new account: what the source calls the person, up to an at sign.
     *
     * @return empty where that is no sign-in name here
     */
    static Optional<String> username(String there) {
        String text = Normalizer.normalize(there, Normalizer.Form.NFKC).strip().toLowerCase(Locale.ROOT);
        int at = text.indexOf('@');
        String name = at > 0 ? text.substring(0, at) : text;
        return USERNAME.matcher(name).matches() ? Optional.of(name) : Optional.empty();
    }

    /** The name of a new account: what the source says, as far as {@code createStaff} of the contract would take it. */
    static String name(String there, String otherwise) {
        String text = there.codePoints()
                .filter(c -> !Character.isISOControl(c) && Character.getType(c) != Character.FORMAT)
                .limit(NAME_MAX)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString()
                .strip();
        return text.isEmpty() ? otherwise : text;
    }
}
