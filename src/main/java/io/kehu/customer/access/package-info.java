/**
 * Who looked at a customer's record, in a form that the customer could be shown. Owns the operation of the tag customer.access
 * and no table: it reads the access log and the audit of the kernel.
 */
package io.kehu.customer.access;
