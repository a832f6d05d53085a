package io.kehu.customer.seed;

/**
 * Random numbers that are the same for ever and everywhere: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
 * number generators, OOPSLA 2014), started from a seed and an index, so that record n needs no record before it.
 * Real numbers are made with StrictMath only.
 */
final class Dice {
    /** Bits of a ticket, see {@link Numbers}. */
    static final int BITS = 28;

    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private long state;
    private double spare = Double.NaN;

    Dice(long seed, long index) {
        state = mix(seed + GOLDEN) ^ mix(index * GOLDEN + seed);
    }

    long next() {
        state += GOLDEN;
        return mix(state);
    }

    /** 0 to bound - 1; the bias of the multiplication is below 2^-15 for the bounds here. */
    int below(int bound) {
        return (int) (((next() >>> 32) * bound) >>> 32);
    }

    int between(int from, int to) {
        return from + below(to - from + 1);
    }

    boolean percent(int chance) {
        return below(100) < chance;
    }

    /** Open interval, so that a logarithm may be taken. */
    double unit() {
        return ((next() >>> 12) + 0.5) * 0x1p-52;
    }

    /** Standard normal, polar method (Marsaglia, Bray 1964). */
    double normal() {
        if (!Double.isNaN(spare)) {
            double kept = spare;
            spare = Double.NaN;
            return kept;
        }
        while (true) {
            double u = 2 * unit() - 1;
            double v = 2 * unit() - 1;
            double square = u * u + v * v;
            if (square < 1) {
                double factor = StrictMath.sqrt(-2 * StrictMath.log(square) / square);
                spare = v * factor;
                return u * factor;
            }
        }
    }

    static int permuted(long seed, int index) {
        return permuted(seed, index, BITS);
    }

    /**
     * A bijection of 0 to 2^bits - 1 chosen by the seed: each step (sum, xor with the own upper bits, odd multiple) has an
     * inverse modulo 2^bits, hence so has the whole. Two indices never meet.
     */
    static int permuted(long seed, int index, int bits) {
        int mask = (1 << bits) - 1;
        int half = (bits + 1) / 2;
        int x = index;
        for (int round = 1; round <= 3; round++) {
            long key = mix(seed + round * GOLDEN);
            x = (x + (int) (key >>> 32)) & mask;
            x ^= x >>> half;
            x = (x * ((int) key | 1)) & mask;
            x ^= x >>> half;
        }
        return x;
    }

    private static long mix(long z) {
        long a = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        long b = (a ^ (a >>> 27)) * 0x94D049BB133111EBL;
        return b ^ (b >>> 31);
    }
}
