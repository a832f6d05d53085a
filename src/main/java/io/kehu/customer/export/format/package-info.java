/** Rows as files: csv, lines of json, workbooks, documents, pages, each written as it comes, and the marks by which a file is known. */
package io.kehu.customer.export.format;
