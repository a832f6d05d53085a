/**
 * One record out of two of the same person, and two again. Owns customer.merge, the links of customer.merged and the operations of
 * the tag customer.merge. A merge is a recipe beside the records, not a change of their rows: what the duplicate lends its
 * survivor is remembered as what the survivor has without it, and what arrives for the duplicate goes to both. Rows of other
 * tables keep the id they came for. Does not own how duplicates are found.
 */
package io.kehu.customer.merge;
