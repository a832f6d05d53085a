/**
 * The audit as auditors see it: entries, proofs that an entry is sealed, seals, and which months lie in archives. Owns the
 * operations of the tag ops.audit and nothing else: rows are written by every command, and sealed and archived by the kernel
 * (io.kehu.audit). Reading entries is audited itself.
 */
package io.kehu.ops.audit;
