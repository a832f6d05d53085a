/**
 * How many customers there are, by what they have in common and over time. Owns customer.tally, in which the numbers of each
 * branch are kept, and the operations of the tag customer.statistics. Counts only who is in the caller's scope.
 */
package io.kehu.customer.statistics;
