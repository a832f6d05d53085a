package io.kehu.app;

import io.kehu.bus.Problem;
import io.kehu.crypto.KeyStore.Succession;
import io.kehu.job.KeyRotation;
import io.kehu.job.SigningRotation;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.io.PrintStream;
import java.time.Instant;
import java.util.function.Supplier;
import picocli.CommandLine.Command;

/** Rotates keys while Kehu serves. Each command may be stopped anywhere and given again; nodes need no restart. */
@Command(
        name = "keys",
        description = "Rotate keys; Kehu may go on serving.",
        mixinStandardHelpOptions = true,
        synopsisSubcommandLabel = "COMMAND")
final class KeysCommand {
    private static final int MASTER_SECONDS = 60;
    private static final int PROGRESS_MILLIS = 500;
    /** Beyond the time that a new signing key is published before it signs. */
    private static final int SIGNING_SECONDS = 120;
    /** A million data keys take minutes; this only bounds a run that hangs. */
    private static final int EPOCH_SECONDS = 12 * 3_600;

    private final Supplier<Settings> servers;
    private final PrintStream out;

    /**
     * Commands that work on given servers.
     *
     * @param servers the settings with servers that run and are migrated
     */
    KeysCommand(Supplier<Settings> servers, PrintStream out) {
        this.servers = servers;
        this.out = out;
    }

    @Command(
            name = "rotate-master",
            description = "Make a new master key and wrap all keys of the key folder with it.",
            mixinStandardHelpOptions = true)
    int rotateMaster() {
        Settings settings = servers.get();
        done(
                Deployment.alone(
                        settings, kernel -> Options.rotation(kernel, settings).master()),
                MASTER_SECONDS);
        out.println(
                "The key folder has a new master key. Copies of the folder from before still open with the old one.");
        return 0;
    }

    @Command(
            name = "rotate-epoch",
            description =
                    "Make a new epoch key and wrap every data key with it; goes on where an earlier run stopped, and ends it.",
            mixinStandardHelpOptions = true)
    int rotateEpoch() {
        Settings settings = servers.get();
        int epoch = done(Deployment.alone(settings, kernel -> rotateEpoch(kernel, settings)), EPOCH_SECONDS);
        out.println("Epoch " + epoch
                + " wraps every data key; older epochs are retired and stay in the key folder for backups.");
        return 0;
    }

    @Command(
            name = "rotate-signing",
            description = "Publish a new key for access tokens and wait until it signs; nobody has to sign in again.",
            mixinStandardHelpOptions = true)
    int rotateSigning() {
        Settings settings = servers.get();
        done(
                Deployment.alone(settings, kernel -> {
                    SigningRotation rotation = Options.signing(kernel, settings);
                    return rotation.begin().compose(succession -> {
                        say(succession);
                        return rotation.end(succession);
                    });
                }),
                SIGNING_SECONDS + 2L * settings.keys().jwksSeconds());
        out.println("The new key signs; the private half of the one before is gone.");
        return 0;
    }

    private void say(Succession succession) {
        out.println("Key " + succession.kid() + " is published and signs from "
                + Instant.ofEpochSecond(succession.from()) + " on; tokens of the one before are accepted until "
                + Instant.ofEpochSecond(succession.until()) + ".");
        out.flush();
    }

    @Command(
            name = "rotate-sealing",
            description = "Make a new key for the seals of the audit; old seals are checked with the old public keys.",
            mixinStandardHelpOptions = true)
    int rotateSealing() {
        Settings settings = servers.get();
        String kid = done(
                Deployment.alone(
                        settings, kernel -> Options.signing(kernel, settings).sealing()),
                MASTER_SECONDS);
        out.println("Key " + kid + " seals the audit from now on. Fetch the public keys again: kehu audit key");
        return 0;
    }

    /** This process does the work itself where no node takes it sooner. */
    private Future<Integer> rotateEpoch(Kernel kernel, Settings settings) {
        KeyRotation rotation = Options.rotation(kernel, settings);
        kernel.jobs().start(KeyRotation.ROOM::equals);
        return rotation.epoch().compose(begun -> {
            Promise<Integer> ended = Promise.promise();
            kernel.vertx()
                    .setPeriodic(
                            PROGRESS_MILLIS,
                            timer -> rotation.progress(begun.job())
                                    .onSuccess(now -> say(begun.epoch(), now))
                                    .compose(KeysCommand::ended)
                                    .onSuccess(end -> {
                                        if (end) {
                                            ended.tryComplete(begun.epoch());
                                        }
                                    })
                                    .onFailure(ended::tryFail));
            return ended.future();
        });
    }

    private static Future<Boolean> ended(KeyRotation.Progress now) {
        if (now.state().equals("cancelled")) {
            return Future.failedFuture(new StartFailure("the job was cancelled; the same command goes on with it"));
        }
        return now.problem() == null ? Future.succeededFuture(now.ended()) : Future.failedFuture(now.problem());
    }

    private void say(int epoch, KeyRotation.Progress now) {
        out.println("epoch " + epoch + ": " + now.rewrapped() + " data keys wrapped anew"
                + (now.total() == null ? "" : " of " + now.total()) + ", " + now.state());
        out.flush();
    }

    private static <T> T done(Future<T> work, long seconds) {
        try {
            return Kehu.await(work, seconds);
        } catch (Problem problem) {
            throw AdminCommand.inOneLine(problem);
        }
    }
}
