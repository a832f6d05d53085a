/**
 * Who is signed in. Owns the tables iam.session, iam.refresh, iam.attempt and iam.factor_challenge (a sign-in that waits for
 * its second step) and the operations of the tag iam.session; publishes the function iam.principal(session), which the kernel
 * asks. Does not know what a member of staff is made of: that is iam.staff, with which it shares the record of a member of
 * staff; nor by what somebody takes the second step: that is iam.factor.
 */
package io.kehu.iam.session;
