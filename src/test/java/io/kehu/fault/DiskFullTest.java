package io.kehu.fault;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.kehu.TestKehu;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The disk of PostgreSQL fills up under load, and is freed again. */
@Tag("fault")
class DiskFullTest {
    private static final int CLIENTS = 4;
    private static final Duration NOTICED = Duration.ofSeconds(60);
    private static final Duration HEALED = Duration.ofSeconds(30);
    private static final Duration LOOK = Duration.ofMillis(500);
    private static final long LEFT_BYTES = 2L << 20;
    private static final byte[] BALLAST = new byte[1 << 20];

    @TempDir
    Path folder;

    @Test
    void aFullDiskIsToldAsSuchAndNothingAcknowledgedIsLostWhenThereIsSpaceAgain() throws Exception {
        Path disk = Files.createDirectory(folder.resolve("disk"));
        assumeTrue(
                run("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk.toString()), "may not mount a small disk");
        try (OwnPostgres postgres = OwnPostgres.start(disk, Map.of());
                TestKehu kehu = TestKehu.on(postgres.settings())) {
            kehu.addNode(kehu.settings());
            try (Clients clients = new Clients(kehu, kehu.caller("operator"), CLIENTS, () -> List.of(kehu.port()))) {
                clients.awaitMore(100, Duration.ofSeconds(20));
                Path ballast = disk.resolve("ballast");
                fill(disk, ballast);
                await().atMost(NOTICED).until(() -> clients.refusals() > 100);
                Files.delete(ballast);
                int before = clients.entered();
                await().atMost(HEALED).pollInterval(LOOK).until(() -> {
                    postgres.startWhereItEnded();
                    return clients.entered() > before + 100;
                });
                clients.finish().everythingIsThereOnce();
                System.out.println("disk full: " + clients);
            }
        } finally {
            run("umount", disk.toString());
        }
    }

    private static void fill(Path disk, Path ballast) throws IOException {
        FileStore store = Files.getFileStore(disk);
        try (var out = Files.newOutputStream(ballast)) {
            while (store.getUsableSpace() > LEFT_BYTES) {
                out.write(BALLAST);
            }
        }
    }

    private static boolean run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
    }
}
