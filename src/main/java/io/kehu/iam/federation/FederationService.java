package io.kehu.iam.federation;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Sha256;
import io.kehu.crypto.Vault;
import io.kehu.iam.federation.FederationStore.Mappings;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Guess;
import io.kehu.iam.session.Sessions;
import io.kehu.iam.session.SignIn;
import io.kehu.iam.staff.Staff;
import io.kehu.iam.staff.StaffEntry;
import io.kehu.iam.staff.StaffEntry.Entrant;
import io.kehu.iam.staff.StaffPlace;
import io.kehu.sql.Database;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** The rules of signing in with an account elsewhere. */
final class FederationService {
    private static final Duration FLOW_LIFE = Duration.ofMinutes(10);
    /** Seals what a sign-in under way has to remember. */
    private static final String FLOW = "oidc.flow";

    private static final String READ = "role:read";

    private final Database database;
    private final FederationStore store;
    private final StaffEntry staff;
    private final Vault vault;
    private final Sessions sessions;
    private final SignIn signIn;
    private final Attempts attempts;
    private final @Nullable OidcProvider provider;
    private final @Nullable LdapDirectory directory;

    FederationService(
            Database database,
            FederationStore store,
            StaffEntry staff,
            Vault vault,
            Sessions sessions,
            SignIn signIn,
            Attempts attempts,
            @Nullable OidcProvider provider,
            @Nullable LdapDirectory directory) {
        this.database = database;
        this.store = store;
        this.staff = staff;
        this.vault = vault;
        this.sessions = sessions;
        this.signIn = signIn;
        this.attempts = attempts;
        this.provider = provider;
        this.directory = directory;
    }

    // Group mappings

    /** All group mappings. */
    Future<Reply> mappings(Call call) {
        return store.mappings(call).map(FederationService::reply);
    }

    private static Reply reply(Mappings mappings) {
        return Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeArrayFieldStart("items");
                    for (GroupMapping mapping : mappings.items()) {
                        mapping.toJson(json);
                    }
                    json.writeEndArray();
                    json.writeNumberField("version", mappings.version());
                    json.writeEndObject();
                })
                .etag(mappings.version());
    }

    /** Replaces all group mappings. Problems: request.stale, mapping.groupTaken, mapping.branchUnknown, staff.roleUnknown. */
    Future<Reply> replaceMappings(Call call) {
        List<GroupMapping> items = new ArrayList<>();
        call.json().get("items").forEach(item -> items.add(GroupMapping.of(item)));
        return database.write(
                call,
                tx -> store.lockedVersion(tx)
                        .compose(version -> Past.mustMatch(call, version))
                        .compose(v -> store.replace(tx, items))
                        .map(mappings -> {
                            tx.kind("grant");
                            tx.event(Event.of("mapping.changed", mappings.id(), mappings.version(), READ));
                            return reply(mappings);
                        }));
    }

    // OpenID Connect

    /** What is remembered of a sign-in under way. */
    private record Flow(String nonce, String verifier) {
        static Flow of(byte[] opened) {
            ObjectNode json = Json.read(new String(opened, StandardCharsets.UTF_8));
            return new Flow(json.get("nonce").textValue(), json.get("verifier").textValue());
        }

        byte[] bytes() {
            return Json.object()
                    .put("nonce", nonce)
                    .put("verifier", verifier)
                    .toString()
                    .getBytes(StandardCharsets.UTF_8);
        }

        /** RFC 7636, section 4.2: S256. */
        String challenge() {
            return Base64.getUrlEncoder().withoutPadding().encodeToString(Sha256.of(verifier));
        }

        @Override
        public String toString() {
            return "Flow";
        }
    }

    /**
     * Begins a sign-in at an identity provider. Problems: auth.providerUnknown, auth.providerUnavailable,
     * request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> startOidc(Call call) {
        OidcProvider known = provider(call);
        Flow flow = new Flow(Ids.secret(), Ids.secret());
        String state = Ids.secret();
        String mine = Ids.secret();
        return attempts.admit(call, "oidc")
                .compose(v -> known.authorizationUrl(state, flow.nonce, flow.challenge()))
                .compose(url -> database.write(call, tx -> {
                    OffsetDateTime end = tx.now().plus(FLOW_LIFE);
                    tx.kind("sign-in");
                    tx.object("flow", tx.auditId(), 1);
                    byte[] sealed = vault.sealSystem(FLOW, flow.bytes());
                    return store.addFlow(tx, Sha256.of(state), Sha256.of(mine), providerName(call), sealed, end)
                            .map(v -> Reply.ok(json -> {
                                json.writeStartObject();
                                json.writeStringField("authorizationUrl", url);
                                json.writeStringField("flow", mine);
                                json.writeStringField(
                                        "expiresAt", end.toInstant().toString());
                                json.writeEndObject();
                            }));
                }));
    }

    private static String providerName(Call call) {
        return call.params().get("provider").textValue();
    }

    private OidcProvider provider(Call call) {
        OidcProvider known = provider;
        if (known == null || !known.isCalled(providerName(call))) {
            throw Problem.of("auth.providerUnknown");
        }
        return known;
    }

    /**
     * Finishes a sign-in at an identity provider. Problems: auth.flowInvalid, auth.failed, auth.factorRequired, auth.groupsUnmapped,
     * auth.accountMissing, auth.providerUnknown, auth.providerUnavailable, staff.usernameTaken, staff.branchClosed,
     * staff.lastAdministrator, request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> finishOidc(Call call) {
        OidcProvider known = provider(call);
        ObjectNode body = call.json();
        byte[] state = Sha256.of(body.get("state").textValue());
        byte[] mine = Sha256.of(body.get("flow").textValue());
        return attempts.admit(call, "oidc")
                .compose(v -> store.takeFlow(state, mine, providerName(call)))
                .compose(taken -> taken.isEmpty()
                        ? database.write(call, tx -> refused(tx, Problem.of("auth.flowInvalid")))
                        : identity(known, body.get("code").textValue(), taken.get())
                                .compose(person -> database.write(call, tx -> enter(tx, person))));
    }

    private Future<Optional<Identity>> identity(OidcProvider known, String code, byte[] sealed) {
        Flow flow = Flow.of(vault.openSystem(FLOW, sealed));
        return known.identity(code, flow.verifier, flow.nonce);
    }

    // LDAP

    /** What a look at a directory came to; a locked account's password was not looked at. */
    private record Seen(boolean free, Optional<Identity> person) {}

    /**
     * Signs somebody in by the bank's directory. Unknown, locked and wrong are one answer after the same work. Problems:
     * auth.failed, auth.factorRequired, auth.groupsUnmapped, auth.accountMissing, auth.providerUnknown, auth.providerUnavailable,
     * staff.usernameTaken, staff.branchClosed, staff.lastAdministrator, request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> loginLdap(Call call) {
        LdapDirectory known = directory;
        if (known == null) {
            return Future.failedFuture(Problem.of("auth.providerUnknown"));
        }
        ObjectNode body = call.json();
        String username = Staff.username(body.get("username").textValue());
        String password = body.get("password").textValue();
        Guess guess = attempts.guess(LdapDirectory.SOURCE, username, call.meta().address());
        return attempts.admit(call, guess)
                .compose(v -> attempts.look(
                        guess, free -> known.identity(username, password, free).map(person -> new Seen(free, person))))
                // On its own: the counter of all is locked last by those who lock a member of staff, or both would
                // wait.
                .compose(seen -> (seen.free
                                ? attempts.settle(guess, seen.person.isPresent())
                                : Future.<Void>succeededFuture())
                        .compose(v -> database.write(call, tx -> enter(tx, seen.person))));
    }

    // Coming in

    /** Leaves the failure in the audit. */
    private static Future<Reply> refused(Tx tx, Problem problem) {
        tx.kind("sign-in");
        tx.actor(Principal.NOBODY, "unknown");
        tx.object("staff", Principal.NOBODY, 0);
        return tx.refuse(problem);
    }

    private Future<Reply> enter(Tx tx, Optional<Identity> proven) {
        if (proven.isEmpty()) {
            return refused(tx, Problem.of("auth.failed"));
        }
        Identity person = proven.get();
        tx.kind("sign-in");
        return store.linked(tx, person)
                .compose(linked -> store.mappingsOf(tx, person).compose(met -> {
                    Optional<StaffPlace> place = FederationRules.place(met);
                    if (place.isEmpty()) {
                        return shutOut(tx, linked);
                    }
                    return linked.isPresent()
                            ? staff.place(tx, linked.get(), place.get())
                                    .compose(entrant -> open(tx, entrant, person.secondFactor()))
                            : join(tx, person, place.get());
                }));
    }

    /** Who has no place any more has no session either. */
    private Future<Reply> shutOut(Tx tx, Optional<UUID> linked) {
        Problem problem = Problem.of("auth.groupsUnmapped");
        if (linked.isEmpty()) {
            return refused(tx, problem);
        }
        UUID id = linked.get();
        return staff.username(tx, id)
                .compose(username -> {
                    tx.actor(id, username);
                    tx.object("staff", id, 0);
                    // No version of rights is too old by this: what ends are the sessions.
                    return sessions.endAll(tx, id, 0, "directory");
                })
                .compose(v -> tx.refuse(problem));
    }

    private Future<Reply> join(Tx tx, Identity person, StaffPlace place) {
        Optional<String> username = FederationRules.username(person.username());
        if (!person.welcome() || username.isEmpty()) {
            return refused(tx, Problem.of("auth.accountMissing"));
        }
        return staff.create(tx, username.get(), FederationRules.name(person.name(), username.get()), place)
                .compose(entrant -> store.link(tx, entrant.staff().id(), person)
                        .compose(v -> open(tx, entrant, person.secondFactor())));
    }

    private Future<Reply> open(Tx tx, Entrant entrant, boolean proven) {
        Staff who = entrant.staff();
        tx.actor(who.id(), who.username());
        return store.mayCall(tx, who.id()).compose(may -> {
            // The same from a wrong place: a stranger does not learn that the password was right.
            if (!entrant.active() || !may) {
                tx.object("staff", who.id(), 0);
                return tx.refuse(Problem.of("auth.failed"));
            }
            return signIn.enter(
                    tx,
                    // Whoever has his password elsewhere changes it there.
                    new SignIn.Entrant(who, entrant.rights(), false, proven),
                    tx.call().json().path("cookie").asBoolean());
        });
    }
}
