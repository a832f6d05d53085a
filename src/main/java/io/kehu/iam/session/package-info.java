/**
 * Who is signed in. Owns the tables iam.session, iam.refresh and iam.attempt and the operations of the tag iam.session;
 * publishes the function iam.principal(session), which the kernel asks. Does not know what a member of staff is made of:
 * that is iam.staff, with which it shares the record of a member of staff.
 */
package io.kehu.iam.session;
