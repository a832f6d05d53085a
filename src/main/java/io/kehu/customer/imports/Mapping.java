package io.kehu.customer.imports;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.kehu.customer.FieldSourceStore;
import io.kehu.customer.bulk.CellText;
import io.kehu.customer.quality.Dictionary;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.time.format.ResolverStyle;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a row of a file says of a customer, as {@code ImportMapping} of the contract describes it. Only the fields that the
 * contract lists can be reached; a cell is text and nothing else, whatever it begins with. Pure.
 */
public final class Mapping {
    /** The number of the row instead of a column. */
    private static final String ROW = "#row";

    private static final Pattern ISO_DAY = Pattern.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}");
    private static final Set<String> REPEATABLE = Set.of("phone", "email");
    private static final Set<String> DATES = Set.of("birthDate", "foundedOn", "customerSince");
    private static final Set<String> OF_ADDRESS = Set.of("address", "postCode", "addressRegionCode");
    private static final Map<String, String> PLURALS =
            Map.of("phone", "phones", "email", "emails", "address", "addresses");

    private final ObjectNode json;
    private final String kind;
    private final List<Source> sources = new ArrayList<>();
    private final List<String> documentTypes = new ArrayList<>();
    private List<String> header = List.of();
    private final List<String> documentNames = new ArrayList<>();
    private final boolean template;
    private int width;
    private boolean typed;
    private int[] documentColumns = new int[0];
    private int externalColumn = -1;

    /** Where one field comes from. */
    private static final class Source {
        final String field;
        final List<String> names = new ArrayList<>();
        final String joiner;
        final @Nullable String constant;
        final @Nullable String otherwise;
        final Map<String, String> values = new HashMap<>();
        final @Nullable String datePattern;
        final @Nullable DateTimeFormatter date;
        int[] columns = new int[0];

        Source(JsonNode from) {
            field = from.path("field").asText();
            if (from.has("column")) {
                names.add(from.get("column").asText());
            }
            from.path("columns").forEach(name -> names.add(name.asText()));
            joiner = from.path("joiner").asText(" ");
            constant = from.path("constant").textValue();
            otherwise = from.path("default").textValue();
            from.path("values")
                    .forEach(v ->
                            values.put(v.path("from").asText(), v.path("to").asText()));
            datePattern = from.path("dateFormat").textValue();
            // Strictly: 30 February is no date. uuuu, because yyyy would need an era then.
            date = datePattern == null
                    ? null
                    : DateTimeFormatter.ofPattern(datePattern.replace("yyyy", "uuuu"), Locale.ROOT)
                            .withResolverStyle(ResolverStyle.STRICT);
        }

        String label() {
            return names.isEmpty() ? field : String.join("+", names);
        }
    }

    /**
     * What a row came to.
     *
     * @param draft as the body of createCustomer, not yet held against the contract
     * @param defaults fields that hold only for who has none
     * @param columns which column a pointer into the draft stands for
     * @param faults found while reading; pointers into the draft
     */
    public record Reading(
            long line, ObjectNode draft, Set<String> defaults, Map<String, String> columns, List<FieldError> faults) {
        /** The column a fault lies in; empty for the row as a whole. */
        public String column(String pointer) {
            for (String at = pointer; !at.isEmpty(); at = at.substring(0, at.lastIndexOf('/'))) {
                String column = columns.get(at);
                if (column != null) {
                    return column;
                }
            }
            return "";
        }
    }

    private Mapping(ObjectNode json) {
        this.json = json;
        this.kind = json.path("kind").asText();
        this.template = json.path("template").asBoolean();
    }

    /**
     * Reads a mapping that fits the contract.
     *
     * @throws Problem {@code request.invalid} where a field has no source or several, or is mapped twice; {@code
     *     customer.sourceReserved}
     */
    static Mapping of(ObjectNode json) {
        Mapping mapping = new Mapping(json);
        if (FieldSourceStore.STAFF.equals(mapping.source())) {
            throw Problem.of("customer.sourceReserved", FieldSourceStore.STAFF);
        }
        List<FieldError> faults = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        int i = 0;
        for (JsonNode field : json.path("fields")) {
            String at = "/mapping/fields/" + i++;
            Source source = new Source(field);
            int given =
                    (field.has("column") ? 1 : 0) + (field.has("columns") ? 1 : 0) + (field.has("constant") ? 1 : 0);
            if (given != 1) {
                faults.add(new FieldError(at, "field.shape", List.of()));
            }
            if (!seen.add(source.field) && !REPEATABLE.contains(source.field)) {
                faults.add(new FieldError(at + "/field", "field.repeated", List.of()));
            }
            if (source.date != null && !DATES.contains(source.field)) {
                faults.add(new FieldError(at + "/dateFormat", "field.unknown", List.of()));
            }
            mapping.sources.add(source);
        }
        json.path("documents").forEach(document -> {
            mapping.documentTypes.add(document.path("type").asText());
            mapping.documentNames.add(document.path("column").asText());
        });
        if (!faults.isEmpty()) {
            throw Problem.invalid(faults);
        }
        return mapping;
    }

    /** How the file is encoded; empty to find it out. */
    String encoding() {
        return json.path("encoding").asText("");
    }

    /**
     * The same for rows whose cells have names: {@link #read(long, UnaryOperator)} then.
     *
     * @throws Problem those of {@link #of}
     */
    public static Mapping named(ObjectNode json) {
        Mapping mapping = of(json);
        Set<String> names = new LinkedHashSet<>();
        mapping.sources.forEach(source -> source.names.forEach(name -> names.add(name.strip())));
        json.path("documents")
                .forEach(document -> names.add(document.path("column").asText().strip()));
        String external = json.path("externalId").path("column").asText("").strip();
        if (!external.isEmpty() && !external.equals(ROW)) {
            names.add(external);
        }
        mapping.header = List.copyOf(names);
        mapping.bind(mapping.header, false);
        return mapping;
    }

    /**
     * What a row says; after {@link #named}.
     *
     * @param number of the row, from 1
     * @param cell what stands under a name; empty for nothing
     */
    public Reading read(long number, UnaryOperator<String> cell) {
        return read(new CsvRows.Row(number, header.stream().map(cell).toArray(String[]::new), 0, 0, -1), number);
    }

    public boolean has(String field) {
        return sources.stream().anyMatch(source -> source.field.equals(field));
    }

    /** A field that it fills and this caller may not; null for none. */
    public @Nullable String forbidden(Principal who) {
        return ImportTemplate.FINANCE.stream()
                .filter(field -> has(field) && !who.may("customer:finance"))
                .findFirst()
                .orElse(null);
    }

    /**
     * Finds the columns in the first line of a file.
     *
     * @param typed the file knows dates as such, which then come as the contract writes them, whatever the mapping says
     *
     * @throws Problem {@code import.columnUnknown}, {@code import.columnRepeated}
     */
    void bind(List<String> header, boolean typed) {
        this.typed = typed;
        width = header.size();
        if (template) {
            fill(header);
        }
        for (Source source : sources) {
            source.columns =
                    source.names.stream().mapToInt(name -> column(header, name)).toArray();
        }
        documentColumns =
                documentNames.stream().mapToInt(name -> column(header, name)).toArray();
        String external = json.path("externalId").path("column").asText("");
        externalColumn = external.isEmpty() || external.equals(ROW) ? -1 : column(header, external);
    }

    /** What a template's own names say; a file with a column of another name is none. */
    private void fill(List<String> header) {
        sources.clear();
        documentTypes.clear();
        documentNames.clear();
        for (String name : header) {
            if (ImportTemplate.DOCUMENTS.contains(name)) {
                documentTypes.add(name);
                documentNames.add(name);
            } else if (ImportTemplate.isField(name)) {
                sources.add(new Source(Json.object()
                        .put("field", name.replaceAll("[0-9]+$", ""))
                        .put("column", name)));
            } else if (!name.equals(ImportTemplate.REMARKS)
                    && !name.equals(json.path("externalId").path("column").asText())) {
                throw Problem.of("import.columnUnknown", name);
            }
        }
    }

    private static int column(List<String> header, String name) {
        int column = header.indexOf(name.strip());
        if (column < 0) {
            throw Problem.of("import.columnUnknown", name);
        }
        if (header.lastIndexOf(name.strip()) != column) {
            throw Problem.of("import.columnRepeated", name);
        }
        return column;
    }

    /**
     * What a row says; after {@link #bind}.
     *
     * @param number of the row, from 1
     */
    Reading read(CsvRows.Row row, long number) {
        ObjectNode draft = Json.object().put("kind", kind);
        Set<String> defaults = new HashSet<>();
        Map<String, String> columns = new HashMap<>();
        List<FieldError> faults = new ArrayList<>();
        Reading reading = new Reading(row.line(), draft, defaults, columns, faults);
        if (row.fields().length != width) {
            String given = Integer.toString(row.fields().length);
            faults.add(new FieldError("", "import.rowWidth", List.of(Integer.toString(width), given)));
            return reading;
        }
        if (row.faulty() >= 0) {
            faults.add(new FieldError("", "import.cellWithoutValue", List.of(Integer.toString(row.faulty() + 1))));
            return reading;
        }
        ObjectNode address = Json.object();
        for (Source source : sources) {
            String value = value(source, row);
            if (value.isEmpty() && source.otherwise != null) {
                value = source.otherwise;
                defaults.add(PLURALS.getOrDefault(source.field, source.field));
            }
            if (value.isEmpty()) {
                columns.put("/" + source.field, source.label());
            } else {
                put(reading, address, source, value);
            }
        }
        if (address.has("line")) {
            // A post code or region without an address says nothing.
            draft.putArray("addresses").add(address);
        }
        for (int i = 0; i < documentColumns.length; i++) {
            String document = cell(row, documentColumns[i]);
            if (!document.isEmpty()) {
                ArrayNode documents = draft.withArray("documents");
                columns.put("/documents/" + documents.size(), documentNames.get(i));
                documents.addObject().put("type", documentTypes.get(i)).put("number", document);
            }
        }
        external(reading, row, number);
        return reading;
    }

    private void put(Reading reading, ObjectNode address, Source source, String value) {
        ObjectNode draft = reading.draft;
        String field = source.field;
        String pointer = "/" + field;
        if (field.equals("phone")) {
            ArrayNode phones = draft.withArray("phones");
            pointer = "/phones/" + phones.size();
            phones.addObject().put("number", value);
        } else if (field.equals("email")) {
            ArrayNode emails = draft.withArray("emails");
            pointer = "/emails/" + emails.size();
            emails.add(value);
        } else if (OF_ADDRESS.contains(field)) {
            String part = field.equals("address") ? "line" : field.equals("postCode") ? field : "regionCode";
            pointer = "/addresses/0/" + part;
            address.put(part, value);
        } else if (source.date != null && !(typed && ISO_DAY.matcher(value).matches())) {
            try {
                draft.put(field, LocalDate.parse(value, source.date).toString());
            } catch (DateTimeParseException e) {
                boolean shaped = value.replaceAll("[0-9]", "0")
                        .equals(String.valueOf(source.datePattern).replaceAll("[yMd]", "0"));
                reading.faults.add(
                        shaped
                                ? new FieldError(pointer, "field.date", List.of())
                                : new FieldError(pointer, "field.format", List.of(String.valueOf(source.datePattern))));
            }
        } else {
            draft.put(field, value);
        }
        reading.columns.put(pointer, source.label());
    }

    private void external(Reading reading, CsvRows.Row row, long number) {
        JsonNode external = json.path("externalId");
        if (external.isMissingNode()) {
            return;
        }
        String column = external.path("column").asText();
        String id = externalColumn < 0 ? Long.toString(number) : cell(row, externalColumn);
        reading.columns.put("/externalIds", column);
        if (id.isEmpty()) {
            // Without it a second import of the file would make the customer twice.
            reading.faults.add(new FieldError("/externalIds", "field.required", List.of()));
        } else {
            reading.draft
                    .putArray("externalIds")
                    .addObject()
                    .put("source", external.path("source").asText())
                    .put("id", id);
        }
    }

    private static String value(Source source, CsvRows.Row row) {
        String value = source.constant == null ? "" : source.constant;
        if (source.columns.length == 1) {
            value = cell(row, source.columns[0]);
        } else if (source.columns.length > 1) {
            StringBuilder joined = new StringBuilder();
            for (int column : source.columns) {
                String part = cell(row, column);
                if (!part.isEmpty()) {
                    joined.append(joined.isEmpty() ? "" : source.joiner).append(part);
                }
            }
            value = joined.toString();
        }
        String said = source.values.getOrDefault(value, value);
        Dictionary codes = ImportTemplate.CODED.get(source.field);
        return codes == null ? said : codes.chosen(said);
    }

    /** Without blanks around it, and without the apostrophe that exports put before what a spreadsheet would calculate. */
    private static String cell(CsvRows.Row row, int column) {
        return CellText.plain(row.get(column).strip());
    }

    /** The system whose word the file is; null where it names no ids of one. */
    @Nullable
    String source() {
        return json.path("externalId").path("source").textValue();
    }

    /** Whether it is no customer: the last line of a file that was exported here, a remark in a template. */
    boolean passesOver(CsvRows.Row row) {
        return isWatermark(row) || (template && row.get(0).startsWith(ImportTemplate.REMARKS));
    }

    private static boolean isWatermark(CsvRows.Row row) {
        String[] cells = row.fields();
        if (cells.length == 0 || !CellText.isWatermark(cells[0])) {
            return false;
        }
        for (int i = 1; i < cells.length; i++) {
            if (!cells[i].isEmpty()) {
                return false;
            }
        }
        return true;
    }
}
