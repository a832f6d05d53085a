package io.kehu.iam.right;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal.Audience;
import io.kehu.bus.Principal.Scope;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.contract.Operation;
import io.kehu.iam.role.Permissions;
import io.kehu.sql.Page;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The rules of the report: the same ones that the gate and the scope of queries follow, told instead of applied. */
final class RightService {
    private static final String ABOUT_CUSTOMERS = "/v1/customers/{";
    private static final String ABOUT_STAFF = "/v1/staff/{";

    private final RightStore store;
    private final List<Operation> operations;
    private final Permissions permissions;
    private final UnaryOperator<byte[]> mac;

    RightService(RightStore store, List<Operation> operations, Permissions permissions, UnaryOperator<byte[]> mac) {
        this.store = store;
        this.operations = operations;
        this.permissions = permissions;
        this.mac = mac;
    }

    /** What is to be explained. */
    private record Question(Operation operation, @Nullable UUID object) {
        boolean isAboutStaff() {
            return operation.path().startsWith(ABOUT_STAFF);
        }

        boolean isAboutObject() {
            return isAboutStaff() || operation.path().startsWith(ABOUT_CUSTOMERS);
        }
    }

    /**
     * What a member of staff may do and why, and what would come of one call. Problems: staff.notFound, request.invalid (an
     * unknown operation, an object where it has none).
     */
    Future<Reply> ofStaff(Call call) {
        Question question = question(call);
        UUID object = question == null ? null : question.object;
        return store.staff(call)
                .compose(staff -> store.sources(call, object, question != null && question.isAboutStaff())
                        .compose(sources -> conflicts(call, question)
                                .map(conflicts -> Reply.ok(json -> write(json, staff, sources, question, conflicts)))));
    }

    private @Nullable Question question(Call call) {
        String id = call.text("operation");
        UUID object = call.optionalId("objectId");
        String explain = call.text("explain", Boolean.toString(id != null));
        if (id == null && (object != null || explain.equals("true"))) {
            throw Problem.at("operation", "field.required");
        }
        if (id == null || explain.equals("false")) {
            return null;
        }
        Question question = operations.stream()
                .filter(operation -> operation.id().equals(id))
                .map(operation -> new Question(operation, object))
                .findFirst()
                .orElseThrow(() -> Problem.at("operation", "field.operationUnknown"));
        if (object != null && !question.isAboutObject()) {
            throw Problem.at("objectId", "field.noObject");
        }
        return question;
    }

    private Future<List<String>> conflicts(Call call, @Nullable Question question) {
        String permission = question == null ? null : question.operation.permission();
        return permission == null ? Future.succeededFuture(List.of()) : store.conflicts(call, permission);
    }

    private static void write(
            JsonGenerator json, Row staff, List<Source> sources, @Nullable Question question, List<String> conflicts)
            throws IOException {
        Scope scope = Scope.valueOf(staff.getString("scope"));
        json.writeStartObject();
        json.writeStringField("staffId", staff.getUUID("id").toString());
        json.writeStringField("username", staff.getString("username"));
        json.writeStringField("state", staff.getString("state"));
        json.writeStringField("scope", scope.name().toLowerCase(Locale.ROOT));
        Source.write(
                json,
                "scopeBy",
                sources.stream()
                        .filter(source -> source.scope() != Scope.NONE || source.places())
                        .toList());
        Json.strings(json, "branchIds", List.of(staff.getArrayOfUUIDs("branch_ids")));
        Json.strings(json, "customerIds", List.of(staff.getArrayOfUUIDs("customer_ids")));
        TreeMap<String, List<Source>> by = new TreeMap<>();
        for (Source source : sources) {
            source.permissions()
                    .forEach(p -> by.computeIfAbsent(p, code -> new java.util.ArrayList<>())
                            .add(source));
        }
        json.writeArrayFieldStart("permissions");
        for (String permission : by.keySet()) {
            json.writeStartObject();
            json.writeStringField("permission", permission);
            Source.write(json, "by", by.get(permission));
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeFieldName("explanation");
        if (question == null) {
            json.writeNull();
        } else {
            explain(json, staff, sources, question, conflicts);
        }
        json.writeEndObject();
    }

    private static void explain(
            JsonGenerator json, Row staff, List<Source> sources, Question question, List<String> conflicts)
            throws IOException {
        Operation operation = question.operation;
        String permission = operation.permission();
        List<Source> permitting = sources.stream()
                .filter(source -> permission != null && source.permissions().contains(permission))
                .toList();
        List<Source> seeing = question.object == null
                ? List.of()
                : sources.stream().filter(source -> sees(source, question)).toList();
        String refusedBy = refusedBy(staff, question, !permitting.isEmpty(), !seeing.isEmpty());
        json.writeStartObject();
        json.writeStringField("operation", operation.id());
        json.writeStringField("permission", permission);
        json.writeBooleanField("allowed", refusedBy == null);
        json.writeStringField("refusedBy", refusedBy);
        Source.write(json, "permissionBy", permitting);
        Source.write(json, "scopeBy", seeing);
        TreeSet<String> held = sources.stream()
                .flatMap(source -> source.permissions().stream())
                .filter(conflicts::contains)
                .collect(Collectors.toCollection(TreeSet::new));
        json.writeArrayFieldStart("conflicts");
        for (String other : held) {
            if (permitting.isEmpty()) {
                json.writeString(other);
            }
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    /** Who manages staff sees all of it. */
    private static boolean sees(Source source, Question question) {
        return source.sees() || (question.isAboutStaff() && source.permissions().contains("staff:manage"));
    }

    /** In the order in which a request meets them. */
    private static @Nullable String refusedBy(Row staff, Question question, boolean permitted, boolean seen) {
        Operation operation = question.operation;
        if (operation.isPublic()) {
            return null;
        }
        if (!staff.getString("state").equals("active")) {
            return "state";
        }
        if (!operation.audience().contains(Audience.STAFF)) {
            return "audience";
        }
        if (operation.permission() != null && staff.getBoolean("held")) {
            return "held";
        }
        if (operation.permission() != null && !permitted) {
            return "permission";
        }
        return question.object != null && !seen ? "scope" : null;
    }

    /** Who holds a permission at this moment, by sign-in name. Problems: request.invalid, request.cursorInvalid. */
    Future<Reply> holders(Call call) {
        permissions.mustExist("permission", call.text("permission", ""));
        Page page = Page.of(call, mac);
        return store.holders(call, page)
                .map(rows ->
                        Reply.ok(page.write(rows, row -> List.of(row.getString("username")), RightService::holder)));
    }

    private static void holder(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        json.writeStringField("staffId", row.getUUID("id").toString());
        json.writeStringField("username", row.getString("username"));
        json.writeStringField("branchId", row.getUUID("branch_id").toString());
        json.writeStringField("state", row.getString("state"));
        json.writeArrayFieldStart("by");
        String[] roles = row.getArrayOfStrings("roles");
        UUID[] grants = row.getArrayOfUUIDs("grants");
        OffsetDateTime[] untils = row.getArrayOfOffsetDateTimes("untils");
        for (int i = 0; i < roles.length; i++) {
            Source.write(json, roles[i], grants[i], untils[i]);
        }
        json.writeEndArray();
        json.writeEndObject();
    }
}
