package io.kehu.customer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.customer.identity.IdentityRules;
import io.kehu.customer.seed.People;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CustomerTest {
    private static final People PEOPLE = People.asOf(LocalDate.of(2026, 1, 1));
    private static final AtomicInteger NEXT = new AtomicInteger();

    private static TestKehu kehu;
    private static UUID north;
    private static UUID south;
    private static Caller managerNorth;
    private static Caller otherManagerNorth;
    private static Caller managerSouth;
    private static Caller headNorth;
    private static Caller operatorNorth;
    private static Caller auditor;
    private static Caller deskAgent;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        north = kehu.branch(kehu.headOffice(), "NORTH");
        south = kehu.branch(kehu.headOffice(), "SOUTH");
        managerNorth = kehu.signIn(kehu.staff(north, "customer-manager"));
        otherManagerNorth = kehu.signIn(kehu.staff(north, "customer-manager"));
        managerSouth = kehu.signIn(kehu.staff(south, "customer-manager"));
        headNorth = kehu.signIn(kehu.staff(north, "branch-head"));
        operatorNorth = kehu.signIn(kehu.staff(north, "operator"));
        auditor = kehu.caller("auditor");
        deskAgent = kehu.caller("desk-agent");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    // ---- people

    /** A resident number that nobody else in this class has. */
    private static String anIdNumber() {
        while (true) {
            var invented = PEOPLE.at(11, NEXT.getAndIncrement());
            if (invented.birthDate() != null) {
                return invented.idNumber();
            }
        }
    }

    private static String aPhone() {
        return PEOPLE.at(12, NEXT.getAndIncrement()).phone();
    }

    private static Answer enter(Caller who, String json) {
        return who.post("/v1/customers", json);
    }

    private static String path(Answer created) {
        return "/v1/customers/" + created.at("/id").asText();
    }

    private static Answer aProspect(Caller who, String name) {
        return enter(who, "{\"kind\": \"person\", \"name\": \"" + name + "\"}").is(201);
    }

    private static Answer aCustomerOfAnotherBranch() {
        return aProspect(managerSouth, "南方客");
    }

    private static List<String> found(Caller who, String terms) {
        Answer answer = who.post("/v1/customers/search", terms).is(200);
        List<String> ids = new ArrayList<>();
        answer.at("/items").forEach(item -> ids.add(item.get("id").asText()));
        return ids;
    }

    private static List<String> listed(Caller who, String query) {
        List<String> ids = new ArrayList<>();
        who.get("/v1/customers?" + query)
                .is(200)
                .at("/items")
                .forEach(i -> ids.add(i.get("id").asText()));
        return ids;
    }

    private static String id(Answer created) {
        return created.at("/id").asText();
    }

    private static void refusesField(Answer answer, String pointer, String code) {
        answer.is(400, "request.invalid");
        assertThat(answer.at("/errors/0/pointer").asText()).as(answer.text()).isEqualTo(pointer);
        assertThat(answer.at("/errors/0/code").asText()).isEqualTo(code);
    }

    private static String withDocument(String type, String number) {
        return """
                {"kind": "person", "name": "张三", "documents": [{"type": "%s", "number": "%s"}]}""".formatted(type, number);
    }

    // ---- entering and reading

    @Test
    void aPersonIsEnteredAndReadMasked() {
        String number = anIdNumber();
        Answer made = enter(managerNorth, """
                {"kind": "person", "name": " 张三丰 ", "lifecycle": "active", "tier": "affluent", "risk": "C3",
                 "documents": [{"type": "resident_id", "number": "%s", "validUntil": "2040-01-31"}],
                 "phones": [{"number": "138 1234 5678", "label": "mobile"}], "emails": ["Zhang.San@Example.com"],
                 "addresses": [{"line": "上海市浦东新区世纪大道100号", "regionCode": "310115", "postCode": "200120"}],
                 "externalIds": [{"source": "core-banking", "id": "CB-2026-000017"}],
                 "occupation": "20601", "annualIncome": "240000", "assets": "1234567.80", "liabilities": "0"}""".formatted(number)).is(201);
        assertThat(made.header("Location")).isEqualTo(path(made));
        assertThat(made.etag()).isEqualTo("\"1\"");
        Answer read = managerNorth.get(path(made)).is(200);
        assertThat(read.json()).isEqualTo(made.json());
        assertThat(read.at("/name").asText()).isEqualTo("张三丰");
        assertThat(read.at("/documents/0/number").asText())
                .startsWith(number.substring(0, 3))
                .contains("***********");
        assertThat(read.at("/phones/0/number").asText()).isEqualTo("+86138****5678");
        assertThat(read.at("/emails/0").asText()).isEqualTo("z***@example.com");
        assertThat(read.at("/addresses/0/line").asText()).isEqualTo("上海市浦东新区***");
        assertThat(read.at("/externalIds/0/id").asText()).doesNotContain("2026");
        assertThat(read.at("/birthDate").asText())
                .isEqualTo(IdentityRules.birthDateOf(number).toString());
        assertThat(read.at("/gender").asText()).isIn("male", "female");
        assertThat(read.at("/regionCode").asText()).isEqualTo("310115");
        assertThat(read.at("/assets").asText()).isEqualTo("1234567.80");
        assertThat(read.at("/managerId").asText()).isEqualTo(managerNorth.id.toString());
        assertThat(read.at("/branchId").asText()).isEqualTo(north.toString());
        assertThat(read.at("/number").asText()).hasSize(11);
        managerNorth.get(path(made), "If-None-Match", read.etag()).is(304);
    }

    @Test
    void anOrganisationIsEnteredWithItsCreditCode() {
        var company = firstOrganisation();
        Answer made = enter(managerNorth, """
                {"kind": "organisation", "name": "%s", "tier": "medium", "foundedOn": "%s", "industry": "C39",
                 "documents": [{"type": "credit_code", "number": "%s"}]}""".formatted(company.name(), company.foundedOn(), company.idNumber()))
                .is(201);
        assertThat(made.at("/kind").asText()).isEqualTo("organisation");
        assertThat(found(managerNorth, "{\"idNumber\": \"" + company.idNumber() + "\"}"))
                .containsExactly(id(made));
    }

    private static io.kehu.customer.seed.SeededCustomer firstOrganisation() {
        for (int i = 0; ; i++) {
            var invented = PEOPLE.at(13, i);
            if (invented.foundedOn() != null) {
                return invented;
            }
        }
    }

    @Test
    void aProspectMayHaveOnlyANameOrOnlyAnExternalId() {
        aProspect(managerNorth, "只有名");
        Answer made = enter(managerNorth, """
                {"kind": "person", "externalIds": [{"source": "marketing", "id": "row-1"}]}""").is(201);
        assertThat(found(managerNorth, "{\"externalId\": {\"source\": \"marketing\", \"id\": \"row-1\"}}"))
                .containsExactly(id(made));
        refusesField(enter(managerNorth, "{\"kind\": \"person\"}"), "/name", "field.required");
        refusesField(enter(managerNorth, """
                        {"kind": "person", "lifecycle": "active", "externalIds": [{"source": "marketing", "id": "row-2"}]}"""), "/name", "field.required");
    }

    @Test
    void oneDocumentBelongsToOneCustomerAlsoOutOfScope() {
        String number = anIdNumber();
        enter(managerNorth, withDocument("resident_id", number)).is(201);
        enter(managerSouth, withDocument("resident_id", number.toLowerCase())).is(409, "customer.idTaken");
        enter(managerNorth, """
                {"kind": "person", "externalIds": [{"source": "legacy", "id": "7"}]}""").is(201);
        enter(managerSouth, """
                {"kind": "person", "externalIds": [{"source": "legacy", "id": "7"}]}""").is(409, "customer.externalIdTaken");
    }

    @Test
    void theSameKeyEntersOnePerson() {
        String body = "{\"kind\": \"person\", \"name\": \"重复键\"}";
        String key = UUID.randomUUID().toString();
        Answer first =
                managerNorth.post("/v1/customers", body, "Idempotency-Key", key).is(201);
        Answer again =
                managerNorth.post("/v1/customers", body, "Idempotency-Key", key).is(201);
        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        assertThat(again.json()).isEqualTo(first.json());
    }

    @Test
    void aDryRunLeavesNothing() {
        String number = anIdNumber();
        managerNorth
                .post("/v1/customers", withDocument("resident_id", number), "Dry-Run", "true")
                .is(201);
        assertThat(found(managerNorth, "{\"idNumber\": \"" + number + "\"}")).isEmpty();
    }

    // ---- faulty input

    @Test
    void aWrongChecksumAnImpossibleDateAndAFutureBirthArePointedAt() {
        String good = anIdNumber();
        char last = good.charAt(17);
        String wrong = good.substring(0, 17) + (last == 'X' ? '1' : last == '9' ? '0' : (char) (last + 1));
        refusesField(enter(managerNorth, withDocument("resident_id", wrong)), "/documents/0/number", "field.checksum");
        refusesField(
                enter(managerNorth, withDocument("resident_id", "110101202302290019")),
                "/documents/0/number",
                "field.date");
        refusesField(
                enter(managerNorth, "{\"kind\": \"person\", \"name\": \"未来\", \"birthDate\": \"2090-01-01\"}"),
                "/birthDate",
                "field.future");
        for (String date : List.of("2026-02-29", "10000-01-01", "1990-1-1", "0000-00-00", "")) {
            enter(managerNorth, "{\"kind\": \"person\", \"name\": \"日期\", \"birthDate\": \"" + date + "\"}")
                    .is(400, "request.invalid");
        }
        refusesField(
                enter(managerNorth, "{\"kind\": \"person\", \"name\": \"太早\", \"birthDate\": \"1799-01-01\"}"),
                "/birthDate",
                "field.date");
        refusesField(
                enter(managerNorth, withDocument("credit_code", "91310000MA1K35E80X")),
                "/documents/0/type",
                "field.notForKind");
    }

    @Test
    void whatTheNumberSaysCannotBeContradicted() {
        String number = anIdNumber();
        refusesField(enter(managerNorth, """
                        {"kind": "person", "name": "矛盾", "birthDate": "1950-05-05",
                         "documents": [{"type": "resident_id", "number": "%s"}]}""".formatted(number)), "/birthDate", "field.contradiction");
    }

    @ParameterizedTest
    @CsvSource({
        "phones, '[{\"number\": \"12\"}]', /phones/0/number, field.format",
        "emails, '[\"a@b\"]', /emails/0, field.format",
        "regionCode, '\"990000\"', /regionCode, field.region",
        "tier, '\"large\"', /tier, field.notForKind",
        "industry, '\"C39\"', /industry, field.notForKind",
        "assets, '\"1e9\"', /assets, field.pattern",
        "assets, '\"-1\"', /assets, field.pattern",
        "assets, '1000', /assets, field.type",
        "name, '\"   \"', /name, field.length",
    })
    void aFaultyFieldIsPointedAt(String field, String value, String pointer, String code) {
        String name = field.equals("name") ? "" : "\"name\": \"错误\", ";
        refusesField(
                enter(managerNorth, "{\"kind\": \"person\", " + name + "\"" + field + "\": " + value + "}"),
                pointer,
                code);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "id",
                "version",
                "seq",
                "number",
                "createdAt",
                "deletedAt",
                "ownerId",
                "status",
                "role",
                "createdBy",
                "tokens",
                "sealed_version",
                "currency",
                "since",
                "__proto__"
            })
    void whatTheServerDecidesCannotBeAssigned(String field) {
        enter(managerNorth, "{\"kind\": \"person\", \"name\": \"赋值\", \"" + field + "\": 1}")
                .is(400, "request.invalid");
        Answer made = aProspect(managerNorth, "赋值改");
        managerNorth.patch(path(made), made.etag(), "{\"" + field + "\": 1}").is(400, "request.invalid");
        managerNorth
                .patch(path(made), made.etag(), "{\"kind\": \"organisation\"}")
                .is(400, "request.invalid");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "𠮷野家",
                "欧阳𠮷",
                "阿依古丽·买买提",
                "阿卜杜拉赫曼·伊本·穆罕默德",
                "O''Brien",
                "Zoë Müller",
                "罗伯特'); DROP TABLE customer.customer;--",
                "%_",
                "${7*7}{{7*7}}",
                "李\\\\雷",
                "张\uE000",
                "Ⅷ世",
                "<script>alert(1)</script>"
            })
    void anyNameIsKeptAsWrittenAndFoundAgain(String name) {
        Answer made = aProspect(managerNorth, name);
        String written = Json.read("{\"n\": \"" + name + "\"}").get("n").textValue();
        assertThat(managerNorth.get(path(made)).at("/name").asText()).isEqualTo(written);
        ObjectNode terms = Json.object().put("name", written).put("exact", true);
        if (written.equals("%_")) {
            refusesField(managerNorth.post("/v1/customers/search", terms.toString()), "/name", "field.tooVague");
        } else {
            assertThat(found(managerNorth, terms.toString())).contains(id(made));
        }
    }

    @Test
    void namesAreBoundedByCodePointsAndHaveNoHiddenCharacters() {
        aProspect(managerNorth, "𠮷".repeat(100));
        enter(managerNorth, "{\"kind\": \"person\", \"name\": \"" + "𠮷".repeat(101) + "\"}")
                .is(400, "request.invalid");
        enter(managerNorth, "{\"kind\": \"person\", \"name\": \"" + "长".repeat(10_000) + "\"}")
                .is(400, "request.invalid");
        for (String hidden : List.of("\u202E", "\u200B", "\u0007", "\\u0000", "\\ud842", "\u200E")) {
            enter(managerNorth, "{\"kind\": \"person\", \"name\": \"张" + hidden + "三\"}")
                    .is(400);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "city=31%27%20OR%201=1",
                "sort=name",
                "sort=newest;DROP",
                "tier=gold",
                "risk=C3,C9",
                "ageFrom=-1",
                "ageTo=1e2",
                "assetsFrom=1%27",
                "managerId=1",
                "branchId=%27",
                "updatedSince=yesterday",
                "limit=0",
                "limit=-1",
                "limit=1000000000",
                "cursor=AAAA",
                "cursor=%27",
                "nosuch=1",
                "tier=mass&tier=private",
                "kind=",
                "city=3"
            })
    void aFaultyFilterIsRefused(String query) {
        assertThat(managerNorth.get("/v1/customers?" + query).status())
                .as(query)
                .isEqualTo(400);
    }

    @Test
    void sqlInEverySearchTermIsOnlyText() {
        String evil = "'); DELETE FROM customer.customer; --";
        for (String field : List.of("name", "idNumber", "phone", "email")) {
            Answer answer = managerNorth.post(
                    "/v1/customers/search", Json.object().put(field, evil).toString());
            assertThat(answer.status()).as(field).isIn(200, 400);
        }
        ObjectNode terms = Json.object();
        terms.putObject("externalId").put("source", "x").put("id", evil);
        assertThat(found(managerNorth, terms.toString())).isEmpty();
        assertThat((Long) kehu.value("SELECT count(*) FROM customer.customer")).isPositive();
    }

    // ---- changing

    @Test
    void aChangeKeepsThePastAndMovesTheIndexes() {
        String phone = aPhone();
        Answer made = enter(managerNorth, """
                {"kind": "person", "name": "诸葛改名", "phones": [{"number": "%s"}], "risk": "C1"}""".formatted(phone)).is(201);
        String next = aPhone();
        Answer changed =
                managerNorth.patch(path(made), made.etag(), """
                        {"name": "司马改后", "phones": [{"number": "%s"}], "risk": null}""".formatted(next)).is(200);
        assertThat(changed.etag()).isEqualTo("\"2\"");
        assertThat(changed.json().has("risk")).isFalse();
        assertThat(found(managerNorth, "{\"name\": \"诸葛\"}")).doesNotContain(id(made));
        assertThat(found(managerNorth, "{\"name\": \"司马\"}")).contains(id(made));
        assertThat(found(managerNorth, "{\"phone\": \"" + phone + "\"}")).isEmpty();
        assertThat(found(managerNorth, "{\"phone\": \"" + next + "\"}")).containsExactly(id(made));
        managerNorth.patch(path(made), made.etag(), "{\"risk\": \"C2\"}").is(412, "request.stale");
        managerNorth.send("PATCH", path(made), "{\"risk\": \"C2\"}").is(428, "request.ifMatchMissing");
        managerNorth.patch(path(made), changed.etag(), "{\"name\": null}").is(400);
        // A fact alone leaves the ciphertext as it is.
        managerNorth.patch(path(made), changed.etag(), "{\"risk\": \"C2\"}").is(200);
        assertThat((Long) kehu.value("SELECT version FROM customer.sealed WHERE id = ?", UUID.fromString(id(made))))
                .isEqualTo(2);
    }

    @Test
    void whatWasTrueThenCanBeRead() {
        Answer made = aProspect(managerNorth, "过去名");
        managerNorth
                .patch(path(made), made.etag(), "{\"name\": \"现在名\", \"risk\": \"C4\"}")
                .is(200);
        UUID id = UUID.fromString(id(made));
        // Twenty seconds pass for this customer.
        for (String table : List.of("customer", "sealed")) {
            kehu.sql("ALTER TABLE customer." + table + " DISABLE TRIGGER keep");
            kehu.sql("UPDATE customer." + table + " SET valid_from = valid_from - interval '20 s' WHERE id = ?", id);
            kehu.sql("ALTER TABLE customer." + table + " ENABLE TRIGGER keep");
            kehu.sql(
                    "UPDATE customer." + table + "_past SET valid_from = valid_from - interval '60 s',"
                            + " valid_to = valid_to - interval '20 s' WHERE id = ?",
                    id);
        }
        String then = kehu.<Object>value(
                        "SELECT to_char((valid_from - interval '1 s') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
                                + " FROM customer.customer WHERE id = ?",
                        id)
                .toString();
        Answer past = managerNorth.get(path(made) + "?asOf=" + then).is(200);
        assertThat(past.at("/name").asText()).isEqualTo("过去名");
        assertThat(past.json().has("risk")).isFalse();
        assertThat(managerNorth.get(path(made)).at("/name").asText()).isEqualTo("现在名");
        managerSouth.get(path(made) + "?asOf=" + then).is(404, "customer.notFound");
        managerNorth.get(path(made) + "?asOf=2100-01-01T00:00:00Z").is(400, "request.asOfTooLate");
    }

    @Test
    void aCorrectedNumberBringsItsBirthDate() {
        Answer made =
                enter(managerNorth, withDocument("resident_id", anIdNumber())).is(201);
        String other = anIdNumber();
        Answer changed = managerNorth
                .patch(path(made), made.etag(), """
                        {"documents": [{"type": "resident_id", "number": "%s"}]}""".formatted(other))
                .is(200);
        assertThat(changed.at("/birthDate").asText())
                .isEqualTo(IdentityRules.birthDateOf(other).toString());
    }

    // ---- scope

    @Test
    void nobodyReachesACustomerOutOfScope() {
        Answer made = aCustomerOfAnotherBranch();
        for (Caller who : List.of(managerNorth, headNorth, operatorNorth)) {
            who.get(path(made)).is(404, "customer.notFound");
            assertThat(found(who, "{\"name\": \"南方客\"}")).isEmpty();
            assertThat(listed(who, "branchId=" + south)).isEmpty();
            assertThat(listed(who, "managerId=" + managerSouth.id)).isEmpty();
            who.patch(path(made), made.etag(), "{\"risk\": \"C1\"}").is(404, "customer.notFound");
        }
        managerNorth
                .get(path(made) + "?unmask=phone", "Kehu-Purpose", "contact")
                .is(404, "customer.notFound");
        auditor.get(path(made)).is(200);
        kehu.anonymous().get(path(made)).is(401);
        managerNorth.get("/v1/customers/" + UUID.randomUUID()).is(404, "customer.notFound");
        Answer own = aProspect(managerNorth, "北方客");
        otherManagerNorth.get(path(own)).is(404, "customer.notFound");
        headNorth.get(path(own)).is(200);
    }

    @Test
    void aCustomerIsEnteredOnlyWithinTheScopeOfWhoEnters() {
        String body = "{\"kind\": \"person\", \"name\": \"归属\", \"%s\": \"%s\"}";
        enter(managerNorth, body.formatted("managerId", otherManagerNorth.id)).is(422, "customer.managerUnknown");
        enter(managerNorth, body.formatted("branchId", south)).is(422, "customer.branchUnknown");
        enter(headNorth, body.formatted("branchId", south)).is(422, "customer.branchUnknown");
        enter(headNorth, body.formatted("branchId", UUID.randomUUID())).is(422, "customer.branchUnknown");
        enter(headNorth, body.formatted("managerId", managerSouth.id)).is(422, "customer.managerUnknown");
        Answer made =
                enter(headNorth, body.formatted("managerId", managerNorth.id)).is(201);
        assertThat(made.at("/branchId").asText()).isEqualTo(north.toString());
        managerNorth.get(path(made)).is(200);
    }

    @Test
    void aCustomerIsHandedOverWithinTheScopeOfWhoChangesIt() {
        Answer made = aProspect(managerNorth, "移交");
        managerNorth
                .patch(path(made), "\"1\"", "{\"managerId\": \"" + otherManagerNorth.id + "\"}")
                .is(422, "customer.managerUnknown");
        headNorth
                .patch(path(made), "\"1\"", "{\"branchId\": \"" + south + "\"}")
                .is(422, "customer.branchUnknown");
        headNorth
                .patch(path(made), "\"1\"", "{\"managerId\": \"" + otherManagerNorth.id + "\"}")
                .is(200);
        managerNorth.get(path(made)).is(404, "customer.notFound");
        otherManagerNorth.get(path(made)).is(200);
        headNorth.patch(path(made), "\"2\"", "{\"managerId\": null}").is(200);
        otherManagerNorth.get(path(made)).is(404, "customer.notFound");
    }

    @Test
    void anEventTellsWhoseCustomerItIsAndNothingMore() {
        Answer made = aProspect(managerNorth, "事件无名");
        Map<String, Object> event = kehu.sql(
                        "SELECT type, branch_id, owner_id, permission, payload::text FROM kehu.event WHERE aggregate_id = ?",
                        UUID.fromString(id(made)))
                .get(0);
        assertThat(event)
                .containsEntry("type", "customer.created")
                .containsEntry("branch_id", north)
                .containsEntry("owner_id", managerNorth.id)
                .containsEntry("permission", "customer:read")
                .containsEntry("payload", "{}");
    }

    // ---- money facts, unmasking

    @Test
    void moneyIsOnlyForThoseWhoMaySeeIt() {
        Answer made = enter(headNorth, "{\"kind\": \"person\", \"name\": \"财富\", \"assets\": \"5000000\"}")
                .is(201);
        assertThat(headNorth.get(path(made)).at("/assets").asText()).isEqualTo("5000000.00");
        Answer masked = deskAgent.get(path(made)).is(200);
        assertThat(masked.json().has("assets")).isFalse();
        deskAgent.get("/v1/customers?assetsFrom=1").is(403, "customer.fieldForbidden");
        deskAgent.get("/v1/customers?sort=assets").is(403, "customer.fieldForbidden");
        deskAgent
                .post("/v1/customers/search", "{\"name\": \"财\", \"assetsTo\": \"9\"}")
                .is(403, "customer.fieldForbidden");
        deskAgent
                .post("/v1/customers/search", "{\"name\": \"财富\"}")
                .is(200)
                .at("/items")
                .forEach(item -> assertThat(item.has("assets")).isFalse());
    }

    @Test
    void aReadingInFullHasAPurposeAndIsAudited() {
        String phone = aPhone();
        Answer made = enter(managerNorth, """
                {"kind": "person", "name": "完整", "phones": [{"number": "%s"}], "emails": ["full@example.com"]}""".formatted(phone)).is(201);
        managerNorth.get(path(made) + "?unmask=phone").is(400, "request.purposeMissing");
        managerNorth
                .get(path(made) + "?unmask=phone", "Kehu-Purpose", "curiosity")
                .is(400, "request.invalid");
        managerNorth.get(path(made) + "?unmask=name", "Kehu-Purpose", "contact").is(400, "request.invalid");
        auditor.get(path(made) + "?unmask=phone", "Kehu-Purpose", "audit").is(403, "customer.unmaskForbidden");
        assertThat(kehu.sql(
                        "SELECT kind, code, purpose FROM kehu.audit WHERE object_id = ? AND kind = 'unmask'",
                        UUID.fromString(made.at("/id").asText())))
                .as("who tried is in the audit too")
                .containsExactly(Map.of("kind", "unmask", "code", "customer.unmaskForbidden", "purpose", "audit"));
        Answer full = managerNorth
                .get(path(made) + "?unmask=phone", "Kehu-Purpose", "contact")
                .is(200);
        assertThat(full.at("/phones/0/number").asText()).isEqualTo(phone);
        assertThat(full.at("/emails/0").asText()).isEqualTo("f***@example.com");
        assertThat(full.etag()).isEqualTo("\"1.u\"");
        assertThat(kehu.sql(
                        "SELECT actor, purpose, object_version FROM kehu.audit"
                                + " WHERE kind = 'unmask' AND code IS NULL AND object_id = ?",
                        UUID.fromString(id(made))))
                .containsExactly(Map.of("actor", managerNorth.id, "purpose", "contact", "object_version", 1L));
        managerNorth.patch(path(made), full.etag(), "{\"risk\": \"C1\"}").is(200);
    }

    @Test
    void readingsInFullAreCountedByTheDay() {
        Caller copying = kehu.signIn(kehu.staff(north, "customer-manager"));
        Answer made = aProspect(copying, "额度");
        String full = path(made) + "?unmask=phone";
        copying.get(full, "Kehu-Purpose", "contact").is(200);
        kehu.sql("UPDATE customer.unmasking SET used = 200 WHERE staff_id = ?", copying.id);
        copying.get(full, "Kehu-Purpose", "contact").is(429, "customer.unmaskQuota");
        copying.get(path(made)).is(200);
        kehu.sql("UPDATE customer.unmasking SET day = day - 1 WHERE staff_id = ?", copying.id);
        copying.get(full, "Kehu-Purpose", "contact").is(200);
    }

    // ---- lists and searches

    /** For who sees all, the plan of such a search is kept after a few: it must find for any name what it found at first. */
    @Test
    void whoSeesAllFindsByNameAloneWhatTheBranchFindsPageByPage() {
        List<String> twins = new ArrayList<>();
        for (int i = 0; i < 7; i++) {
            twins.add(0, id(aProspect(managerNorth, "阚泽彧")));
        }
        String other = id(aProspect(managerNorth, "独孤信"));
        for (int round = 0; round < 8; round++) {
            for (String name : List.of("阚泽彧", "阚泽", "阚", "kanzeyu", "kzy")) {
                assertThat(found(auditor, "{\"name\": \"" + name + "\"}"))
                        .as(name)
                        .containsExactlyElementsOf(twins)
                        .isEqualTo(found(headNorth, "{\"name\": \"" + name + "\"}"));
            }
            assertThat(found(auditor, "{\"name\": \"独孤信\", \"exact\": true}")).containsExactly(other);
            assertThat(found(auditor, "{\"name\": \"阚泽彧彧\", \"exact\": true}")).isEmpty();
        }
        List<String> paged = new ArrayList<>();
        ObjectNode terms = Json.object().put("name", "阚泽").put("limit", 3);
        Answer page;
        do {
            page = auditor.post("/v1/customers/search", terms.toString()).is(200);
            page.at("/items").forEach(item -> paged.add(item.get("id").asText()));
            terms.put("cursor", page.at("/next").asText());
        } while (!page.at("/next").isNull());
        assertThat(paged).containsExactlyElementsOf(twins);
    }

    @Test
    void aPersonIsFoundByEveryFormOfTheName() {
        Answer made = aProspect(managerNorth, "慕容晓燕");
        for (String text : List.of("慕容晓燕", "慕容", "容晓", "燕", "晓燕", "murongxiaoyan", "xiaoyan", "mrxy", "mu rong")) {
            assertThat(found(managerNorth, Json.object().put("name", text).toString()))
                    .as(text)
                    .contains(id(made));
        }
        for (String text : List.of("慕燕", "晓容", "xiaorong", "xy")) {
            assertThat(found(managerNorth, Json.object().put("name", text).toString()))
                    .as(text)
                    .doesNotContain(id(made));
        }
        assertThat(found(managerNorth, "{\"name\": \"慕容\", \"exact\": true}")).doesNotContain(id(made));
        assertThat(found(managerNorth, "{\"name\": \"慕容晓燕\", \"exact\": true}")).contains(id(made));
    }

    @Test
    void aPersonIsFoundByNumbers() {
        String number = anIdNumber();
        String phone = aPhone();
        Answer made = enter(managerNorth, """
                {"kind": "person", "name": "号码", "documents": [{"type": "resident_id", "number": "%s"}],
                 "phones": [{"number": "%s"}], "emails": ["number.found@example.com"]}""".formatted(number, phone)).is(201);
        String customerNumber = made.at("/number").asText();
        for (String terms : List.of(
                "{\"idNumber\": \"" + number.toLowerCase() + "\"}",
                "{\"phone\": \"" + phone.substring(3) + "\"}",
                "{\"email\": \"NUMBER.FOUND@example.com\"}",
                "{\"number\": \"" + customerNumber + "\"}",
                "{\"lastFour\": \"" + phone.substring(phone.length() - 4) + "\", \"name\": \"号\"}",
                "{\"phone\": \"" + phone + "\", \"idNumber\": \"" + number
                        + "\", \"name\": \"haoma\", \"kind\": \"person\"}")) {
            assertThat(found(managerNorth, terms)).as(terms).containsExactly(id(made));
            assertThat(found(managerSouth, terms)).as(terms).isEmpty();
        }
        assertThat(found(managerNorth, "{\"phone\": \"" + phone + "\", \"name\": \"别人\"}"))
                .isEmpty();
        char last = customerNumber.charAt(10);
        refusesField(
                managerNorth.post(
                        "/v1/customers/search",
                        "{\"number\": \"" + customerNumber.substring(0, 10) + (last == '9' ? '0' : (char) (last + 1))
                                + "\"}"),
                "/number",
                "field.checksum");
        managerNorth.post("/v1/customers/search", "{}").is(400);
    }

    @Test
    void everyFilterKeepsWhatFitsAndDropsTheRest() {
        Caller who = kehu.signIn(kehu.staff(north, "customer-manager"));
        String rich = id(enter(who, """
                {"kind": "person", "name": "富", "birthDate": "1960-06-01", "tier": "private", "risk": "C5", "lifecycle": "mature",
                 "regionCode": "330106", "assets": "9000000"}""").is(201));
        String young = id(enter(who, """
                {"kind": "person", "name": "年轻", "birthDate": "2004-06-01", "tier": "mass", "risk": "C1", "lifecycle": "new",
                 "regionCode": "330203", "assets": "1000"}""").is(201));
        String firm = id(enter(who, """
                {"kind": "organisation", "name": "公司", "tier": "large", "lifecycle": "dormant", "regionCode": "310115"}""").is(201));
        for (Map.Entry<String, List<String>> expected : Map.<String, List<String>>ofEntries(
                        Map.entry("kind=organisation", List.of(firm)),
                        Map.entry("city=33", List.of(young, rich)),
                        Map.entry("city=3301", List.of(rich)),
                        Map.entry("city=330203", List.of(young)),
                        Map.entry("tier=private", List.of(rich)),
                        Map.entry("tier=private,large", List.of(firm, rich)),
                        Map.entry("lifecycle=new", List.of(young)),
                        Map.entry("risk=C1,C2", List.of(young)),
                        Map.entry("ageFrom=60", List.of(rich)),
                        Map.entry("ageTo=30", List.of(young)),
                        Map.entry("ageFrom=0&ageTo=120", List.of(young, rich)),
                        Map.entry("assetsFrom=1000", List.of(young, rich)),
                        Map.entry("assetsFrom=1000.01", List.of(rich)),
                        Map.entry("assetsTo=1000", List.of(young)),
                        Map.entry("sort=assets", List.of(rich, young)),
                        Map.entry("sort=oldest", List.of(rich, young, firm)),
                        Map.entry("sort=updated", List.of(rich, young, firm)),
                        Map.entry("managerId=" + who.id, List.of(firm, young, rich)),
                        Map.entry("branchId=" + north, List.of(firm, young, rich)),
                        Map.entry("updatedSince=2020-01-01T00:00:00Z", List.of(rich, young, firm)),
                        Map.entry("updatedSince=2100-01-01T00:00:00Z", List.of()),
                        Map.entry("tier=mass&city=31", List.of()))
                .entrySet()) {
            assertThat(listed(who, expected.getKey())).as(expected.getKey()).isEqualTo(expected.getValue());
        }
        assertThat(found(
                        who,
                        "{\"name\": \"fu\", \"tier\": [\"private\", \"mass\"], \"city\": \"33\", \"ageFrom\": 50}"))
                .containsExactly(rich);
        assertThat(found(headNorth, "{\"name\": \"富\", \"managerId\": \"" + who.id + "\"}"))
                .containsExactly(rich);
    }

    @ParameterizedTest
    @ValueSource(strings = {"newest", "oldest", "assets", "updated"})
    void pagesHoldEveryRowOnceInEveryOrder(String sort) {
        Caller who = kehu.signIn(kehu.staff(north, "customer-manager"));
        List<String> made = new ArrayList<>();
        for (int i = 0; i < 7; i++) {
            made.add(id(enter(who, "{\"kind\": \"person\", \"name\": \"翻页\", \"assets\": \"" + (i / 2) + "\"}")
                    .is(201)));
        }
        List<String> seen = new ArrayList<>();
        String next = "";
        do {
            Answer page = who.get("/v1/customers?limit=3&sort=" + sort + next).is(200);
            page.at("/items").forEach(item -> seen.add(item.get("id").asText()));
            JsonNode cursor = page.at("/next");
            next = cursor.isNull() ? null : "&cursor=" + cursor.asText();
        } while (next != null);
        assertThat(seen).containsExactlyInAnyOrderElementsOf(made).doesNotHaveDuplicates();
        seen.clear();
        String terms = "{\"name\": \"翻\", \"limit\": 3, \"sort\": \"" + sort + "\"}";
        for (JsonNode cursor = Json.object().path("none"); seen.size() < 7; ) {
            ObjectNode body = Json.read(terms);
            if (cursor.isTextual()) {
                body.set("cursor", cursor);
            }
            Answer page = who.post("/v1/customers/search", body.toString()).is(200);
            page.at("/items").forEach(item -> seen.add(item.get("id").asText()));
            cursor = page.at("/next");
            if (cursor.isNull()) {
                break;
            }
            String stolen = cursor.asText();
            managerNorth
                    .post(
                            "/v1/customers/search",
                            Json.read(terms).put("cursor", stolen).toString())
                    .is(400, "request.cursorInvalid");
        }
        assertThat(seen).containsExactlyInAnyOrderElementsOf(made);
    }

    @Test
    void whoFollowsChangesHearsOfDeletions() {
        Caller who = kehu.signIn(kehu.staff(north, "customer-manager"));
        Answer made = aProspect(who, "将删");
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", UUID.fromString(id(made)));
        who.get(path(made)).is(404, "customer.notFound");
        assertThat(listed(who, "limit=10")).isEmpty();
        Answer changes =
                who.get("/v1/customers?updatedSince=2020-01-01T00:00:00Z").is(200);
        assertThat(changes.at("/items/0/deleted").asBoolean()).isTrue();
        assertThat(changes.at("/items/0").has("name")).isFalse();
    }

    @Test
    void whoFollowsChangesHearsOfTheDeletionOfTheNewestToo() {
        Caller who = kehu.signIn(kehu.staff(north, "customer-manager"));
        List<String> made = new ArrayList<>();
        for (String number : List.of("+8613800137461", "+8613900137461")) {
            made.add(0, id(enter(who, """
                    {"kind": "person", "name": "先后", "tier": "private", "phones": [{"number": "%s"}]}""".formatted(number)).is(201)));
        }
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", UUID.fromString(made.get(0)));
        String terms = "{\"lastFour\": \"7461\", \"tier\": [\"private\"], \"sort\": \"newest\"";
        assertThat(found(who, terms + "}")).containsExactly(made.get(1));
        assertThat(found(who, terms + ", \"updatedSince\": \"2020-01-01T00:00:00Z\"}"))
                .containsExactlyElementsOf(made);
    }
}
