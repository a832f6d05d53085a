package io.kehu.customer.export;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Sha256;
import io.kehu.customer.Customer;
import io.kehu.customer.export.format.RowWriter;
import io.kehu.customer.filter.Filter;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A request for a file, and what came of it.
 *
 * @param request as {@code ExportDraft} or {@code AnalysisDraft} of the contract, without the purpose
 * @param counted rows when it was asked for
 * @param newest the last customer who had been entered by then
 * @param reach what {@link #reach} gave for its maker then
 * @param made the row of the job and of the file, for the answer
 */
record Export(
        UUID id,
        String kind,
        UUID makerId,
        UUID branchId,
        UUID jobId,
        ObjectNode request,
        String purpose,
        long counted,
        long newest,
        String reach,
        OffsetDateTime madeAt,
        Row made) {
    static final String READ = "export:read";
    static final String DOWNLOAD = "export:download";
    static final String CUSTOMERS = "customers";
    static final String ANALYSIS = "analysis";

    static Export from(Row row) {
        return new Export(
                row.getUUID("id"),
                row.getString("kind"),
                row.getUUID("maker_id"),
                row.getUUID("branch_id"),
                row.getUUID("job_id"),
                Json.read(row.getString("request")),
                row.getString("purpose"),
                row.getLong("counted"),
                row.getLong("newest"),
                row.getString("reach"),
                row.getOffsetDateTime("made_at"),
                row);
    }

    /** What somebody needs to make such a file, and to fetch it. */
    static String permission(String kind) {
        return kind.equals(ANALYSIS) ? "customer:analyse" : "customer:export";
    }

    Filter filter() {
        return filter(request);
    }

    static Filter filter(ObjectNode request) {
        return request.has("filter") ? Filter.parse(request.get("filter"), "/filter") : Filter.everybody();
    }

    List<ExportColumn> columns() {
        return columns(request);
    }

    static List<ExportColumn> columns(ObjectNode request) {
        List<ExportColumn> columns = new ArrayList<>();
        request.path("columns").forEach(name -> columns.add(ExportColumn.named(name.asText())));
        return columns;
    }

    /** Parts that are shown in full. */
    Set<String> unmask() {
        return unmask(request);
    }

    static Set<String> unmask(ObjectNode request) {
        Set<String> words = new TreeSet<>();
        request.path("unmask").forEach(word -> words.add(word.asText()));
        return words;
    }

    String format() {
        return request.path("format").asText();
    }

    String encoding() {
        return request.path("encoding").asText("utf-8");
    }

    boolean isArchive() {
        return request.path("archive").asText("none").equals("zip");
    }

    String contentType() {
        return isArchive() ? "application/zip" : RowWriter.contentType(format(), encoding());
    }

    /** Of the file itself; an archive around it is called the same with {@code .zip} behind. */
    String fileName() {
        return kind + "-" + Json.instant(madeAt).substring(0, 10) + "-"
                + id.toString().substring(24) + "." + format();
    }

    /** What its columns need beside. */
    private Set<String> permissions() {
        Set<String> permissions = new TreeSet<>();
        for (JsonNode name : request.path("columns")) {
            String needed = kind.equals(ANALYSIS)
                    ? AnalysisColumn.named(name.asText()).permission()
                    : Customer.FINANCE.contains(name.asText()) ? "customer:finance" : null;
            if (needed != null) {
                permissions.add(needed);
            }
        }
        if (!unmask().isEmpty()) {
            permissions.add("customer:unmask");
        }
        return permissions;
    }

    List<AnalysisColumn> classes() {
        return classes(request);
    }

    static List<AnalysisColumn> classes(ObjectNode request) {
        List<AnalysisColumn> classes = new ArrayList<>();
        request.path("columns").forEach(name -> classes.add(AnalysisColumn.named(name.asText())));
        return classes;
    }

    /** The scope of somebody as one value: another one where anything about it is another. */
    static String reach(Principal who) {
        TreeSet<UUID> branches = new TreeSet<>(who.branchIds());
        TreeSet<UUID> customers = new TreeSet<>(who.customers());
        return HexFormat.of().formatHex(Sha256.of(who.scope() + "\n" + branches + "\n" + customers));
    }

    /** Fails with {@code export.rightsChanged}, where somebody may no longer have what is in the file. */
    void mustBeOpenTo(Principal who) {
        boolean open = who.may(permission(kind))
                && permissions().stream().allMatch(who::may)
                && filter().permissions().stream().allMatch(who::may)
                && reach.equals(reach(who));
        if (!open) {
            throw Problem.of("export.rightsChanged");
        }
    }

    boolean hasFile() {
        return made.getLong("rows") != null;
    }

    @Nullable
    UUID blobId() {
        return made.getUUID("blob_id");
    }

    void toJson(JsonGenerator json) throws IOException {
        toJson(json, null);
    }

    /** @param password of the archive; told once */
    void toJson(JsonGenerator json, @Nullable String password) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("kind", kind);
        json.writeStringField("makerId", makerId.toString());
        json.writeStringField("branchId", branchId.toString());
        json.writeStringField("state", made.getString("state"));
        json.writeFieldName("request");
        json.writeTree((JsonNode) request);
        json.writeStringField("purpose", purpose);
        json.writeNumberField("counted", counted);
        Long rows = made.getLong("rows");
        Long total = made.getLong("units_total");
        long done = made.getLong("units_done");
        json.writeNumberField("rows", rows == null ? done : rows);
        json.writeFieldName("percent");
        json.writeObject(rows != null ? Integer.valueOf(100) : percent(done, total));
        json.writeStringField("fileState", rows == null ? "none" : blobId() == null ? "deleted" : "ready");
        if (rows != null) {
            json.writeNumberField("suppressed", made.getLong("suppressed"));
            json.writeNumberField("size", made.getLong("size"));
            json.writeStringField("sha256", made.getString("sha256"));
            instant(json, "expiresAt", made.getOffsetDateTime("expires_at"));
        }
        text(json, "errorCode", made.getString("error_code"));
        text(json, "archivePassword", password);
        instant(json, "madeAt", madeAt);
        instant(json, "startedAt", made.getOffsetDateTime("started_at"));
        instant(json, "endedAt", made.getOffsetDateTime("ended_at"));
        json.writeEndObject();
    }

    private static @Nullable Integer percent(long done, @Nullable Long total) {
        return total == null || total == 0 ? null : (int) Math.min(100, 100 * done / total);
    }

    private static void text(JsonGenerator json, String name, @Nullable String value) throws IOException {
        if (value != null) {
            json.writeStringField(name, value);
        }
    }

    private static void instant(JsonGenerator json, String name, @Nullable OffsetDateTime value) throws IOException {
        if (value != null) {
            json.writeStringField(name, Json.instant(value));
        }
    }
}
