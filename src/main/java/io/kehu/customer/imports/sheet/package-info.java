/**
 * Reads the first sheet of a workbook (Office Open XML, ISO/IEC 29500) row by row in bounded memory, whatever the file is made
 * of. Knows nothing of customers and of who sent it; blocks, so it runs on workers.
 */
package io.kehu.customer.imports.sheet;
