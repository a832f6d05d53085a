/** Kehu, an API server for banks: a small kernel, and one package per domain that uses it. */
package io.kehu;
