/**
 * The clock of the bank, {@code kehu.now()}: everybody may read it, and in demo and test mode an administrator may move it.
 * Owns the operations of the tag ops.clock; the row it changes, kehu.clock, belongs to the kernel.
 */
package io.kehu.ops.clock;
