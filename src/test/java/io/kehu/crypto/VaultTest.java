package io.kehu.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class VaultTest {
    private static final UUID SUBJECT = UUID.fromString("0198f000-0000-7000-8000-000000000001");
    private static final UUID OTHER = UUID.fromString("0198f000-0000-7000-8000-000000000002");
    private static final byte[] SECRET = "张三 13812345678".getBytes(StandardCharsets.UTF_8);
    private static Path folder = Path.of("");
    private static KeyStore store;
    private static Vault vault;

    @BeforeAll
    @BeforeContainer
    static void openAVault() throws IOException {
        folder = Files.createTempDirectory("kehu-vault");
        store = KeyStore.openOrCreate(folder, true);
        vault = new Vault(store, 100);
    }

    @AfterAll
    @AfterContainer
    static void removeTheKeys() throws IOException {
        KeyStoreTest.delete(folder);
    }

    @Property(tries = 200)
    void whatIsSealedOpensAgain(@ForAll byte[] plaintext, @ForAll long id) {
        Vault.Key key = vault.key(vault.newKey(new UUID(id, ~id)));
        byte[] sealed = vault.seal(key, "customer.person", "C2", plaintext);

        assertThat(sealed).hasSize(plaintext.length + 29);
        for (int again = 0; again < 3; again++) { // by the shared cipher, then by the key's own
            assertThat(vault.open(key, "customer.person", "C2", sealed)).isEqualTo(plaintext);
        }
        assertThat(vault.seal(key, "customer.person", "C2", plaintext)).isNotEqualTo(sealed);
    }

    @Property(tries = 50)
    void systemValuesOpenForTheirPurposeOnly(@ForAll @Size(max = 300) byte[] plaintext) {
        byte[] sealed = vault.sealSystem("idempotency", plaintext);

        assertThat(vault.openSystem("idempotency", sealed)).isEqualTo(plaintext);
        assertThatThrownBy(() -> vault.openSystem("outbox", sealed)).isInstanceOf(Vault.Tampered.class);
    }

    @Test
    void aSealedValueWithAnyByteChangedOrCutDoesNotOpen() {
        Vault.Key key = vault.key(vault.newKey(SUBJECT));
        byte[] sealed = vault.seal(key, "customer.person", "C2", SECRET);

        for (int i = 0; i < sealed.length; i++) {
            byte[] changed = sealed.clone();
            changed[i] ^= (byte) (1 << (i % 8));
            byte[] cut = java.util.Arrays.copyOf(sealed, i);
            assertThatThrownBy(() -> vault.open(key, "customer.person", "C2", changed))
                    .isInstanceOf(Vault.Tampered.class);
            assertThatThrownBy(() -> vault.open(key, "customer.person", "C2", cut))
                    .isInstanceOf(Vault.Tampered.class);
        }
        byte[] longer = java.util.Arrays.copyOf(sealed, sealed.length + 1);
        assertThatThrownBy(() -> vault.open(key, "customer.person", "C2", longer))
                .isInstanceOf(Vault.Tampered.class);
        assertThat(vault.open(key, "customer.person", "C2", sealed)).isEqualTo(SECRET);
    }

    @Test
    void aSystemValueWithAnyByteChangedDoesNotOpen() {
        byte[] sealed = vault.sealSystem("idempotency", SECRET);
        for (int i = 0; i < sealed.length; i++) {
            byte[] changed = sealed.clone();
            changed[i] ^= 4;
            assertThatThrownBy(() -> vault.openSystem("idempotency", changed)).isInstanceOf(Vault.Tampered.class);
        }
        assertThatThrownBy(() -> vault.openSystem("idempotency", new byte[0])).isInstanceOf(Vault.Tampered.class);
    }

    @Test
    void aSealedValueMovedToAnotherTableClassOrSubjectDoesNotOpen() {
        Vault.NewKey row = vault.newKey(SUBJECT);
        Vault.Key key = vault.key(row);
        byte[] sealed = vault.seal(key, "customer.person", "C2", SECRET);

        assertThatThrownBy(() -> vault.open(key, "customer.contact", "C2", sealed))
                .isInstanceOf(Vault.Tampered.class);
        assertThatThrownBy(() -> vault.open(key, "customer.person", "C3", sealed))
                .isInstanceOf(Vault.Tampered.class);
        assertThatThrownBy(() -> vault.open(key, "customer.personC", "2", sealed))
                .isInstanceOf(Vault.Tampered.class);
        assertThatThrownBy(() -> vault.open(vault.key(vault.newKey(OTHER)), "customer.person", "C2", sealed))
                .isInstanceOf(Vault.Tampered.class);
        assertThatThrownBy(() -> vault.key(OTHER, row.epoch(), row.wrapped())).isInstanceOf(Vault.Tampered.class);
    }

    @Test
    void aRememberedKeyIsServedOnlyForTheVeryRowItCameFrom() {
        Vault.NewKey rolledBack = vault.newKey(SUBJECT);
        Vault.NewKey committed = vault.newKey(SUBJECT);
        byte[] sealed = vault.seal(vault.key(committed), "t", "C2", SECRET);
        vault.key(rolledBack);

        assertThat(vault.open(vault.key(committed), "t", "C2", sealed)).isEqualTo(SECRET);
        assertThat(vault.key(committed)).isSameAs(vault.key(committed));
        byte[] forged = committed.wrapped().clone();
        forged[20] ^= 1;
        assertThatThrownBy(() -> vault.key(SUBJECT, committed.epoch(), forged)).isInstanceOf(Vault.Tampered.class);
        Vault.Key before = vault.key(committed);
        vault.forget(SUBJECT);
        assertThat(vault.key(committed)).isNotSameAs(before);
    }

    @Test
    void rewrappedKeysOpenOldValuesAndADestroyedEpochOpensNothing(@org.junit.jupiter.api.io.TempDir Path own) {
        KeyStore keys = KeyStore.openOrCreate(own.resolve("keys"), true);
        Vault first = new Vault(keys, 10);
        Vault.NewKey row = first.newKey(SUBJECT);
        byte[] sealed = first.seal(first.key(row), "t", "C2", SECRET);
        byte[] answer = first.sealSystem("idempotency", SECRET);

        assertThat(keys.rotate(KeyStore.Kind.EPOCHS)).isEqualTo(2);
        assertThat(first.openSystem("idempotency", answer)).isEqualTo(SECRET);
        Vault.NewKey rewrapped = first.rewrap(row.subject(), row.epoch(), row.wrapped());
        assertThat(rewrapped.epoch()).isEqualTo(2);
        keys.rotateMaster();
        keys.destroy(KeyStore.Kind.EPOCHS, 1);

        Vault later = new Vault(KeyStore.openOrCreate(own.resolve("keys"), false), 10);
        assertThat(later.open(later.key(rewrapped), "t", "C2", sealed)).isEqualTo(SECRET);
        assertThatThrownBy(() -> later.key(row)).isInstanceOf(Vault.Tampered.class);
        assertThatThrownBy(() -> later.openSystem("idempotency", answer)).isInstanceOf(Vault.Tampered.class);
        assertThatThrownBy(() -> first.openSystem("idempotency", answer)).isInstanceOf(Vault.Tampered.class);
    }

    @Test
    void blindIndexesAreEqualForEqualValuesOfOneColumnOnly(@org.junit.jupiter.api.io.TempDir Path own) {
        KeyStore keys = KeyStore.openOrCreate(own.resolve("keys"), true);
        Vault first = new Vault(keys, 10);
        byte[] index = first.blind("phone", "+8613812345678");

        assertThat(index).hasSize(17).startsWith(1).isEqualTo(first.blind("phone", "+8613812345678"));
        assertThat(first.blind("account", "+8613812345678")).isNotEqualTo(index);
        assertThat(first.blind("phone", "+8613812345679")).isNotEqualTo(index);
        byte[] cursor = first.hmac("cursor", SECRET);
        keys.rotate(KeyStore.Kind.INDEX);
        assertThat(first.blind("phone", "+8613812345678")).startsWith(2);
        assertThat(first.blind("phone", "+8613812345678", 1)).isEqualTo(index);
        assertThat(first.hmac("cursor", SECRET))
                .hasSize(32)
                .isNotEqualTo(cursor)
                .isNotEqualTo(first.hmac("other", SECRET))
                .isEqualTo(first.hmac("cursor", SECRET));
    }

    @Test
    void nothingPrintsASecret() {
        Vault.NewKey row = vault.newKey(SUBJECT);
        assertThat(row.toString() + vault.key(row) + store + store.signer(0))
                .isEqualTo("NewKey[" + SUBJECT + "]Key[" + SUBJECT + "]KeyStoreSigningKey");
    }
}
