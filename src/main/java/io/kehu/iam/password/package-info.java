/**
 * How staff come to a new password: by the old one, or by a token that an administrator hands over. Owns the table
 * iam.password_reset and the operations of the tag iam.password; publishes the function iam.former_passwords(who, most). What
 * a password must be says {@link io.kehu.crypto.PasswordRules}; how often somebody may guess says iam.session; who made an
 * account or gave it a new way in is kept by iam.staff.
 */
package io.kehu.iam.password;
