/**
 * Who is related to whom: relations between two customers with the days on which they hold, the graph of several steps, and
 * corporate groups with their finances. Owns customer.relation and customer.relation_kind, the operations of the tag
 * customer.relation and the events relation.*. A relation is known to nobody who may not see both its ends. Does not own
 * households, whose members are not relations.
 */
package io.kehu.customer.relation;
