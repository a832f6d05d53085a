package io.kehu.crypto;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Field;
import java.util.HexFormat;
import java.util.concurrent.ThreadLocalRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator.Block;
import org.bouncycastle.crypto.params.Argon2Parameters;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class Argon2idTest {
    private static final int KEPT_KIB = 64;
    private static final Argon2id KEPT = new Argon2id(KEPT_KIB);

    /** What the library says with memory of its own for each hash. */
    private static byte[] fresh(byte[] secret, byte[] salt, int memoryKib, int iterations, int lanes) {
        return generate(parameters(salt, memoryKib, iterations, lanes), secret);
    }

    private static Argon2Parameters.Builder parameters(byte[] salt, int memoryKib, int iterations, int lanes) {
        return new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
                .withVersion(Argon2id.VERSION)
                .withMemoryAsKB(memoryKib)
                .withIterations(iterations)
                .withParallelism(lanes)
                .withSalt(salt);
    }

    private static byte[] generate(Argon2Parameters.Builder parameters, byte[] secret) {
        Argon2BytesGenerator generator = new Argon2BytesGenerator();
        generator.init(parameters.build());
        byte[] hash = new byte[32];
        generator.generateBytes(secret, hash);
        return hash;
    }

    private static byte[] filled(int length, int value) {
        byte[] bytes = new byte[length];
        java.util.Arrays.fill(bytes, (byte) value);
        return bytes;
    }

    /** RFC 9106, 5.3; it has a key and associated data, which passwords have not. */
    @Test
    void theVectorOfTheStandardComesOutAlsoOfUsedMemory() {
        Argon2id.Blocks blocks = new Argon2id.Blocks(40);
        for (int i = 0; i < 3; i++) {
            byte[] hash = generate(
                    parameters(filled(16, 2), 32, 3, 4)
                            .withSecret(filled(8, 3))
                            .withAdditional(filled(12, 4))
                            .withBlockPool(blocks),
                    filled(32, 1));
            assertThat(HexFormat.of().formatHex(hash))
                    .isEqualTo("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
        }
    }

    /** Vectors of the reference implementation, phc-winner-argon2, test.c. */
    @ParameterizedTest
    @CsvSource({
        "password, somesalt, 65536, 2, 1, 09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7",
        "password, somesalt, 256, 2, 1, 9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe",
        "password, somesalt, 256, 2, 2, 6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037",
        "password, somesalt, 65536, 1, 1, f6a5adc1ba723dddef9b5ac1d464e180fcd9dffc9d1cbf76cca2fed795d9ca98",
        "differentpassword, somesalt, 65536, 2, 1, 0b84d652cf6b0c4beaef0dfe278ba6a80df6696281d7e0d2891b817d8c458fde",
        "password, diffsalt, 65536, 2, 1, bdf32b05ccc42eb15d58fd19b1f856b113da1e9a5874fdcc544308565aa8141c"
    })
    void theVectorsOfTheReferenceComeOut(
            String password, String salt, int memoryKib, int iterations, int lanes, String hash) {
        assertThat(KEPT.hash(password.getBytes(UTF_8), salt.getBytes(UTF_8), memoryKib, iterations, lanes, 32))
                .asHexString()
                .isEqualToIgnoringCase(hash);
    }

    /** Less memory than is kept, just as much, and more; what was hashed before does not matter. */
    @Property(tries = 300)
    void usedMemoryGivesTheHashOfFreshMemory(
            @ForAll @Size(max = 80) byte[] secret,
            @ForAll @Size(min = 8, max = 16) byte[] salt,
            @ForAll @IntRange(min = 8, max = 2 * KEPT_KIB) int memoryKib,
            @ForAll @IntRange(min = 1, max = 3) int iterations,
            @ForAll @IntRange(min = 1, max = 4) int lanes) {
        byte[] expected = fresh(secret.clone(), salt, memoryKib, iterations, lanes);
        assertThat(KEPT.hash(secret.clone(), salt, memoryKib, iterations, lanes, 32))
                .isEqualTo(expected);
    }

    @Test
    void aHashLeavesLittleForTheGarbageCollector() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        Argon2id argon2id = new Argon2id(Passwords.MEMORY_KIB_MIN);
        byte[] salt = filled(16, 1);
        argon2id.hash(filled(20, 1), salt, Passwords.MEMORY_KIB_MIN, 1, 1, 32);

        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < 4; i++) {
            argon2id.hash(filled(20, i), salt, Passwords.MEMORY_KIB_MIN, 1, 1, 32);
        }
        long perHash = (threads.getCurrentThreadAllocatedBytes() - before) / 4;
        assertThat(perHash).isPositive().isLessThan(1024 * 1024);
    }

    @Test
    void ofAPasswordNothingStaysInMemory() throws Exception {
        Argon2id.Blocks blocks = new Argon2id.Blocks(KEPT_KIB + 4);
        generate(parameters(filled(16, 1), KEPT_KIB, 1, 1).withBlockPool(blocks), filled(20, 7));
        Field words = Block.class.getDeclaredField("v");
        words.setAccessible(true);
        for (int i = 0; i < KEPT_KIB + 4; i++) {
            assertThat((long[]) words.get(blocks.allocate())).containsOnly(0);
        }

        byte[] secret = new byte[20];
        ThreadLocalRandom.current().nextBytes(secret);
        KEPT.hash(secret, filled(16, 1), 8, 1, 1, 32);
        assertThat(secret).containsOnly(0);
    }
}
