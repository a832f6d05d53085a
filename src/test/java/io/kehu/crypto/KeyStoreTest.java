package io.kehu.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Base64;
import java.util.Comparator;
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
        assertThat(second.signer().kid()).isEqualTo(first.signer().kid());
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
        String kid = other.rotateSigning();
        node.reload();

        assertThat(node.current(KeyStore.Kind.EPOCHS)).isEqualTo(2);
        assertThat(node.current(KeyStore.Kind.TOKENS)).isEqualTo(2);
        assertThat(node.key(KeyStore.Kind.EPOCHS, 1)).isEqualTo(epoch);
        assertThat(node.signer().kid()).isEqualTo(kid);
        assertThat(node.signing()).hasSize(2);
        KeyStore restarted = KeyStore.openOrCreate(folder, false);
        assertThat(restarted.key(KeyStore.Kind.EPOCHS, 2)).isEqualTo(node.key(KeyStore.Kind.EPOCHS, 2));
        assertThatThrownBy(() -> node.destroy(KeyStore.Kind.EPOCHS, 2)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aMasterRotationThatDiedBetweenAnyTwoFilesStillOpens() throws IOException {
        KeyStore store = KeyStore.openOrCreate(folder, true);
        String oldMaster = Files.readString(folder.resolve("master.json"));
        String oldKeys = Files.readString(folder.resolve("keys.json"));
        store.rotateMaster();
        ObjectNode both = Json.read(oldMaster);
        ((ObjectNode) both.get("masters")).setAll((ObjectNode)
                Json.read(Files.readString(folder.resolve("master.json"))).get("masters"));
        String newKeys = Files.readString(folder.resolve("keys.json"));

        overwrite("master.json", both.toString());
        for (String keys : new String[] {oldKeys, newKeys}) {
            overwrite("keys.json", keys);
            assertThat(KeyStore.openOrCreate(folder, false).key(KeyStore.Kind.EPOCHS, 1))
                    .isEqualTo(store.key(KeyStore.Kind.EPOCHS, 1));
        }
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
