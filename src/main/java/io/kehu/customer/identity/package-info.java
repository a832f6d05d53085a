/**
 * How a customer is known: what names, documents, phones and addresses must be, their normal forms, and the keyed tokens by
 * which a name is found that nobody but the vault can read. Owns no table and no operation; computes only.
 */
package io.kehu.customer.identity;
