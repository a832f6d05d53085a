package io.kehu.customer.imports;

import io.vertx.core.Future;
import java.util.List;

/** Rows of a file, whatever kind it is of. */
interface Table {
    /** The names of the columns, without blanks around them. */
    List<String> header();

    /** At most so many rows; fewer only at the end or before a fault. One call at a time. */
    Future<CsvRows.Batch> next(int max);

    /** Gives up what the reading holds. */
    default void close() {}
}
