package io.kehu.app;

import org.jspecify.annotations.Nullable;

/**
 * A start that cannot succeed for a reason the operator can mend. Its message is one line that names what is wrong and
 * the remedy; there is no stack trace, because the line says all.
 */
public final class StartFailure extends RuntimeException {
    public StartFailure(String line) {
        super(oneLine(line), null, false, false);
    }

    static String oneLine(@Nullable String text) {
        return text == null ? "unknown" : text.strip().replaceAll("\\s*\\R\\s*", " ");
    }
}
