/**
 * What customers who come themselves want changed in their records: checked at once, kept sealed, and written by nobody but a
 * member of staff who has verified who asks. Owns the table customer.change_request, the operations of the tag customer.request
 * and the events change-request.*; publishes the view customer.personal_change_requests.
 */
package io.kehu.customer.request;
