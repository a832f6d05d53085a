/**
 * The accounts of end customers: a name, a password and sessions of an audience of their own. Owns the tables iam.member and
 * iam.registration and the operations of the tag iam.member; publishes the functions
 * iam.begin_registration and iam.member_principal(session). Does not know who a customer is: that is customer.member, which
 * begins registrations and publishes the view customer.present_customer.
 */
package io.kehu.iam.member;
