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
        String upload = caller.upload(csv.getBytes(StandardCharsets.UTF_8));
        return caller.post("/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", "fields": [%s]}}""".formatted(upload, fields)).is(202).header("Location");
    }
}
