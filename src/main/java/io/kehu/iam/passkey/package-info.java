/**
 * Passkeys of staff (W3C Web Authentication, Level 3): registration, and sign-in without a password. Owns the tables
 * iam.passkey, iam.passkey_handle and iam.passkey_challenge, the operations of the tag iam.passkey and the events passkey.*;
 * publishes {@link io.kehu.iam.passkey.Passkeys}, by which another room of iam can ask for a passkey as a second factor. Each
 * passkey has a row of iam.factor, which comes and goes with it. Does not know what a session is made of: that is iam.session.
 */
package io.kehu.iam.passkey;
