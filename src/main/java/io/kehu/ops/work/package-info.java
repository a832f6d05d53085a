/**
 * Uploads and long work as people see them. Owns the operations of the tag ops.work and no table: files are the kernel's
 * ({@link io.kehu.blob.Blobs}, kehu.blob), jobs too ({@link io.kehu.job.Jobs}, kehu.job). A person sees the own ones; who has
 * job:read sees every job, without what it works on. Does not know what any purpose or kind of job means: that is the domain
 * which claims the upload and submits the job.
 */
package io.kehu.ops.work;
