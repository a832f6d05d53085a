package io.kehu.app;

/**
 * A start that cannot succeed for a reason the operator can mend. Its message is one line that names what is wrong and
 * the remedy; there is no stack trace, because the line says all.
 */
public final class StartFailure extends RuntimeException {
    public StartFailure(String line) {
        super(line.replaceAll("\\s*\\R\\s*", " "), null, false, false);
    }
}
