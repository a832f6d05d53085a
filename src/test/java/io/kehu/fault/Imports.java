package io.kehu.fault;

import io.kehu.TestKehu.Caller;
import java.nio.charset.StandardCharsets;

/** Imports of files without external ids: nothing but the position of the job keeps a row from being entered twice. */
final class Imports {
    private Imports() {}

    /**
     * Uploads a file of persons and begins to import it; the answer is the path of the import.
     *
     * @param fields of the mapping, JSON objects with commas between them
     */
    static String begin(Caller caller, String csv, String fields) {
        byte[] file = csv.getBytes(StandardCharsets.UTF_8);
        String upload =
                caller.post("/v1/uploads", """
                        {"purpose": "customer-import", "name": "customers.csv", "size": %d}""".formatted(file.length)).is(201).header("Location");
        caller.send("PUT", upload, file, "Content-Type", "application/octet-stream")
                .is(200);
        return caller.post("/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", "fields": [%s]}}""".formatted(upload.substring(upload.lastIndexOf('/') + 1), fields))
                .is(202)
                .header("Location");
    }
}
