package io.kehu.iam;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Two nodes on one database that know nothing of each other but what stands in it, and people of a small bank. */
public final class TwoNodes implements AutoCloseable {
    public final TestKehu kehu = TestKehu.prepare(Map.of(
            "KEHU_RATE_PER_ADDRESS_PER_SECOND", "100000",
            "KEHU_RATE_PER_SUBJECT_PER_SECOND", "100000",
            "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000"));
    public final int first;
    public final int second;
    public final UUID shanghai;
    public final UUID pudong;
    public final UUID beijing;

    public TwoNodes() {
        first = kehu.addNode(kehu.settings()).httpPort();
        second = kehu.addNode(kehu.settings()).httpPort();
        UUID head = kehu.headOffice();
        shanghai = branch("SH", head);
        pudong = branch("SH-PD", shanghai);
        beijing = branch("BJ", head);
    }

    private UUID branch(String code, UUID parent) {
        List<Map<String, Object>> found = kehu.sql("SELECT id FROM iam.branch WHERE code = ?", code);
        return found.isEmpty() ? kehu.branch(parent, code) : (UUID) found.get(0).get("id");
    }

    /** A customer of a branch and, maybe, of a manager who works there. */
    public UUID customer(UUID branch, @Nullable UUID manager) {
        String looksAfter = manager == null ? "" : ", \"managerId\": \"" + manager + "\"";
        Answer made = kehu.caller("marketing").post("/v1/customers", """
                {"kind": "person", "name": "权限客户", "branchId": "%s"%s}""".formatted(branch, looksAfter));
        return UUID.fromString(made.is(201).at("/id").asText());
    }

    /** A member of staff of a branch, who asks the second node. */
    public Caller at(UUID branch, String... roles) {
        return kehu.signIn(kehu.staff(branch, roles)).at(second);
    }

    /** An instant of the bank's clock, so many seconds from now. */
    public String in(long seconds) {
        return kehu.value(
                "SELECT to_char((kehu.now() + make_interval(secs => ?)) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
                (double) seconds);
    }

    /** Gives rights for an hour and yields the grant's path. */
    public String give(UUID staff, String gift) {
        return kehu.caller("administrator")
                .post("/v1/grants", """
                {"staffId": "%s", "endsAt": "%s", "reason": "代班", %s}""".formatted(staff, in(3600), gift))
                .is(201)
                .header("Location");
    }

    @Override
    public void close() {
        kehu.close();
    }
}
