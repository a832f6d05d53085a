package io.kehu.customer.export;

import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What an analysis may know of a customer: never a value of his, only the class it lies in. Every column counts when it is asked who
 * are alike, so there is none whose value a group could give away.
 *
 * @param sql an expression over {@code customer.customer c}; {@code #today} stands for today's date
 * @param permission without which nobody may have it; null for none
 */
record AnalysisColumn(String name, String sql, @Nullable String permission) {
    private static final String AGE = "date_part('year', age(#today::date, c.birth_date))::int";
    private static final String TENURE = "date_part('year', age(#today::date, c.since))::int";

    private static final Map<String, AnalysisColumn> ALL = Stream.of(
                    new AnalysisColumn("kind", "c.kind", null),
                    new AnalysisColumn(
                            "ageBand",
                            bands(
                                            AGE, "18", "0-17", "30", "18-29", "40", "30-39", "50", "40-49", "60",
                                            "50-59", "70", "60-69", "80", "70-79")
                                    + "ELSE '80+' END",
                            null),
                    new AnalysisColumn("gender", "c.gender", null),
                    new AnalysisColumn("maritalStatus", "c.marital_status", null),
                    new AnalysisColumn("province", "left(c.region_code, 2) || '0000'", null),
                    new AnalysisColumn("city", "left(c.region_code, 4) || '00'", null),
                    new AnalysisColumn("tier", "c.tier", null),
                    new AnalysisColumn("lifecycle", "c.lifecycle", null),
                    new AnalysisColumn("risk", "c.risk", null),
                    new AnalysisColumn("occupationGroup", "left(c.occupation, 1)", null),
                    new AnalysisColumn("industrySection", "left(c.industry, 1)", null),
                    new AnalysisColumn("channel", "c.channel", null),
                    new AnalysisColumn("branchId", "c.branch_id::text", null),
                    new AnalysisColumn(
                            "tenureBand",
                            bands(TENURE, "1", "0", "3", "1-2", "6", "3-5", "11", "6-10") + "ELSE '11+' END",
                            null),
                    amounts("incomeBand", "c.annual_income"),
                    amounts("assetsBand", "c.assets"),
                    amounts("liabilitiesBand", "c.liabilities"))
            .collect(Collectors.toUnmodifiableMap(AnalysisColumn::name, Function.identity()));

    /** @param limitsAndNames a limit that the value lies below, and what is said then, in turn */
    private static String bands(String value, String... limitsAndNames) {
        StringBuilder sql = new StringBuilder("CASE WHEN ").append(value).append(" IS NULL THEN NULL ");
        for (int i = 0; i < limitsAndNames.length; i += 2) {
            sql.append(String.format(
                    Locale.ROOT, "WHEN %s < %s THEN '%s' ", value, limitsAndNames[i], limitsAndNames[i + 1]));
        }
        return sql.toString();
    }

    private static AnalysisColumn amounts(String name, String column) {
        String sql = bands(column, "10000", "0-10k", "100000", "10k-100k", "1000000", "100k-1m", "10000000", "1m-10m")
                + "ELSE '10m+' END";
        return new AnalysisColumn(name, sql, "customer:finance");
    }

    static AnalysisColumn named(String name) {
        AnalysisColumn column = ALL.get(name);
        if (column == null) {
            throw new IllegalArgumentException(name);
        }
        return column;
    }
}
