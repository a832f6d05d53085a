/**
 * All there is about one customer as a file for machines, for whoever handles his request and for himself. Owns the operations
 * of the tag customer.personal, the count customer.personal_export and the convention of the views customer.personal_*, by which
 * each table that holds something of a customer has its section here. Changes nothing.
 */
package io.kehu.customer.personal;
