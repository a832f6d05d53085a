/**
 * Second factors of staff: what somebody has (an app with time-based codes, a phone, codes for recovery), the second step of a
 * sign-in, and fresh proof in a session. Owns the tables iam.factor, iam.factor_secret, iam.factor_code and iam.recovery_code
 * and the operations of the tag iam.factor; publishes the functions iam.factor_methods(who), iam.step_up_methods(who) and
 * iam.must_enrol(who). Does not know how sessions are made, nor what a sign-in waits for: that is iam.session.
 *
 * <p>A further method joins like this: its factors are rows of iam.factor of a kind of their own, with a table of its own that
 * refers to them, so that they are listed, removed and asked for like all others; after adding one it calls {@code
 * Factors.enrolled}. Its operations check whatever they check in a {@code Factors.Proof} and hand it to {@code
 * Factors.finishSignIn} or {@code Factors.stepUp}: those count tries, lock, audit, open the session and refresh it. One that is
 * both steps in one ends with {@code SignIn.openProven}.
 *
 * <p>Passkeys are such a kind, kept by iam.passkey; the operations here ask that room for the proof.
 */
package io.kehu.iam.factor;
