/**
 * The systems of partners that may call: what they are allowed, from where, and their keys. Owns the tables iam.partner and
 * iam.partner_key, the operations of the tag iam.partner and the events partner.*; publishes the function
 * iam.partner_principal(session). A partner is never a member of staff: other subjects, another audience, no password and no
 * refresh token. Does not know what partners do: that is with the operations that are open to them.
 */
package io.kehu.iam.partner;
