package io.kehu.bus;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.ValueNode;
import io.vertx.core.buffer.Buffer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import org.jspecify.annotations.Nullable;

/**
 * The one JSON configuration: strict when reading (duplicate keys, trailing bytes, depth over 32 and long numbers are
 * refused, as are documents of more than {@link #MAX_TOKENS}; decimals stay exact), and written by a generator straight into the bytes of the answer.
 */
public final class Json {
    /** safety.md 7: deeper documents are refused. */
    public static final int MAX_DEPTH = 32;

    /** A megabyte of the shortest fields has thousands of times the cost of a megabyte of text. */
    private static final int MAX_TOKENS = 100_000;

    private static final int MAX_DIGITS = 64;

    private static final JsonFactory FACTORY = JsonFactory.builder()
            // The names are the caller's: interned, they would fill a table of the whole process.
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(StreamWriteFeature.WRITE_BIGDECIMAL_AS_PLAIN)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(MAX_DEPTH)
                    .maxTokenCount(MAX_TOKENS)
                    .maxNumberLength(MAX_DIGITS)
                    .maxNameLength(256)
                    .maxStringLength(8 * 1024 * 1024)
                    .build())
            .build();

    /**
     * Decimals of as many digits as {@code maxNumberLength}, also written out: {@code 1e999999999} is a short text of a gigabyte, and beyond the
     * range of a double the validator takes a number for one that lies within all bounds.
     */
    private static final JsonNodeFactory NODES = new JsonNodeFactory() {
        @Override
        public ValueNode numberNode(@Nullable BigDecimal value) {
            if (value != null
                    && (value.scale() > MAX_DIGITS || (long) value.precision() - value.scale() > MAX_DIGITS)) {
                throw new ArithmeticException("too many digits");
            }
            return super.numberNode(value);
        }
    };

    private static final JsonFactory OWN = new JsonFactory();

    public static final ObjectMapper MAPPER = JsonMapper.builder(FACTORY)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .nodeFactory(NODES)
            .build();

    private Json() {}

    /** Something that writes itself as one JSON value. */
    @FunctionalInterface
    public interface Writer {
        void write(JsonGenerator json) throws IOException;
    }

    public static ObjectNode object() {
        return MAPPER.createObjectNode();
    }

    /**
     * Reads untrusted bytes.
     *
     * @throws Problem {@code request.malformed} for anything that is not exactly one JSON value within the bounds
     */
    public static JsonNode parse(Buffer bytes) {
        // RFC 8259, section 8.1: UTF-8 without a byte order mark; the parser would also guess UTF-16 and UTF-32.
        boolean empty = bytes.length() < 2;
        if (!empty && (bytes.getByte(0) <= 0 || bytes.getByte(1) == 0)) {
            throw Problem.of("request.malformed");
        }
        try {
            JsonNode node = MAPPER.readTree(bytes.getBytes());
            if (node == null || node.isMissingNode()) {
                throw Problem.of("request.malformed");
            }
            return node;
        } catch (IOException | NumberFormatException | ArithmeticException e) {
            throw Problem.of("request.malformed");
        }
    }

    /** Reads what Kehu itself wrote. */
    public static ObjectNode read(String text) {
        try {
            return (ObjectNode) MAPPER.readTree(text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A record as it travels among nodes and into jobs. */
    public static byte[] bytes(Object form) {
        try {
            return MAPPER.writeValueAsBytes(form);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Reads what {@link #bytes} wrote. */
    public static <T> T read(byte[] json, Class<T> form) {
        try {
            return MAPPER.readValue(json, form);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A parser over bytes that Kehu itself wrote, without the checks that untrusted ones need. */
    public static JsonParser own(byte[] json) throws IOException {
        return OWN.createParser(json);
    }

    /** ISO 8601 in UTC, with as many digits of the second as it has: what {@code Instant.toString} gives, in a tenth of its time. */
    public static String instant(OffsetDateTime time) {
        OffsetDateTime utc = time.withOffsetSameInstant(ZoneOffset.UTC);
        if (utc.getYear() < 1000 || utc.getYear() > 9999) {
            return utc.toInstant().toString();
        }
        StringBuilder text = new StringBuilder(30);
        text.append(utc.getYear());
        two(text, '-', utc.getMonthValue());
        two(text, '-', utc.getDayOfMonth());
        two(text, 'T', utc.getHour());
        two(text, ':', utc.getMinute());
        two(text, ':', utc.getSecond());
        int nanos = utc.getNano();
        if (nanos != 0) {
            int digits = nanos % 1_000_000 == 0 ? 3 : nanos % 1_000 == 0 ? 6 : 9;
            text.append('.');
            for (int i = 0, unit = 100_000_000; i < digits; i++, unit /= 10) {
                text.append((char) ('0' + nanos / unit % 10));
            }
        }
        return text.append('Z').toString();
    }

    private static void two(StringBuilder text, char before, int number) {
        text.append(before).append((char) ('0' + number / 10)).append((char) ('0' + number % 10));
    }

    public static Buffer write(Writer writer) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
        try (JsonGenerator json = FACTORY.createGenerator(bytes, JsonEncoding.UTF8)) {
            json.setCodec(MAPPER);
            writer.write(json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Buffer.buffer(bytes.toByteArray());
    }

    /** Writes a field that is an array of texts. */
    public static void strings(JsonGenerator json, String name, Iterable<?> values) throws IOException {
        json.writeArrayFieldStart(name);
        for (Object value : values) {
            json.writeString(value.toString());
        }
        json.writeEndArray();
    }

    public static String text(JsonNode node) {
        return node.toString();
    }
}
