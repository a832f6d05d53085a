/** Records that may be of one and the same customer: found on entry and by scans, weighed, and put before somebody. */
@NullMarked
package io.kehu.customer.duplicate;

import org.jspecify.annotations.NullMarked;
