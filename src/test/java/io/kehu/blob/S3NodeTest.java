package io.kehu.blob;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.vertx.core.Vertx;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** A whole node whose files are in S3: upload, import and the file of errors over HTTP. */
class S3NodeTest {
    private static final int ROWS = 40_000;

    private static Vertx vertx;
    private static S3StandIn s3;
    private static TestKehu kehu;

    @BeforeAll
    static void start() throws Exception {
        vertx = Vertx.vertx();
        s3 = S3StandIn.start(vertx);
        URI endpoint = s3.options().endpoint();
        kehu = TestKehu.start(Map.of(
                "KEHU_BLOB_KIND", "s3",
                "KEHU_BLOB_S3_ENDPOINT", endpoint.toString(),
                "KEHU_BLOB_S3_REGION", s3.options().region(),
                "KEHU_BLOB_S3_BUCKET", s3.options().bucket(),
                "KEHU_BLOB_S3_ACCESS_KEY", s3.options().accessKey(),
                "KEHU_BLOB_S3_SECRET_KEY", s3.options().secretKey()));
    }

    @AfterAll
    static void stop() {
        kehu.close();
        TestKehu.await(vertx.close());
    }

    @Test
    void aFileOfSeveralPartsIsUploadedImportedAndItsErrorsReadBack() {
        Caller operator = kehu.caller("operator");
        // Longer than one part of S3, 5 MiB.
        String note = "," + "。".repeat(60) + "\n";
        StringBuilder rows = new StringBuilder("id,name,phone,note\n1,好人一,13800138000" + note);
        for (int i = 2; i <= ROWS; i++) {
            rows.append(i).append(",错误号码,12345").append(note);
        }
        String upload = operator.upload(rows.toString().getBytes(StandardCharsets.UTF_8));
        assertThat(s3.objects.values())
                .as("sealed: the shelf never sees what is in the file")
                .noneMatch(object -> object.toString(StandardCharsets.UTF_8).contains("好人一"));

        String begun =
                operator.post("/v1/imports", """
                        {"uploadId": "%s", "mapping": {"kind": "person", "externalId": {"source": "s3", "column": "id"},
                          "fields": [{"field": "name", "column": "name"}, {"field": "phone", "column": "phone"}]}}""".formatted(upload)).is(202).header("Location");

        Answer end = Awaitility.await()
                .atMost(Duration.ofSeconds(120))
                .until(
                        () -> operator.get(begun).is(200),
                        answer -> !Set.of("waiting", "running")
                                .contains(answer.at("/state").asText()));
        assertThat(end.at("/state").asText()).as(end.text()).isEqualTo("done");
        assertThat(end.at("/created").asInt()).isEqualTo(1);
        assertThat(end.at("/rejected").asInt()).isEqualTo(ROWS - 1);
        assertThat(operator.get(begun + "/errors").is(200).text().lines()).hasSize(ROWS);
        assertThat(s3.refused.get()).as("requests with a wrong signature").isZero();
    }
}
