package io.kehu.iam.right;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Principal.Scope;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.Collection;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One reason for rights: a role, a grant, or a role through a grant.
 *
 * @param scope what it lets see by itself
 * @param places whether it names branches or customers
 * @param sees whether it lets the object that was asked about be seen
 * @param until when it ends by itself
 */
record Source(
        @Nullable String role,
        @Nullable UUID grantId,
        Set<String> permissions,
        Scope scope,
        boolean places,
        boolean sees,
        @Nullable OffsetDateTime until) {

    static Source from(Row row) {
        return new Source(
                row.getString("role"),
                row.getUUID("grant_id"),
                Set.of(row.getArrayOfStrings("permissions")),
                Scope.valueOf(row.getString("scope")),
                row.getBoolean("places"),
                row.getBoolean("sees"),
                row.getOffsetDateTime("until"));
    }

    static void write(JsonGenerator json, String name, Collection<Source> sources) throws IOException {
        json.writeArrayFieldStart(name);
        for (Source source : sources) {
            write(json, source.role, source.grantId, source.until);
        }
        json.writeEndArray();
    }

    static void write(JsonGenerator json, @Nullable String role, @Nullable UUID grantId, @Nullable OffsetDateTime until)
            throws IOException {
        json.writeStartObject();
        json.writeStringField("role", role);
        json.writeStringField("grantId", grantId == null ? null : grantId.toString());
        json.writeStringField("until", until == null ? null : until.toInstant().toString());
        json.writeEndObject();
    }
}
