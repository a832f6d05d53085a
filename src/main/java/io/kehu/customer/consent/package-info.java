/**
 * What customers decided about contacts and the use of their data. Owns the tables customer.consent (decisions, only added)
 * and customer.consent_purpose, the operations of the tag customer.consent and the events consent.*; publishes the functions
 * customer.contact_answers and customer.may_contact, which every audience and every send asks, and the view
 * customer.overview_consents. Sends nothing itself.
 */
package io.kehu.customer.consent;
