package io.kehu.ops.audit;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.audit.Merkle;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;

/**
 * That an entry is in the chain (RFC 6962, section 2.1.1): hashing the leaf with each hash of the path gives the root.
 *
 * @param index the entry's place among the rows of the seal, from 0
 * @param path hashes beside the way up, lowest first
 * @param root what leaf and path give; the seal's, unless rows were changed
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record AuditProof(UUID id, byte[] leaf, int index, List<byte[]> path, byte[] root, Seal seal) {
    private static final HexFormat HEX = HexFormat.of();

    /** Where an entry stands. */
    @SuppressWarnings("ArrayRecordComponent")
    record Place(int incarnation, String xid, int ord, byte[] leaf) {}

    /** One leaf of a seal's range. */
    @SuppressWarnings("ArrayRecordComponent")
    record Leaf(String xid, int ord, byte[] hash) {}

    /** A link of the chain; what hash and signature cover is said in the contract. */
    @SuppressWarnings("ArrayRecordComponent")
    record Seal(
            long number,
            int incarnation,
            String from,
            String to,
            int rows,
            byte[] root,
            byte[] previous,
            byte[] hash,
            String kid,
            byte[] signature,
            OffsetDateTime sealedAt) {
        static Seal from(Row row) {
            return new Seal(
                    row.getLong("number"),
                    row.getInteger("incarnation"),
                    row.getString("from_xid"),
                    row.getString("to_xid"),
                    row.getInteger("row_count"),
                    row.getBuffer("root").getBytes(),
                    row.getBuffer("previous").getBytes(),
                    row.getBuffer("hash").getBytes(),
                    row.getString("kid"),
                    row.getBuffer("signature").getBytes(),
                    row.getOffsetDateTime("sealed_at"));
        }

        void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeNumberField("number", number);
            json.writeNumberField("incarnation", incarnation);
            json.writeStringField("from", from);
            json.writeStringField("to", to);
            json.writeNumberField("rows", rows);
            json.writeStringField("root", HEX.formatHex(root));
            json.writeStringField("previous", HEX.formatHex(previous));
            json.writeStringField("sealedAt", Json.instant(sealedAt));
            json.writeStringField("hash", HEX.formatHex(hash));
            json.writeStringField("kid", kid);
            json.writeStringField("signature", HEX.formatHex(signature));
            json.writeEndObject();
        }
    }

    /** Computes, so call it on a worker: some milliseconds for the ten thousand leaves that a seal may have. */
    static AuditProof of(UUID id, Place place, Seal seal, List<Leaf> leaves) {
        List<byte[]> hashes = leaves.stream().map(Leaf::hash).toList();
        int index = 0;
        while (index < leaves.size()
                && !(leaves.get(index).xid().equals(place.xid())
                        && leaves.get(index).ord() == place.ord())) {
            index++;
        }
        List<byte[]> path = Merkle.path(hashes, index);
        byte[] root = Merkle.root(place.leaf(), index, hashes.size(), path);
        return new AuditProof(id, place.leaf(), index, path, root, seal);
    }

    void toJson(JsonGenerator json, Seal newest) throws IOException {
        json.writeStartObject();
        json.writeStringField("auditId", id.toString());
        json.writeStringField("receipt", id + ":" + HEX.formatHex(leaf));
        json.writeStringField("leaf", HEX.formatHex(leaf));
        json.writeNumberField("index", index);
        json.writeArrayFieldStart("path");
        for (byte[] beside : path) {
            json.writeString(HEX.formatHex(beside));
        }
        json.writeEndArray();
        json.writeFieldName("seal");
        seal.toJson(json);
        json.writeFieldName("newest");
        newest.toJson(json);
        json.writeEndObject();
    }
}
