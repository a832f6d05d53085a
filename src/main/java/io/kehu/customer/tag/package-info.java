/**
 * What the bank calls its customers beside their facts. Owns the tables customer.tag_category, customer.tag and
 * customer.customer_tag, the operations of the tag customer.tag and the events tag.*; publishes the views
 * customer.tag_current and customer.overview_tags. Which tags a rule gives is for customer.grading to say.
 */
package io.kehu.customer.tag;
