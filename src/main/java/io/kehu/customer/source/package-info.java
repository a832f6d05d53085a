/**
 * Who said a field of a customer last, and letting a field go, so that the next delivery may change it. Owns the operations of the tag
 * customer.source and the event source.released; customer.field_sources is written by {@code io.kehu.customer}.
 */
package io.kehu.customer.source;
