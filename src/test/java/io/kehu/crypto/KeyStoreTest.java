package io.kehu.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KeyStoreTest {
    @TempDir
    private Path parent;

    private Path folder;

    @BeforeEach
    void nameAFolder() {
        folder = parent.resolve("keys");
    }

    @Test
    void newKeysAreForTheirOwnerOnlyAndTheSameAtTheNextStart() throws IOException {
        KeyStore first = KeyStore.openOrCreate(folder, true);

        assertThat(modeOf(folder)).isEqualTo("rwx------");
        assertThat(modeOf(folder.resolve("master.json"))).isEqualTo("r--------");
        assertThat(modeOf(folder.resolve("keys.json"))).isEqualTo("r--------");
        KeyStore second = KeyStore.openOrCreate(folder, false);
        for (KeyStore.Kind kind : KeyStore.Kind.values()) {
            assertThat(second.key(kind, 1)).hasSize(32).isEqualTo(first.key(kind, 1));
        }
        assertThat(second.signer(0).kid()).isEqualTo(first.signer(0).kid());
    }

    @Test
    void missingKeysAreNotMadeUnlessThatIsAllowed() {
        assertRefused("no keys");
        assertThat(folder).doesNotExist();
    }

    @Test
    void filesThatOthersCanReadAreRefused() throws IOException {
        KeyStore.openOrCreate(folder, true);
        for (String mode : new String[] {"r--r-----", "r-----r--", "r---w----", "r-------x"}) {
            for (String file : new String[] {"master.json", "keys.json"}) {
                Files.setPosixFilePermissions(folder.resolve(file), PosixFilePermissions.fromString(mode));
                assertRefused("chmod 400");
                Files.setPosixFilePermissions(folder.resolve(file), PosixFilePermissions.fromString("r--------"));
            }
        }
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwx---"));
        assertRefused("chmod 700");
    }

    @Test
    void shortTypedAndDefaultMasterKeysAreRefused() throws IOException {
        KeyStore.openOrCreate(folder, true);
        byte[] counting = new byte[32];
        for (int i = 0; i < 32; i++) {
            counting[i] = (byte) i;
        }
        assertMasterRefused(new byte[31], "31 bytes");
        assertMasterRefused(new byte[0], "0 bytes");
        assertMasterRefused(new byte[32], "not random");
        assertMasterRefused(counting, "not random");
        assertMasterRefused("change-me-0123456789-change-me-!".getBytes("UTF-8"), "not random");
    }

    @Test
    void anotherMasterKeyOrAnAlteredFileIsRefused() throws IOException {
        KeyStore.openOrCreate(folder, true);
        KeyStore.openOrCreate(parent.resolve("foreign"), true);
        String keys = Files.readString(folder.resolve("keys.json"));

        overwrite("keys.json", Files.readString(parent.resolve("foreign/keys.json")));
        assertRefused("does not hold the master key");
        ObjectNode moved = Json.read(keys);
        moved.set("tokens", moved.get("index"));
        overwrite("keys.json", moved.toString());
        assertRefused("altered");
        for (String broken : new String[] {"", "{", "[]", "{\"version\":2}", "{\"version\":1}"}) {
            overwrite("keys.json", broken);
            assertThatThrownBy(() -> KeyStore.openOrCreate(folder, false)).isInstanceOf(KeyStore.Refused.class);
        }
        overwrite("keys.json", keys);
        KeyStore.openOrCreate(folder, false);
        Files.delete(folder.resolve("master.json"));
        assertThatThrownBy(() -> KeyStore.openOrCreate(folder, true))
                .isInstanceOf(KeyStore.Refused.class)
                .hasMessageContaining("missing");
    }

    @Test
    void everyRotationSurvivesARestartAndReachesOtherNodesByReload() {
        KeyStore node = KeyStore.openOrCreate(folder, true);
        KeyStore other = KeyStore.openOrCreate(folder, false);
        byte[] epoch = node.key(KeyStore.Kind.EPOCHS, 1);

        node.rotate(KeyStore.Kind.EPOCHS);
        other.rotate(KeyStore.Kind.TOKENS); // must not lose what the first node did
        node.rotateMaster();
        String kid = other.rotateSigning(1_000, 1_070, 300).kid();
        node.reload();

        assertThat(node.current(KeyStore.Kind.EPOCHS)).isEqualTo(2);
        assertThat(node.current(KeyStore.Kind.TOKENS)).isEqualTo(2);
        assertThat(node.key(KeyStore.Kind.EPOCHS, 1)).isEqualTo(epoch);
        assertThat(node.signer(1_070).kid()).isEqualTo(kid);
        assertThat(node.signing()).hasSize(2);
        KeyStore restarted = KeyStore.openOrCreate(folder, false);
        assertThat(restarted.key(KeyStore.Kind.EPOCHS, 2)).isEqualTo(node.key(KeyStore.Kind.EPOCHS, 2));
        assertThatThrownBy(() -> node.destroy(KeyStore.Kind.EPOCHS, 2)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aSigningKeyIsPublishedBeforeItSignsAndTheOlderOneIsRetiredWithItsLastToken() throws IOException {
        KeyStore node = KeyStore.openOrCreate(folder, true);
        KeyStore other = KeyStore.openOrCreate(folder, false);
        String old = node.signer(1_000).kid();
        assertThat(old).hasSize(43);
        assertThat(node.succession(1_000)).isNull();

        KeyStore.Succession begun = node.rotateSigning(1_000, 1_070, 300);
        assertThat(begun).isEqualTo(new KeyStore.Succession(begun.kid(), 1_070, 1_370));
        other.reload();
        for (KeyStore each : List.of(node, other, KeyStore.openOrCreate(folder, false))) {
            assertThat(each.signing()).containsOnlyKeys(old, begun.kid());
            assertThat(each.signer(1_069).kid()).isEqualTo(old);
            assertThat(each.signer(1_070).kid()).isEqualTo(begun.kid());
            assertThat(each.succession(1_369)).isEqualTo(begun);
            assertThat(each.succession(1_370)).isNull();
            assertThat(each.accepts(old, 1_370)).isTrue();
            assertThat(each.accepts(old, 1_371)).isFalse();
            assertThat(each.accepts(begun.kid(), Long.MAX_VALUE)).isTrue();
            assertThat(each.accepts("other", 1)).isFalse();
        }
        // Asked again, and by another node: the same succession goes on, there is no third pair.
        assertThat(other.rotateSigning(1_369, 1_439, 300)).isEqualTo(begun);
        // Too early to end: the older pair still signs.
        other.endSigning(1_069);
        node.reload();
        assertThat(node.signer(1_069).privateKey()).isNotNull();
        other.endSigning(1_070);
        other.endSigning(1_071);
        node.reload();
        assertThat(node.signing().get(old).privateKey()).isNull();
        // A transaction that began a second before is signed all the same, by the pair that everybody knows.
        assertThat(node.signer(1_069).kid()).isEqualTo(begun.kid());
        assertThat(Json.read(Files.readString(folder.resolve("keys.json"))).at("/signing/" + old))
                .isEqualTo(Json.read("{\"public\": \"" + point(node, old) + "\", \"until\": 1370}"));

        KeyStore.Succession next = node.rotateSigning(1_370, 1_440, 300);
        assertThat(node.signing()).containsOnlyKeys(begun.kid(), next.kid());
        assertThat(node.signing().get(begun.kid()).until()).isEqualTo(1_740);
    }

    private static String point(KeyStore store, String kid) {
        return Base64.getEncoder()
                .encodeToString(Objects.requireNonNull(store.signing().get(kid))
                        .publicKey()
                        .getEncoded());
    }

    @Test
    void aSigningRotationThatDiesBeforeItsFileIsInPlaceHasDoneNothing() throws IOException {
        KeyStore store = KeyStore.openOrCreate(folder, true);
        String old = store.signer(0).kid();
        String before = Files.readString(folder.resolve("keys.json"));
        KeyStore.Succession lost = store.rotateSigning(1_000, 1_070, 300);
        String after = Files.readString(folder.resolve("keys.json"));
        for (String left : List.of("", half(after), after)) {
            overwrite("keys.json", before);
            Files.writeString(folder.resolve("keys.json.new"), left);
            KeyStore found = KeyStore.openOrCreate(folder, false);
            assertThat(found.signing()).containsOnlyKeys(old);
            assertThat(found.succession(1_000)).isNull();
            KeyStore.Succession again = found.rotateSigning(1_000, 1_070, 300);
            assertThat(again.kid()).isNotEqualTo(lost.kid());
            assertThat(KeyStore.openOrCreate(folder, false).succession(1_001)).isEqualTo(again);
            assertThat(folder.resolve("keys.json.new")).doesNotExist();
        }
    }

    @Test
    void aPairThatAnEarlierVersionRotatedAwayIsRetired() throws IOException {
        KeyStore store = KeyStore.openOrCreate(folder, true);
        String former = store.signer(0).kid();
        store.rotateSigning(1_000, 1_001, 300);
        store.endSigning(1_001);
        ObjectNode file = Json.read(Files.readString(folder.resolve("keys.json")));
        ((ObjectNode) file.at("/signing/" + former)).remove("until");
        overwrite("keys.json", file.toString());
        KeyStore found = KeyStore.openOrCreate(folder, false);
        assertThat(found.signing()).hasSize(2);
        assertThat(found.accepts(former, 1)).isFalse();
        assertThat(found.succession(1)).isNull();
    }

    /** What lies in the folder when a process dies in the middle of something. */
    private record Remains(String when, String masters, String keys, String leftName, String left) {}

    /** Each state that the rotation of the master leaves on the disk, files half written among them. */
    @Test
    void aMasterRotationThatDiesAtAnyStepLosesNothingAndIsEndedByTheNext() throws IOException {
        KeyStore store = KeyStore.openOrCreate(folder, true);
        store.rotate(KeyStore.Kind.EPOCHS);
        String oldMaster = Files.readString(folder.resolve("master.json"));
        String oldKeys = Files.readString(folder.resolve("keys.json"));
        store.rotateMaster();
        String newMaster = Files.readString(folder.resolve("master.json"));
        String newKeys = Files.readString(folder.resolve("keys.json"));
        ObjectNode both = Json.read(oldMaster);
        ((ObjectNode) both.get("masters"))
                .setAll((ObjectNode) Json.read(newMaster).get("masters"));

        for (Remains remains : new Remains[] {
            new Remains("half of the file with both masters", oldMaster, oldKeys, "master.json", half(both.toString())),
            new Remains("it, not yet in its place", oldMaster, oldKeys, "master.json", both.toString()),
            new Remains("both masters, the old keys", both.toString(), oldKeys, "", ""),
            new Remains("half of the new keys", both.toString(), oldKeys, "keys.json", half(newKeys)),
            new Remains("the new keys, not yet in their place", both.toString(), oldKeys, "keys.json", newKeys),
            new Remains("both masters, the new keys", both.toString(), newKeys, "", ""),
            new Remains("half of the new master", both.toString(), newKeys, "master.json", half(newMaster)),
            new Remains("the new master, not yet in its place", both.toString(), newKeys, "master.json", newMaster),
            new Remains("nothing but the new", newMaster, newKeys, "", "")
        }) {
            overwrite("master.json", remains.masters);
            overwrite("keys.json", remains.keys);
            if (!remains.leftName.isEmpty()) {
                Files.writeString(folder.resolve(remains.leftName + ".new"), remains.left);
            }
            KeyStore found = KeyStore.openOrCreate(folder, false);
            assertSameKeys(remains.when, found, store);

            found.rotateMaster();

            assertSameKeys(remains.when, found, store);
            assertSameKeys(remains.when, KeyStore.openOrCreate(folder, false), store);
            assertThat(Json.read(Files.readString(folder.resolve("master.json")))
                            .get("masters"))
                    .as(remains.when)
                    .hasSize(1);
            assertThat(folder.resolve("master.json.new")).as(remains.when).doesNotExist();
            assertThat(folder.resolve("keys.json.new")).as(remains.when).doesNotExist();
        }
    }

    private static String half(String text) {
        return text.substring(0, text.length() / 2);
    }

    private static void assertSameKeys(String when, KeyStore found, KeyStore wanted) {
        for (KeyStore.Kind kind : KeyStore.Kind.values()) {
            assertThat(found.current(kind)).as(when).isEqualTo(wanted.current(kind));
            for (int version = 1; version <= wanted.current(kind); version++) {
                assertThat(found.key(kind, version))
                        .as(when)
                        .hasSize(KeyStore.KEY_BYTES)
                        .isEqualTo(wanted.key(kind, version));
            }
        }
        assertThat(found.signer(0).kid()).as(when).isEqualTo(wanted.signer(0).kid());
    }

    @Test
    void anEpochThatDiesBeforeItsFileIsInPlaceIsMadeByTheNextAndNotTwice() throws IOException {
        KeyStore store = KeyStore.openOrCreate(folder, true);
        String before = Files.readString(folder.resolve("keys.json"));
        store.rotateTo(KeyStore.Kind.EPOCHS, 2, 1);
        String after = Files.readString(folder.resolve("keys.json"));
        for (String left : new String[] {half(after), after}) {
            overwrite("keys.json", before);
            Files.writeString(folder.resolve("keys.json.new"), left);
            KeyStore again = KeyStore.openOrCreate(folder, false);
            assertThat(again.current(KeyStore.Kind.EPOCHS)).isEqualTo(1);
            again.rotateTo(KeyStore.Kind.EPOCHS, 2, 1);
            again.rotateTo(KeyStore.Kind.EPOCHS, 2, 1);
            assertThat(again.current(KeyStore.Kind.EPOCHS)).isEqualTo(2);
            assertThat(again.key(KeyStore.Kind.EPOCHS, 1)).isEqualTo(store.key(KeyStore.Kind.EPOCHS, 1));
        }
        overwrite("keys.json", before);
        assertThatThrownBy(() -> store.rotateTo(KeyStore.Kind.EPOCHS, 3, 2))
                .isInstanceOf(KeyStore.Refused.class)
                .hasMessageContaining("older copy");
    }

    @Test
    void nodesThatReadWhileTheMasterIsRotatedAlwaysFindTheirKeys() throws Exception {
        KeyStore writer = KeyStore.openOrCreate(folder, true);
        KeyStore reader = KeyStore.openOrCreate(folder, false);
        AtomicBoolean going = new AtomicBoolean(true);
        AtomicInteger read = new AtomicInteger();
        CompletableFuture<Void> reading = CompletableFuture.runAsync(() -> {
            while (going.get()) {
                reader.reload();
                read.incrementAndGet();
            }
        });
        for (int i = 0; i < 30; i++) {
            writer.rotateMaster();
        }
        await().until(() -> read.get() > 10 || reading.isDone());
        going.set(false);
        reading.join(); // fails with what a reading failed with
        assertSameKeys("after thirty masters", reader, writer);
    }

    @Test
    void aKeyThatAnotherNodeHasMadeIsFoundWithoutARestartWhenItIsMet() {
        KeyStore other = KeyStore.openOrCreate(folder, true);
        Vault here = new Vault(KeyStore.openOrCreate(folder, false), 10);
        other.rotate(KeyStore.Kind.EPOCHS);
        Vault.NewKey row = new Vault(other, 10).newKey(UUID.randomUUID());
        assertThat(row.epoch()).isEqualTo(2);

        assertThat(here.key(row).subject()).isEqualTo(row.subject());
        assertThat(here.newKey(UUID.randomUUID()).epoch()).isEqualTo(2);
        // The files are read once a second at most, however many unknown keys are met.
        other.rotate(KeyStore.Kind.EPOCHS);
        Vault.NewKey later = new Vault(other, 10).newKey(UUID.randomUUID());
        assertThatThrownBy(() -> here.key(later)).isInstanceOf(Vault.Tampered.class);
        await().atMost(Duration.ofSeconds(10))
                .ignoreException(Vault.Tampered.class)
                .until(() -> here.key(later) != null);
    }

    private void assertMasterRefused(byte[] master, String why) throws IOException {
        ObjectNode file = Json.read(Files.readString(folder.resolve("master.json")));
        ObjectNode masters = (ObjectNode) file.get("masters");
        masters.put(masters.fieldNames().next(), Base64.getEncoder().encodeToString(master));
        overwrite("master.json", file.toString());
        assertRefused(why);
    }

    private void assertRefused(String why) {
        assertThatThrownBy(() -> KeyStore.openOrCreate(folder, false))
                .isInstanceOf(KeyStore.Refused.class)
                .hasMessageContaining(why)
                .message()
                .doesNotContain("\n");
    }

    private void overwrite(String name, String content) throws IOException {
        Path file = folder.resolve(name);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        Files.writeString(file, content);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("r--------"));
    }

    private static String modeOf(Path path) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
    }

    static void delete(Path folder) throws IOException {
        try (var paths = Files.walk(folder)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
