/**
 * The audit as a chain that anybody can check. Owns the tables kehu.audit_seal, kehu.audit_archive and kehu.audit_restored.
 * Rows are written by {@code kehu.leave()} and nowhere else; here they are sealed ({@link io.kehu.audit.Sealer}), noted outside
 * the database ({@link io.kehu.audit.Checkpoints}), dumped, checked without a server ({@link io.kehu.audit.Verifier}) and
 * archived ({@link io.kehu.audit.Archive}). Order is by transaction id, which is not the order of commits.
 */
package io.kehu.audit;
