package io.kehu.audit;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/**
 * The part of the check that goes along the chain: lines in their order against what must come next. Holds one hash per level
 * of the tree of the open range, whatever the length of the chain.
 */
final class ChainCheck {
    private static final int NAMED_FINDINGS = 100;
    private static final byte[] NOTHING = new byte[32];

    private final Iterator<Seal> checkpoints;
    private final boolean part;
    private final LongPredicate counts;
    private final List<String> findings = new ArrayList<>();
    private long found;
    private long rows;
    private long seals;
    private long counted;
    private @Nullable Seal first;
    private @Nullable Seal last;
    private @Nullable Seal checkpoint;
    private DumpLine.@Nullable Row before;
    private DumpLine.@Nullable Row open;
    private Merkle.Tree tree = new Merkle.Tree();

    /**
     * Begins at the start of a chain, or of a part of one.
     *
     * @param checkpoints by ascending number
     * @param part whether seals before the first and after the last are somewhere else
     * @param counts of which times, in microseconds since 1970, rows are counted apart
     */
    ChainCheck(Iterator<Seal> checkpoints, boolean part, LongPredicate counts) {
        this.counts = counts;
        this.checkpoints = checkpoints;
        this.part = part;
        this.checkpoint = checkpoints.hasNext() ? checkpoints.next() : null;
    }

    void find(String finding) {
        found++;
        if (findings.size() < NAMED_FINDINGS) {
            findings.add(finding);
        }
    }

    void row(DumpLine.Row row) {
        rows++;
        counted += counts.test(row.at()) ? 1 : 0;
        if (!row.fits()) {
            find(row + ": does not fit its leaf, so a column was edited");
        }
        if (before != null && order(row, before.incarnation(), before.xid(), before.ord()) <= 0) {
            find(row + ": stands behind " + before + ", so rows were inserted, doubled or swapped");
        }
        before = row;
        if (last != null && order(row, last.incarnation(), last.to(), -1) < 0) {
            find(row + ": lies before the end of " + last + ", so it was inserted or moved");
        }
        if (open == null) {
            open = row;
        }
        tree.add(row.leaf());
    }

    private static int order(DumpLine.Row row, int incarnation, long xid, int ord) {
        int byIncarnation = Integer.compare(row.incarnation(), incarnation);
        int byXid = byIncarnation != 0 ? byIncarnation : Long.compareUnsigned(row.xid(), xid);
        return byXid != 0 ? byXid : Integer.compare(row.ord(), ord);
    }

    void seal(DumpLine.Sealed line) {
        Seal seal = line.seal();
        seals++;
        if (first == null) {
            first = seal;
        }
        if (!line.isWhole()) {
            find(seal + ": was edited, its hash is not that of what it says");
        }
        if (!line.isSigned()) {
            find(seal + ": is not signed by a known key");
        }
        follows(seal);
        if (tree.size() != seal.rows()) {
            find(seal + ": covers " + seal.rows() + " rows, " + tree.size() + " are there, so rows were "
                    + (tree.size() < seal.rows() ? "deleted" : "inserted") + between(seal));
        } else if (!Arrays.equals(tree.root(), seal.root())) {
            find(seal + ": its root is not that of its rows, so rows were edited, swapped or replaced" + between(seal));
        }
        if (before != null && order(before, seal.incarnation(), seal.to(), -1) >= 0) {
            find(before + ": lies behind the range of " + seal + ", so it was inserted or moved");
        }
        if (open != null && order(open, seal.incarnation(), seal.from(), -1) < 0) {
            find(open + ": lies before the range of " + seal + ", so it was inserted or moved");
        }
        compare(seal);
        last = seal;
        open = null;
        tree = new Merkle.Tree();
    }

    private static String between(Seal seal) {
        return " between transactions " + Long.toUnsignedString(seal.from()) + " and "
                + Long.toUnsignedString(seal.to());
    }

    private void follows(Seal seal) {
        Seal expected = last;
        if (expected == null) {
            boolean begins = seal.number() == 1 && Arrays.equals(seal.previous(), NOTHING);
            if (!begins && (!part || seal.number() == 1)) {
                find(seal + ": the chain begins here, so the seals before it were cut off, or lie in other files");
            }
            return;
        }
        if (seal.number() != expected.number() + 1) {
            find(seal + ": follows " + expected + ", so seals are missing, doubled or swapped");
        } else if (!Arrays.equals(seal.previous(), expected.hash())) {
            find(seal + ": does not name the hash of " + expected + ", so one of them was replaced");
        }
        boolean same = seal.incarnation() == expected.incarnation();
        if (seal.incarnation() < expected.incarnation() || (same && seal.from() != expected.to())) {
            find(seal + ": its range does not begin where that of " + expected + " ends");
        }
    }

    private void compare(Seal seal) {
        while (checkpoint != null && checkpoint.number() < seal.number()) {
            // Of a seal that is missing here, which is said where its place is.
            checkpoint = checkpoints.hasNext() ? checkpoints.next() : null;
        }
        while (checkpoint != null && checkpoint.number() == seal.number()) {
            if (!checkpoint.equals(seal)) {
                find(seal + ": differs from its checkpoint, so the chain was replaced from there or before");
            }
            checkpoint = checkpoints.hasNext() ? checkpoints.next() : null;
        }
    }

    Verifier.Report end() {
        Seal beyond = checkpoint;
        while (checkpoints.hasNext()) {
            beyond = checkpoints.next();
        }
        if (beyond != null && !part) {
            find("the chain ends at " + (last == null ? "nothing" : last) + ", a checkpoint knows " + beyond
                    + ", so the tail was cut");
        }
        return new Verifier.Report(
                rows,
                seals,
                first == null ? 0 : first.number(),
                last == null ? 0 : last.number(),
                tree.size(),
                counted,
                found,
                List.copyOf(findings));
    }
}
