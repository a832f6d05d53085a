package io.kehu.customer.relation;

import io.kehu.customer.CustomerBrief;
import io.kehu.customer.relation.Relation.Terms;
import java.time.LocalDate;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** Customers and the relations among them, as far as one caller sees them. */
final class Graph {
    private Graph() {}

    /**
     * Which relations lead on.
     *
     * @param on the day on which they hold
     * @param kinds empty for all
     * @param group only those that make organisations one group: the group itself, control, more than half of the shares
     */
    record Way(LocalDate on, List<String> kinds, boolean group) {}

    /** @param customer a brief of the one who is reached in so many steps */
    record Node(int step, CustomerBrief customer) {}

    /**
     * @param fromRole what the one it comes from is to the other
     */
    record Edge(UUID id, String kind, UUID fromId, String fromRole, UUID toId, String toRole, Terms terms) {}

    /**
     * A walk from one customer, step by step, to those next to the last ones; nobody is met twice, so circles end.
     *
     * @param steps how many steps it took to each, the nearest first
     * @param edge those of the last step
     */
    record Walk(Map<UUID, Integer> steps, List<UUID> edge, int taken, boolean truncated) {
        static Walk from(UUID start) {
            return new Walk(Map.of(start, 0), List.of(start), 0, false);
        }

        boolean isOver(int most) {
            return taken == most || edge.isEmpty() || truncated;
        }

        /**
         * One step on.
         *
         * @param found who comes next, none of them met before
         * @param room for how many of them there is
         */
        Walk on(List<UUID> found, int room) {
            List<UUID> kept = found.subList(0, Math.min(room, found.size()));
            Map<UUID, Integer> all = new LinkedHashMap<>(steps);
            kept.forEach(id -> all.put(id, taken + 1));
            return new Walk(all, List.copyOf(kept), taken + 1, found.size() > room);
        }
    }
}
