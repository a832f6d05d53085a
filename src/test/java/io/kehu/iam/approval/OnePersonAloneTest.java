package io.kehu.iam.approval;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.staff.DemoStaff;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * One person with every permission there is, who prepared accounts of his own before a second person was ever asked for, against
 * the rule that two are needed. He enters, edits, decides, withdraws, repeats, gives rights, takes people on, resets passwords and changes the
 * rules, with every account he has, in any order. Colleagues who could decide are there and do nothing. Nothing may ever change.
 */
class OnePersonAloneTest {
    private static final String[] EVERYTHING = {
        "administrator", "branch-head", "operator", "customer-manager", "auditor"
    };
    private static final Instant TOMORROW = Instant.now().plus(Duration.ofDays(1));
    private static final String POLICIES = "/v1/approval-policies/";
    private static final List<String> CODES =
            List.of("approval-policy", "staff-rights", "customer-entry", "customer-import", "parameter");
    private static final UUID BRANCH = DemoStaff.id("SH-PD");

    /** Colleagues who could decide, and do nothing. */
    private static final List<UUID> HONEST = new ArrayList<>();

    private static final Set<String> REFUSALS = new HashSet<>();

    private static TestKehu kehu;

    @BeforeContainer
    static void start() {
        kehu = TestKehu.start(
                Map.of("KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000", "KEHU_RATE_LOGIN_PER_MINUTE", "100000"));
        // With every permission at once: what must stay apart would already hold him back.
        kehu.sql("TRUNCATE iam.duty_conflict");
        for (int i = 0; i < 3; i++) {
            HONEST.add(kehu.staff(BRANCH, EVERYTHING));
        }
    }

    @AfterContainer
    static void stop() {
        kehu.close();
    }

    /** What two people have to agree on, as one text. */
    private static String everythingGuarded() {
        return kehu.value("""
                SELECT (SELECT string_agg(name || value || version, ',' ORDER BY name) FROM ops.parameter)
                    || (SELECT string_agg(code || enabled || levels || branch_rule || expiry_minutes || version, ',' ORDER BY code)
                        FROM iam.approval_policy)
                    || (SELECT string_agg(id::text || roles::text || state || branch_id || rights, ',' ORDER BY id) FROM iam.staff)
                    || (SELECT string_agg(code || scope || permissions::text, ',' ORDER BY code) FROM iam.role)
                    || (SELECT count(*) FROM iam.grant)
                    || (SELECT count(*) || 'x' || coalesce(sum(version), 0) FROM customer.customer)
                    || (SELECT count(*) FROM iam.approval WHERE state IN ('approved', 'executed'))
                    || (SELECT count(*) FROM iam.approval_decision WHERE verdict = 'approve')""");
    }

    /** The person with all accounts, and what he remembers. */
    private static final class Lone {
        final List<Caller> accounts = new ArrayList<>();
        final List<String> approvals = new ArrayList<>();
        final List<String[]> sent = new ArrayList<>();
        final String customer;
        final Random random;

        /** Everything that is free while no policy is enabled; the last thing is to enable them. */
        Lone(Random random) {
            this.random = random;
            kehu.sql("UPDATE iam.approval_policy SET enabled = false");
            accounts.add(kehu.signIn(kehu.staff(BRANCH, EVERYTHING)));
            accounts.add(prepared(accounts.get(0)));
            accounts.add(prepared(accounts.get(1)));
            accounts.add(captured(accounts.get(random.nextInt(3))));
            customer = accounts.get(0)
                    .post("/v1/customers", "{\"kind\": \"person\", \"name\": \"某客户\"}")
                    .is(201)
                    .header("Location");
            for (String code : List.of("parameter", "customer-entry")) {
                Caller self = accounts.get(0);
                Answer on =
                        self.patch(POLICIES + code, self.get(POLICIES + code).etag(), "{\"enabled\": true}");
                if (on.status() == 202) {
                    // The first one is in force already: an honest colleague agrees to the second.
                    Caller colleague = kehu.signIn(kehu.staff(BRANCH, EVERYTHING));
                    assertThat(colleague
                                    .post(on.header("Location") + "/approve", "{}")
                                    .is(200)
                                    .at("/state")
                                    .asText())
                            .isEqualTo("executed");
                }
            }
        }

        private static Caller prepared(Caller by) {
            UUID made = UUID.fromString(takeOn(by).is(201).at("/id").asText());
            kehu.sql("UPDATE iam.staff SET must_change = false WHERE id = ?", made);
            return kehu.signIn(made);
        }

        /** The account of an honest colleague, whose password he reset. */
        private static Caller captured(Caller by) {
            UUID colleague = kehu.staff(BRANCH, EVERYTHING);
            String token = reset(by, colleague).is(200).at("/token").asText();
            kehu.anonymous()
                    .post("/v1/auth/password-reset", """
                    {"token": "%s", "newPassword": "tram violet outwit"}""".formatted(token))
                    .is(204);
            return kehu.signIn(colleague);
        }

        private static Answer reset(Caller by, UUID whom) {
            return by.post("/v1/staff/" + whom + "/password-reset", null);
        }

        private static Answer takeOn(Caller by) {
            return by.post(
                    "/v1/staff", """
                    {"username": "l%s", "name": "影子", "branchId": "%s", "roles": ["administrator", "branch-head", "operator"]}""".formatted(UUID.randomUUID().toString().substring(0, 12), BRANCH));
        }

        private <T> T any(List<T> of) {
            return of.get(random.nextInt(of.size()));
        }

        private void heard(Answer answer) {
            if (answer.status() >= 400) {
                REFUSALS.add(answer.code());
            }
            assertThat(answer.status()).as(answer.text()).isLessThan(500);
            if (answer.status() == 202) {
                approvals.add(answer.header("Location"));
            }
        }

        private void send(Caller by, String method, String path, String etag, String body) {
            String key = UUID.randomUUID().toString();
            sent.add(new String[] {method, path, etag, body, key});
            again(by, sent.get(sent.size() - 1));
        }

        private void again(Caller by, String[] request) {
            heard(
                    request[2].isEmpty()
                            ? by.send(request[0], request[1], request[3], "Idempotency-Key", request[4])
                            : by.patch(request[1], request[2], request[3], "Idempotency-Key", request[4]));
        }

        private void patch(Caller by, String path, String body) {
            send(by, "PATCH", path, by.get(path).is(200).etag(), body);
        }

        void act(int action) {
            Caller by = any(accounts);
            switch (action) {
                case 0 ->
                    patch(by, "/v1/parameters/admission.users", "{\"value\": \"" + (1 + random.nextInt(9)) + "\"}");
                case 1 -> patch(by, POLICIES + any(CODES), "{\"enabled\": " + random.nextBoolean() + "}");
                case 2 ->
                    patch(
                            by,
                            POLICIES + any(CODES),
                            "{\"levels\": [{\"approvers\": 1, \"permission\": \"approval:read\"}], \"branchRule\": \"any\"}");
                case 3 -> heard(takeOn(by));
                case 4 -> patch(by, "/v1/staff/" + any(accounts).id, "{\"roles\": [\"administrator\", \"risk\"]}");
                case 5 -> patch(by, customer, "{\"name\": \"改名" + random.nextInt(9) + "\"}");
                case 6 -> send(by, "POST", "/v1/customers", "", "{\"kind\": \"person\", \"name\": \"新客户\"}");
                case 7 -> {
                    if (!sent.isEmpty()) {
                        again(by, any(sent));
                    }
                }
                case 8 -> decide(by, "/withdraw", null);
                case 9 -> decide(by, "/reject", "{\"reason\": \"x\"}");
                case 10 ->
                    patch(
                            by,
                            "/v1/roles/risk",
                            "{\"permissions\": [\"branch:read\", \"staff:approve\", \"customer:approve\"]}");
                case 11 ->
                    send(by, "POST", "/v1/roles", "", """
                        {"code": "lone-%s", "nameEn": "Lone", "nameZh": "独", "scope": "all", "permissions": ["staff:approve"]}""".formatted(Integer.toString(random.nextInt(26 * 26) + 360, 26)
                            .replaceAll("[0-9]", "x")));
                case 12 -> send(by, "POST", "/v1/grants", "", """
                        {"staffId": "%s", "permissions": ["staff:approve"], "endsAt": "%s", "reason": "x"}""".formatted(any(accounts).id, TOMORROW));
                case 13 -> {
                    Answer asked = by.post("/v1/permission-requests", """
                            {"permissions": ["staff:approve"], "endsAt": "%s", "reason": "x"}""".formatted(TOMORROW));
                    heard(asked);
                    if (asked.status() == 201) {
                        send(any(accounts), "POST", asked.header("Location") + "/approve", "", null);
                    }
                }
                case 14 -> heard(reset(by, any(accounts).id));
                case 16 -> heard(by.post("/v1/staff/" + any(accounts).id + "/factor-reset", null));
                case 15 -> heard(reset(by, HONEST.get(random.nextInt(HONEST.size()))));
                default -> decide(by, "/approve", "{}");
            }
        }

        private void decide(Caller by, String how, String body) {
            if (!approvals.isEmpty()) {
                heard(by.post(
                        any(approvals) + how,
                        body,
                        "Idempotency-Key",
                        UUID.randomUUID().toString()));
            }
        }
    }

    @Property(tries = 12, shrinking = ShrinkingMode.OFF, edgeCases = EdgeCasesMode.NONE)
    void nothingThatTakesTwoHappensByOne(
            @ForAll long seed, @ForAll @Size(40) List<@IntRange(min = 0, max = 31) Integer> actions) {
        Lone lone = new Lone(new Random(seed));
        String before = everythingGuarded();
        lone.act(0);
        // Half of all acts are approvals of whatever waits.
        actions.forEach(lone::act);
        lone.approvals.forEach(
                path -> lone.accounts.forEach(account -> lone.heard(account.post(path + "/approve", "{}"))));
        assertThat(everythingGuarded()).isEqualTo(before);
    }

    /** He came as far as the rules that hold him back. */
    @AfterContainer
    static void heWasRefusedForTheReasonsThatCount() {
        assertThat(REFUSALS).contains("approval.ownChange", "approval.sameHand", "approval.ended");
    }
}
