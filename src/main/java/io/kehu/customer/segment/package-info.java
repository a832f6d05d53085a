/**
 * Segments: named groups of customers, live or static. Owns customer.segment, segment_state, segment_member and segment_due, the
 * operations of the tag customer.segment, and the events segment.created, changed, deleted, rebuilt, entered and left. Who belongs
 * is what the filter says of all customers; who sees whom of them is a matter of the reader's scope.
 */
package io.kehu.customer.segment;
