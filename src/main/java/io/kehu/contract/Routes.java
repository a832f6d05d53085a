package io.kehu.contract;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * From method and path to operation: one trie over path segments, so the cost depends on the depth of the path and not on
 * the number of operations. A literal segment wins over a parameter, from the left. HEAD is served wherever a query is a GET.
 */
public final class Routes {
    private final Node root = new Node();

    /**
     * Where a path led.
     *
     * @param operation null where the path is known but not with this method
     * @param values of the path's parameters, in order
     * @param allowed the methods of this path, for 405
     */
    public record Match(@Nullable Operation operation, List<String> values, String allowed) {}

    private static final class Node {
        final Map<String, Node> literals = new HashMap<>();

        @Nullable
        Node parameter;

        final Map<String, Operation> methods = new TreeMap<>();
    }

    public Routes(Iterable<Operation> operations) {
        for (Operation operation : operations) {
            Node node = root;
            for (String segment : operation.path().substring(1).split("/", -1)) {
                if (segment.startsWith("{")) {
                    if (node.parameter == null) {
                        node.parameter = new Node();
                    }
                    node = node.parameter;
                } else {
                    node = node.literals.computeIfAbsent(segment, s -> new Node());
                }
            }
            if (node.methods.put(operation.method(), operation) != null) {
                throw new IllegalStateException(operation.method() + " " + operation.path() + " is declared twice");
            }
            if (operation.method().equals("GET") && operation.kind() == Operation.Kind.QUERY) {
                node.methods.put("HEAD", operation);
            }
        }
    }

    /** Finds the operation of a path as it stands in the request line, without its query; null where there is none. */
    public @Nullable Match find(String method, String path) {
        if (path.isEmpty() || path.charAt(0) != '/') {
            return null;
        }
        List<String> values = new ArrayList<>(4);
        Node node = walk(root, path, 1, values);
        if (node == null) {
            return null;
        }
        Operation operation = node.methods.get(method);
        return new Match(operation, values, operation == null ? String.join(", ", node.methods.keySet()) : "");
    }

    /** Only nodes where a path ends count as found: a longer path that begins alike must not hide another one. */
    private static @Nullable Node walk(Node node, String path, int from, List<String> values) {
        int slash = path.indexOf('/', from);
        String segment = slash < 0 ? path.substring(from) : path.substring(from, slash);
        Node found = ends(node.literals.get(segment), path, slash, values);
        if (found != null || node.parameter == null || segment.isEmpty()) {
            return found;
        }
        values.add(segment);
        found = ends(node.parameter, path, slash, values);
        if (found == null) {
            values.remove(values.size() - 1);
        }
        return found;
    }

    private static @Nullable Node ends(@Nullable Node next, String path, int slash, List<String> values) {
        if (next == null || slash >= 0) {
            return next == null ? null : walk(next, path, slash + 1, values);
        }
        return next.methods.isEmpty() ? null : next;
    }
}
