/**
 * Who lives together: households, their members and when they belonged to them, and their finances together. Owns
 * customer.household and customer.household_member, the operations of the tag customer.household and the events household.*.
 * A household is its head's: whoever may see the head sees it, and of its members those whom he may see. Does not own relations
 * between two customers.
 */
package io.kehu.customer.household;
