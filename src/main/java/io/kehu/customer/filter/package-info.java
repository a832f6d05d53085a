/**
 * One closed grammar for "which customers", in JSON: for lists, segments, rules, exports, statistics and streams. A tree of
 * {@code all}, {@code any} and {@code not} over conditions on the fields of {@link io.kehu.customer.filter.FilterField},
 * compiled to SQL on the table {@code customer.customer c} with bound parameters. Owns no table and no operation.
 */
package io.kehu.customer.filter;
