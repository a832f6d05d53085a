/**
 * Papers of customers: files in the blob store with what they are about. Owns the tables customer.document and
 * customer.document_version, the operations of the tag customer.document, the jobs customer.document-scan and the events
 * document.*; publishes the views customer.overview_documents and customer.personal_documents.
 */
package io.kehu.customer.document;
