package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.TestKehu;
import io.kehu.bus.Call;
import io.kehu.bus.Operations;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What becomes of a call whose domain nobody serves at the moment. */
class BusBridgeTest {
    private static final Operation OPERATION = Contract.load(3_000).operations().stream()
            .filter(operation -> operation.id().equals("createBranch"))
            .findFirst()
            .orElseThrow();

    private final Vertx vertx = Vertx.vertx();
    private final BusBridge bridge = new BusBridge(vertx, 10, 1_000);
    private final AtomicInteger ran = new AtomicInteger();

    @AfterEach
    void close() {
        TestKehu.await(vertx.close());
    }

    private Future<Reply> call(long timeoutMillis) {
        return bridge.call(OPERATION, Call.internal(OPERATION.id(), Call.Lane.POINT, timeoutMillis));
    }

    private void serve(Future<Reply> answer) {
        TestKehu.await(Operations.at(OPERATION.address())
                .on(OPERATION.id(), call -> {
                    ran.incrementAndGet();
                    return answer;
                })
                .serve(vertx));
    }

    @Test
    void aCallThatCameBetweenTwoNodesIsAnsweredByTheNext() {
        Future<Reply> reply = call(5_000);
        assertThat(reply.isComplete()).isFalse();
        serve(Future.succeededFuture(Reply.empty()));

        assertThat(TestKehu.await(reply).body()).isNull();
        assertThat(ran).hasValue(1);
    }

    @Test
    void aCallThatNobodyTakesIsRefusedAsCertainlyNotRun() {
        assertThatThrownBy(() -> TestKehu.await(call(5_000)))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.code()).isEqualTo("request.unavailable"));
        assertThat(bridge.inFlight()).isZero();
    }

    @Test
    void aCallThatWasRunIsNeverRunAgain() {
        Future<Reply> reply = call(5_000);
        serve(Future.failedFuture(new IllegalStateException("a defect")));

        assertThatThrownBy(() -> TestKehu.await(reply)).isInstanceOf(RuntimeException.class);
        assertThat(ran).hasValue(1);
    }
}
