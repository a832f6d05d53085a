/**
 * Customers who come themselves: who somebody is who says he is one (a real-name check by document, name and phone), and what
 * of his own record he may see. Owns the operations of the tag customer.member and publishes the view
 * customer.present_customer. Does not own accounts, passwords and sessions of customers: those are in iam, where a
 * registration is begun with the function iam.begin_registration.
 */
package io.kehu.customer.member;
