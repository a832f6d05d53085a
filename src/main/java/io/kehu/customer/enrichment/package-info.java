/**
 * What public pages say of organisations: fetched from servers the bank allows, kept as proposals, written by nobody but who
 * accepts one. Owns the tables customer.enrichment_source, customer.enrichment_host and customer.enrichment_proposal, the
 * operations of the tag customer.enrichment, the events enrichment.* and the job customer.enrichment; publishes the views
 * customer.overview_enrichments and customer.personal_enrichments. Of private persons it gathers nothing: whoever wants to know
 * more about one asks him.
 */
@NullMarked
package io.kehu.customer.enrichment;

import org.jspecify.annotations.NullMarked;
