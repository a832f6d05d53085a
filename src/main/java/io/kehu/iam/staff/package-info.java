/**
 * Who works at the bank, where and with which roles. Owns the table iam.staff, the operations of the tag iam.staff and the
 * events staff.*. Names and phone numbers are ciphertext under each person's own key. What roles are is iam.role, signing in
 * iam.session.
 */
package io.kehu.iam.staff;
