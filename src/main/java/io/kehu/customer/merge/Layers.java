package io.kehu.customer.merge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What merges in force have made of one record: a layer for each, the oldest first. A layer holds of each field that its
 * duplicate lends what the record shows without it and all layers above; a field that was changed on the record itself since is
 * in no layer any more. So the record without any merge is what the lowest layer says of a field, or what is shown. Pure.
 */
final class Layers {
    private final List<Layer> layers = new ArrayList<>();

    /** One merge; null stands in {@code own} for a field without value. */
    static final class Layer {
        private final UUID merge;
        private final ObjectNode own;
        private boolean isTouched;

        Layer(UUID merge, ObjectNode own) {
            this.merge = merge;
            this.own = own;
        }

        UUID merge() {
            return merge;
        }

        ObjectNode own() {
            return own;
        }

        /** Whether it is to be stored anew. */
        boolean isTouched() {
            return isTouched;
        }

        private void set(String field, JsonNode value) {
            own.set(field, value);
            isTouched = true;
        }

        private void drop(String field) {
            isTouched |= own.remove(field) != null;
        }
    }

    List<Layer> all() {
        return layers;
    }

    void add(Layer layer) {
        layers.add(layer);
    }

    /** A merge on top of all others. */
    void add(UUID merge, ObjectNode shown, ObjectNode merged) {
        Layer layer = new Layer(merge, Json.object());
        for (String field : MergeRules.differing(shown, merged)) {
            layer.set(field, MergeRules.value(shown, field));
        }
        layers.add(layer);
    }

    /** The record itself was changed, as what stands for it shows: before and after. */
    void own(ObjectNode before, ObjectNode after) {
        for (String field : MergeRules.differing(before, after)) {
            for (Layer layer : layers) {
                change(layer, field, before, after);
            }
        }
    }

    private static void change(Layer layer, String field, ObjectNode before, ObjectNode after) {
        JsonNode own = layer.own.get(field);
        if (own != null && MergeRules.isList(field)) {
            layer.set(
                    field,
                    MergeRules.changed(field, own, MergeRules.value(before, field), MergeRules.value(after, field)));
        } else {
            layer.drop(field);
        }
    }

    /**
     * The duplicate of a merge was changed.
     *
     * @param shown this record, before
     * @param before what stands for both, before
     * @param after the same after
     */
    void lent(UUID merge, ObjectNode shown, ObjectNode before, ObjectNode after) {
        int at = indexOf(merge);
        Layer layer = layers.get(at);
        for (String field : MergeRules.differing(before, after)) {
            if (!layer.own.has(field)) {
                Layer above = above(at, field);
                layer.set(field, above == null ? MergeRules.value(shown, field) : above.own.get(field));
            }
            for (Layer higher : layers.subList(at + 1, layers.size())) {
                change(higher, field, before, after);
            }
        }
    }

    /** Takes a merge away. Gives the record as it is shown without it. */
    ObjectNode without(UUID merge, ObjectNode shown) {
        int at = indexOf(merge);
        Layer layer = layers.get(at);
        ObjectNode next = shown.deepCopy();
        layer.own.properties().forEach(e -> {
            String field = e.getKey();
            JsonNode to = e.getValue();
            Layer above = above(at, field);
            JsonNode from = above == null ? MergeRules.value(shown, field) : above.own.get(field);
            if (above != null && !MergeRules.isList(field)) {
                above.set(field, to);
                return;
            }
            for (Layer higher : layers.subList(at + 1, layers.size())) {
                JsonNode own = higher.own.get(field);
                if (own != null) {
                    higher.set(field, MergeRules.changed(field, own, from, to));
                }
            }
            MergeRules.put(next, field, MergeRules.changed(field, MergeRules.value(shown, field), from, to));
        });
        layers.remove(at);
        return next;
    }

    private @Nullable Layer above(int at, String field) {
        return layers.stream()
                .skip(at + 1L)
                .filter(higher -> higher.own.has(field))
                .findFirst()
                .orElse(null);
    }

    private int indexOf(UUID merge) {
        for (int i = 0; i < layers.size(); i++) {
            if (layers.get(i).merge.equals(merge)) {
                return i;
            }
        }
        throw new IllegalStateException("no layer of merge " + merge);
    }
}
