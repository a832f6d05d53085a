/**
 * Connectors that ask instead of waiting: what a source is asked, how often, and how far it got. Owns the tables customer.pull,
 * customer.pull_state and customer.pull_run and the operations of the tag customer.pull; the rows are entered by
 * io.kehu.customer.connector as if they had been sent.
 */
package io.kehu.customer.pull;
