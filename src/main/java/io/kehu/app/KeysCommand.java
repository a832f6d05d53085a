package io.kehu.app;

import io.kehu.bus.Problem;
import io.kehu.job.KeyRotation;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.io.PrintStream;
import java.util.function.Supplier;
import picocli.CommandLine.Command;

/** Rotates keys while Kehu serves. Either command may be stopped anywhere and given again; nodes need no restart. */
@Command(
        name = "keys",
        description = "Rotate the keys that wrap other keys; Kehu may go on serving.",
        mixinStandardHelpOptions = true,
        synopsisSubcommandLabel = "COMMAND")
final class KeysCommand {
    private static final int MASTER_SECONDS = 60;
    private static final int PROGRESS_MILLIS = 500;
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
