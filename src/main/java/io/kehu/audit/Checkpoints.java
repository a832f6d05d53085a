package io.kehu.audit;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * Where the newest seal is noted outside the database, so that a chain that was cut or replaced there is found. A port: a folder
 * is the one place so far, write-once storage or a time-stamping service can be others. Both methods block.
 */
public interface Checkpoints {
    /** Notes a seal for good; when this returns, a crash no longer loses it. */
    void note(Seal seal) throws IOException;

    /** The seal with the highest number ever noted, by any node; null where there is none. */
    @Nullable
    Seal newest() throws IOException;
}
