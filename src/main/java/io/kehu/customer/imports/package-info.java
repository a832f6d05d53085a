/**
 * Customers from csv files: what a mapping makes of a row, and the job that carries a file over chunk by chunk. Owns the
 * operations of the tag customer.imports, the jobs customer.import, the table customer.import_error and the events import.*.
 * Entering and changing is that of io.kehu.customer. An import belongs to who started it and works with that person's rights.
 */
package io.kehu.customer.imports;
