package io.kehu.customer.connector;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.imports.Mapping;

/** Which mapping brings customers up to date, in whose name. Pure. */
public final class ConnectorRules {
    private ConnectorRules() {}

    /**
     * The source of a mapping that can be used. Fails with {@code connector.mappingInvalid}, {@code
     * customer.fieldForbidden}, {@code customer.sourceReserved}, {@code request.invalid}.
     */
    public static String source(ObjectNode mapping, Principal owner) {
        String forbidden = Mapping.named(mapping).forbidden(owner);
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
