package io.kehu.customer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import java.time.LocalDate;
import java.time.Period;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Any filters together, in any scope and order, page by page: against the same question asked of a list in memory. */
class MixedFiltersTest {
    private static final int CUSTOMERS = 90;
    /** Entered last, with nothing but a name: most filters must get past them. */
    private static final int NAMES_ONLY = 12;
    /** More of one name than a search looks at before it is planned anew. */
    private static final int NAMESAKES = 2_050;

    private static final int QUESTIONS = 80;
    private static final int PER_PAGE = 5;
    private static final List<String> LIFECYCLES = List.of("prospect", "new", "active", "mature", "dormant", "lost");
    private static final List<String> REGIONS = List.of("330106", "330203", "310115", "110101");

    private static final List<String> TIERS = List.of("mass", "affluent", "private", "small", "large");
    private static final List<String> RISKS = List.of("C1", "C2", "C3", "C4", "C5");
    private static final String NAME = "混合";

    private static final Random RANDOM = new Random();
    private static TestKehu kehu;
    private static UUID north;
    private static Caller manager;
    private static Caller head;
    private static Caller chief;
    private static Caller finance;
    private static LocalDate today;
    private static final List<Known> KNOWN = new ArrayList<>();

    /** A customer as it was entered, in the order of entry. */
    private record Known(String id, ObjectNode facts, UUID branch, UUID managerId) {
        String fact(String field) {
            return facts.path(field).asText();
        }
    }

    @BeforeAll
    static void aBankOfRandomCustomers() {
        long seed = System.nanoTime();
        RANDOM.setSeed(seed);
        System.out.println("MixedFiltersTest: seed " + seed);
        kehu = TestKehu.start();
        north = kehu.branch(kehu.headOffice(), "MIXNORTH");
        UUID south = kehu.branch(kehu.headOffice(), "MIXSOUTH");
        manager = kehu.signIn(kehu.staff(north, "customer-manager"));
        Caller colleague = kehu.signIn(kehu.staff(north, "customer-manager"));
        Caller far = kehu.signIn(kehu.staff(south, "customer-manager"));
        head = kehu.signIn(kehu.staff(north, "branch-head"));
        chief = kehu.signIn(kehu.staff(kehu.headOffice(), "branch-head"));
        finance = kehu.caller("finance");
        today = LocalDate.parse(kehu.value("SELECT (kehu.now() AT TIME ZONE 'Asia/Shanghai')::date::text"));
        for (int i = 0; i < CUSTOMERS + NAMES_ONLY; i++) {
            Caller who = List.of(manager, colleague, far).get(RANDOM.nextInt(3));
            ObjectNode facts = i >= CUSTOMERS || RANDOM.nextInt(8) == 0 ? nameOnly() : someone();
            Answer made = who.post("/v1/customers", facts.toString()).is(201);
            KNOWN.add(new Known(made.at("/id").asText(), facts, who == far ? south : north, who.id));
        }
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String one(List<String> of) {
        return of.get(RANDOM.nextInt(of.size()));
    }

    private static ObjectNode nameOnly() {
        return Json.object()
                .put("kind", "person")
                .put("name", NAME)
                .put("lifecycle", "prospect")
                .put("tier", "mass");
    }

    private static ObjectNode someone() {
        boolean person = RANDOM.nextInt(4) > 0;
        ObjectNode facts = Json.object()
                .put("kind", person ? "person" : "organisation")
                .put("name", NAME)
                .put("lifecycle", one(LIFECYCLES))
                .put("tier", one(person ? List.of("mass", "mass", "affluent", "private") : List.of("small", "large")))
                .put("regionCode", one(REGIONS))
                .put("risk", "C" + (1 + RANDOM.nextInt(5)))
                .put("assets", Integer.toString(RANDOM.nextInt(1_000_000)));
        if (person) {
            facts.put("birthDate", today.minusDays(RANDOM.nextInt(30_000)).toString());
        }
        return facts;
    }

    /** A question as the contract puts it, and what it means. */
    private record Question(ObjectNode terms, Predicate<Known> means) {
        Question and(Predicate<Known> more) {
            return new Question(terms, means.and(more));
        }
    }

    private static Question words(Question question, String field, List<String> from) {
        List<String> wanted = new ArrayList<>(from);
        Collections.shuffle(wanted, RANDOM);
        List<String> some = wanted.subList(0, 1 + RANDOM.nextInt(2));
        var array = question.terms.putArray(field);
        some.forEach(array::add);
        return question.and(known -> some.contains(known.fact(field)));
    }

    private static int age(Known known) {
        return Period.between(LocalDate.parse(known.fact("birthDate")), today).getYears();
    }

    private static Question severalWords() {
        Question question = new Question(Json.object(), known -> true);
        return switch (RANDOM.nextInt(3)) {
            case 0 -> words(question, "lifecycle", LIFECYCLES);
            case 1 -> words(question, "tier", TIERS);
            default -> words(question, "risk", RISKS);
        };
    }

    private static Question anything() {
        Question question = new Question(Json.object(), known -> true);
        if (RANDOM.nextInt(4) == 0) {
            question.terms.put("name", RANDOM.nextBoolean() ? "混" : "hunhe");
        }
        if (RANDOM.nextBoolean()) {
            question = words(question, "lifecycle", LIFECYCLES);
        }
        if (RANDOM.nextBoolean()) {
            question = words(question, "tier", TIERS);
        }
        if (RANDOM.nextInt(3) == 0) {
            question = words(question, "risk", RISKS);
        }
        if (RANDOM.nextInt(3) == 0) {
            String kind = one(List.of("person", "organisation"));
            question.terms.put("kind", kind);
            question = question.and(known -> known.fact("kind").equals(kind));
        }
        if (RANDOM.nextInt(3) == 0) {
            String city = one(REGIONS).substring(0, 2 + 2 * RANDOM.nextInt(3));
            question.terms.put("city", city);
            question = question.and(known -> known.fact("regionCode").startsWith(city));
        }
        if (RANDOM.nextInt(3) == 0) {
            int from = RANDOM.nextInt(60);
            int to = from + RANDOM.nextInt(40);
            question.terms.put("ageFrom", from).put("ageTo", to);
            question = question.and(known -> known.facts.has("birthDate") && age(known) >= from && age(known) <= to);
        }
        if (RANDOM.nextInt(3) == 0) {
            long from = RANDOM.nextInt(900_000);
            question.terms.put("assetsFrom", Long.toString(from));
            question = question.and(known -> known.facts.has("assets") && Long.parseLong(known.fact("assets")) >= from);
        }
        return question;
    }

    private static List<String> pages(Caller who, ObjectNode terms) {
        List<String> ids = new ArrayList<>();
        String next = null;
        do {
            ObjectNode body = terms.deepCopy().put("limit", PER_PAGE);
            if (next != null) {
                body.put("cursor", next);
            }
            Answer page = who.post("/v1/customers/search", body.toString()).is(200);
            assertThat(page.at("/items").size()).isLessThanOrEqualTo(PER_PAGE);
            page.at("/items").forEach(item -> ids.add(item.get("id").asText()));
            next = page.at("/next").textValue();
        } while (next != null);
        return ids;
    }

    private static Predicate<Known> seenBy(Caller who) {
        return who == manager
                ? known -> known.managerId.equals(manager.id)
                : who == head ? known -> known.branch.equals(north) : known -> true;
    }

    private static List<String> expected(Caller who, Predicate<Known> means, boolean oldest) {
        List<String> expected = new ArrayList<>(
                KNOWN.stream().filter(seenBy(who).and(means)).map(Known::id).toList());
        if (!oldest) {
            Collections.reverse(expected);
        }
        return expected;
    }

    @Test
    void everyMixOfFiltersGivesWhatFitsOnceAndInOrder() {
        int found = 0;
        for (int i = 0; i < QUESTIONS; i++) {
            Question question = i % 5 == 0 ? severalWords() : anything();
            boolean oldest = RANDOM.nextBoolean();
            question.terms.put("sort", oldest ? "oldest" : "newest");
            Caller who = List.of(manager, head, finance, chief).get(i % 4);
            List<String> expected = expected(who, question.means, oldest);
            assertThat(pages(who, question.terms)).as("%s", question.terms).isEqualTo(expected);
            found += expected.size();
        }
        assertThat(found).as("questions with answers").isPositive();
    }

    @Test
    void aNameGivesWhoeverHasItToEveryScopeAlsoWhereManyOthersHaveIt() {
        everyScopeFindsAllOfTheName();
        // Tokens of nobody stand for those of others' customers, before and behind ours in the order of the list.
        kehu.valueAsSuperuser("""
                WITH made AS (
                    INSERT INTO customer.search_token (token, seq)
                    SELECT t, s.seq FROM (SELECT DISTINCT unnest(tokens) AS t FROM customer.customer WHERE id = '%s'::uuid) x,
                        LATERAL (SELECT i * far AS seq FROM generate_series(1000000, 1000000 + %d) i, (VALUES (1), (-1)) f(far)) s
                    RETURNING 1)
                SELECT count(*) FROM made""".formatted(KNOWN.get(0).id, NAMESAKES));
        everyScopeFindsAllOfTheName();
    }

    /** Often enough for the plan to be kept. */
    private static void everyScopeFindsAllOfTheName() {
        for (Caller who : List.of(manager, head, finance, chief)) {
            for (String name : List.of(NAME, "混", "hunhe", "hun", "hh")) {
                for (boolean oldest : List.of(true, false)) {
                    ObjectNode terms = Json.object().put("name", name).put("sort", oldest ? "oldest" : "newest");
                    assertThat(pages(who, terms)).as("%s", terms).isEqualTo(expected(who, known -> true, oldest));
                }
            }
            assertThat(pages(who, Json.object().put("name", NAME).put("exact", true)))
                    .isEqualTo(expected(who, known -> true, false));
            assertThat(pages(who, Json.object().put("name", "混元"))).isEmpty();
        }
    }
}
