package io.kehu.bus;

import io.vertx.core.buffer.Buffer;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What an operation answers. The body is encoded once, in the domain, and passed on as bytes: the gateway never parses it.
 *
 * @param status the HTTP status, 2xx
 * @param body JSON bytes, or null for none
 * @param etag the version of the resource without quotes, or null
 * @param location the path of a new resource, or null
 * @param blob a file to stream instead of a body, or null
 * @param cookie a whole {@code Set-Cookie} value, or null
 * @param approval of a dry run: the policy under which the command would wait for approval, or null
 * @param replayed true where the stored answer of an earlier, identical command is given again
 * @param receipt what a write left in the audit, {@code <audit id>:<leaf in hexadecimal>}, or null
 */
public record Reply(
        int status,
        @Nullable Buffer body,
        @Nullable String etag,
        @Nullable String location,
        @Nullable Download blob,
        @Nullable String cookie,
        @Nullable String approval,
        boolean replayed,
        @Nullable String receipt) {

    public Reply(
            int status,
            @Nullable Buffer body,
            @Nullable String etag,
            @Nullable String location,
            @Nullable Download blob,
            boolean replayed) {
        this(status, body, etag, location, blob, null, null, replayed, null);
    }

    public static Reply ok(Json.Writer body) {
        return new Reply(200, Json.write(body), null, null, null, false);
    }

    public static Reply created(String location, Json.Writer body) {
        return new Reply(201, Json.write(body), null, location, null, false);
    }

    /** 202: the work goes on; the location says where to look. */
    public static Reply accepted(String location, Json.Writer body) {
        return new Reply(202, Json.write(body), null, location, null, false);
    }

    public static Reply empty() {
        return new Reply(204, null, null, null, null, false);
    }

    public static Reply file(Download blob) {
        return new Reply(200, null, null, null, blob, false);
    }

    public Reply etag(long version) {
        return etag(Long.toString(version));
    }

    public Reply etag(String value) {
        return new Reply(status, body, value, location, blob, cookie, approval, replayed, receipt);
    }

    /** The same with a {@code Set-Cookie}; never stored for a replay. */
    public Reply cookie(String value) {
        return new Reply(status, body, etag, location, blob, value, approval, replayed, receipt);
    }

    public Reply asReplay() {
        return new Reply(status, body, etag, location, blob, null, null, true, receipt);
    }

    /** The same with what the write left in the audit. */
    public Reply receipt(@Nullable String value) {
        return new Reply(status, body, etag, location, blob, cookie, approval, replayed, value);
    }

    /** The same, of a dry run whose command would wait for approval under this policy. */
    public Reply awaiting(String policy) {
        return new Reply(status, body, etag, location, blob, cookie, policy, replayed, receipt);
    }

    /**
     * A stored file to stream to the caller.
     *
     * @param blobId which
     * @param name the file name offered to the caller
     * @param contentType by content, not by name
     */
    public record Download(UUID blobId, String name, String contentType) {}
}
