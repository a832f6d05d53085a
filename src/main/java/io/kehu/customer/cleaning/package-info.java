/**
 * Puts right what can be put right without asking anybody: one way of cleaning at a time, over all customers of a filter. Owns
 * the operations of the tag customer.cleaning, the jobs of the kind customer.cleaning and the events cleaning.*; it has no
 * table. What is wrong with records is told by io.kehu.customer.quality.
 */
package io.kehu.customer.cleaning;
