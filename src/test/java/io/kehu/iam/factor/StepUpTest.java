package io.kehu.iam.factor;

import static io.kehu.iam.factor.TestFactors.aPerson;
import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.TwoNodes;
import io.kehu.iam.factor.TestFactors.Person;
import io.kehu.iam.staff.DemoStaff;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Fresh proof in a running session, on two nodes that know nothing of each other. */
class StepUpTest {
    /** An operation that wants a proof of the last five minutes. */
    private static final String WANTS_ONE = "/v1/auth/factors/totp";

    private static TwoNodes nodes;
    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        nodes = new TwoNodes();
        kehu = nodes.kehu;
    }

    @AfterAll
    static void stop() {
        nodes.close();
    }

    private static Answer tries(Caller caller) {
        return caller.send("POST", WANTS_ONE, (byte[]) null, "Dry-Run", "true");
    }

    private static Answer stepUp(Caller caller, String method, String code) {
        return caller.post(
                "/v1/auth/step-up",
                Json.object().put("method", method).put("code", code).toString());
    }

    private static List<String> methods(Answer answer) {
        List<String> methods = new ArrayList<>();
        answer.at("/methods").forEach(method -> methods.add(method.asText()));
        return methods;
    }

    /** A caller whose proof is too old, and whom both nodes remember as such. */
    private static Caller aged(Person person) {
        Caller caller = kehu.signIn(person.id());
        TestFactors.age(kehu, person.id(), 6);
        caller.at(nodes.first).get("/v1/auth/me").is(200);
        caller.at(nodes.second).get("/v1/auth/me").is(200);
        return caller;
    }

    @Test
    void whoHasNoFactorProvesHimselfByThePasswordAndBothNodesKnowAtOnce() {
        Caller caller = aged(aPerson(kehu, "branch-head"));
        Answer refused = tries(caller).is(401, "auth.stepUp");
        assertThat(methods(refused)).containsExactly("password");
        assertThat(refused.at("/maxAge").asInt()).isEqualTo(300);
        assertThat(refused.header("WWW-Authenticate"))
                .startsWith("Bearer ")
                .contains("error=\"insufficient_user_authentication\"", "max_age=\"300\"");
        stepUp(caller, "password", "wrong-but-long-enough").is(422, "factor.proofWrong");
        stepUp(caller, "totp", "123456").is(422, "factor.proofWrong");
        tries(caller.at(nodes.second)).is(401, "auth.stepUp");
        stepUp(caller.at(nodes.first), "password", DemoStaff.PASSWORD).is(204);
        tries(caller.at(nodes.second)).is(201);
        tries(caller.at(nodes.first)).is(201);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE actor = ? AND operation = 'stepUp' AND kind = 'sign-in'",
                        caller.id))
                .isEqualTo(3);
    }

    @Test
    void whoHasAFactorProvesHimselfByThatAndNotByThePassword() {
        Person person = aPerson(kehu, "branch-head");
        byte[] secret = TestFactors.enrol(kehu, kehu.signIn(person.id()));
        Caller caller = aged(person);
        assertThat(methods(tries(caller).is(401, "auth.stepUp"))).containsExactly("totp", "recovery");
        stepUp(caller, "password", DemoStaff.PASSWORD).is(422, "factor.proofWrong");
        String code = TestFactors.code(kehu, secret, 1);
        stepUp(caller, "totp", code).is(204);
        tries(caller.at(nodes.second)).is(201);
        stepUp(caller, "totp", code).is(422, "factor.proofWrong");
    }

    @Test
    void whoHasHisPasswordElsewhereSignsInAgain() {
        Person person = aPerson(kehu, "branch-head");
        kehu.sql(
                "INSERT INTO iam.federated_identity (id, staff_id, issuer, subject) VALUES (uuidv7(), ?, 'test', ?)",
                person.id(),
                person.username());
        Caller caller = aged(person);
        assertThat(methods(tries(caller).is(401, "auth.stepUp"))).isEmpty();
        stepUp(caller, "password", DemoStaff.PASSWORD).is(422, "factor.proofWrong");
    }

    @Test
    void guessingHereLocksTheAccountAsGuessingAtTheSignInDoes() {
        Person person = aPerson(kehu, "branch-head");
        Caller caller = aged(person);
        for (int i = 0; i < 5; i++) {
            stepUp(caller, "password", "guess number " + i).is(422, "factor.proofWrong");
        }
        stepUp(caller, "password", DemoStaff.PASSWORD).is(422, "factor.proofWrong");
        tries(caller).is(401, "auth.stepUp");
        TestFactors.login(kehu, person).is(401, "auth.failed");
    }
}
