/**
 * How good the records of customers are: rules as data, what each record fails, and the dictionaries of the national standards
 * that codes are held against. Owns the table customer.quality_rule, the operations of the tag customer.quality and the events
 * quality.*. Changes no customer.
 */
package io.kehu.customer.quality;
