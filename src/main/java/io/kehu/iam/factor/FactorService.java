package io.kehu.iam.factor;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Mask;
import io.kehu.crypto.Passwords;
import io.kehu.iam.factor.FactorStore.Secret;
import io.kehu.iam.passkey.Passkeys;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.SignIn;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.OptionalLong;
import java.util.UUID;

/** The rules of second factors. */
final class FactorService {
    private static final String ISSUER = "Kehu";
    private static final String TOTP = "totp";
    private static final String SMS = "sms";
    private static final String PASSKEY = "passkey";
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Database database;
    private final FactorStore store;
    private final Factors factors;
    private final SmsCodes codes;
    private final Passkeys passkeys;
    private final SignIn signIn;
    private final Attempts attempts;
    private final Passwords passwords;

    FactorService(
            Database database,
            FactorStore store,
            Factors factors,
            SmsCodes codes,
            Passkeys passkeys,
            SignIn signIn,
            Attempts attempts,
            Passwords passwords) {
        this.database = database;
        this.store = store;
        this.factors = factors;
        this.codes = codes;
        this.passkeys = passkeys;
        this.signIn = signIn;
        this.attempts = attempts;
        this.passwords = passwords;
    }

    private static UUID caller(Call call) {
        return call.principal().subject();
    }

    // One's own factors

    /** The caller's factors, and how he can prove himself. */
    Future<Reply> list(Call call) {
        return store.list(call, caller(call))
                .compose(list -> store.standing(call, caller(call))
                        .map(standing -> Reply.ok(json -> {
                            json.writeStartObject();
                            json.writeArrayFieldStart("items");
                            for (Factor factor : list) {
                                factor.toJson(json);
                            }
                            json.writeEndArray();
                            Json.strings(json, "methods", standing.methods());
                            json.writeNumberField("recoveryCodes", standing.recoveryCodes());
                            json.writeBooleanField("roleNeedsOne", standing.mustEnrol());
                            json.writeEndObject();
                        })));
    }

    /** Begins an app with time-based codes; the secret is told in this answer only. Problems: factor.taken. */
    Future<Reply> enrolTotp(Call call) {
        byte[] secret = new byte[Totp.SECRET_BYTES];
        RANDOM.nextBytes(secret);
        UUID id = Ids.next();
        return database.write(
                call,
                tx -> store.insert(tx, id, caller(call), TOTP, "TOTP", secret).map(factor -> {
                    changed(tx, factor);
                    return Reply.created("/v1/auth/factors/" + id, json -> {
                        json.writeStartObject();
                        json.writeStringField("id", id.toString());
                        json.writeStringField("secret", Totp.base32(secret));
                        json.writeStringField(
                                "otpauthUrl", Totp.url(ISSUER, call.principal().name(), secret));
                        json.writeEndObject();
                    });
                }));
    }

    /**
     * Begins codes by SMS to the phone on record. Problems: code.channelMissing, factor.phoneMissing, factor.taken,
     * request.noDryRun.
     */
    Future<Reply> enrolSms(Call call) {
        return call.mustBeReal()
                .compose(v -> codes.ready())
                .compose(v -> store.owner(call, caller(call)))
                .compose(owner -> owner.phone() == null
                        ? Future.failedFuture(Problem.of("factor.phoneMissing"))
                        : enrolSms(call, owner.phone()));
    }

    private Future<Reply> enrolSms(Call call, String phone) {
        UUID id = Ids.next();
        return codes.send(
                call,
                tx -> store.insert(tx, id, caller(call), SMS, Mask.phone(phone), phone.getBytes(StandardCharsets.UTF_8))
                        .map(factor -> {
                            changed(tx, factor);
                            return new SmsCodes.Target(id, phone);
                        }),
                end -> Reply.created("/v1/auth/factors/" + id, json -> {
                    json.writeStartObject();
                    json.writeStringField("id", id.toString());
                    json.writeStringField("phone", Mask.phone(phone));
                    json.writeStringField("expiresAt", end.toInstant().toString());
                    json.writeEndObject();
                }));
    }

    private static void changed(Tx tx, Factor factor) {
        tx.kind("key");
        tx.object("factor", factor.id(), factor.version());
    }

    /**
     * Confirms a factor by its first code; from then on it counts, in the place of an older one of its kind. Problems:
     * factor.notFound, factor.proofWrong, request.noDryRun.
     */
    Future<Reply> confirm(Call call) {
        UUID staff = caller(call);
        String code = call.json().get("code").textValue();
        return call.mustBeReal()
                .compose(v -> database.write(
                        call,
                        tx -> store.pending(tx, staff, call.id("factorId"))
                                .compose(secret -> proves(tx, secret, code)
                                        .compose(right -> right
                                                ? activate(tx, staff, secret.factor())
                                                : wrong(tx, secret.factor())))));
    }

    private static Future<Reply> wrong(Tx tx, Factor factor) {
        changed(tx, factor);
        return tx.refuse(Problem.of("factor.proofWrong"));
    }

    private Future<Reply> activate(Tx tx, UUID staff, Factor pending) {
        return store.activate(tx, staff, pending)
                .compose(factor -> factors.enrolled(tx, staff).map(codes -> {
                    changed(tx, factor);
                    return Reply.ok(json -> {
                        json.writeStartObject();
                        json.writeFieldName("factor");
                        factor.toJson(json);
                        Json.strings(json, "recoveryCodes", codes);
                        json.writeEndObject();
                    });
                }));
    }

    /** Removes one of the caller's factors; with the last one its codes for recovery go. Problems: factor.notFound. */
    Future<Reply> remove(Call call) {
        UUID staff = caller(call);
        return database.write(
                call,
                tx -> store.remove(tx, staff, call.id("factorId"))
                        .compose(factor -> {
                            changed(tx, factor);
                            return store.tell(tx, staff).compose(v -> store.standing(tx, staff));
                        })
                        .compose(standing ->
                                hasFactor(standing) ? Future.<Void>succeededFuture() : store.forgetRecovery(tx, staff))
                        .map(Reply.empty()));
    }

    private static boolean hasFactor(FactorStore.Standing standing) {
        return !standing.methods().isEmpty() && !standing.methods().contains("password");
    }

    /** Ten new codes for recovery in the place of the old ones. Problems: factor.noneYet, request.noDryRun. */
    Future<Reply> renewRecovery(Call call) {
        UUID staff = caller(call);
        return call.mustBeReal()
                .compose(v -> database.write(
                        call,
                        tx -> store.standing(tx, staff)
                                .compose(standing -> hasFactor(standing)
                                        ? store.renewRecovery(tx, staff)
                                        : Future.failedFuture(Problem.of("factor.noneYet")))
                                .map(codes -> {
                                    tx.kind("key");
                                    tx.object("staff", staff, 0);
                                    return Reply.ok(json -> {
                                        json.writeStartObject();
                                        Json.strings(json, "recoveryCodes", codes);
                                        json.writeEndObject();
                                    });
                                })));
    }

    // Proof

    /** The second step of a sign-in. Problems: those of {@link Factors#finishSignIn}, request.invalid. */
    Future<Reply> finishSignIn(Call call) {
        String challenge = call.json().get("challenge").textValue();
        String method = call.json().get("method").textValue();
        if (!method.equals(PASSKEY)) {
            return factors.finishSignIn(call, challenge, proof(method, text(call, "code")));
        }
        JsonNode credential = given(call, "credential");
        return factors.finishSignIn(call, challenge, staff -> byPasskey(credential, staff));
    }

    /** Fresh proof by a factor, or by the password of who has none. Problems: those of {@link Factors#stepUp}, request.invalid. */
    Future<Reply> stepUp(Call call) {
        String method = call.json().get("method").textValue();
        if (method.equals(PASSKEY)) {
            JsonNode credential = given(call, "credential");
            return factors.stepUp(call, free -> byPasskey(credential, caller(call)));
        }
        String code = text(call, "code");
        return method.equals("password")
                ? factors.stepUp(call, free -> byPassword(call, code, free))
                : factors.stepUp(call, proof(method, code));
    }

    /** What the chosen method needs. */
    private static JsonNode given(Call call, String field) {
        JsonNode value = call.json().get(field);
        if (value == null) {
            throw Problem.at("/" + field, "field.required");
        }
        return value;
    }

    private static String text(Call call, String field) {
        return given(call, field).textValue();
    }

    private Future<Factors.Proof> byPasskey(JsonNode credential, UUID person) {
        return passkeys.verify(credential, person)
                .map(proof -> (tx, staff) ->
                        proof.isPresent() ? passkeys.accept(tx, proof.get()) : Future.succeededFuture(false));
    }

    private Future<Factors.Proof> byPassword(Call call, String password, boolean free) {
        return store.password(call, caller(call))
                .compose(hash -> passwords
                        .verify(password, free && hash.isPresent() ? hash.get() : passwords.absent())
                        .map(right -> (tx, staff) -> right && hash.isPresent()
                                ? store.isStillPassword(tx, staff, hash.get())
                                : Future.succeededFuture(false)));
    }

    private Factors.Proof proof(String method, String code) {
        return method.equals("recovery")
                ? (tx, staff) -> store.useRecovery(tx, staff, code)
                : (tx, staff) -> store.active(tx, staff, method)
                        .compose(secret ->
                                secret.isPresent() ? proves(tx, secret.get(), code) : Future.succeededFuture(false));
    }

    private Future<Boolean> proves(Tx tx, Secret secret, String code) {
        UUID factor = secret.factor().id();
        if (secret.factor().kind().equals(TOTP)) {
            OptionalLong step = Totp.match(secret.bytes(), code, tx.now().toEpochSecond());
            return step.isPresent() ? store.useStep(tx, factor, step.getAsLong()) : Future.succeededFuture(false);
        }
        return codes.check(tx, factor, code);
    }

    // Passkeys

    /**
     * What to ask of a device for the second step of a sign-in. Problems: auth.factorFailed (no such challenge),
     * passkey.notFound, passkey.off, request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> startSignInPasskey(Call call) {
        return attempts.admit(call, "passkey-begin")
                .compose(v -> signIn.look(call.json().get("challenge").textValue()))
                .compose(pending -> pending.isEmpty()
                        ? Future.failedFuture(Problem.of("auth.factorFailed"))
                        : begin(call, pending.get().staff(), pending.get().username()));
    }

    /** The same for fresh proof in the caller's session. Problems: passkey.notFound, passkey.off, request.noDryRun. */
    Future<Reply> startStepUpPasskey(Call call) {
        return call.mustBeReal()
                .compose(v -> begin(call, caller(call), call.principal().name()));
    }

    private Future<Reply> begin(Call call, UUID staff, String name) {
        return database.write(call, tx -> {
            tx.kind("sign-in");
            tx.actor(staff, name);
            tx.object("ceremony", tx.auditId(), 1);
            return passkeys.begin(tx, staff).map(Passkeys.Ceremony::reply);
        });
    }

    // Codes by SMS

    /**
     * Sends a code for the second step of a sign-in. Problems: auth.factorFailed (no such challenge, or no phone),
     * code.tooMany, code.channelMissing, request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> sendSignInCode(Call call) {
        return attempts.admit(call, "code")
                .compose(v -> codes.ready())
                .compose(v -> signIn.look(call.json().get("challenge").textValue()))
                .compose(pending -> pending.isEmpty()
                        ? Future.failedFuture(Problem.of("auth.factorFailed"))
                        : send(call, pending.get().staff(), pending.get().username(), "auth.factorFailed"));
    }

    /**
     * Sends a code for fresh proof in the caller's session. Problems: factor.notFound, code.tooMany, code.channelMissing,
     * request.noDryRun.
     */
    Future<Reply> sendStepUpCode(Call call) {
        return call.mustBeReal()
                .compose(v -> codes.ready())
                .compose(v -> send(call, caller(call), call.principal().name(), "factor.notFound"));
    }

    private Future<Reply> send(Call call, UUID staff, String name, String otherwise) {
        return codes.send(
                call,
                tx -> store.active(tx, staff, SMS).compose(secret -> {
                    if (secret.isEmpty()) {
                        return Future.failedFuture(Problem.of(otherwise));
                    }
                    Factor factor = secret.get().factor();
                    tx.kind("sign-in");
                    tx.actor(staff, name);
                    tx.object("factor", factor.id(), factor.version());
                    return Future.succeededFuture(new SmsCodes.Target(
                            factor.id(), new String(secret.get().bytes(), StandardCharsets.UTF_8)));
                }),
                end -> Reply.accepted("/v1/auth/factors", json -> {
                    json.writeStartObject();
                    json.writeStringField("expiresAt", end.toInstant().toString());
                    json.writeEndObject();
                }));
    }
}
