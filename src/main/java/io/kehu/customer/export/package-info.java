/**
 * Customers taken out as files. Owns the tables customer.export, export_file, export_link, export_secret and export_quota, the
 * operations of the tag customer.export, the jobs customer.export and the events export.*. How a file is written is the business of
 * the package below; whom somebody sees, and how masked, is that of customers.
 */
package io.kehu.customer.export;
