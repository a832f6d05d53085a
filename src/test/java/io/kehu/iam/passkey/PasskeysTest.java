package io.kehu.iam.passkey;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.iam.passkey.Passkeys.Proof;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A passkey as a factor of somebody who is known already, as other rooms ask for it. */
class PasskeysTest {
    private static final Vertx VERTX = Vertx.vertx();

    private static TestKehu kehu;
    private static Database database;
    private static Passkeys passkeys;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(TestAuthenticator.settings());
        database = new Database(
                VERTX,
                new Database.Options(
                        kehu.settings().postgresql().uri(),
                        Map.of(Call.Lane.POINT, new Database.Lane(4, 10, 5_000, 5_000)),
                        2_000,
                        5_000,
                        8),
                new Database.Answers(bytes -> bytes, bytes -> bytes));
        passkeys = passkeys(10);
    }

    @AfterAll
    static void stop() {
        TestKehu.await(database.close());
        TestKehu.await(VERTX.close());
        kehu.close();
    }

    private static Passkeys passkeys(int queue) {
        return new Passkeys(
                new PasskeyStore(database),
                new RelyingParty(TestAuthenticator.DOMAIN, List.of(TestAuthenticator.PAGE), 300_000),
                Duration.ofMinutes(5),
                VERTX.createSharedWorkerExecutor("passkeys-test", 1),
                queue);
    }

    /** What comes of something done in a transaction that stays. */
    private static <T> T within(Function<Tx, Future<T>> work) {
        AtomicReference<T> result = new AtomicReference<>();
        TestKehu.await(database.write(Call.internal("test", Call.Lane.POINT, 10_000), tx -> {
            tx.object("test", tx.auditId(), 1);
            return work.apply(tx).map(value -> {
                result.set(value);
                return Reply.empty();
            });
        }));
        return result.get();
    }

    private static ObjectNode asked(UUID person) {
        return within(tx -> passkeys.begin(tx, person)).options();
    }

    private static boolean isAccepted(Proof proof) {
        return within(tx -> passkeys.accept(tx, proof));
    }

    private static Optional<Proof> verified(ObjectNode credential, UUID person) {
        return TestKehu.await(passkeys.verify(credential, person));
    }

    @Test
    void thePersonWhoIsAskedForIsProvenByOneOfHisPasskeys() {
        Caller person = kehu.caller("analyst");
        TestAuthenticator device = TestAuthenticator.of(person, 3);
        ObjectNode options = asked(person.id);
        assertThat(options.at("/allowCredentials")).hasSize(1);
        assertThat(options.at("/allowCredentials/0/id").asText()).isEqualTo(TestAuthenticator.text(device.id));

        ObjectNode credential = device.get(options, made -> {});
        Proof proof = verified(credential, person.id).orElseThrow();
        assertThat(proof.person()).isEqualTo(person.id);
        assertThat(proof.signCount()).isEqualTo(4);
        assertThat(isAccepted(proof)).isTrue();
        // Neither the challenge nor the count serves twice.
        assertThat(verified(credential, person.id)).isEmpty();
        assertThat(isAccepted(proof)).isFalse();
    }

    @Test
    void aDeviceThatDoesNotSayWhoseItIsWillDoAndOneThatSaysWrongWillNot() {
        Caller person = kehu.caller("analyst");
        TestAuthenticator device = TestAuthenticator.of(person, 0);
        TestAuthenticator others = TestAuthenticator.of(kehu.caller("analyst"), 0);
        assertThat(verified(device.get(asked(person.id), made -> made.handle = null), person.id))
                .isPresent();
        assertThat(verified(device.get(asked(person.id), made -> made.handle = others.handle), person.id))
                .isEmpty();
    }

    @Test
    void nobodyIsProvenByThePasskeyOrTheChallengeOfAnother() {
        Caller person = kehu.caller("analyst");
        Caller other = kehu.caller("analyst");
        TestAuthenticator device = TestAuthenticator.of(person, 0);
        TestAuthenticator others = TestAuthenticator.of(other, 0);
        assertThat(verified(others.get(asked(person.id), made -> {}), person.id))
                .isEmpty();
        assertThat(verified(others.get(asked(person.id), made -> made.handle = null), person.id))
                .isEmpty();
        assertThat(verified(device.get(asked(other.id), made -> {}), person.id)).isEmpty();
        assertThat(verified(device.get(asked(person.id), made -> {}), other.id)).isEmpty();
        // A challenge of a sign-in proves nobody who is known, nor one of these signs anybody in.
        assertThat(verified(device.get(TestAuthenticator.signIn(kehu), made -> {}), person.id))
                .isEmpty();
        kehu.anonymous()
                .post("/v1/auth/passkeys/sign-in", TestAuthenticator.proof(device.get(asked(person.id), made -> {})))
                .is(401, "auth.passkeyInvalid");
        assertThat(verified(device.get(asked(person.id), made -> {}), person.id))
                .isPresent();
    }

    @Test
    void whoHasNoneIsNotAskedForOne() {
        Caller person = kehu.caller("analyst");
        assertThatThrownBy(() -> asked(person.id))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo("passkey.notFound"));
    }

    @Test
    void whatFindsNoRoomIsPutOff() {
        ObjectNode credential = TestAuthenticator.create().get(TestAuthenticator.signIn(kehu), made -> {});
        assertThatThrownBy(() -> TestKehu.await(passkeys(0).verifySignIn(credential)))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo("request.tooManyRequests"));
        Optional<Proof> proof = TestKehu.await(passkeys(1).verifySignIn(credential));
        assertThat(proof).isEmpty();
    }
}
