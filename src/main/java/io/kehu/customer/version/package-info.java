/**
 * The versions of a customer: who made which, and why, and taking former values back. Owns the operations of the tag
 * customer.version and the table customer.change_reason; the versions themselves are the past that the kernel keeps.
 */
package io.kehu.customer.version;
