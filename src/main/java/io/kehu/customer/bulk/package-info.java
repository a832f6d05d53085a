/**
 * Entering and changing customers by the thousand, for those who bring files: each through the rules of a single one, all
 * of a chunk in one transaction. Owns no table and no operation.
 */
package io.kehu.customer.bulk;
