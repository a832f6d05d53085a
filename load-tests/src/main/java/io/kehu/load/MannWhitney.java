package io.kehu.load;

import java.util.Arrays;

/**
 * Whether one of two kinds of measurements tends to be larger: the rank test of H. B. Mann and D. R. Whitney, "On a Test
 * of Whether one of Two Random Variables is Stochastically Larger than the Other", Annals of Mathematical Statistics 18
 * (1947) 50-60, with the normal approximation, the correction for ties and the one for continuity; for 20 values and more
 * of each kind.
 *
 * @param larger how often a value of the first kind is larger than one of the second, ties counted half; 0.5 for alike
 * @param p two-sided: how probable a difference of at least this size is if there is none
 */
record MannWhitney(double larger, double p) {
    static MannWhitney of(long[] first, long[] second) {
        long[] all = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, all, first.length, second.length);
        Arrays.sort(all);
        double ranks = 0;
        for (long value : first) {
            // The mean rank of equal values, counted from 1.
            ranks += (below(all, value) + below(all, value + 1) + 1) / 2.0;
        }
        double ties = 0;
        for (int from = 0; from < all.length; from = below(all, all[from] + 1)) {
            double equal = below(all, all[from] + 1) - from;
            ties += equal * equal * equal - equal;
        }
        double pairs = (double) first.length * second.length;
        double n = all.length;
        double u = ranks - first.length * (first.length + 1.0) / 2;
        double deviation = Math.sqrt(pairs / 12 * (n + 1 - ties / (n * (n - 1))));
        double z = Math.max(Math.abs(u - pairs / 2) - 0.5, 0) / deviation;
        return new MannWhitney(u / pairs, deviation == 0 ? 1 : Math.min(1, 2 * normalTail(z)));
    }

    /** How many of the sorted values are smaller. */
    private static int below(long[] sorted, long value) {
        int low = 0;
        int high = sorted.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (sorted[middle] < value) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    /** Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17; off by less than 7.5e-8. */
    private static double normalTail(double z) {
        double t = 1 / (1 + 0.2316419 * z);
        double series =
                t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
        return Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI) * series;
    }
}
