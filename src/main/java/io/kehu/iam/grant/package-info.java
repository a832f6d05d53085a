/**
 * More rights for a while: requests of staff for them, their review, and the grants that are their effect or are given at once.
 * Owns the tables iam.grant and iam.permission_request, the operations of the tag iam.grant and the events grant.* and
 * permission.*. A grant begins and ends by the bank's clock: who asks what somebody may do asks for that moment, so no job has to
 * run for it. What nobody may hold together holds for grants as for roles. Roles themselves are iam.role.
 */
package io.kehu.iam.grant;
