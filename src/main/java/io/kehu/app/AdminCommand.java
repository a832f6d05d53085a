package io.kehu.app;

import io.kehu.bus.Problem;
import io.kehu.bus.Problems;
import java.io.PrintStream;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Makes an administrator without signing in: the first one of a bank, or a new one when all are shut out. */
@Command(
        name = "admin",
        description =
                "Make an administrator; the password comes from KEHU_ADMIN_PASSWORD, or is made and printed once.",
        mixinStandardHelpOptions = true)
final class AdminCommand implements Callable<Integer> {
    private static final String PASSWORD = "KEHU_ADMIN_PASSWORD";
    private static final int WAIT_SECONDS = 30;

    @Option(names = "--username", required = true, description = "The name to sign in with, e.g. li.na")
    private String username = "";

    private final Supplier<Settings> servers;
    private final Map<String, String> environment;
    private final PrintStream out;

    /**
     * A command that works on given servers.
     *
     * @param servers the settings with servers that run and are migrated
     */
    AdminCommand(Supplier<Settings> servers, Map<String, String> environment, PrintStream out) {
        this.servers = servers;
        this.environment = environment;
        this.out = out;
    }

    @Override
    public Integer call() {
        Settings settings = servers.get();
        String given = environment.get(PASSWORD);
        String password;
        try {
            password = Kehu.await(Deployment.administrator(settings, username, given), WAIT_SECONDS);
        } catch (Problem problem) {
            throw inOneLine(problem);
        }
        out.println("The administrator " + username + " is there and must change the password at the first sign-in.");
        if (given == null) {
            out.println("Password, shown this once: " + password);
        }
        return 0;
    }

    static StartFailure inOneLine(Problem problem) {
        if (problem.errors().isEmpty()) {
            Problems.Text text = Problems.of(problem.code()).en();
            return new StartFailure(text.cause() + " " + text.remedy());
        }
        Problem.FieldError fault = problem.errors().get(0);
        return new StartFailure("the " + fault.pointer() + " "
                + Problems.fill(Problems.fields(false).getOrDefault(fault.code(), fault.code()), fault.args()));
    }
}
