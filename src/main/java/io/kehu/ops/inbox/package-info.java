/**
 * What demo and test mode show instead of sending it: one-time codes, newest first, as the node that made them remembers them.
 * Owns the operation of the tag ops.inbox and no table; outside those modes there is nothing at its path.
 */
package io.kehu.ops.inbox;
