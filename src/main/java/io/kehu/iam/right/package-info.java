/**
 * The report of who may do what, and why. Owns no table: it reads iam.source, in which each row is one reason, and answers the
 * operations of the tag iam.right. Changes nothing.
 */
package io.kehu.iam.right;
