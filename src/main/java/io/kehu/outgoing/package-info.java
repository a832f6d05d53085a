/** Calls to servers of others (safety.md 8): an aid for whoever has to make one. */
package io.kehu.outgoing;
