package io.kehu.iam.partner;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Network;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Vault;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Sessions;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of partners, their keys and their tokens. */
final class PartnerService {
    private static final String READ = "partner:read";
    private static final String BASIC = "Basic ";

    private final Database database;
    private final PartnerStore store;
    private final Vault vault;
    private final Sessions sessions;
    private final Attempts attempts;
    private final Set<String> grantable;
    private final UnaryOperator<byte[]> mac;

    PartnerService(
            Database database,
            PartnerStore store,
            Vault vault,
            Sessions sessions,
            Attempts attempts,
            Set<String> grantable,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.vault = vault;
        this.sessions = sessions;
        this.attempts = attempts;
        this.grantable = grantable;
        this.mac = mac;
    }

    /** All partners by name. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("name")),
                        (json, row) -> Partner.from(row).toJson(json))));
    }

    /** One partner with its live keys. Problems: partner.notFound. */
    Future<Reply> get(Call call) {
        UUID id = call.id("partnerId");
        return store.find(call, id)
                .compose(partner -> store.keys(call, id)
                        .map(keys ->
                                Reply.ok(json -> partner.toJson(json, keys)).etag(partner.version())));
    }

    /**
     * Lets a system in; it has no key yet. Problems: partner.nameTaken, partner.branchUnknown, partner.permissionUnknown,
     * request.invalid (a network that is none).
     */
    Future<Reply> create(Call call) {
        Partner draft = Partner.draft(Ids.next(), call.json());
        Problem fault = PartnerRules.fault(draft, grantable);
        return fault != null
                ? Future.failedFuture(fault)
                : database.write(
                        call,
                        tx -> store.insert(tx, draft).map(partner -> {
                            tx.kind("grant");
                            tx.event(event("partner.created", partner));
                            return Reply.created(
                                            "/v1/partners/" + partner.id(), json -> partner.toJson(json, List.of()))
                                    .etag(partner.version());
                        }));
    }

    /**
     * Changes what a partner may do, and makes its tokens worthless. Problems: partner.notFound, request.stale,
     * partner.branchUnknown, partner.permissionUnknown, request.invalid.
     */
    Future<Reply> change(Call call) {
        return database.write(
                call,
                tx -> store.locked(tx, call.id("partnerId"))
                        .compose(
                                before -> Past.mustMatch(call, before.version()).compose(v -> apply(tx, before))));
    }

    private Future<Reply> apply(Tx tx, Partner before) {
        Partner after = before.patched(tx.call().json());
        Problem fault = PartnerRules.fault(after, grantable);
        if (fault != null) {
            return Future.failedFuture(fault);
        }
        return store.update(tx, before, after)
                .compose(partner -> partner.rights() == before.rights()
                        ? Future.succeededFuture(partner)
                        : rightsChanged(tx, partner))
                .compose(partner -> store.keys(tx, partner.id()).map(keys -> {
                    tx.event(event("partner.changed", partner));
                    return Reply.ok(json -> partner.toJson(json, keys)).etag(partner.version());
                }));
    }

    private Future<Partner> rightsChanged(Tx tx, Partner partner) {
        tx.kind("grant");
        return sessions.endAll(tx, partner.id(), partner.rights(), "partner").map(partner);
    }

    /** Makes a key and tells its secret once. Problems: partner.notFound, partner.keysTaken. */
    Future<Reply> createKey(Call call) {
        UUID partner = call.id("partnerId");
        String secret = Ids.secret();
        return database.write(
                call,
                tx -> store.locked(tx, partner)
                        .compose(v -> store.insertKey(
                                tx,
                                Ids.next(),
                                partner,
                                PartnerKey.hash(vault, secret),
                                call.json().get("days").intValue()))
                        .compose(key -> store.touch(tx, partner, false).map(changed -> {
                            tx.kind("key");
                            tx.event(event("partner.keyCreated", changed));
                            return Reply.created("/v1/partners/" + partner, json -> {
                                json.writeStartObject();
                                json.writeStringField("id", key.id().toString());
                                json.writeStringField("clientId", partner.toString());
                                json.writeStringField("clientSecret", secret);
                                json.writeStringField(
                                        "expiresAt", key.expiresAt().toInstant().toString());
                                json.writeEndObject();
                            });
                        })));
    }

    /** Takes a key back, with every token of the partner. Problems: partner.notFound, partner.keyNotFound. */
    Future<Reply> deleteKey(Call call) {
        UUID partner = call.id("partnerId");
        return database.write(
                call,
                tx -> store.locked(tx, partner)
                        .compose(v -> store.deleteKey(tx, partner, call.id("keyId")))
                        .compose(v -> store.touch(tx, partner, true))
                        .compose(changed -> sessions.endAll(tx, partner, changed.rights(), "key")
                                .map(v -> {
                                    tx.kind("key");
                                    tx.event(event("partner.keyDeleted", changed));
                                    return Reply.empty();
                                })));
    }

    private static Event event(String type, Partner partner) {
        return Event.of(type, partner.id(), partner.version(), READ).with("name", partner.name());
    }

    // Tokens

    /** What a partner shows (RFC 6749, section 2.3.1). */
    private record Credentials(UUID client, String secret) {}

    /**
     * Changes a key into an access token (RFC 6749, section 4.4). Unknown, suspended and wrong are one answer. Problems:
     * auth.failed, auth.network, partner.scopeInvalid, request.invalid, request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> issueToken(Call call) {
        Credentials given = credentials(call);
        return attempts.admit(call, "partner")
                .compose(v -> store.keys(call, given.client))
                .compose(keys -> {
                    Optional<PartnerKey> key = keys.stream()
                            .filter(known -> known.opens(vault, given.secret))
                            .findFirst();
                    return database.write(call, tx -> enter(tx, given.client, key));
                });
    }

    private static Credentials credentials(Call call) {
        ObjectNode body = call.json();
        String header = call.text("Authorization");
        String client = body.path("client_id").textValue();
        String secret = body.path("client_secret").textValue();
        if (header != null && header.regionMatches(true, 0, BASIC, 0, BASIC.length())) {
            if (client != null || secret != null) {
                throw Problem.at(client != null ? "/client_id" : "/client_secret", "field.repeated");
            }
            return basic(header);
        }
        if (client == null || secret == null) {
            throw Problem.at(client == null ? "/client_id" : "/client_secret", "field.required");
        }
        return new Credentials(UUID.fromString(client), secret);
    }

    private static Credentials basic(String header) {
        try {
            byte[] decoded =
                    Base64.getDecoder().decode(header.substring(BASIC.length()).strip());
            String[] pair = new String(decoded, StandardCharsets.UTF_8).split(":", 2);
            if (pair.length == 2 && pair[0].length() == 36) {
                return new Credentials(UUID.fromString(pair[0]), pair[1]);
            }
        } catch (IllegalArgumentException e) {
            // Not base64, or not an id: answered below.
        }
        throw Problem.at("Authorization", "field.format", "Basic");
    }

    /** The key that was looked at must still be one of the partner's when the token is issued. */
    private Future<Reply> enter(Tx tx, UUID client, Optional<PartnerKey> key) {
        tx.kind("sign-in");
        return store.shared(tx, client)
                .compose(partner -> (key.isPresent()
                                ? store.isLive(tx, key.get().id())
                                : Future.succeededFuture(false))
                        .compose(live -> {
                            UUID id = partner.map(Partner::id).orElse(Principal.NOBODY);
                            tx.actor(id, partner.map(Partner::name).orElse("unknown"));
                            tx.object("partner", id, 0);
                            return live && partner.isPresent() && partner.get().active()
                                    ? grant(tx, partner.get())
                                    : tx.refuse(Problem.of("auth.failed"));
                        }));
    }

    private Future<Reply> grant(Tx tx, Partner partner) {
        if (!mayCallFrom(partner, tx.call().meta().address())) {
            return tx.refuse(Problem.of("auth.network"));
        }
        List<String> scopes = PartnerRules.scopes(tx.call().json().path("scope").textValue(), partner.permissions());
        if (scopes == null) {
            return tx.refuse(Problem.of("partner.scopeInvalid"));
        }
        Sessions.Bearer bearer =
                new Sessions.Bearer(partner.id(), partner.name(), Principal.Audience.PARTNER, partner.rights());
        return sessions.grant(tx, bearer, scopes)
                .map(grant -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeStringField("access_token", grant.accessToken());
                    json.writeStringField("token_type", "Bearer");
                    json.writeNumberField("expires_in", grant.seconds());
                    json.writeStringField("scope", String.join(" ", scopes));
                    json.writeEndObject();
                }));
    }

    private static boolean mayCallFrom(Partner partner, String address) {
        @Nullable InetAddress parsed = Network.address(address);
        return partner.networks().isEmpty()
                || (parsed != null
                        && partner.networks().stream().map(Network::of).anyMatch(network -> network.holds(parsed)));
    }

    /** Who is calling, and may do what with this token. */
    Future<Reply> getOwn(Call call) {
        Principal principal = call.principal();
        return Future.succeededFuture(Reply.ok(json -> {
            json.writeStartObject();
            json.writeStringField("id", principal.subject().toString());
            json.writeStringField("name", principal.name());
            Json.strings(json, "permissions", new TreeSet<>(principal.permissions()));
            Json.strings(json, "networks", principal.networks());
            json.writeEndObject();
        }));
    }
}
