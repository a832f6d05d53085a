package io.kehu.load;

import io.kehu.load.Api.Answer;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/** The largest files there are, in and out, and the memory that the server needs for them. */
final class Big {
    private static final Set<String> UNDER_WAY = Set.of("waiting", "running");
    private static final Duration TRANSFER = Duration.ofMinutes(5);

    private Big() {}

    /** Where the server is, which processes to watch, and how long at most. */
    static final class Target {
        @Option(names = "--url", defaultValue = "http://127.0.0.1:8080")
        URI url;

        @Option(
                names = "--management",
                description = "Where the server's metrics are; left out: no figures of the heap.")
        URI management;

        @Option(
                names = "--server-pid",
                description = "CPU time and memory of this process are reported; 0: not measured.")
        long serverPid;

        @Option(names = "--pg-pid", description = "The postmaster's process id; its children are included.")
        long postgresPid;

        @Option(
                names = "--minutes",
                defaultValue = "40",
                description = "1 to 120; what is not done by then is cancelled.")
        int minutes;

        private long end;

        Watch watch() throws IOException, InterruptedException {
            if (minutes < 1 || minutes > 120) {
                throw new IllegalArgumentException("a run lasts 1 to 120 minutes");
            }
            end = System.nanoTime() + TimeUnit.MINUTES.toNanos(minutes);
            return new Watch(serverPid, postgresPid, management);
        }

        /** Looks each second until the work has ended, and cancels it when the time is over. */
        Answer ended(Api who, String path, Watch watch) throws IOException, InterruptedException {
            boolean cancelled = false;
            Answer work = who.get(path);
            while (UNDER_WAY.contains(work.text("state"))) {
                if (System.nanoTime() > end && !cancelled) {
                    who.post(path + "/cancel", null, 200);
                    cancelled = true;
                }
                if (System.nanoTime() > end + TimeUnit.MINUTES.toNanos(1)) {
                    throw new IOException(path + " goes on though it was cancelled");
                }
                TimeUnit.SECONDS.sleep(1);
                watch.look();
                work = who.get(path);
            }
            return work;
        }
    }

    /** Imports a workbook of its own making. */
    @Command(name = "big-import", description = "Makes a workbook of customers and imports it.")
    static final class Import implements Callable<Integer> {
        @ParentCommand
        private Load load;

        @Mixin
        private Target target;

        @Option(names = "--user", required = true, description = "NAME:PASSWORD of who may import customers.")
        private String user;

        @Option(
                names = "--rows",
                defaultValue = "1048576",
                description = "Of the sheet, with the line of names: 2 to 1,048,576.")
        private int rows;

        @Option(
                names = "--shared-strings",
                description = "Cells name texts of a table, as in files that spreadsheets write.")
        private boolean shared;

        @Option(names = "--dry-run", description = "Every row is read and judged, none entered.")
        private boolean dryRun;

        @Option(
                names = "--source",
                description = "Of the external ids; one that was used before changes those customers.")
        private String source = "load-" + Long.toString(System.currentTimeMillis() / 1000, 36);

        @Override
        public Integer call() throws Exception {
            if (rows < 2 || rows > Workbook.MAX_ROWS) {
                throw new IllegalArgumentException("a sheet has 2 to " + Workbook.MAX_ROWS + " rows");
            }
            Api who = new Api(target.url, user);
            Path file = Files.createTempFile("kehu-load-", ".xlsx");
            try {
                Workbook.write(file, rows, shared);
                return send(who, file);
            } finally {
                Files.delete(file);
            }
        }

        private int send(Api who, Path file) throws IOException, InterruptedException {
            long size = Files.size(file);
            load.out.println("the workbook has " + rows + " rows and " + size + " bytes");
            Watch watch = target.watch();
            String upload =
                    who.post(Requests.UPLOADS, Requests.upload(size), 201).location();
            who.put(upload, file, TRANSFER);
            double sent = watch.seconds();
            String id = upload.substring(upload.lastIndexOf('/') + 1);
            String path = who.post(Requests.IMPORTS, Requests.importOf(id, source, dryRun), 202)
                    .location();
            Answer done = target.ended(who, path, watch);
            long read = done.body().path("read").asLong();
            load.out.println(Watch.header());
            load.out.println(
                    watch.report(shared ? "import, shared texts" : "import", read, size, watch.seconds() - sent));
            load.out.printf(
                    "%s%s: %d read, %d accepted, %d rejected; sent in %.1f s%n",
                    done.text("state"),
                    done.text("errorCode").isEmpty() ? "" : " " + done.text("errorCode"),
                    read,
                    done.body().path("accepted").asLong(),
                    done.body().path("rejected").asLong(),
                    sent);
            return done.text("state").equals("done")
                            && done.body().path("accepted").asLong() == rows - 1
                    ? 0
                    : 1;
        }
    }

    /** Orders, approves, fetches and counts an export. */
    @Command(
            name = "big-export",
            description = "Exports all customers in somebody's scope to a workbook and counts its rows.")
    static final class Export implements Callable<Integer> {
        @ParentCommand
        private Load load;

        @Mixin
        private Target target;

        @Option(names = "--user", description = "NAME:PASSWORD of who exports.")
        private String user;

        @Option(
                names = "--approver",
                description = "NAME:PASSWORD of another person who approves it; from 10,000 rows on.")
        private String approver;

        @Option(
                names = "--administrator",
                description =
                        "NAME:PASSWORD, twice: instead of --user and --approver each makes one of the two, a head of his own branch.")
        private List<String> administrators = List.of();

        @Override
        public Integer call() throws Exception {
            if (administrators.size() == 2) {
                user = head(administrators.get(0), "maker");
                approver = head(administrators.get(1), "approver");
            }
            if (user == null) {
                throw new IllegalArgumentException("big-export needs --user, or --administrator twice");
            }
            Api who = new Api(target.url, user);
            Watch watch = target.watch();
            String path = order(who);
            double ordered = watch.seconds();
            Answer done = target.ended(who, path, watch);
            if (!done.text("state").equals("done")) {
                load.out.println(done.body());
                return 1;
            }
            long rows = done.body().path("rows").asLong();
            load.out.println(Watch.header());
            load.out.println(
                    watch.report("export", rows, done.body().path("size").asLong(), watch.seconds() - ordered));
            long counted = fetch(who, path);
            load.out.println(rows + " rows exported, " + counted + " in the file");
            return rows > 0 && rows == counted ? 0 : 1;
        }

        private String order(Api who) throws IOException, InterruptedException {
            Answer asked = who.post(Requests.EXPORTS, Requests.export(), 202);
            if (!asked.body().has("approvalId")) {
                return asked.location();
            }
            if (approver == null) {
                throw new IOException("the export waits for approval: name an --approver");
            }
            String approval = Requests.APPROVALS + asked.text("approvalId");
            new Api(target.url, approver).post(approval + "/approve", "{}", 200);
            for (int i = 0; i < 60; i++) {
                Answer seen = who.get(approval);
                if (seen.text("state").equals("executed")) {
                    return seen.text("location");
                }
                if (!seen.text("state").equals("approved")) {
                    throw new IOException(seen.body().toString());
                }
                TimeUnit.SECONDS.sleep(1);
            }
            throw new IOException(approval + " was approved but not carried out");
        }

        /** The rows of the file, without the names of the columns and the last one, which names the export. */
        private long fetch(Api who, String path) throws IOException, InterruptedException {
            Path file = Files.createTempFile("kehu-load-", ".xlsx");
            try {
                // A link wants a fresh proof of who asks for it.
                who.signIn();
                who.download(who.post(path + "/links", null, 201).text("url"), file, TRANSFER);
                return Workbook.count(file) - 2;
            } finally {
                Files.delete(file);
            }
        }

        /**
         * A new head of the administrator's branch, who has changed the password that the administrator knows. Two whom one person
         * made alone count as one hand, which approves nothing of its own.
         */
        private String head(String administrator, String role) throws IOException, InterruptedException {
            Api maker = new Api(target.url, administrator);
            maker.signIn();
            String name = "big." + role + "." + Long.toString(System.currentTimeMillis(), 36);
            Answer made = maker.post(Requests.STAFF, Requests.head(name, maker.branch()), 201);
            String first = made.text("initialPassword");
            String password = UUID.randomUUID().toString();
            new Api(target.url, name + ":" + first).post(Requests.PASSWORD, Requests.newPassword(first, password), 204);
            return name + ":" + password;
        }
    }
}
