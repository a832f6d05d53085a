package io.kehu.audit;

import io.kehu.crypto.Sha256;
import java.security.MessageDigest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;

/** Merkle trees of RFC 6962, section 2.1: leaves are hashed with 0x00 before them, inner nodes with 0x01. */
public final class Merkle {
    private Merkle() {}

    /** Takes leaves one by one and holds no more than one hash per level of the tree. */
    static final class Tree {
        private final Deque<byte[]> peaks = new ArrayDeque<>();
        private long size;

        void add(byte[] leaf) {
            byte[] node = leaf;
            // Each trailing one in the binary form of the size is a full subtree that the new leaf completes.
            for (long full = size; (full & 1) == 1; full >>= 1) {
                node = node(peaks.pop(), node);
            }
            peaks.push(node);
            size++;
        }

        long size() {
            return size;
        }

        /** The root over all leaves so far; of none the hash of nothing. */
        byte[] root() {
            byte[] root = null;
            for (byte[] peak : peaks) { // smallest subtree, which is the rightmost one, first
                root = root == null ? peak : node(peak, root);
            }
            return root == null ? Sha256.start().digest() : root;
        }
    }

    /** The root over leaf hashes in their order. */
    public static byte[] root(List<byte[]> leaves) {
        Tree tree = new Tree();
        leaves.forEach(tree::add);
        return tree.root();
    }

    /** The hashes beside the way from a leaf to the root, lowest first (RFC 6962, section 2.1.1). */
    public static List<byte[]> path(List<byte[]> leaves, int index) {
        List<byte[]> path = new ArrayList<>();
        int from = 0;
        int to = leaves.size();
        while (to - from > 1) {
            int middle = from + Integer.highestOneBit(to - from - 1);
            if (index < middle) {
                path.add(root(leaves.subList(middle, to)));
                to = middle;
            } else {
                path.add(root(leaves.subList(from, middle)));
                from = middle;
            }
        }
        Collections.reverse(path);
        return path;
    }

    /**
     * The root that a leaf and its path lead to (RFC 9162, section 2.1.3.2): who holds a receipt compares it with the root of the
     * seal.
     *
     * @throws IllegalArgumentException when the path has not the length that index and size ask for
     */
    public static byte[] root(byte[] leaf, long index, long size, List<byte[]> path) {
        long place = index;
        long last = size - 1;
        byte[] node = leaf;
        for (byte[] beside : path) {
            if (last == 0) {
                throw new IllegalArgumentException("the path is too long");
            }
            if ((place & 1) == 1 || place == last) {
                node = node(beside, node);
                while ((place & 1) == 0 && place != 0) {
                    place >>= 1;
                    last >>= 1;
                }
            } else {
                node = node(node, beside);
            }
            place >>= 1;
            last >>= 1;
        }
        if (last != 0 || index >= size) {
            throw new IllegalArgumentException("the path is too short");
        }
        return node;
    }

    private static byte[] node(byte[] left, byte[] right) {
        MessageDigest digest = Sha256.start();
        digest.update((byte) 1);
        digest.update(left);
        return digest.digest(right);
    }
}
