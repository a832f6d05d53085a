package io.kehu.customer.connector;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A system that sends customers with the members id, name, phone and city. */
public record TestConnector(String path, String secret) {
    /** Body and headers of a delivery. */
    public record Signed(String body, Map<String, String> headers) {}

    public static String draft(String name, String source) {
        return """
                {"name": "%s", "mapping": {"kind": "person", "externalId": {"source": "%s", "column": "id"}, "fields": [
                    {"field": "name", "column": "name"}, {"field": "phone", "column": "phone"},
                    {"field": "occupation", "column": "job"}]}}""".formatted(name, source);
    }

    public static TestConnector create(Caller owner, String name, String source) {
        Answer made = owner.post("/v1/connectors", draft(name, source)).is(201);
        return new TestConnector(made.header("Location"), made.at("/secret").asText());
    }

    static long now(TestKehu kehu) {
        return kehu.value("SELECT floor(extract(epoch FROM kehu.now()))::bigint");
    }

    public Signed signed(TestKehu kehu, String payload) {
        return signed(now(kehu), Ids.next().toString(), payload);
    }

    Signed signed(long time, String delivery, String payload) {
        return new Signed(
                Json.object().put("payload", payload).toString(),
                Map.of(
                        "Kehu-Delivery", delivery,
                        "Kehu-Time", Long.toString(time),
                        "Kehu-Signature", SignatureRules.signature(secret, time, delivery, payload)));
    }

    Answer send(TestKehu kehu, Signed signed) {
        List<String> headers = new ArrayList<>();
        signed.headers.forEach((name, value) -> headers.addAll(List.of(name, value)));
        return kehu.anonymous().post(path + "/deliveries", signed.body, headers.toArray(String[]::new));
    }

    public Answer deliver(TestKehu kehu, String payload) {
        return send(kehu, signed(kehu, payload));
    }
}
