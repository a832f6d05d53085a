package io.kehu.sql;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * One page of a list by keyset: no OFFSET, so the thousandth page costs what the first does. The cursor holds the keys of
 * the last row, is opaque, and is bound by a keyed hash to the operation, its filters and its caller: an altered cursor, or
 * one of another list, is {@code request.cursorInvalid}.
 */
public final class Page {
    private static final int TAG_BYTES = 16;
    private static final int DEFAULT_LIMIT = 50;

    private final int limit;
    private final List<String> after;
    private final byte[] context;
    private final UnaryOperator<byte[]> mac;

    /** Writes one of a list as an item. */
    @FunctionalInterface
    public interface Item<T> {
        void write(JsonGenerator json, T one) throws IOException;
    }

    private Page(int limit, List<String> after, byte[] context, UnaryOperator<byte[]> mac) {
        this.limit = limit;
        this.after = after;
        this.context = context;
        this.mac = mac;
    }

    /**
     * Reads {@code limit} and {@code cursor} of a call.
     *
     * @param mac a keyed hash of at least 16 bytes
     */
    public static Page of(Call call, UnaryOperator<byte[]> mac) {
        var filters = call.params().deepCopy().without(List.of("cursor", "limit"));
        byte[] context = (call.operationId()
                        + '\n'
                        + filters
                        + '\n'
                        + call.body()
                        + '\n'
                        + call.principal().subject())
                .getBytes(StandardCharsets.UTF_8);
        String cursor = call.text("cursor");
        if (cursor == null && call.body() != null) {
            // A search carries its cursor in the body, beside the terms.
            var terms = call.body().deepCopy();
            cursor = terms.path("cursor").textValue();
            int limit = terms.path("limit").asInt(DEFAULT_LIMIT);
            context = (call.operationId()
                            + '\n'
                            + terms.without(List.of("cursor", "limit"))
                            + '\n'
                            + call.principal().subject())
                    .getBytes(StandardCharsets.UTF_8);
            return new Page(limit, open(cursor, context, mac), context, mac);
        }
        return new Page(call.integer("limit", DEFAULT_LIMIT), open(cursor, context, mac), context, mac);
    }

    /** How many rows to ask for: one more than are shown, to know whether there is a next page. */
    public int fetch() {
        return limit + 1;
    }

    /** The keys of the last row of the page before; empty on the first. */
    public List<String> after() {
        return after;
    }

    /**
     * Writes {@code {"items": [...], "next": ...}}.
     *
     * @param keys the values of a row that the list is sorted by, as texts
     */
    public Json.Writer write(RowSet<Row> rows, Function<Row, List<String>> keys, Item<Row> item) {
        return write(rows, rows.size(), keys, item);
    }

    /** The same of a list that no table holds. */
    public <T> Json.Writer write(Iterable<T> rows, int size, Function<T, List<String>> keys, Item<T> item) {
        return json -> {
            json.writeStartObject();
            json.writeArrayFieldStart("items");
            int shown = 0;
            T last = null;
            for (T row : rows) {
                if (shown == limit) {
                    break;
                }
                item.write(json, row);
                last = row;
                shown++;
            }
            json.writeEndArray();
            json.writeStringField("next", last == null || size <= limit ? null : seal(keys.apply(last)));
            json.writeEndObject();
        };
    }

    private String seal(List<String> keys) {
        ArrayNode array = Json.MAPPER.createArrayNode();
        keys.forEach(array::add);
        byte[] body = array.toString().getBytes(StandardCharsets.UTF_8);
        byte[] sealed = Arrays.copyOf(tag(body, context, mac), TAG_BYTES + body.length);
        System.arraycopy(body, 0, sealed, TAG_BYTES, body.length);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(sealed);
    }

    private static List<String> open(@Nullable String cursor, byte[] context, UnaryOperator<byte[]> mac) {
        if (cursor == null) {
            return List.of();
        }
        try {
            byte[] sealed = Base64.getUrlDecoder().decode(cursor);
            if (sealed.length > TAG_BYTES) {
                byte[] body = Arrays.copyOfRange(sealed, TAG_BYTES, sealed.length);
                if (MessageDigest.isEqual(tag(body, context, mac), Arrays.copyOf(sealed, TAG_BYTES))) {
                    JsonNode keys = Json.MAPPER.readTree(body);
                    return keys.valueStream().map(JsonNode::asText).toList();
                }
            }
        } catch (IllegalArgumentException | IOException e) {
            // Not one of ours: answered below like every other altered cursor.
        }
        throw Problem.of("request.cursorInvalid");
    }

    private static byte[] tag(byte[] body, byte[] context, UnaryOperator<byte[]> mac) {
        byte[] all = Arrays.copyOf(context, context.length + body.length);
        System.arraycopy(body, 0, all, context.length, body.length);
        return Arrays.copyOf(mac.apply(all), TAG_BYTES);
    }
}
