package io.kehu.customer.imports;

import io.kehu.bus.Problem;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A csv file that is in memory already, in UTF-8, as rows whose cells have names. The grammar is that of {@link CsvRows}. */
public final class CsvText {
    private CsvText() {}

    /** Computes. A row that is too short has empty cells. Fails with {@code csv.*}. */
    public static List<Map<String, String>> rows(byte[] bytes) {
        CsvParser parser = new CsvParser(0, 1, '\0', StandardCharsets.UTF_8);
        List<CsvRows.Row> records = parser.parse(bytes, true);
        Problem fault = parser.fault();
        if (fault != null) {
            throw fault;
        }
        if (records.isEmpty()) {
            throw Problem.of("csv.empty");
        }
        List<String> header =
                Arrays.stream(records.get(0).fields()).map(String::strip).toList();
        List<Map<String, String>> rows = new ArrayList<>();
        for (CsvRows.Row row : records.subList(1, records.size())) {
            Map<String, String> cells = new HashMap<>();
            for (int i = 0; i < header.size(); i++) {
                cells.put(header.get(i), row.get(i));
            }
            rows.add(cells);
        }
        return rows;
    }
}
