package io.kehu.load;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.Vertx;
import io.vertx.core.json.JsonObject;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.Statement;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class BareTest {
    private static final String ID = "0198c5a4-0000-7000-8000-000000000001";

    @Test
    void aRowIsReadByItsKeyAndWrittenAsJson() throws Exception {
        Vertx vertx = Vertx.vertx();
        try (EmbeddedPostgres postgres = EmbeddedPostgres.start()) {
            try (Connection connection = postgres.getPostgresDatabase().getConnection();
                    Statement statement = connection.createStatement()) {
                statement.execute("CREATE TABLE customer (id uuid PRIMARY KEY, city text, version int)");
                statement.execute("CREATE TABLE secret (customer_id uuid PRIMARY KEY, sealed bytea, gone text)");
                statement.execute("INSERT INTO customer VALUES ('" + ID + "', '杭州', 7)");
                statement.execute("INSERT INTO secret VALUES ('" + ID + "', '\\x0102', NULL)");
            }
            Bare bare = new Bare();
            bare.pgUri = "postgresql://postgres@127.0.0.1:" + postgres.getPort() + "/postgres";
            bare.sql =
                    "SELECT c.*, s.sealed, s.gone FROM customer c JOIN secret s ON s.customer_id = c.id WHERE c.id = $1";
            bare.connections = 2;
            bare.waiting = 10;
            bare.eventLoops = 1;
            int port =
                    bare.start(vertx).toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
            HttpResponse<String> found = get(port, ID);
            assertThat(found.statusCode()).isEqualTo(200);
            assertThat(new JsonObject(found.body()))
                    .isEqualTo(new JsonObject()
                            .put("id", ID)
                            .put("city", "杭州")
                            .put("version", 7)
                            .put("sealed", "AQI=")
                            .putNull("gone"));
            assertThat(get(port, ID.replace('1', '2')).statusCode()).isEqualTo(404);
            assertThat(get(port, "nobody").statusCode()).isEqualTo(404);
        } finally {
            vertx.close().toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
        }
    }

    private static HttpResponse<String> get(int port, String id) throws Exception {
        URI uri = URI.create("http://127.0.0.1:" + port + "/v1/customers/" + id);
        return HttpClient.newHttpClient()
                .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
    }
}
