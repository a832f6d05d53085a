/**
 * The deletion of customers: asked for by one person, approved by another, put off by a time of grace, then an erasure that no
 * restore brings back. Owns the tables customer.deletion, customer.erasure, customer.erased and customer.deletion_blocker, the
 * operations of the tag customer.erasure and the events customer.deleted, customer.restored and customer.erased, and the list of
 * erasures outside the database, beside the checkpoints of the audit. What else there is of a customer is erased by the functions
 * customer.erase_* of its owners; what keeps him from being deleted is told by the views that they name in
 * customer.deletion_blocker.
 */
package io.kehu.customer.erasure;
