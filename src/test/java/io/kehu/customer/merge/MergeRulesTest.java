package io.kehu.customer.merge;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.customer.merge.MergeRules.Rule;
import io.kehu.customer.merge.MergeRules.Side;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class MergeRulesTest {
    private static final List<String> TEXTS = List.of("name", "tier", "risk", "branchId", "managerId");
    private static final List<String> LISTS = List.of("phones", "emails", "documents", "addresses");

    /** Records, what merges have made of them, and beside it what each would be if none had ever been merged. */
    private static final class World {
        private final Random random;
        private final Map<Integer, ObjectNode> shown = new LinkedHashMap<>();
        private final Map<Integer, ObjectNode> alone = new LinkedHashMap<>();
        private final Map<Integer, Layers> layers = new HashMap<>();
        /** By the duplicate: the merge and the survivor. */
        private final Map<Integer, Map.Entry<UUID, Integer>> links = new HashMap<>();

        World(long seed, int records) {
            random = new Random(seed);
            for (int i = 0; i < records; i++) {
                ObjectNode record = random(Json.object());
                shown.put(i, record);
                alone.put(i, record.deepCopy());
                layers.put(i, new Layers());
            }
        }

        private ObjectNode random(ObjectNode of) {
            ObjectNode next = of.deepCopy();
            next.put("kind", "person");
            for (String field : TEXTS) {
                if (random.nextInt(3) == 0) {
                    MergeRules.put(
                            next,
                            field,
                            random.nextInt(4) == 0
                                    ? Json.object().nullNode()
                                    : Json.object().textNode("v" + random.nextInt(4)));
                }
            }
            for (String field : LISTS) {
                if (random.nextInt(3) == 0) {
                    MergeRules.put(next, field, list(field));
                }
            }
            return next;
        }

        private com.fasterxml.jackson.databind.JsonNode list(String field) {
            var list = Json.MAPPER.createArrayNode();
            List<Integer> values = new ArrayList<>(List.of(0, 1, 2, 3, 4, 5, 6, 7));
            Collections.shuffle(values, random);
            for (int value : values.subList(0, random.nextInt(5))) {
                switch (field) {
                    case "emails" -> list.add("e" + value);
                    case "documents" -> list.addObject().put("type", "other").put("number", "n" + value);
                    case "addresses" -> list.addObject().put("line", "l" + value);
                    default -> list.addObject().put("number", "p" + value).put("label", "l" + random.nextInt(2));
                }
            }
            return list.isEmpty() ? Json.object().nullNode() : list;
        }

        private int root(int record) {
            int root = record;
            while (links.containsKey(root)) {
                root = links.get(root).getValue();
            }
            return root;
        }

        private List<Integer> roots() {
            return shown.keySet().stream().filter(id -> !links.containsKey(id)).toList();
        }

        void merge() {
            List<Integer> roots = new ArrayList<>(roots());
            if (roots.size() > 1) {
                Collections.shuffle(roots, random);
                int survivor = roots.get(0);
                int duplicate = roots.get(1);
                Map<String, Side> choices = new HashMap<>();
                for (String field : MergeRules.fields(shown.get(survivor), shown.get(duplicate))) {
                    if (random.nextInt(3) == 0) {
                        choices.put(field, Side.values()[random.nextInt(2)]);
                    }
                }
                ObjectNode merged = MergeRules.combined(
                        shown.get(survivor),
                        shown.get(duplicate),
                        choices,
                        Rule.values()[random.nextInt(3)],
                        random.nextBoolean());
                UUID merge = new UUID(random.nextLong(), random.nextLong());
                layers.get(survivor).add(merge, shown.get(survivor), merged);
                shown.put(survivor, merged);
                links.put(duplicate, Map.entry(merge, survivor));
            }
        }

        /** As SideStore does it. */
        void change() {
            int side = random.nextInt(shown.size());
            int root = root(side);
            ObjectNode before = shown.get(root);
            ObjectNode after = random(before);
            alone.put(side, MergeRules.changed(alone.get(side), before, after));
            layers.get(side).own(before, after);
            int record = side;
            while (record != root) {
                shown.put(record, MergeRules.changed(shown.get(record), before, after));
                Map.Entry<UUID, Integer> link = links.get(record);
                record = link.getValue();
                layers.get(record).lent(link.getKey(), shown.get(record), before, after);
            }
            shown.put(root, after);
        }

        /** Any merge that is not under another. */
        void undo() {
            List<Integer> free = links.keySet().stream()
                    .filter(duplicate -> !links.containsKey(links.get(duplicate).getValue()))
                    .sorted()
                    .toList();
            if (!free.isEmpty()) {
                int duplicate = free.get(random.nextInt(free.size()));
                Map.Entry<UUID, Integer> link = links.remove(duplicate);
                int survivor = link.getValue();
                shown.put(survivor, layers.get(survivor).without(link.getKey(), shown.get(survivor)));
            }
        }

        void step() {
            switch (random.nextInt(5)) {
                case 0, 1 -> merge();
                case 2 -> undo();
                default -> change();
            }
        }
    }

    @Property(tries = 20_000)
    void mergesChangesAndUndosInAnyOrderGiveBackEachRecordWithTheChangesThatArrivedForIt(@ForAll long seed) {
        World world = new World(seed, 5);
        for (int i = 0; i < 25; i++) {
            world.step();
        }
        while (!world.links.isEmpty()) {
            world.undo();
        }
        assertThat(world.shown).isEqualTo(world.alone);
    }

    @Property(tries = 2_000)
    void aMergeThatIsUndoneAtOnceHasChangedNothing(@ForAll long seed) {
        World world = new World(seed, 3);
        for (int i = 0; i < 10; i++) {
            world.step();
        }
        Map<Integer, ObjectNode> before = new LinkedHashMap<>();
        world.shown.forEach((id, record) -> before.put(id, record.deepCopy()));
        Map<Integer, Map.Entry<UUID, Integer>> links = Map.copyOf(world.links);
        world.merge();
        world.links.entrySet().removeIf(link -> {
            boolean made = !links.containsKey(link.getKey());
            if (made) {
                int survivor = link.getValue().getValue();
                ObjectNode shown = world.shown.get(survivor);
                world.shown.put(
                        survivor,
                        world.layers.get(survivor).without(link.getValue().getKey(), shown));
            }
            return made;
        });
        assertThat(world.shown).isEqualTo(before);
    }

    @Test
    void theFullestRecordHasThePhonesOfBothAndOneDocumentOfAType() {
        ObjectNode one = Json.read("""
                {"kind": "person", "name": "甲", "documents": [{"type": "passport", "number": "1"}], "phones": [{"number": "1"}]}""");
        ObjectNode other = Json.read("""
                {"kind": "person", "name": "乙", "risk": "C1", "phones": [{"number": "2"}, {"number": "1", "label": "home"}],
                 "documents": [{"type": "passport", "number": "2"}, {"type": "other", "number": "3"}]}""");
        assertThat(MergeRules.combined(one, other, Map.of(), Rule.FULLEST, true))
                .isEqualTo(Json.read("""
                {"kind": "person", "name": "甲", "risk": "C1", "phones": [{"number": "1"}, {"number": "2"}],
                 "documents": [{"type": "passport", "number": "1"}, {"type": "other", "number": "3"}]}"""));
        assertThat(MergeRules.combined(one, other, Map.of("phones", Side.SURVIVOR), Rule.NEWEST, true))
                .isEqualTo(Json.read("""
                {"kind": "person", "name": "乙", "risk": "C1", "phones": [{"number": "1"}],
                 "documents": [{"type": "passport", "number": "2"}, {"type": "other", "number": "3"}]}"""));
    }
}
