package io.kehu.bus;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The one way to fail. Carries a code of the catalogue ({@code problems.yaml}), which gives the HTTP status and the
 * texts in both languages; crosses the bus as data; has no stack trace, because it is an expected answer.
 */
public final class Problem extends RuntimeException {
    private final String code;
    private final List<String> args;
    private final List<FieldError> errors;
    private final ObjectNode members;

    public Problem(String code, List<String> args, List<FieldError> errors) {
        this(code, args, errors, Json.object());
    }

    Problem(String code, List<String> args, List<FieldError> errors, ObjectNode members) {
        super(code, null, false, false);
        this.code = code;
        this.args = List.copyOf(args);
        this.errors = List.copyOf(errors);
        this.members = members;
    }

    public static Problem of(String code, String... args) {
        return new Problem(code, List.of(args), List.of());
    }

    /** A 400 {@code request.invalid} that points at one field, e.g. {@code at("/idNumber", "field.checksum")}. */
    public static Problem at(String pointer, String fieldCode, String... args) {
        return invalid(List.of(new FieldError(pointer, fieldCode, List.of(args))));
    }

    public static Problem invalid(List<FieldError> errors) {
        return new Problem("request.invalid", List.of(), errors);
    }

    /** The problem behind a failed future, or null where the failure was not expected. */
    public static @Nullable Problem in(@Nullable Throwable failure) {
        return failure instanceof Problem problem ? problem : null;
    }

    public String code() {
        return code;
    }

    /** Values for the placeholders of the texts; never personal data, never echoed input. */
    public List<String> args() {
        return args;
    }

    public List<FieldError> errors() {
        return errors;
    }

    /**
     * Extension members (RFC 9457, section 3.2): what the caller needs to go on. They are for him alone: neither the audit
     * nor the stored answer of a key has them.
     */
    public ObjectNode members() {
        return members;
    }

    /** The same with these extension members, which the contract declares. */
    public Problem with(ObjectNode more) {
        return new Problem(code, args, errors, more);
    }

    /**
     * One fault in the input.
     *
     * @param pointer where: a JSON pointer into the body ({@code /address/city}), or the name of a parameter
     * @param code what is wrong, from the {@code field.*} part of the catalogue
     */
    public record FieldError(String pointer, String code, List<String> args) {
        public FieldError {
            args = List.copyOf(args);
        }
    }
}
