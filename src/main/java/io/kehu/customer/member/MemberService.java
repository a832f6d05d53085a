package io.kehu.customer.member;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Network;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.cache.RateLimit;
import io.kehu.crypto.Vault;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.identity.IdentityRules;
import io.kehu.outgoing.CodeChannel;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The rules of who may say that he is a customer, and what he then sees of himself. */
final class MemberService {
    private static final Logger LOG = LoggerFactory.getLogger(MemberService.class);
    private static final Duration CODE_LIFE = Duration.ofMinutes(10);
    private static final int CODES = 1_000_000;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Database database;
    private final CustomerStore customers;
    private final MemberStore store;
    private final CustomerSeals seals;
    private final Vault vault;
    private final RateLimit rates;
    private final CodeChannel channel;
    private final Clock clock;
    private final ZoneId zone;

    MemberService(
            Database database,
            CustomerStore customers,
            MemberStore store,
            CustomerSeals seals,
            Vault vault,
            RateLimit rates,
            CodeChannel channel,
            Clock clock,
            ZoneId zone) {
        this.database = database;
        this.customers = customers;
        this.store = store;
        this.seals = seals;
        this.vault = vault;
        this.rates = rates;
        this.channel = channel;
        this.clock = clock;
        this.zone = zone;
    }

    /** Who somebody says he is, normalised. */
    private record Claim(String name, String idType, String idNumber, String phone) {
        static Claim of(ObjectNode body, LocalDate today) {
            String type = body.get("idType").textValue();
            Claim claim = new Claim(
                    IdentityRules.normalName(body.get("name").textValue()),
                    type,
                    IdentityRules.normalDocument(type, body.get("idNumber").textValue()),
                    IdentityRules.normalPhone(body.get("phone").textValue()));
            List<Problem.FieldError> faults = new ArrayList<>();
            fault(
                    faults,
                    "/idNumber",
                    Objects.requireNonNull(IdentityRules.DOCUMENTS.get(type)).check(claim.idNumber, today),
                    type);
            fault(faults, "/phone", IdentityRules.phone(claim.phone), "phone");
            if (!faults.isEmpty()) {
                throw Problem.invalid(faults);
            }
            return claim;
        }

        private static void fault(List<Problem.FieldError> faults, String at, @Nullable String code, String what) {
            if (code != null) {
                faults.add(new Problem.FieldError(at, code, List.of(what)));
            }
        }

        boolean isNameOf(Customer customer) {
            return IdentityRules.normalName(customer.toDraft().path("name").asText())
                    .equals(name);
        }

        @Override
        public String toString() {
            return "Claim"; // nothing of it in a log
        }
    }

    /**
     * Begins the registration of a customer. Found or not: the same answer after the same steps, and the code is sent after
     * it. Problems: request.invalid, request.tooManyRequests, request.noDryRun, code.channelMissing.
     */
    Future<Reply> register(Call call) {
        Claim claim = Claim.of(call.json(), clock.now().atZoneSameInstant(zone).toLocalDate());
        UUID id = Ids.next();
        String code = String.format(Locale.ROOT, "%06d", RANDOM.nextInt(CODES));
        return call.mustBeReal()
                .compose(v -> rates.admit(
                        RateLimit.LOGIN_PER_ADDRESS,
                        "register " + Network.source(call.meta().address())))
                .compose(v -> channel.ready())
                .compose(v -> customers.byIdentity(
                        call, seals.document(claim.idType, claim.idNumber), seals.phone(claim.phone)))
                .map(found -> found.filter(claim::isNameOf).map(Customer::id))
                .compose(customer -> begin(call, id, customer, code, claim.phone));
    }

    private Future<Reply> begin(Call call, UUID id, Optional<UUID> customer, String code, String phone) {
        byte[] hash = vault.hmac("member.code", (id + code).getBytes(StandardCharsets.UTF_8));
        AtomicBoolean send = new AtomicBoolean();
        return database.write(call, tx -> {
                    tx.kind("sign-in");
                    tx.actor(customer.orElse(Principal.NOBODY), customer.isPresent() ? "member" : "unknown");
                    tx.object("registration", id, 1);
                    OffsetDateTime end = tx.now().plus(CODE_LIFE);
                    return store.begin(tx, id, customer.orElse(null), hash, end).map(toSend -> {
                        send.set(toSend);
                        return answer(id, end);
                    });
                })
                .onSuccess(reply -> {
                    if (send.get()) {
                        channel.send("registration", id, phone, code)
                                .onFailure(e -> LOG.warn("a code could not be sent: {}", e.getMessage()));
                    }
                });
    }

    private static Reply answer(UUID id, OffsetDateTime end) {
        return Reply.accepted("/v1/members/confirm", json -> {
            json.writeStartObject();
            json.writeStringField("registrationId", id.toString());
            json.writeStringField("expiresAt", end.toInstant().toString());
            json.writeEndObject();
        });
    }

    /** The caller's own record. Problems: customer.notFound. */
    Future<Reply> getOwn(Call call) {
        return customers.own(call).map(customer -> Reply.ok(customer::toOwnJson).etag(customer.version()));
    }
}
