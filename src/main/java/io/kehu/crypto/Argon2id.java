package io.kehu.crypto;

import java.util.Arrays;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator.Block;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator.BlockPool;
import org.bouncycastle.crypto.params.Argon2Parameters;

/**
 * Argon2id (RFC 9106) in memory that is kept from one hash to the next: as garbage, 46 MiB a hash would stop everybody
 * else. For one thread at a time. Between two hashes the kept memory is all zeros.
 */
final class Argon2id {
    /** 0x13, the version of RFC 9106. */
    static final int VERSION = 19;

    /** Beside the memory a hash asks for, the generator works in four blocks of 1 KiB. */
    private static final int WORKING_BLOCKS = 4;

    private final Blocks blocks;

    /** Keeps up to {@code memoryKib}; a hash that asks for more leaves the rest to the garbage collector. */
    Argon2id(int memoryKib) {
        this.blocks = new Blocks(memoryKib + WORKING_BLOCKS);
    }

    /**
     * Computes one hash and clears the secret.
     *
     * @param length of the hash, in bytes
     */
    byte[] hash(byte[] secret, byte[] salt, int memoryKib, int iterations, int lanes, int length) {
        Argon2BytesGenerator generator = new Argon2BytesGenerator();
        generator.init(new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
                .withVersion(VERSION)
                .withMemoryAsKB(memoryKib)
                .withIterations(iterations)
                .withParallelism(lanes)
                .withSalt(salt)
                .withBlockPool(blocks)
                .build());
        byte[] hash = new byte[length];
        try {
            generator.generateBytes(secret, hash);
        } finally {
            Arrays.fill(secret, (byte) 0);
        }
        return hash;
    }

    /**
     * A stack of cleared blocks. Bouncy Castle's FixedBlockPool locks for each of the 47,000 blocks and clears them both
     * when they come back and when they go out, a tenth of the CPU time of a hash.
     */
    static final class Blocks implements BlockPool {
        private final Block[] free;
        private int count;

        Blocks(int most) {
            free = new Block[most];
        }

        @Override
        public Block allocate() {
            return count == 0 ? new Block() : free[--count];
        }

        @Override
        public void deallocate(Block block) {
            block.clear();
            if (count < free.length) {
                free[count++] = block;
            }
        }
    }
}
