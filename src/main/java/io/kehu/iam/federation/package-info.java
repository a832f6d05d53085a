/**
 * Sign-in of staff who have their accounts elsewhere: at an identity provider (OpenID Connect) or in a directory (LDAP). Owns
 * the tables iam.group_mapping_set, iam.group_mapping, iam.federated_identity and iam.oidc_flow, the operations of the tag
 * iam.federation and the event mapping.changed. Does not know what roles allow, and changes staff only through
 * iam.staff.
 */
package io.kehu.iam.federation;
