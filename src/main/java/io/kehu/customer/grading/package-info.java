/**
 * The bank's own rules of which tags customers have, and which tier, lifecycle and class; and how each came by his. Owns the
 * tables customer.grading_rule, customer.grade and customer.grading_night, the operations of the tag customer.grading, the
 * events grading.*, the job customer.grading and the consumer of the same name; publishes the view customer.class_current.
 * What a condition can say is for customer.filter.
 */
package io.kehu.customer.grading;
