
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.contract.Operation;
import io.kehu.contract.Routes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * What it costs to find an operation among 450 compared with 10: nanoseconds per request, the same ten requests in both, runs
 * alternating, the median of each. The design asks for at most 5 % more.
 */
public final class Routing {
    private static final int FEW = 10;
    private static final int MANY = 450;
    private static final int RUNS = 31;
    private static final int ROUNDS = 200_000;
    private static final List<String> SHAPES =
            List.of("/v1/room%d", "/v1/room%d/{id}", "/v1/room%d/{id}/parts", "/v1/room%d/{id}/parts/{part}", "/v1/room%d/find");

    private Routing() {}

    private static List<Operation> operations(int count) {
        List<Operation> operations = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String path = String.format(Locale.ROOT, SHAPES.get(i % SHAPES.size()), i / SHAPES.size());
            operations.add(new Operation(
                    "operation" + i,
                    "GET",
                    path,
                    "room",
                    Operation.Kind.QUERY,
                    Set.of(Principal.Audience.STAFF),
                    null,
                    null,
                    0,
                    Operation.Idempotency.NONE,
                    1,
                    1_000,
                    Call.Lane.POINT,
                    false,
                    List.of(),
                    null,
                    null,
                    false,
                    false));
        }
        return operations;
    }

    /** Nanoseconds per request. */
    private static double run(Routes routes, String[] paths) {
        long found = 0;
        long started = System.nanoTime();
        for (int i = 0; i < ROUNDS; i++) {
            for (String path : paths) {
                Routes.Match match = routes.find("GET", path);
                found += match == null ? 0 : 1 + match.values().size();
            }
        }
        double nanos = (System.nanoTime() - started) / (double) ROUNDS / paths.length;
        if (found < (long) ROUNDS * paths.length) {
            throw new IllegalStateException("a path was not found");
        }
        return nanos;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    public static void main(String[] args) {
        Routes few = new Routes(operations(FEW));
        Routes many = new Routes(operations(MANY));
        String id = "01963b3e-7c1a-7f3e-9d4c-2f6c1b1f0a11";
        String[] paths = operations(FEW).stream()
                .map(o -> o.path().replace("{id}", id).replace("{part}", id))
                .toArray(String[]::new);
        double[] fewNanos = new double[RUNS];
        double[] manyNanos = new double[RUNS];
        for (int i = -5; i < RUNS; i++) {
            double a = run(few, paths);
            double b = run(many, paths);
            if (i >= 0) {
                fewNanos[i] = a;
                manyNanos[i] = b;
            }
        }
        double base = median(fewNanos);
        double grown = median(manyNanos);
        System.out.printf(
                Locale.ROOT,
                "%d operations: %.1f ns, %d operations: %.1f ns, ratio %.3f%n",
                FEW,
                base,
                MANY,
                grown,
                grown / base);
    }
}
