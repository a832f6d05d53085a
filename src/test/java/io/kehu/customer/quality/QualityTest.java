package io.kehu.customer.quality;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QualityTest {
    private static final long SEED = System.nanoTime();
    private static final String[] PARTS = {
        "9", "A", "a", "X", "H", "?", "*", "-", "b", "\\9", ".", "+", "(", "]", "$", "9{2}", "X{0,3}", "中"
    };
    private static final String SIGNS = "09AZazb-.+(]$中\u3007\uD842\uDFB7 ";
    private static final AtomicInteger NEXT = new AtomicInteger();

    private static TestKehu kehu;
    private static Caller north;
    private static Caller south;
    private static Caller risk;
    private static Caller auditor;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        north = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "NORTH"), "customer-manager"));
        south = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SOUTH"), "customer-manager"));
        risk = kehu.caller("risk");
        auditor = kehu.caller("auditor");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String aCustomer(Caller who, String more) {
        return who.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"何质量\"" + more + "}")
                .is(201)
                .at("/id")
                .asText();
    }

    /** Each with a phone and a birth date of his own, so that none is taken for another. */
    private static String whole(Caller who) {
        int n = NEXT.incrementAndGet();
        return aCustomer(who, """
                , "birthDate": "%s", "gender": "male", "regionCode": "110105", "occupation": "20500",
                "customerSince": "2010-01-01", "phones": [{"number": "%d"}]""".formatted(LocalDate.of(1980, 2, 3).plusDays(n), 13_800_100_000L + n));
    }

    private static Answer quality(Caller who, String customer) {
        return who.get("/v1/customers/" + customer + "/quality");
    }

    private static Set<String> failed(JsonNode issues) {
        Set<String> failed = new HashSet<>();
        issues.forEach(issue -> failed.add(issue.get("rule").asText()));
        return failed;
    }

    private static List<String> issues(Caller who, String query) {
        List<String> customers = new ArrayList<>();
        String next = "";
        do {
            Answer page = who.get("/v1/quality/issues?limit=2" + query + next).is(200);
            page.at("/items")
                    .forEach(item -> customers.add(item.get("customerId").asText()));
            next = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!next.isEmpty());
        return customers;
    }

    @Test
    void aWholeRecordHasTheWholeScoreAndABareOneSaysWhatItLacks() {
        Answer good = quality(north, whole(north)).is(200);
        assertThat(good.at("/score").asInt()).isEqualTo(100);
        assertThat(good.at("/issues")).isEmpty();
        Answer bare = quality(north, aCustomer(north, "")).is(200);
        assertThat(bare.at("/score").asInt()).isLessThan(80);
        assertThat(failed(bare.at("/issues")))
                .containsExactlyInAnyOrder(
                        "birth-date-missing",
                        "gender-missing",
                        "region-missing",
                        "occupation-missing",
                        "contact-missing");
        assertThat(bare.text()).doesNotContain("何质量");
    }

    @ParameterizedTest
    @CsvSource({
        "birth_date, '''2999-01-01''', birth-date-impossible",
        "birth_date, '''1800-01-01''', birth-date-impossible",
        "since, '''1970-01-01''', customer-before-birth",
        "region_code, '''990101''', region-unknown",
        "occupation, '''90000''', occupation-unknown",
        "occupation, '''21500''', occupation-unknown",
        "region_code, '''110199''', region-unknown",
        "valid_from, kehu.now() - interval '800 days', stale"
    })
    void whatCameInBeforeTheRulesOfEntryIsFound(String column, String value, String rule) {
        String customer = whole(north);
        kehu.sql("UPDATE customer.customer SET " + column + " = " + value + " WHERE id = ?", UUID.fromString(customer));
        assertThat(failed(quality(north, customer).is(200).at("/issues"))).contains(rule);
        assertThat(issues(north, "&rule=" + rule)).contains(customer);
        assertThat(issues(south, "&rule=" + rule)).doesNotContain(customer);
    }

    @Test
    void issuesAreThoseOfTheCallersScopeAndPageThroughAll() {
        List<String> here = List.of(aCustomer(north, ""), aCustomer(north, ""), aCustomer(north, ""));
        String elsewhere = aCustomer(south, "");
        String good = whole(north);
        List<String> mine = issues(north, "");
        assertThat(mine).containsAll(here).doesNotContain(elsewhere, good).doesNotHaveDuplicates();
        assertThat(issues(auditor, "")).containsAll(here).contains(elsewhere);
        quality(south, here.get(0)).is(404, "customer.notFound");
        kehu.anonymous().get("/v1/quality/issues").is(401);
        north.get("/v1/quality/issues?rule=no-such").is(404, "quality.ruleNotFound");
        String merged = aCustomer(north, "");
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", UUID.fromString(merged));
        assertThat(issues(north, "")).doesNotContain(merged);
    }

    @Test
    void aRuleIsSwitchedOffAndWeighedByWhoMay() {
        String path = "/v1/quality/rules/gender-missing";
        north.patch(path, "\"1\"", "{\"enabled\": false}").is(403);
        auditor.patch(path, "\"1\"", "{\"enabled\": false}").is(403);
        risk.patch(path, "\"1\"", "{\"weight\": 101}").is(400, "request.invalid");
        risk.patch(path, "\"1\"", "{\"days\": 3}").is(422, "quality.daysInvalid");
        risk.patch("/v1/quality/rules/no-such", "\"1\"", "{\"weight\": 3}").is(404, "quality.ruleNotFound");
        String customer = aCustomer(north, "");
        int before = quality(north, customer).is(200).at("/score").asInt();
        Answer heavier = risk.patch(path, "\"1\"", "{\"weight\": 100}").is(200);
        assertThat(quality(north, customer).is(200).at("/score").asInt()).isLessThan(before);
        risk.patch(path, "\"1\"", "{\"weight\": 3}").is(412, "request.stale");
        Answer off = risk.patch(path, heavier.etag(), "{\"enabled\": false}").is(200);
        assertThat(failed(quality(north, customer).is(200).at("/issues"))).doesNotContain("gender-missing");
        north.get("/v1/quality/issues?rule=gender-missing").is(404, "quality.ruleNotFound");
        risk.patch(path, off.etag(), "{\"enabled\": true, \"weight\": 5}").is(200);
    }

    @Test
    void dictionariesAreTheNationalStandardsAndEveryParentIsThere() {
        Answer list = north.get("/v1/dictionaries").is(200);
        assertThat(list.at("/items")).hasSize(3);
        for (JsonNode head : list.at("/items")) {
            Answer dictionary =
                    north.get("/v1/dictionaries/" + head.get("code").asText()).is(200);
            Set<String> codes = new HashSet<>();
            for (JsonNode entry : dictionary.at("/entries")) {
                assertThat(codes.add(entry.get("code").asText())).isTrue();
                if (entry.has("parent")) {
                    assertThat(codes).contains(entry.get("parent").asText());
                }
            }
            assertThat(codes).hasSize(head.get("size").asInt());
        }
        assertThat(Dictionary.codes("industries"))
                .hasSize(20 + 97 + 473 + 1381)
                .contains("A", "J66", "J662", "J6621", "T97", "T9700");
        assertThat(Dictionary.INDUSTRIES.entries().values()).allSatisfy(entry -> {
            assertThat(entry.code()).hasSize(entry.level() == 1 ? 1 : entry.level() + 1);
            assertThat(entry.parent() == null ? "" : entry.code())
                    .startsWith(String.valueOf(entry.parent() == null ? "" : entry.parent()));
        });
        assertThat(Dictionary.codes("occupations")).hasSize(8 + 75).contains("1", "8", "20500");
        // 34 of provinces' rank, 333 of prefectures', and counties.
        List<String> regions = List.of(Dictionary.codes("regions"));
        assertThat(regions).contains("110000", "820000", "110105", "659012");
        assertThat(regions.stream().filter(code -> code.endsWith("0000"))).hasSize(34);
        assertThat(regions.stream().filter(code -> code.endsWith("00") && !code.endsWith("0000")))
                .hasSize(333);
        Answer again = north.get("/v1/dictionaries/regions");
        north.get("/v1/dictionaries/regions", "If-None-Match", again.etag()).is(304);
        kehu.anonymous().get("/v1/dictionaries").is(401);
    }

    @Test
    void whoChoosesACodePagesThroughWhatIsBelowAnotherOrLooksForItsName() {
        String path = "/v1/dictionaries/industries/entries";
        List<String> groups = new ArrayList<>();
        String next = "";
        do {
            Answer page = north.get(path + "?parent=J66&limit=2" + next).is(200);
            page.at("/items").forEach(entry -> groups.add(entry.get("code").asText()));
            next = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!next.isEmpty());
        assertThat(groups).containsExactly("J661", "J662", "J663", "J664", "J665");
        Answer bank = north.get(path + "?level=4&search=%E5%95%86%E4%B8%9A%E9%93%B6%E8%A1%8C")
                .is(200);
        assertThat(bank.at("/items")).hasSize(1);
        assertThat(bank.at("/items/0/code").asText()).isEqualTo("J6621");
        assertThat(bank.at("/items/0/parent").asText()).isEqualTo("J662");
        assertThat(north.get(path + "?level=1&limit=100").is(200).at("/items")).hasSize(20);
        assertThat(north.get(path + "?search=a01&limit=2")
                        .is(200)
                        .at("/items/0/code")
                        .asText())
                .isEqualTo("A01");
        north.get("/v1/dictionaries/regions/entries?cursor=abc").is(400, "request.cursorInvalid");
        north.get("/v1/dictionaries/planets/entries").is(400);
    }

    @Test
    void anIndustryIsKnownDownToItsClassAndCountsForAllAboveIt() {
        String bank = north.post("/v1/customers", """
                        {"kind": "organisation", "name": "质量银行", "industry": "J6621", "foundedOn": "2001-01-01", "regionCode": "310115"}""").is(201).at("/id").asText();
        assertThat(failed(quality(north, bank).is(200).at("/issues"))).doesNotContain("industry-unknown");
        for (String above : List.of("J", "J66", "J662", "J6621")) {
            assertThat(foundBy(above)).as(above).contains(bank);
        }
        assertThat(foundBy("J67")).doesNotContain(bank);
        assertThat(foundBy("J6622")).doesNotContain(bank);
        kehu.sql("UPDATE customer.customer SET industry = 'J6628' WHERE id = ?", UUID.fromString(bank));
        assertThat(failed(quality(north, bank).is(200).at("/issues"))).contains("industry-unknown");
    }

    private static List<String> foundBy(String industry) {
        List<String> found = new ArrayList<>();
        north.post("/v1/customers/search", "{\"filter\": {\"field\": \"industry\", \"is\": \"" + industry + "\"}}")
                .is(200)
                .at("/items")
                .forEach(item -> found.add(item.get("id").asText()));
        return found;
    }

    @Test
    void aRuleInTheWordsOfFiltersIsHeldAgainstEachRecordOfItsKind() {
        String code = "child-with-occupation";
        String rule = """
                {"code": "child-with-occupation", "weight": 30, "appliesTo": "person",
                 "condition": {"all": [{"field": "age", "to": 17}, {"field": "occupation", "known": true}]}}""";
        north.post("/v1/quality/rules", rule).is(403);
        Answer made = risk.post("/v1/quality/rules", rule).is(201);
        risk.post("/v1/quality/rules", rule).is(409, "quality.codeTaken");
        risk.post(
                        "/v1/quality/rules",
                        rule.replace("\"age\", \"to\": 17", "\"assets\", \"from\": \"1\"")
                                .replace(code, "rich"))
                .is(422, "quality.fieldForbidden");
        risk.post("/v1/quality/rules", rule.replace("\"age\"", "\"height\"").replace(code, "tall"))
                .is(400);
        String child = aCustomer(north, ", \"birthDate\": \"2020-02-03\", \"occupation\": \"20500\"");
        String grown = whole(north);
        assertThat(failed(quality(north, child).is(200).at("/issues"))).contains(code);
        assertThat(failed(quality(north, grown).is(200).at("/issues"))).doesNotContain(code);
        assertThat(issues(north, "&rule=" + code)).contains(child).doesNotContain(grown);
        assertThat(issues(south, "&rule=" + code)).doesNotContain(child);
        risk.patch(made.header("Location"), made.etag(), "{\"enabled\": false}").is(200);
    }

    private static String format(String code, String field, String patterns) {
        return "{\"code\": \"" + code + "\", \"weight\": 10, \"format\": {" + field + ", \"patterns\": [" + patterns
                + "]}}";
    }

    @Test
    void aBankSaysWhatACodeLooksLikeAndFindsWhatLooksOtherwise() {
        String code = "industry-by-class";
        String rule = format(code, "\"field\": \"industry\"", "\"A9{4}\", \"\\\\T9*\"");
        north.post("/v1/quality/rules", rule).is(403);
        Answer made = risk.post("/v1/quality/rules", rule).is(201);
        assertThat(made.at("/kind").asText()).isEqualTo("format");
        assertThat(made.at("/patterns/1").asText()).isEqualTo("\\T9*");
        String company = "{\"kind\": \"organisation\", \"name\": \"何格式厂\", \"industry\": \"%s\"}";
        String section = north.post("/v1/customers", company.formatted("C39"))
                .is(201)
                .at("/id")
                .asText();
        String cls = north.post("/v1/customers", company.replace("格式", "样式").formatted("C3911"))
                .is(201)
                .at("/id")
                .asText();
        String bare = aCustomer(north, "");
        assertThat(failed(quality(north, section).is(200).at("/issues"))).contains(code);
        assertThat(failed(quality(north, cls).is(200).at("/issues"))).doesNotContain(code);
        assertThat(issues(north, "&rule=" + code)).contains(section).doesNotContain(cls, bare);
        assertThat(issues(south, "&rule=" + code)).doesNotContain(section);
        assertThat(failing(summary(north), code)).isEqualTo(1);
        risk.patch(made.header("Location"), made.etag(), "{\"enabled\": false}").is(200);
    }

    @Test
    void theFormatOfWhatIsSealedIsHeldAgainstOneRecordAndTellsOnlyItsShape() {
        String code = "passport-shape";
        String field = "\"field\": \"document\", \"documentType\": \"passport\"";
        Answer made = risk.post("/v1/quality/rules", format(code, field, "\"A9{8}\", \"AA9{7}\""))
                .is(201);
        String passport = ", \"documents\": [{\"type\": \"passport\", \"number\": \"%s\"}]";
        String good = aCustomer(north, passport.formatted("E12345678"));
        String odd = aCustomer(north, passport.formatted("1234X5678"));
        assertThat(failed(quality(north, good).is(200).at("/issues"))).doesNotContain(code);
        Answer found = quality(north, odd).is(200);
        assertThat(failed(found.at("/issues"))).contains(code);
        assertThat(found.text()).doesNotContain("1234X5678");
        quality(south, odd).is(404, "customer.notFound");
        north.get("/v1/quality/issues?rule=" + code).is(422, "quality.ruleOfRecord");
        assertThat(summary(north).text()).doesNotContain(code);
        kehu.sql("DELETE FROM kehu.data_key WHERE subject_id = ?", UUID.fromString(odd));
        assertThat(failed(quality(north, odd).is(200).at("/issues"))).doesNotContain(code);
        risk.patch(made.header("Location"), made.etag(), "{\"enabled\": false}").is(200);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"field\": \"industry\" | \"A9{4\" | /format/patterns/0 | field.noPattern | 3",
                "\"field\": \"industry\" | \"A9\", \"9{0}\" | /format/patterns/1 | field.noPattern | 2",
                "\"field\": \"industry\" | \"9{61}\" | /format/patterns/0 | field.noPattern | 2",
                "\"field\": \"industry\" | \"******\" | /format/patterns/0 | field.noPattern | 6",
                "\"field\": \"phone\" | \"+86138*\" | /format/patterns/0 | field.patternTells |",
                "\"field\": \"document\" | \"A9{8}\" | /format/documentType | field.required |",
                "\"field\": \"gender\" | \"a\" | /format/field | field.notInList |"
            })
    void aPatternThatIsNoneSaysWhereAndWhy(String field, String patterns, String pointer, String code, String where) {
        Answer refused = risk.post("/v1/quality/rules", format("no-pattern", field, patterns))
                .is(400, "request.invalid");
        assertThat(refused.at("/errors/0/pointer").asText()).isEqualTo(pointer);
        assertThat(refused.at("/errors/0/code").asText()).isEqualTo(code);
        if (where != null) {
            assertThat(refused.at("/errors/0/detail").asText()).contains(where);
        }
    }

    @Test
    void theDatabaseAndTheProgramReadAPatternAlike() throws Exception {
        System.out.println("QualityTest: seed " + SEED);
        Random random = new Random(SEED);
        int[] signs = SIGNS.codePoints().toArray();
        List<String> regexes = new ArrayList<>();
        List<String> texts = new ArrayList<>();
        List<Boolean> ours = new ArrayList<>();
        for (int round = 0; round < 300; round++) {
            StringBuilder written = new StringBuilder();
            for (int i = 0; i <= random.nextInt(5); i++) {
                written.append(PARTS[random.nextInt(PARTS.length)]);
            }
            List<TextPattern> patterns = List.of(TextPattern.of(written.toString()), TextPattern.of("99"));
            for (int i = 0; i < 20; i++) {
                StringBuilder text = new StringBuilder();
                for (int j = random.nextInt(6); j > 0; j--) {
                    text.appendCodePoint(signs[random.nextInt(signs.length)]);
                }
                regexes.add(TextPattern.regex(patterns));
                texts.add(text.toString());
                ours.add(patterns.stream().anyMatch(pattern -> pattern.fits(text.toString())));
            }
        }
        List<Object> theirs = kehu
                .sql(
                        "SELECT t COLLATE \"C\" ~ r AS fits FROM unnest(?::text[], ?::text[]) WITH ORDINALITY u(r, t, n) ORDER BY n",
                        regexes.toArray(String[]::new),
                        texts.toArray(String[]::new))
                .stream()
                .map(row -> row.get("fits"))
                .toList();
        for (int i = 0; i < texts.size(); i++) {
            assertThat(theirs.get(i)).as(regexes.get(i) + " " + texts.get(i)).isEqualTo(ours.get(i));
        }
        assertThat(ours.stream().filter(fits -> fits)).hasSizeGreaterThan(100);
    }

    private static long failing(Answer summary, String code) {
        for (JsonNode rule : summary.at("/rules")) {
            if (rule.get("rule").asText().equals(code)) {
                return rule.get("failing").asLong();
            }
        }
        throw new AssertionError("no rule " + code);
    }

    private static Answer summary(Caller who) {
        return who.get("/v1/quality/summary").is(200);
    }

    @Test
    void howManyFailIsToldOfTheCallersScopeAndKeptForBranchesForAWhile() {
        UUID west = kehu.branch(kehu.headOffice(), "WEST");
        Caller head = kehu.signIn(kehu.staff(west, "branch-head"));
        Caller manager = kehu.signIn(kehu.staff(west, "customer-manager"));
        aCustomer(manager, "");
        whole(manager);
        kehu.sql("UPDATE customer.quality_counted SET at = '-infinity'");
        Answer first = summary(head);
        assertThat(first.at("/customers").asLong()).isEqualTo(2);
        assertThat(failing(first, "birth-date-missing")).isEqualTo(1);
        long all = failing(summary(auditor), "birth-date-missing");
        assertThat(all).isGreaterThanOrEqualTo(1);
        // Another is entered: the branch is told the kept number, the manager that of now.
        aCustomer(manager, "");
        Answer kept = summary(head);
        assertThat(kept.at("/asOf")).isEqualTo(first.at("/asOf"));
        assertThat(failing(kept, "birth-date-missing")).isEqualTo(1);
        assertThat(failing(summary(manager), "birth-date-missing")).isEqualTo(2);
        kehu.sql("UPDATE customer.quality_counted SET at = kehu.now() - interval '1 hour'");
        assertThat(failing(summary(head), "birth-date-missing")).isEqualTo(2);
        assertThat(failing(summary(auditor), "birth-date-missing")).isEqualTo(all + 1);
    }
}
