package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.app.Deployment;
import io.kehu.bus.Problems;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A running node and its database hold what contract and catalogue promise. */
class ServedTest {
    private static final String EXISTS = """
            SELECT (SELECT count(*) FROM pg_constraint WHERE conname = ?)
                 + (SELECT count(*) FROM pg_class WHERE relname = ? AND relkind IN ('i', 'I'))
                 + (SELECT count(*) FROM pg_proc WHERE prosrc LIKE '%CONSTRAINT = ''' || ? || '''%')""";

    private static TestKehu kehu;
    private static Deployment node;

    @BeforeAll
    static void start() {
        kehu = TestKehu.prepare(Map.of());
        node = kehu.addNode(kehu.settings());
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @Test
    void theOperationsOfTheContractAreThoseThatAreServed() {
        Set<String> declared = Contract.load(3000).operations().stream()
                .filter(o -> o.kind() != Operation.Kind.UPLOAD && o.kind() != Operation.Kind.STREAM)
                .map(Operation::id)
                .collect(Collectors.toSet());
        assertThat(node.operations()).isEqualTo(declared);
    }

    @Test
    void everyConstraintOfTheCatalogueExistsOrIsRaised() {
        List<String> lost = Problems.all().stream()
                .flatMap(p -> p.constraints().stream())
                .filter(name -> kehu.<Long>value(EXISTS, name, name, name) == 0)
                .toList();
        assertThat(lost).isEmpty();
    }
}
