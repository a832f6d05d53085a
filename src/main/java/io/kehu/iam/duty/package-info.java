/**
 * Which permissions nobody may hold together, whatever way he comes to them (separation of duties; NIST SP 800-53, AC-5). Owns
 * the table iam.duty_conflict, the operations of the tag iam.duty and the events duty.*. The rule itself stands in the database,
 * behind every change of roles, staff and grants.
 */
package io.kehu.iam.duty;
