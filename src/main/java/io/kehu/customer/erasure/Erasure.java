package io.kehu.customer.erasure;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.crypto.Signer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * The signed entry of an erasure: what stands in the list outside, and what a certificate shows.
 *
 * <pre>
 * statement: "kehu.erasure/1" id customerId customerIds reason askedAt approvalId erasedAt finalAt epochs
 *            joined by line feeds; lists by commas; instants in UTC (ISO 8601)
 * signature: Ed25519 over "\0kehu.data\0" and the statement, by the pair `kid`
 * </pre>
 *
 * @param id that of the deletion
 * @param customerIds every side of the record, in order
 * @param finalAt when the last backup with the erased keys has expired
 * @param epochs of the epoch keys that wrapped them
 */
record Erasure(
        UUID id,
        UUID customerId,
        List<UUID> customerIds,
        String reason,
        OffsetDateTime askedAt,
        UUID approvalId,
        OffsetDateTime erasedAt,
        OffsetDateTime finalAt,
        List<Integer> epochs,
        String kid,
        String signature) {

    String statement() {
        return String.join(
                "\n",
                "kehu.erasure/1",
                id.toString(),
                customerId.toString(),
                joined(customerIds),
                reason,
                Json.instant(askedAt),
                approvalId.toString(),
                Json.instant(erasedAt),
                Json.instant(finalAt),
                joined(epochs));
    }

    private static String joined(List<?> values) {
        return values.stream().map(Object::toString).collect(Collectors.joining(","));
    }

    private byte[] covered() {
        return statement().getBytes(StandardCharsets.UTF_8);
    }

    Erasure signed(Signer signer) {
        Signer.Signature made = signer.sign(covered());
        return new Erasure(
                id,
                customerId,
                customerIds,
                reason,
                askedAt,
                approvalId,
                erasedAt,
                finalAt,
                epochs,
                made.kid(),
                HexFormat.of().formatHex(made.bytes()));
    }

    boolean isSigned(Signer signer) {
        return signature.matches("[0-9a-f]{128}")
                && signer.verify(kid, covered(), HexFormat.of().parseHex(signature));
    }

    /** One line of the list, also what the database is told. */
    String line() {
        ObjectNode node = Json.object().put("id", id.toString()).put("customerId", customerId.toString());
        ArrayNode ids = node.putArray("customerIds");
        customerIds.forEach(one -> ids.add(one.toString()));
        node.put("reason", reason)
                .put("askedAt", Json.instant(askedAt))
                .put("approvalId", approvalId.toString())
                .put("erasedAt", Json.instant(erasedAt))
                .put("finalAt", Json.instant(finalAt));
        ArrayNode numbers = node.putArray("epochs");
        epochs.forEach(numbers::add);
        return node.put("kid", kid).put("signature", signature).toString();
    }

    /**
     * Reads such a line.
     *
     * @throws IllegalArgumentException for anything that {@link #line} did not write, to the letter
     */
    static Erasure read(String line) {
        try {
            JsonNode node = Json.MAPPER.readTree(line);
            List<UUID> ids = new ArrayList<>();
            node.required("customerIds").forEach(one -> ids.add(UUID.fromString(one.asText())));
            List<Integer> epochs = new ArrayList<>();
            node.required("epochs").forEach(one -> epochs.add(one.asInt()));
            Erasure read = new Erasure(
                    UUID.fromString(text(node, "id")),
                    UUID.fromString(text(node, "customerId")),
                    List.copyOf(ids),
                    text(node, "reason"),
                    OffsetDateTime.parse(text(node, "askedAt")),
                    UUID.fromString(text(node, "approvalId")),
                    OffsetDateTime.parse(text(node, "erasedAt")),
                    OffsetDateTime.parse(text(node, "finalAt")),
                    List.copyOf(epochs),
                    text(node, "kid"),
                    text(node, "signature"));
            if (!read.line().equals(line)) {
                throw new IllegalArgumentException("not an erasure");
            }
            return read;
        } catch (IOException | DateTimeException e) {
            throw new IllegalArgumentException("not an erasure", e);
        }
    }

    private static String text(JsonNode node, String name) {
        return node.required(name).asText();
    }
}
