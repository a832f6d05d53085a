package io.kehu.iam.factor;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.crypto.Sha256;
import io.kehu.crypto.Vault;
import io.kehu.iam.staff.DemoStaff;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Map;
import java.util.UUID;

/** People with second factors, and the codes they read off. */
public final class TestFactors {
    private static final String PHONE = "+8613800138000";

    private TestFactors() {}

    /** A member of staff who can sign in with the password of the demo users. */
    public record Person(UUID id, String username) {}

    public static Person aPerson(TestKehu kehu, String... roles) {
        UUID id = kehu.staff(kehu.headOffice(), roles);
        kehu.sql(
                "UPDATE iam.staff SET password_hash = (SELECT password_hash FROM iam.staff WHERE username = 'admin') WHERE id = ?",
                id);
        return new Person(id, kehu.value("SELECT username FROM iam.staff WHERE id = ?", id));
    }

    public static Answer login(TestKehu kehu, Person person, String... headers) {
        return kehu.anonymous().login(person.username(), DemoStaff.PASSWORD, headers);
    }

    /** Enrols an app, and yields its secret and the codes for recovery. */
    public static Answer enrol(TestKehu kehu, Caller caller, byte[][] secret) {
        Answer begun =
                caller.send("POST", "/v1/auth/factors/totp", (byte[]) null).is(201);
        secret[0] = decode(begun.at("/secret").asText());
        return caller.post(
                        begun.header("Location") + "/confirm",
                        Json.object().put("code", code(kehu, secret[0], 0)).toString())
                .is(200);
    }

    public static byte[] enrol(TestKehu kehu, Caller caller) {
        byte[][] secret = new byte[1][];
        enrol(kehu, caller, secret);
        return secret[0];
    }

    /** The code of so many steps from now. */
    public static String code(TestKehu kehu, byte[] secret, int steps) {
        long now = kehu.<Long>value("SELECT floor(extract(epoch FROM kehu.now()))::bigint");
        return Totp.code(secret, Totp.step(now) + steps, 6);
    }

    static byte[] decode(String base32) {
        byte[] bytes = new byte[base32.length() * 5 / 8];
        int buffer = 0;
        int bits = 0;
        int at = 0;
        for (char letter : base32.toCharArray()) {
            buffer = (buffer << 5) | "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter);
            bits += 5;
            if (bits >= 8) {
                bytes[at++] = (byte) (buffer >> (bits - 8));
                bits -= 8;
            }
            buffer &= (1 << bits) - 1;
        }
        return bytes;
    }

    public static String secondStep(String challenge, String method, String code) {
        return Json.object()
                .put("challenge", challenge)
                .put("method", method)
                .put("code", code)
                .toString();
    }

    // Past the ceremony

    /** A sign-in that waits for its second step. */
    public static String challenge(TestKehu kehu, UUID staff) {
        String challenge =
                HexFormat.of().formatHex(Sha256.of(Ids.next().toString())).substring(0, 43);
        kehu.sql("""
                INSERT INTO iam.factor_challenge (challenge_hash, staff_id, rights, cookie, expires_at)
                SELECT ?, id, rights, false, kehu.now() + interval '5 minutes' FROM iam.staff WHERE id = ?""", Sha256.of(challenge), staff);
        return challenge;
    }

    public static String recoveryCode(TestKehu kehu, UUID staff) {
        String code = RecoveryCodes.fresh().get(0);
        kehu.sql(
                "INSERT INTO iam.recovery_code (staff_id, code_hash) VALUES (?, ?)",
                staff,
                RecoveryCodes.hash(kehu.vault(), staff, code).getBytes());
        return code;
    }

    /** A factor of any kind and state, without a secret. */
    public static UUID factor(TestKehu kehu, UUID staff, String kind, String state) {
        UUID id = Ids.next();
        kehu.sql(
                "INSERT INTO iam.factor (id, staff_id, kind, label, state) VALUES (?, ?, ?, 'test', ?)",
                id,
                staff,
                kind,
                state);
        return id;
    }

    /** An app that waits to be confirmed, with the code that does it. */
    public static Map.Entry<UUID, String> pendingTotp(TestKehu kehu, UUID staff) {
        kehu.sql("DELETE FROM iam.factor WHERE staff_id = ? AND kind = 'totp'", staff);
        UUID id = factor(kehu, staff, "totp", "pending");
        byte[] secret = Sha256.of(id.toString());
        seal(kehu, staff, id, "totp", secret);
        return Map.entry(id, code(kehu, secret, 0));
    }

    /** A phone to which codes go. */
    public static UUID sms(TestKehu kehu, UUID staff) {
        kehu.sql("DELETE FROM iam.factor WHERE staff_id = ? AND kind = 'sms'", staff);
        UUID id = factor(kehu, staff, "sms", "active");
        seal(kehu, staff, id, "sms", PHONE.getBytes(StandardCharsets.UTF_8));
        return id;
    }

    private static void seal(TestKehu kehu, UUID staff, UUID factor, String kind, byte[] secret) {
        kehu.sql(
                "INSERT INTO iam.factor_secret (factor_id, sealed) VALUES (?, ?)",
                factor,
                kehu.vault().seal(key(kehu, staff), "iam.factor_secret", kind, secret));
    }

    private static Vault.Key key(TestKehu kehu, UUID staff) {
        Map<String, Object> row = kehu.sql("SELECT epoch, wrapped FROM kehu.data_key WHERE subject_id = ?", staff)
                .get(0);
        return kehu.vault().key(staff, (Integer) row.get("epoch"), (byte[]) row.get("wrapped"));
    }

    /** Puts a phone on somebody's record. */
    public static void phone(TestKehu kehu, UUID staff) {
        byte[] personal =
                Json.object().put("name", "测试员").put("phone", PHONE).toString().getBytes(StandardCharsets.UTF_8);
        kehu.sql(
                "UPDATE iam.staff SET sealed = ? WHERE id = ?",
                kehu.vault().seal(key(kehu, staff), "iam.staff", "C2", personal),
                staff);
    }

    /** Makes the last proof in every session of somebody older. */
    public static void age(TestKehu kehu, UUID staff, int minutes) {
        kehu.sql(
                "UPDATE iam.session SET factor_at = factor_at - make_interval(mins => ?) WHERE subject_id = ?",
                minutes,
                staff);
    }
}
