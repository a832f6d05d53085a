/**
 * The branches of the bank, a tree with one head office at the top. Owns the table iam.branch, the operations of the tag
 * iam.branch and the events branch.*; publishes the function iam.subtree(branch). Does not know who works in a branch: that
 * is iam.staff. The model room of the house: a new domain is made by copying it.
 */
package io.kehu.iam.branch;
