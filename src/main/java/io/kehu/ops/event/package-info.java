/**
 * The event log as callers see it: a feed to page through and tickets for streams. Owns the operations of the tag ops.event
 * and the table kehu.stream_ticket; the stream itself needs no domain code, io.kehu.beside.EventStream serves it.
 */
package io.kehu.ops.event;
