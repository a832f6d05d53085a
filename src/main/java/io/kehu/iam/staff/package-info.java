/**
 * Who works at the bank, where and with which roles. Owns the tables iam.staff and iam.role, the operations of the tag
 * iam.staff and the events staff.*. Names and phone numbers are ciphertext under each person's own key. Signing in is
 * iam.session.
 */
package io.kehu.iam.staff;
