package io.kehu.customer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.crypto.Vault;
import io.kehu.customer.identity.IdentityRules;
import io.kehu.customer.identity.NameTokens;
import io.kehu.kernel.Kernel;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Between a customer and what the database may see of it: one ciphertext for class C2, tokens of the name and of the
 * phones' last digits, blind indexes of documents, phones, e-mails and external ids.
 */
public final class CustomerSeals {
    private static final String TABLE = "customer.sealed";
    private static final String CLASS = "C2";

    private final Vault vault;
    private final NameTokens names;

    public CustomerSeals(Vault vault, NameTokens names) {
        this.vault = vault;
        this.names = names;
    }

    /** With the keys of this node. */
    public static CustomerSeals of(Kernel kernel) {
        return new CustomerSeals(kernel.vault(), new NameTokens(kernel.keys()));
    }

    /** A value to be looked up whole; {@code kind} is document, external, phone or email. */
    public record Blind(String kind, Buffer value) {}

    Vault.NewKey newKey(UUID customer) {
        return vault.newKey(customer);
    }

    Buffer seal(Vault.Key key, Personal personal) {
        return Buffer.buffer(vault.seal(key, TABLE, CLASS, personal.bytes()));
    }

    Vault.Key key(Vault.NewKey key) {
        return vault.key(key);
    }

    /** What another table keeps of the same customer. */
    public Buffer seal(Vault.Key key, String table, ObjectNode fields) {
        return Buffer.buffer(vault.seal(key, table, CLASS, Json.bytes(fields)));
    }

    public ObjectNode open(Vault.Key key, String table, Buffer sealed) {
        return Json.parse(Buffer.buffer(vault.open(key, table, CLASS, sealed.getBytes())))
                .deepCopy();
    }

    /** The key in the columns epoch and wrapped of a row. */
    public Vault.Key key(Row row) {
        return vault.key(
                row.getUUID("id"),
                row.getInteger("epoch"),
                row.getBuffer("wrapped").getBytes());
    }

    /**
     * The personal part of a row; empty where the key has been erased.
     *
     * @param at the place of the columns personal, epoch and wrapped; the id is the first of all
     */
    Personal open(Row row, int at) {
        Buffer sealed = row.getBuffer(at);
        Buffer wrapped = row.getBuffer(at + 2);
        if (sealed == null || wrapped == null) {
            return Personal.NONE;
        }
        return open(row.getUUID(0), sealed, row.getInteger(at + 1), wrapped);
    }

    private Personal open(UUID customer, Buffer sealed, int epoch, Buffer wrapped) {
        Vault.Key key = vault.key(customer, epoch, wrapped.getBytes());
        return new Personal(vault.open(key, TABLE, CLASS, sealed.getBytes()));
    }

    /** The name alone; null where there is none, and where the key has been erased. */
    @Nullable
    String name(UUID customer, @Nullable Buffer sealed, int epoch, @Nullable Buffer wrapped) {
        return sealed == null || wrapped == null
                ? null
                : open(customer, sealed, epoch, wrapped).name();
    }

    /** The blind indexes of phones and e-mails alone. */
    public Buffer[] contacts(ObjectNode personal) {
        return blinds(personal).stream()
                .filter(blind -> blind.kind.equals("phone") || blind.kind.equals("email"))
                .map(Blind::value)
                .toArray(Buffer[]::new);
    }

    public Integer[] tokens(ObjectNode personal) {
        Set<Integer> tokens = new LinkedHashSet<>();
        String name = personal.path("name").textValue();
        if (name != null) {
            Arrays.stream(names.of(name)).forEach(tokens::add);
        }
        personal.path("phones")
                .forEach(phone -> tokens.add(lastFour(phone.path("number").asText())));
        return tokens.toArray(Integer[]::new);
    }

    List<Blind> blinds(ObjectNode personal) {
        Set<Blind> blinds = new LinkedHashSet<>();
        for (JsonNode document : personal.path("documents")) {
            blinds.add(document(
                    document.path("type").asText(), document.path("number").asText()));
        }
        for (JsonNode external : personal.path("externalIds")) {
            blinds.add(external(
                    external.path("source").asText(), external.path("id").asText()));
        }
        personal.path("phones")
                .forEach(phone -> blinds.add(phone(phone.path("number").asText())));
        personal.path("emails").forEach(email -> blinds.add(email(email.asText())));
        return List.copyOf(blinds);
    }

    public Blind document(String type, String number) {
        return blind("document", type + '|' + number);
    }

    public Blind external(String source, String id) {
        return blind("external", source + '|' + id);
    }

    public Blind phone(String e164) {
        return blind("phone", e164);
    }

    Blind email(String address) {
        return blind("email", address);
    }

    private Blind blind(String kind, String value) {
        return new Blind(kind, Buffer.buffer(vault.blind("customer." + kind, value)));
    }

    /** The token of a phone's last four digits: the first 32 bits of a blind index, after its version. */
    int lastFour(String phone) {
        String digits = phone.substring(Math.max(0, phone.length() - 4));
        return ByteBuffer.wrap(vault.blind("customer.lastFour", digits)).getInt(1);
    }

    /**
     * The tokens a customer must have all of, in any one of the alternatives.
     *
     * @return empty where the text holds nothing that can be looked for
     */
    List<int[]> wanted(String name, boolean exact) {
        List<int[]> alternatives = new ArrayList<>(names.query(name));
        if (exact && !alternatives.isEmpty()) {
            alternatives = new ArrayList<>(List.of(new int[] {names.exact(name)}));
        }
        alternatives.removeIf(tokens -> tokens.length == 0);
        return alternatives;
    }

    /** Whether a found name is really meant: tokens of 32 bits collide. */
    static Predicate<@Nullable String> meant(String wanted, boolean exact) {
        Predicate<String> matching = NameTokens.matching(wanted);
        return name -> name != null && matching.test(name) && (!exact || NameTokens.matches(wanted, name));
    }

    /** Every reading of a number that any kind of document allows. */
    List<Blind> anyDocument(String number, java.time.LocalDate today) {
        List<Blind> readings = new ArrayList<>();
        for (Map.Entry<String, IdentityRules.DocumentRule> kind : IdentityRules.DOCUMENTS.entrySet()) {
            String normal = IdentityRules.normalDocument(kind.getKey(), number);
            if (kind.getValue().check(normal, today) == null) {
                readings.add(document(kind.getKey(), normal));
            }
        }
        return readings;
    }
}
