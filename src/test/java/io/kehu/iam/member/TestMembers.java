package io.kehu.iam.member;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.customer.identity.IdentityRules;
import io.kehu.iam.staff.DemoStaff;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;

/** Customers who come themselves. */
public final class TestMembers {
    public static final String PASSWORD = "Member-Maple-Canoe-93";
    private static final AtomicInteger NUMBERS = new AtomicInteger();

    private TestMembers() {}

    /** A person whom the bank knows, and what he would say to prove it. */
    public record Person(UUID customer, String name, String idNumber, String phone) {
        String claim() {
            return claim(name, idNumber, phone);
        }

        static String claim(String name, String idNumber, String phone) {
            return Json.object()
                    .put("name", name)
                    .put("idType", "resident_id")
                    .put("idNumber", idNumber)
                    .put("phone", phone)
                    .toString();
        }
    }

    /** A resident's number that nobody had before. */
    static String anIdNumber() {
        int n = NUMBERS.incrementAndGet();
        String digits = "110101" + (1950 + n / 900) + "0307" + (100 + n % 900);
        return digits + IdentityRules.residentCheckCharacter(digits);
    }

    public static Person aPerson(TestKehu kehu) {
        String idNumber = anIdNumber();
        String phone = "138" + String.format("%08d", NUMBERS.incrementAndGet());
        Answer made = kehu.signIn(DemoStaff.id("marketing"))
                .post("/v1/customers", """
                {"kind": "person", "name": "会员客户", "branchId": "%s",
                 "documents": [{"type": "resident_id", "number": "%s"}], "phones": [{"number": "%s"}]}""".formatted(DemoStaff.id("SH-PD"), idNumber, phone))
                .is(201);
        return new Person(UUID.fromString(made.at("/id").asText()), "会员客户", idNumber, phone);
    }

    /** A registration whose code is known, past the check and the channel. */
    public static UUID registration(TestKehu kehu, UUID customer, String code) {
        UUID id = Ids.next();
        kehu.sql("""
                INSERT INTO iam.registration (id, customer_id, code_hash, made_at, expires_at)
                VALUES (?, ?, ?, kehu.now(), kehu.now() + interval '10 minutes')""", id, customer, kehu.vault().hmac("member.code", (id + code).getBytes(StandardCharsets.UTF_8)));
        return id;
    }

    public static String confirmation(UUID registration, String code, String username) {
        return Json.object()
                .put("registrationId", registration.toString())
                .put("code", code)
                .put("username", username)
                .put("password", PASSWORD)
                .toString();
    }

    /** Makes the account of a customer; the answer is its sign-in name. */
    public static String account(TestKehu kehu, UUID customer) {
        String username = "member" + NUMBERS.incrementAndGet();
        kehu.anonymous()
                .post("/v1/members/confirm", confirmation(registration(kehu, customer, "123456"), "123456", username))
                .is(204);
        return username;
    }

    public static Answer login(TestKehu kehu, String username, String password, String... headers) {
        return kehu.anonymous()
                .post(
                        "/v1/members/login",
                        Json.object()
                                .put("username", username)
                                .put("password", password)
                                .toString(),
                        headers);
    }

    /** A customer with an account, signed in. */
    public static Caller caller(TestKehu kehu) {
        String username = account(kehu, aPerson(kehu).customer());
        return kehu.with(
                login(kehu, username, PASSWORD).is(200).at("/accessToken").asText());
    }
}
