/**
 * Everything about a customer at a glance: his record, and of each section the newest few with their number. Owns the operation of
 * the tag customer.overview and no table: a section is read through the view customer.overview_&lt;section&gt; that the owner of
 * its data publishes (V025__relation.sql says its form), and is empty where there is none yet.
 */
package io.kehu.customer.overview;
