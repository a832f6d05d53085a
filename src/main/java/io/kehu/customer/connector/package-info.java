/**
 * Other systems that tell what they know of customers. Owns the tables customer.connector, customer.delivery,
 * customer.delivery_error and customer.field_source, the operations of the tag customer.connector and the events connector.*.
 */
package io.kehu.customer.connector;
