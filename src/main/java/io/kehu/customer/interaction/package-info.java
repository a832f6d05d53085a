/**
 * Contacts with customers, one record for each whatever the channel. Owns the tables customer.interaction (in months, never
 * changed) and customer.interaction_revision, the operations of the tag customer.interaction and the events interaction.*;
 * publishes the function customer.add_interaction for other domains and the view customer.overview_interactions. Does not own
 * leads, cases and campaigns, which an interaction only names, nor whether a customer may be contacted: that is consent.
 */
package io.kehu.customer.interaction;
