package io.kehu.customer.tag;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.jspecify.annotations.Nullable;

/** What a customer has after any giving, taking and passing of time, by HTTP and by a model of a few lines. */
class TagPropertyTest {
    private static final int STEPS = 14;
    /** Of one group the first three, of another the next two; the last two of none. */
    private static final List<String> GROUPS = List.of("a", "a", "a", "b", "b", "", "");
    /** Times are tens of seconds, so that what the test itself takes decides nothing; ends lie between them. */
    private static final int TICK = 10;

    private static TestKehu kehu;
    private static UUID manager;
    private static final List<String> TAGS = new ArrayList<>();

    /** What the model knows of a slot. */
    private record Held(int tag, int from, @Nullable Integer until) {
        boolean isOver(int now) {
            return until != null && until < now;
        }

        boolean holds(int now) {
            return from <= now && !isOver(now);
        }
    }

    @BeforeContainer
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_RATE_PER_ADDRESS_PER_SECOND", "100000",
                "KEHU_RATE_PER_SUBJECT_PER_SECOND", "100000"));
        UUID category = kehu.value("SELECT uuidv7()");
        kehu.sql("""
                INSERT INTO customer.tag_category (id, code, name_en, name_zh, tree, depth)
                VALUES (?, 'model', 'Model', '模型', 'model!', 0)""", category);
        for (int i = 0; i < GROUPS.size(); i++) {
            TAGS.add(kehu.sql("""
                    INSERT INTO customer.tag (id, category_id, code, name_en, name_zh, made_by, exclusive_group)
                    VALUES (uuidv7(), ?, ?, 'm', 'm', 'hand', nullif(?, '')) RETURNING id""", category, "model-" + i, GROUPS.get(i))
                    .get(0)
                    .get("id")
                    .toString());
        }
        manager = kehu.staff(kehu.branch(kehu.headOffice(), "MODEL"), "customer-manager");
    }

    @AfterContainer
    static void stop() {
        kehu.close();
    }

    private static String slot(int tag) {
        return GROUPS.get(tag).isEmpty() ? Integer.toString(tag) : GROUPS.get(tag);
    }

    private static String at(int seconds) {
        return kehu.value(
                "SELECT to_char((kehu.now() + ? * interval '1 second') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
                seconds);
    }

    @Property(tries = 10, shrinking = ShrinkingMode.OFF)
    void oneOfAGroupHoldsAtATimeAndEachForItsTime(@ForAll Random random) {
        Caller who = kehu.signIn(manager);
        // Nodes follow the clock that the try before has moved.
        await().untilAsserted(() -> who.get("/v1/auth/me").is(200));
        String customer = who.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"孙模型\"}")
                .is(201)
                .at("/id")
                .asText();
        Map<String, Held> model = new HashMap<>();
        int now = 0;
        for (int step = 0; step < STEPS; step++) {
            int tag = random.nextInt(TAGS.size());
            String path = "/v1/customers/" + customer + "/tags/" + TAGS.get(tag);
            Held before = model.get(slot(tag));
            boolean has = before != null && before.tag() == tag && !before.isOver(now);
            switch (random.nextInt(5)) {
                case 0 -> {
                    int ticks = 1 + random.nextInt(2);
                    kehu.sql("UPDATE kehu.clock SET ahead = ahead + ? * interval '1 second'", ticks * TICK);
                    now += ticks * TICK;
                }
                case 1 -> {
                    who.send("DELETE", path, (String) null).is(has ? 204 : 404);
                    if (has) {
                        model.remove(slot(tag));
                    }
                }
                default -> {
                    Integer from = random.nextBoolean() ? null : (random.nextInt(5) - 2) * TICK;
                    Integer until = random.nextBoolean() ? null : random.nextInt(6) * TICK - TICK / 2;
                    Answer given = who.send(
                            "PUT",
                            path,
                            "{\"reason\": \"模型\""
                                    + (from == null ? "" : ", \"from\": \"" + at(from) + '"')
                                    + (until == null ? "" : ", \"until\": \"" + at(until) + '"') + "}");
                    if (until != null && (until < 0 || until < (from == null ? 0 : from))) {
                        given.is(422, "tag.periodInvalid");
                    } else {
                        given.is(200);
                        int start = from == null ? (has ? Math.min(before.from(), now) : now) : now + from;
                        model.put(slot(tag), new Held(tag, start, until == null ? null : now + until));
                    }
                }
            }
            int today = now;
            List<String> expected = model.values().stream()
                    .filter(held -> held.holds(today))
                    .map(held -> TAGS.get(held.tag()))
                    .toList();
            List<String> shown = new ArrayList<>();
            who.get("/v1/customers/" + customer + "/tags")
                    .is(200)
                    .at("/items")
                    .forEach(item -> shown.add(item.get("tagId").asText()));
            assertThat(shown).containsExactlyInAnyOrderElementsOf(expected);
        }
    }
}
