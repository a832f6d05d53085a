/**
 * The people and organisations a bank knows: entering, reading, changing, listing and searching them, one at a time; by the
 * thousand is that of bulk. Owns the tables of the schema customer, the operations of the tag customer and the events customer.*.
 * Everything personal is ciphertext under the customer's own key; what the database sees is facts to filter by, keyed
 * tokens and blind indexes. Does not own accounts, consent, interactions or duplicates.
 */
package io.kehu.customer;
