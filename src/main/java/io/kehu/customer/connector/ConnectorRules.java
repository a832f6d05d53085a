package io.kehu.customer.connector;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.imports.Mapping;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Which mapping brings customers up to date, in whose name. Pure. */
public final class ConnectorRules {
    private static final List<String> FINANCE = List.of("annualIncome", "assets", "liabilities");

    private ConnectorRules() {}

    /** A field of the mapping that who owns it may not fill; null for none. */
    public static @Nullable String forbidden(Mapping mapping, Principal owner) {
        return FINANCE.stream()
                .filter(field -> mapping.has(field) && !owner.may("customer:finance"))
                .findFirst()
                .orElse(null);
    }

    /**
     * The source of a mapping that can be used. Fails with {@code connector.mappingInvalid}, {@code
     * customer.fieldForbidden}, {@code request.invalid}.
     */
    public static String source(ObjectNode mapping, Principal owner) {
        String forbidden = forbidden(Mapping.named(mapping), owner);
        if (forbidden != null) {
            throw Problem.of("customer.fieldForbidden", forbidden);
        }
        String column = mapping.path("externalId").path("column").asText("");
        if (column.isEmpty() || column.startsWith("#")) {
            throw Problem.of("connector.mappingInvalid");
        }
        return mapping.path("externalId").path("source").asText();
    }
}
