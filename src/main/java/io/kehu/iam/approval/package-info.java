/**
 * What one person must not do alone. Owns the policies, the changes that wait, the decisions on them and the carrying out of what
 * was approved: the tables iam.approval*, iam.held_account, the operations of the tag iam.approval and the events approval.*. The
 * door for commands asks its functions (iam.approval_rule, approval_demand, propose_approval, claim_approval,
 * settle_approval), resources show its view iam.pending_change. Does not know what any command does: a new one needs the word
 * {@code x-approval} in its contract, a row in iam.approval_policy and, where the policy is to look at it, its measure ({@code
 * tx.weighs}).
 */
package io.kehu.iam.approval;
