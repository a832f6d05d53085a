package io.kehu.iam.staff;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Problem;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Sha256;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;

/**
 * The bank of demo and test mode: a head office, 4 regional and 12 local branches, and 52 people of every role, the same
 * ones each time. Their one password is public, so production refuses to start where they exist.
 */
public final class DemoStaff {
    /** Of every demo user. */
    public static final String PASSWORD = "Kehu-Demo-Willow-27";

    /** 2025-01-01T00:00:00Z, the time part of the ids, which are the same in every database. */
    private static final long ID_MILLIS = 1_735_689_600_000L;

    private static final Map<String, String> BRANCHES = new LinkedHashMap<>();
    private static final String SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗";
    private static final String[] GIVEN = {
        "芳", "伟", "秀英", "敏", "静", "强", "磊", "洋", "艳", "勇", "娟", "涛", "明", "超", "丽华", "建国", "晓东"
    };
    private static final long TIMEOUT_MILLIS = 20_000;

    static {
        BRANCHES.put("HQ", "总行");
        BRANCHES.put("SH", "上海分行");
        BRANCHES.put("SH-PD", "上海浦东支行");
        BRANCHES.put("SH-XH", "上海徐汇支行");
        BRANCHES.put("SH-JA", "上海静安支行");
        BRANCHES.put("BJ", "北京分行");
        BRANCHES.put("BJ-CY", "北京朝阳支行");
        BRANCHES.put("BJ-HD", "北京海淀支行");
        BRANCHES.put("BJ-XC", "北京西城支行");
        BRANCHES.put("GZ", "广州分行");
        BRANCHES.put("GZ-TH", "广州天河支行");
        BRANCHES.put("GZ-YX", "广州越秀支行");
        BRANCHES.put("GZ-HZ", "广州海珠支行");
        BRANCHES.put("CD", "成都分行");
        BRANCHES.put("CD-JJ", "成都锦江支行");
        BRANCHES.put("CD-WH", "成都武侯支行");
        BRANCHES.put("CD-GX", "成都高新支行");
    }

    private DemoStaff() {}

    private record Person(String username, String role, String branch) {}

    /** What the console says of them, in 2 lines. */
    public static List<String> greeting() {
        return List.of(
                "Users    admin and admin2 (administrators), head.sh-pd, head.bj-cy (branch heads), manager1.sh-pd (customer manager),",
                "         operator.sh, analyst, auditor, finance, risk, desk, marketing; password of all: " + PASSWORD);
    }

    /** The id of a demo branch by its code, or of a demo user by the sign-in name. */
    public static UUID id(String codeOrUsername) {
        List<String> codes = List.copyOf(BRANCHES.keySet());
        int branch = codes.indexOf(codeOrUsername);
        if (branch >= 0) {
            return id(0, branch);
        }
        List<String> names = people().stream().map(Person::username).toList();
        if (!names.contains(codeOrUsername)) {
            throw new IllegalArgumentException("there is no such demo branch or user");
        }
        return id(1, names.indexOf(codeOrUsername));
    }

    private static UUID id(int kind, int number) {
        return new UUID(ID_MILLIS << 16 | 0x7000L, 0x8000_0000_0000_0000L | (long) kind << 32 | number);
    }

    private static String parent(String code) {
        return code.equals("HQ") ? "" : code.contains("-") ? code.substring(0, code.indexOf('-')) : "HQ";
    }

    private static String tree(String code) {
        return (code.equals("HQ") ? "" : tree(parent(code))) + code + "!";
    }

    private static List<Person> people() {
        List<Person> people = new ArrayList<>(List.of(
                new Person("admin", "administrator", "HQ"),
                new Person("analyst", "analyst", "HQ"),
                new Person("auditor", "auditor", "HQ"),
                new Person("finance", "finance", "HQ"),
                new Person("risk", "risk", "HQ"),
                new Person("desk", "desk-agent", "HQ"),
                new Person("marketing", "marketing", "HQ")));
        for (String code : BRANCHES.keySet()) {
            String suffix = "." + code.toLowerCase(Locale.ROOT);
            if (code.contains("-")) {
                people.add(new Person("head" + suffix, "branch-head", code));
                people.add(new Person("manager1" + suffix, "customer-manager", code));
                people.add(new Person("manager2" + suffix, "customer-manager", code));
            } else if (!code.equals("HQ")) {
                people.add(new Person("head" + suffix, "branch-head", code));
                people.add(new Person("operator" + suffix, "operator", code));
            }
        }
        people.add(new Person("admin2", "administrator", "HQ")); // four eyes need two of them
        return people;
    }

    /** Whether demo users exist in this database. */
    static Future<Boolean> exist(StaffStore store) {
        return store.anyDemo();
    }

    /** Makes branches and people where there is no branch yet; true if it did. Nodes that start together do it once. */
    static Future<Boolean> seed(Database database, StaffStore store, Passwords passwords) {
        return store.anyBranch()
                .compose(there -> there
                        ? Future.succeededFuture(false)
                        : passwords.hash(PASSWORD).compose(hash -> insert(database, store, hash)));
    }

    private static Future<Boolean> insert(Database database, StaffStore store, String hash) {
        Call call = Call.internal("seedDemoStaff", Call.Lane.JOB, TIMEOUT_MILLIS);
        return database.bulk(
                        call,
                        tx -> store.anyBranchLocked(tx)
                                .compose(there -> there
                                        ? Future.failedFuture(Problem.of("server.contended"))
                                        : rows(tx, store, hash)))
                .map(true)
                .recover(failure -> store.anyBranch()
                        .compose(there -> there ? Future.succeededFuture(false) : Future.failedFuture(failure)));
    }

    private static Future<Database.Chunk> rows(Tx tx, StaffStore store, String hash) {
        MessageDigest digest = Sha256.start();
        Future<?> done = Future.succeededFuture();
        for (Map.Entry<String, String> branch : BRANCHES.entrySet()) {
            String code = branch.getKey();
            UUID parent = code.equals("HQ") ? null : id(parent(code));
            int depth = (int) tree(code).chars().filter(c -> c == '!').count() - 1;
            digest.update((code + branch.getValue() + '\n').getBytes(StandardCharsets.UTF_8));
            done = done.compose(
                    v -> store.insertBranch(tx, id(code), parent, code, branch.getValue(), tree(code), depth));
        }
        List<Person> people = people();
        for (int i = 0; i < people.size(); i++) {
            int number = i;
            Person person = people.get(i);
            digest.update((person.username + person.role + '\n').getBytes(StandardCharsets.UTF_8));
            done = done.compose(v -> store.insertDemo(tx, staff(number, person), hash));
        }
        UUID first = id("HQ");
        UUID last = id(1, people.size() - 1);
        return done.map(v -> new Database.Chunk(
                "staff",
                BRANCHES.size() + people.size(),
                digest.digest(),
                first.toString(),
                last.toString(),
                Event.of("staff.seeded", first, 1, "staff:read").with("rows", people.size())));
    }

    private static Staff staff(int number, Person person) {
        return new Staff(
                id(1, number),
                person.username,
                SURNAMES.charAt(number * 7 % SURNAMES.length()) + GIVEN[number % GIVEN.length],
                "+86139" + String.format(Locale.ROOT, "%08d", 10_000_019L * (number + 3) % 100_000_000),
                id(person.branch),
                List.of(person.role),
                "active",
                false,
                1,
                OffsetDateTime.MIN);
    }
}
