/**
 * What a customer earns and owes month by month, what he invests for, and the statements of a company: one sealed object each.
 * Owns the table customer.profile, the operations of the tag customer.profile and the event profile.changed; publishes the view
 * customer.personal_profile. Does not own what he holds at this bank, nor his risk class, which is a fact of the customer.
 */
package io.kehu.customer.profile;
