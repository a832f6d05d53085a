package io.kehu.outgoing;

import io.kehu.bus.Json;
import io.kehu.crypto.Sha256;
import io.kehu.sql.Clock;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * Hands codes to the bank's own SMS gateway, which knows carriers and texts: one POST of {@code {"id", "about", "phone",
 * "code"}} with {@code Kehu-Signature: t=<epoch seconds>,v1=<hex>}, where v1 is HMAC-SHA256 under the shared secret over
 * {@code <t>.<body>}. An answer of 2xx says that the gateway has taken it. Nothing is sent twice: a code that did not arrive
 * is asked for again by its owner.
 */
final class CodeGateway implements CodeChannel {
    private final Outgoing outgoing;
    private final URI uri;
    private final byte[] secret;
    private final Clock clock;

    CodeGateway(Outgoing outgoing, URI uri, String secret, Clock clock) {
        this.outgoing = outgoing;
        this.uri = uri;
        this.secret = secret.getBytes(StandardCharsets.UTF_8);
        this.clock = clock;
    }

    @Override
    public Future<Void> ready() {
        return Future.succeededFuture();
    }

    @Override
    public Future<Void> send(String about, UUID id, String phone, String code) {
        String body = Json.object()
                .put("id", id.toString())
                .put("about", about)
                .put("phone", phone)
                .put("code", code)
                .toString();
        long moment = clock.millis() / 1000;
        return outgoing.send(
                        HttpMethod.POST,
                        uri,
                        Map.of(
                                "Content-Type",
                                "application/json",
                                "Kehu-Signature",
                                "t=" + moment + ",v1=" + signature(moment + "." + body)),
                        Buffer.buffer(body))
                .compose(answer -> answer.status() / 100 == 2
                        ? Future.succeededFuture()
                        : Future.failedFuture(new Outgoing.Refused("the gateway answered " + answer.status())));
    }

    private String signature(String text) {
        return HexFormat.of().formatHex(Sha256.mac(secret).doFinal(text.getBytes(StandardCharsets.UTF_8)));
    }

    @Override
    public Optional<List<Sent>> inbox() {
        return Optional.empty();
    }
}
