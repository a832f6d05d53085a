/**
 * Other systems that tell what they know of customers. Owns the tables customer.connector, customer.delivery and
 * customer.delivery_error, the operations of the tag customer.connector and the events connector.*.
 */
package io.kehu.customer.connector;
