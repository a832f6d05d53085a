package io.kehu.customer.seed;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.bus.Call;
import io.kehu.crypto.KeyStore;
import io.kehu.customer.CustomerBulkStore;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.identity.NameTokens;
import io.kehu.sql.Database;
import io.vertx.core.Vertx;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SeedRunTest {
    private static TestKehu kehu;
    private static Vertx vertx;
    private static Database database;
    private static CustomerBulkStore store;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        UUID branch = kehu.branch(kehu.headOffice(), "SEED");
        kehu.staff(branch, "customer-manager");
        kehu.staff(branch, "customer-manager");
        vertx = Vertx.vertx();
        Database.Lane lane = new Database.Lane(4, 100, 2_000, 60_000);
        database = new Database(
                vertx,
                new Database.Options(
                        kehu.settings().postgresql().uri(), Map.of(Call.Lane.JOB, lane), 2_000, 10_000, 64),
                new Database.Answers(UnaryOperator.identity(), UnaryOperator.identity()));
        KeyStore keys = KeyStore.openOrCreate(kehu.settings().keys().folder(), false);
        store = new CustomerBulkStore(new CustomerSeals(kehu.vault(), new NameTokens(keys)));
    }

    @AfterAll
    static void stop() {
        TestKehu.await(database.close());
        TestKehu.await(vertx.close());
        kehu.close();
    }

    private static long seeded(long seed, long customers, List<String> told) {
        return TestKehu.await(new SeedRun(vertx, database, store, seed, told::add).run(customers));
    }

    @Test
    void aRunGoesOnWhereTheLastOneStoppedAndPeopleAreReadLikeAnyOther() {
        List<String> told = new ArrayList<>();
        assertThat(seeded(5, 2_500, told)).isEqualTo(2_500);
        assertThat(seeded(5, 2_500, told)).isZero();
        assertThat(seeded(5, 2_600, told)).isEqualTo(100);
        assertThat(told).hasSize(2).first().asString().startsWith("2,500 of 2,500 customers");
        assertThat((Long) kehu.value("SELECT count(*) FROM customer.customer")).isEqualTo(2_600);
        assertThat((Long) kehu.value("SELECT count(DISTINCT manager_id) FROM customer.customer"))
                .isEqualTo((Long)
                        kehu.value("SELECT count(*) FROM iam.active_staff WHERE 'customer-manager' = ANY (roles)"));
        SeededCustomer wanted = People.asOf(java.time.LocalDate.parse(
                        kehu.value("SELECT reference FROM customer.seeding").toString()))
                .at(5, 2_599);
        TestKehu.Caller auditor = kehu.caller("auditor");
        TestKehu.Answer found = auditor.post("/v1/customers/search", "{\"idNumber\": \"" + wanted.idNumber() + "\"}")
                .is(200);
        assertThat(found.at("/items/0/name").asText()).isEqualTo(wanted.name());
        assertThat(found.at("/items/0/assets").asText())
                .isEqualTo(wanted.assets().toPlainString());
        TestKehu.Answer one =
                auditor.get("/v1/customers/" + found.at("/items/0/id").asText()).is(200);
        assertThat(one.at("/addresses/0/line").asText()).endsWith("***");
        // One audit row and one event for each chunk.
        assertThat((Long) kehu.value("SELECT sum(row_count)::bigint FROM kehu.audit WHERE operation = 'seedCustomers'"))
                .isEqualTo(2_600);
        assertThat((Long) kehu.value("SELECT count(*) FROM kehu.event WHERE type = 'customer.manyCreated'"))
                .isEqualTo(3);
        assertThat((Long) kehu.value("""
                SELECT count(*) FROM customer.customer c
                WHERE (SELECT count(*) FROM customer.search_token t WHERE t.seq = c.seq AND t.token = ANY (c.tokens))
                    <> cardinality(c.tokens)""")).isZero();
    }
}
