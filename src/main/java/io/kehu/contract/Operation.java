package io.kehu.contract;

import com.networknt.schema.Schema;
import io.kehu.bus.Call.Lane;
import io.kehu.bus.Principal.Audience;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One operation as the contract declares it, with everything compiled that a request needs.
 *
 * @param address the bus address of the domain that serves it: its tag
 * @param permission who may call it; null for everybody of the audience
 * @param approval the code of the policy that may make it wait for a second person; null for none
 * @param stepUpMinutes how fresh the caller's last factor must be; 0 for any age
 * @param body the compiled schema of the JSON body; null where the operation takes none
 * @param bodyType the media type of the body; null where there is none
 * @param ifMatch whether the operation changes a version that the caller must have seen
 */
public record Operation(
        String id,
        String method,
        String path,
        String address,
        Kind kind,
        Set<Audience> audience,
        @Nullable String permission,
        @Nullable String approval,
        int stepUpMinutes,
        Idempotency idempotency,
        int bodyLimitBytes,
        int timeoutMillis,
        Lane lane,
        boolean staleOk,
        List<Parameter> parameters,
        @Nullable Schema body,
        @Nullable String bodyType,
        boolean bodyRequired,
        boolean ifMatch) {

    /** What an operation does: queries change nothing, commands do; the others move bytes beside the bus. */
    public enum Kind {
        QUERY,
        COMMAND,
        UPLOAD,
        DOWNLOAD,
        STREAM
    }

    /** Whether a command must, may or cannot carry a key. */
    public enum Idempotency {
        REQUIRED,
        OPTIONAL,
        NONE
    }

    public boolean isPublic() {
        return audience.contains(Audience.PUBLIC);
    }
}
