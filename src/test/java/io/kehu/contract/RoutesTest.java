package io.kehu.contract;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class RoutesTest {
    /** What a route is: method and template. */
    record Route(String method, String path) {}

    static Operation operation(String method, String path, Operation.Kind kind) {
        return new Operation(
                method + path,
                method,
                path,
                "room",
                kind,
                Set.of(Principal.Audience.STAFF),
                null,
                null,
                0,
                Operation.Idempotency.NONE,
                1,
                1000,
                Call.Lane.POINT,
                false,
                List.of(),
                null,
                null,
                false,
                false);
    }

    private static Operation command(Route route) {
        return operation(route.method, route.path, Operation.Kind.COMMAND);
    }

    /** The rule itself, without a tree: of all templates that fit, the one whose literals stand furthest to the left. */
    private static String expected(List<Route> routes, String method, String path) {
        String[] given = path.substring(1).split("/", -1);
        List<Route> fitting = new ArrayList<>();
        for (Route route : routes) {
            String[] template = route.path.substring(1).split("/", -1);
            boolean fits = template.length == given.length;
            for (int i = 0; fits && i < given.length; i++) {
                fits = template[i].startsWith("{") ? !given[i].isEmpty() : template[i].equals(given[i]);
            }
            if (fits) {
                fitting.add(route);
            }
        }
        if (fitting.isEmpty()) {
            return "none";
        }
        String best = fitting.stream()
                .map(Route::path)
                .min(Comparator.comparing(p -> p.replaceAll("\\{[^}]*}", "\uffff")))
                .orElseThrow();
        Set<String> methods = new TreeSet<>();
        fitting.stream().filter(r -> r.path.equals(best)).forEach(r -> methods.add(r.method));
        return methods.contains(method) ? method + best : "405 " + String.join(", ", methods);
    }

    private static String found(Routes routes, String method, String path) {
        Routes.Match match = routes.find(method, path);
        return match == null
                ? "none"
                : match.operation() == null
                        ? "405 " + match.allowed()
                        : match.operation().id();
    }

    @Property(tries = 2_000)
    void everyPathLeadsWhereTheRuleSays(
            @ForAll("routes") List<Route> routes, @ForAll("methods") String method, @ForAll("paths") String path) {
        Routes tree = new Routes(routes.stream().map(RoutesTest::command).toList());
        assertThat(found(tree, method, path)).isEqualTo(expected(routes, method, path));
    }

    @Property(tries = 500)
    void theValuesAreThoseSegmentsWhereTheTemplateHasParameters(
            @ForAll("routes") List<Route> routes, @ForAll("paths") String path) {
        Routes tree = new Routes(routes.stream().map(RoutesTest::command).toList());
        for (Route route : routes) {
            Routes.Match match = tree.find(route.method, path);
            if (match != null && match.operation() != null) {
                String[] template = match.operation().path().substring(1).split("/", -1);
                String[] given = path.substring(1).split("/", -1);
                List<String> values = new ArrayList<>();
                for (int i = 0; i < given.length; i++) {
                    if (template[i].startsWith("{")) {
                        values.add(given[i]);
                    }
                }
                assertThat(match.values()).isEqualTo(values);
            }
        }
    }

    @Provide
    Arbitrary<String> methods() {
        return Arbitraries.of("GET", "POST", "PATCH");
    }

    private static Arbitrary<String> path(String... segments) {
        return Arbitraries.of(segments).list().ofMinSize(1).ofMaxSize(4).map(s -> "/" + String.join("/", s));
    }

    @Provide
    Arbitrary<String> paths() {
        return path("a", "b", "c", "", "%2F", "{}");
    }

    @Provide
    Arbitrary<List<Route>> routes() {
        return Combinators.combine(methods(), path("a", "b", "{}"))
                .as(Route::new)
                .list()
                .ofMaxSize(12)
                .map(list -> {
                    Map<String, Route> once = new LinkedHashMap<>();
                    list.forEach(r -> once.putIfAbsent(r.method + r.path, r));
                    return List.copyOf(once.values());
                });
    }

    @Test
    void aQueryIsAlsoServedForHeadButACommandOrAStreamIsNot() {
        Routes routes = new Routes(List.of(
                operation("GET", "/a", Operation.Kind.QUERY),
                operation("GET", "/b", Operation.Kind.STREAM),
                operation("POST", "/a", Operation.Kind.COMMAND)));
        assertThat(found(routes, "HEAD", "/a")).isEqualTo("GET/a");
        assertThat(found(routes, "PUT", "/a")).isEqualTo("405 GET, HEAD, POST");
        assertThat(found(routes, "HEAD", "/b")).isEqualTo("405 GET");
    }
}
