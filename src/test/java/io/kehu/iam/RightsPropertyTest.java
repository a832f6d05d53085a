package io.kehu.iam;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.sql.Array;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Collectors;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** What somebody may do, by SQL and by a model of a few lines; and that nobody ever holds what must stay apart. */
class RightsPropertyTest {
    private static final List<String> WORDS = List.of(
            "branch:read",
            "customer:read",
            "customer:update",
            "customer:import",
            "event:read",
            "parameter:read",
            "job:read");
    private static final List<String> SCOPES = List.of("NONE", "OWN", "BRANCH", "ALL");
    private static final int CALLS = 24;

    private static TestKehu kehu;
    private static Caller administrator;
    /** Each below the one before it but the last, which stands beside the second. */
    private static List<UUID> tree;

    private static int number;

    @BeforeContainer
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_RATE_PER_ADDRESS_PER_SECOND", "100000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND", "100000"));
        UUID top = kehu.branch(kehu.headOffice(), "P-T");
        UUID middle = kehu.branch(top, "P-M");
        UUID low = kehu.branch(middle, "P-L");
        tree = List.of(top, middle, low, kehu.branch(top, "P-O"));
        administrator = kehu.caller("administrator");
        for (int i = 0; i < 3; i++) {
            kehu.sql(
                    "INSERT INTO iam.role (code, name_en, name_zh, scope, permissions) VALUES (?, 'r', 'r', 'OWN', '{branch:read}')",
                    role(i));
        }
    }

    @AfterContainer
    static void stop() {
        kehu.close();
    }

    private static String role(int i) {
        return "model-" + (char) ('a' + i);
    }

    private static Set<UUID> below(UUID branch) {
        return switch (tree.indexOf(branch)) {
            case 0 -> new HashSet<>(tree);
            case 1 -> Set.of(tree.get(1), tree.get(2));
            default -> Set.of(branch);
        };
    }

    private static <T> List<T> some(Random random, Collection<T> all) {
        return all.stream().filter(one -> random.nextInt(3) == 0).toList();
    }

    private static <T> T one(Random random, List<T> all) {
        return all.get(random.nextInt(all.size()));
    }

    private static String array(Collection<?> values) {
        return values.stream().map(Object::toString).collect(Collectors.joining(",", "{", "}"));
    }

    private record Role(Set<String> permissions, String scope) {}

    private record Grant(
            List<String> roles,
            List<String> permissions,
            List<UUID> branches,
            List<UUID> customers,
            int from,
            int until) {
        boolean isActive() {
            return from <= 0 && until > 0;
        }

        boolean isPlaced() {
            return !branches.isEmpty() || !customers.isEmpty();
        }
    }

    private record Rights(Set<String> permissions, String scope, Set<UUID> branches, Set<UUID> customers) {}

    /** The model: everything that gives, together. */
    private static Rights model(UUID branch, List<String> held, Map<String, Role> roles, List<Grant> grants) {
        Set<String> permissions = new TreeSet<>();
        Set<UUID> branches = new HashSet<>();
        Set<UUID> customers = new HashSet<>();
        int rank = 0;
        boolean placed = false;
        for (String code : held) {
            permissions.addAll(roles.get(code).permissions);
            rank = Math.max(rank, SCOPES.indexOf(roles.get(code).scope));
        }
        for (Grant grant : grants) {
            if (grant.isActive()) {
                permissions.addAll(grant.permissions);
                customers.addAll(grant.customers);
                grant.branches.forEach(place -> branches.addAll(below(place)));
                placed |= grant.isPlaced();
                for (String code : grant.roles) {
                    permissions.addAll(roles.get(code).permissions);
                    rank = grant.isPlaced() ? rank : Math.max(rank, SCOPES.indexOf(roles.get(code).scope));
                }
            }
        }
        String scope = rank == 0 && placed ? "BRANCH" : SCOPES.get(rank);
        if (rank == 2) {
            branches.addAll(below(branch));
        }
        return new Rights(permissions, scope, rank == 3 ? Set.of() : branches, customers);
    }

    @Property(tries = 60, shrinking = ShrinkingMode.OFF)
    void rightsBySqlAreThoseOfTheModel(@ForAll long seed) throws SQLException {
        Random random = new Random(seed);
        Map<String, Role> roles = new java.util.HashMap<>();
        for (int i = 0; i < 3; i++) {
            Set<String> permissions = new LinkedHashSet<>(some(random, WORDS));
            permissions.add(one(random, WORDS));
            Role role = new Role(permissions, one(random, SCOPES));
            roles.put(role(i), role);
            kehu.sql(
                    "UPDATE iam.role SET permissions = ?::text[], scope = ? WHERE code = ?",
                    array(role.permissions),
                    role.scope,
                    role(i));
        }
        UUID branch = one(random, tree);
        List<String> held = new ArrayList<>(some(random, roles.keySet()));
        if (held.isEmpty()) {
            held.add(role(0));
        }
        UUID staff = kehu.staff(branch, held.toArray(String[]::new));
        List<Grant> grants = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) {
            int from = random.nextInt(5) - 3;
            Grant grant = new Grant(
                    some(random, roles.keySet()),
                    some(random, WORDS),
                    some(random, tree),
                    random.nextInt(3) == 0 ? List.of(UUID.randomUUID(), UUID.randomUUID()) : List.of(),
                    from,
                    from + 1 + random.nextInt(3));
            if (!grant.roles.isEmpty() || !grant.permissions.isEmpty() || grant.isPlaced()) {
                grants.add(grant);
                give(staff, grant);
            }
        }
        Map<String, Object> row = kehu.sql("""
                        SELECT r.permissions, r.scope, r.branch_ids, g.customer_ids, g.good_until, kehu.now() AS now
                        FROM iam.staff_rights(?::uuid) r, iam.granted(?::uuid) g""", staff, staff).get(0);
        Rights sql = new Rights(
                new TreeSet<>(list(row.get("permissions"), String.class)),
                row.get("scope").toString(),
                new HashSet<>(list(row.get("branch_ids"), UUID.class)),
                new HashSet<>(list(row.get("customer_ids"), UUID.class)));
        assertThat(sql).as("seed " + seed).isEqualTo(model(branch, held, roles, grants));
        // What is remembered of him is forgotten at the next turn, and not before.
        Integer turn = grants.stream()
                .flatMap(grant -> List.of(grant.from, grant.until).stream())
                .filter(hour -> hour > 0)
                .min(Integer::compare)
                .orElse(null);
        assertThat(row.get("good_until") == null).as("seed " + seed).isEqualTo(turn == null);
        if (turn != null) {
            long minutes = java.time.Duration.between(
                            ((java.sql.Timestamp) row.get("now")).toInstant(),
                            ((java.sql.Timestamp) row.get("good_until")).toInstant())
                    .toMinutes();
            assertThat(minutes).as("seed " + seed).isBetween(turn * 60L - 31, turn * 60L - 29);
        }
    }

    private static <T> List<T> list(Object array, Class<T> type) throws SQLException {
        return Arrays.stream((Object[]) ((Array) array).getArray())
                .map(type::cast)
                .toList();
    }

    /** Half an hour before the full hours of the model, so that no turn is now. */
    private static void give(UUID staff, Grant grant) {
        kehu.sql(
                """
                INSERT INTO iam.grant (id, staff_id, roles, permissions, branch_ids, customer_ids, reason, starts_at, ends_at, given_by)
                VALUES (uuidv7(), ?, ?::text[], ?::text[], ?::uuid[], ?::uuid[], 'model',
                        kehu.now() + make_interval(mins => ?), kehu.now() + make_interval(mins => ?), uuidv7())""",
                staff,
                array(grant.roles),
                array(grant.permissions),
                array(grant.branches),
                array(grant.customers),
                grant.from * 60 - 30,
                grant.until * 60 - 30);
    }

    /** Random calls of those who administer, some refused; after each nobody holds a pair, by a count of our own. */
    @Property(tries = 12, shrinking = ShrinkingMode.OFF)
    void nobodyEverHoldsAForbiddenPair(@ForAll long seed) {
        Random random = new Random(seed);
        List<UUID> people = new ArrayList<>();
        List<String> codes = new ArrayList<>();
        String run = letters(++number);
        for (int i = 0; i < 3; i++) {
            String code = "pair-" + run + "-" + (char) ('a' + i);
            administrator.post("/v1/roles", """
                    {"code": "%s", "nameEn": "r", "nameZh": "r", "scope": "own", "permissions": ["branch:read"]}""".formatted(code)).is(201);
            codes.add(code);
            people.add(kehu.staff(tree.get(2), code));
        }
        List<String> grants = new ArrayList<>();
        List<String> pairs = new ArrayList<>();
        int refused = 0;
        int done = 0;
        try {
            for (int i = 0; i < CALLS; i++) {
                Answer answer = call(random, people, codes, grants, pairs);
                assertThat(answer.status())
                        .as("seed " + seed + ": " + answer.text())
                        .isIn(200, 201, 204, 400, 404, 409, 422);
                refused += answer.status() == 409 ? 1 : 0;
                done += answer.status() < 300 ? 1 : 0;
                assertThat(violations(people))
                        .as("seed " + seed + " after call " + i)
                        .isEmpty();
            }
            assertThat(done).as("seed " + seed + ", refused " + refused).isPositive();
        } finally {
            pairs.forEach(pair -> administrator.send("DELETE", pair, (String) null));
        }
    }

    private static String letters(int n) {
        return n < 26 ? "" + (char) ('a' + n) : letters(n / 26) + letters(n % 26);
    }

    private static Answer call(
            Random random, List<UUID> people, List<String> codes, List<String> grants, List<String> pairs) {
        UUID person = one(random, people);
        String words =
                "[\"" + String.join("\", \"", new TreeSet<>(List.of(one(random, WORDS), one(random, WORDS)))) + "\"]";
        int from = random.nextInt(3) * 60;
        String period = "\"startsAt\": \"" + in(from) + "\", \"endsAt\": \"" + in(from + 60) + "\", \"reason\": \"r\"";
        switch (random.nextInt(8)) {
            case 0, 1 -> {
                String path = "/v1/roles/" + one(random, codes);
                return administrator.patch(path, administrator.get(path).etag(), "{\"permissions\": " + words + "}");
            }
            case 2 -> {
                String path = "/v1/staff/" + person;
                List<String> some = new ArrayList<>(some(random, codes));
                some.add(one(random, codes));
                return administrator.patch(
                        path,
                        administrator.get(path).etag(),
                        "{\"roles\": [\""
                                + String.join("\", \"", new TreeSet<>(some)) + "\"], \"state\": \""
                                + one(random, List.of("active", "active", "suspended", "left")) + "\"}");
            }
            case 3, 4 -> {
                String gift = random.nextBoolean()
                        ? "\"permissions\": " + words
                        : "\"roles\": [\"" + one(random, codes) + "\"]";
                Answer made = administrator.post(
                        "/v1/grants", "{\"staffId\": \"" + person + "\", " + period + ", " + gift + "}");
                if (made.status() == 201) {
                    grants.add(made.header("Location"));
                }
                return made;
            }
            case 5 -> {
                Answer asked = kehu.signIn(person)
                        .post("/v1/permission-requests", "{" + period + ", \"permissions\": " + words + "}");
                return asked.status() == 201
                        ? administrator.post(asked.header("Location") + "/approve", null)
                        : administrator.get("/v1/grants");
            }
            case 6 -> {
                Answer made =
                        administrator.post("/v1/duty-conflicts", """
                        {"first": "%s", "second": "%s", "reason": "r"}""".formatted(one(random, WORDS), one(random, WORDS)));
                if (made.status() == 201) {
                    pairs.add(made.header("Location"));
                }
                return made;
            }
            default -> {
                return grants.isEmpty()
                        ? administrator.get("/v1/grants")
                        : administrator.post(grants.remove(0) + "/end", null);
            }
        }
    }

    private static String in(long seconds) {
        return kehu.value(
                "SELECT to_char((kehu.now() + make_interval(secs => ?)) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
                (double) seconds);
    }

    /** Straight from the tables: whoever holds both of a pair at the beginning of one of his grants, or now. */
    private static List<String> violations(List<UUID> people) {
        Map<String, List<String>> roles = new java.util.HashMap<>();
        administrator
                .get("/v1/roles")
                .is(200)
                .at("/items")
                .forEach(role -> roles.put(role.get("code").asText(), texts(role.get("permissions"))));
        List<List<String>> pairs = new ArrayList<>();
        administrator
                .get("/v1/duty-conflicts?limit=200")
                .is(200)
                .at("/items")
                .forEach(pair -> pairs.add(
                        List.of(pair.get("first").asText(), pair.get("second").asText())));
        List<String> found = new ArrayList<>();
        for (UUID person : people) {
            Answer staff = administrator.get("/v1/staff/" + person).is(200);
            if (staff.at("/state").asText().equals("left")) {
                continue;
            }
            List<JsonNode> grants = new ArrayList<>();
            administrator
                    .get("/v1/grants?limit=200&staffId=" + person)
                    .is(200)
                    .at("/items")
                    .forEach(grant -> {
                        if (!grant.get("state").asText().equals("over")) {
                            grants.add(grant);
                        }
                    });
            List<OffsetDateTime> moments = new ArrayList<>(List.of(OffsetDateTime.parse(in(0))));
            grants.forEach(grant ->
                    moments.add(OffsetDateTime.parse(grant.get("startsAt").asText())));
            for (OffsetDateTime moment : moments) {
                Set<String> held = new HashSet<>();
                texts(staff.at("/roles")).forEach(code -> held.addAll(Objects.requireNonNull(roles.get(code))));
                for (JsonNode grant : grants) {
                    if (!OffsetDateTime.parse(grant.get("startsAt").asText()).isAfter(moment)
                            && OffsetDateTime.parse(grant.get("endsAt").asText())
                                    .isAfter(moment)) {
                        held.addAll(texts(grant.get("permissions")));
                        texts(grant.get("roles")).forEach(code -> held.addAll(Objects.requireNonNull(roles.get(code))));
                    }
                }
                pairs.stream()
                        .filter(held::containsAll)
                        .forEach(pair -> found.add(person + " holds " + pair + " at " + moment));
            }
        }
        return found;
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(text -> texts.add(text.asText()));
        return texts;
    }
}
