package io.kehu.load;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** CPU time of processes as the kernel counts it, user and system together; see proc(5), {@code /proc/[pid]/stat}. */
final class Cpu {
    /** The unit of {@code /proc/[pid]/stat}: USER_HZ, which is 100 on every Linux that Java runs on. */
    private static final long MICROS_PER_TICK = 10_000;

    private Cpu() {}

    /**
     * Microseconds that a process has used so far, with all its descendants and the ended ones it waited for.
     * PostgreSQL works in children, so its postmaster's id stands for all of it. 0 for the id 0 (not measured).
     */
    static long microsOfTree(long pid) throws IOException {
        if (pid == 0) {
            return 0;
        }
        Map<Long, String[]> all = new HashMap<>();
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path process : processes) {
                String[] fields = stat(process);
                if (fields.length > 0) {
                    all.put(Long.parseLong(process.getFileName().toString()), fields);
                }
            }
        }
        if (!all.containsKey(pid)) {
            throw new IOException("no process " + pid);
        }
        Set<Long> tree = new HashSet<>(Set.of(pid));
        boolean grown = true;
        while (grown) {
            grown = false;
            for (Map.Entry<Long, String[]> entry : all.entrySet()) {
                grown |= tree.contains(Long.parseLong(entry.getValue()[1])) && tree.add(entry.getKey());
            }
        }
        long ticks = 0;
        for (long member : tree) {
            String[] fields = all.get(member);
            ticks += Long.parseLong(fields[11]) + Long.parseLong(fields[12]);
            ticks += Long.parseLong(fields[13]) + Long.parseLong(fields[14]);
        }
        return ticks * MICROS_PER_TICK;
    }

    /** The fields from "state" (0) on; the name before may hold spaces and brackets. Empty if the process has ended. */
    private static String[] stat(Path process) {
        try {
            String line = Files.readString(process.resolve("stat"));
            return line.substring(line.lastIndexOf(')') + 2).trim().split(" ");
        } catch (IOException e) {
            return new String[0];
        }
    }
}
