/**
 * What may be permitted, and the roles that permit it. Owns the table iam.role, the resource permissions.yaml, the operations of
 * the tag iam.role and the events role.*. Whoever holds a changed role has other rights on every node within a second; that a
 * role brings nothing together that must stay apart, and that no role vanishes from under its holders, is kept by the
 * database. Who has which roles is iam.staff and iam.grant.
 */
package io.kehu.iam.role;
