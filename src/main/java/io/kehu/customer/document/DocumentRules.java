package io.kehu.customer.document;

import io.kehu.bus.Problem;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Which files may be which documents. What a file is is told by its bytes, never by what somebody says of it. */
final class DocumentRules {
    private static final Set<String> IMAGES = Set.of("image/png", "image/jpeg", "image/tiff");
    private static final String PDF = "application/pdf";

    /** Types that are nothing but a scan or a picture; all others take whatever the bank takes. */
    private static final Map<String, Set<String>> NARROW =
            Map.of("identity", Set.of(PDF, "image/png", "image/jpeg", "image/tiff"), "photo", IMAGES);

    /** What an ending of a name promises; others promise nothing. */
    private static final Map<String, String> ENDINGS = Map.ofEntries(
            Map.entry("pdf", PDF),
            Map.entry("png", "image/png"),
            Map.entry("jpg", "image/jpeg"),
            Map.entry("jpeg", "image/jpeg"),
            Map.entry("tif", "image/tiff"),
            Map.entry("tiff", "image/tiff"),
            Map.entry("gif", "image/gif"),
            Map.entry("webp", "image/webp"),
            Map.entry("zip", "application/zip"),
            Map.entry("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            Map.entry("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            Map.entry("exe", "application/octet-stream"),
            Map.entry("html", "text/html"),
            Map.entry("htm", "text/html"),
            Map.entry("svg", "image/svg+xml"),
            Map.entry("js", "text/javascript"));

    private final List<String> taken;

    /** @param taken what the bank takes at all */
    DocumentRules(List<String> taken) {
        this.taken = List.copyOf(taken);
    }

    /**
     * Fails with {@code document.typeRefused}.
     *
     * @param type of the document
     * @param content of the file, by its bytes
     * @param name of the file
     * @param declared what the caller says it is, where he says anything
     */
    void mustFit(String type, String content, String name, @Nullable String declared) {
        String bare = content.split(";", 2)[0];
        List<String> fitting = taken.stream()
                .filter(one -> NARROW.getOrDefault(type, Set.of(one)).contains(one))
                .toList();
        String promised = ENDINGS.get(name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT));
        if (!fitting.contains(bare)
                || (promised != null && !promised.equals(bare))
                || (declared != null && !declared.equals(bare))) {
            throw Problem.of("document.typeRefused", bare, String.join(", ", fitting));
        }
    }
}
