package io.kehu.blob;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.bus.Problem;
import java.util.Arrays;
import java.util.Random;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class FramesTest {
    private static final UUID ID = UUID.fromString("0190a000-0000-7000-8000-0000000000ab");
    private final byte[] key = bytes(1, 32);
    private final Frames frames = new Frames(ID, key);

    @Property(tries = 200)
    void theLengthsAreEachOthersInverse(@ForAll @LongRange(min = 0, max = 1L << 50) long plain) {
        assertThat(Frames.plainLength(Frames.storedLength(plain))).isEqualTo(plain);
    }

    @Property(tries = 60)
    void whatWasSealedOpens(@ForAll @IntRange(min = 0, max = 300_000) int size) {
        byte[] plain = bytes(size, size);
        byte[] stored = frames.seal(plain, 7, true);
        assertThat(stored).hasSize((int) Frames.storedLength(size));
        assertThat(frames.open(stored, 7, true)).isEqualTo(plain);
    }

    @Property(tries = 100)
    void anyAlteredBitIsFound(
            @ForAll @IntRange(min = 0, max = 150_083) int at, @ForAll @IntRange(min = 0, max = 7) int bit) {
        byte[] stored = frames.seal(bytes(5, 150_000), 0, true);
        stored[at] ^= (byte) (1 << bit);
        damaged(() -> frames.open(stored, 0, true));
    }

    @Test
    void aCutBetweenTwoFramesIsFound() {
        byte[] stored = frames.seal(bytes(5, 3 * Frames.PLAIN), 0, true);
        damaged(() -> frames.open(Arrays.copyOf(stored, 2 * Frames.STORED), 0, true));
    }

    @Test
    void anAddedFrameIsFound() {
        byte[] stored = frames.seal(bytes(5, 2 * Frames.PLAIN), 0, true);
        byte[] longer = Arrays.copyOf(stored, 3 * Frames.STORED);
        System.arraycopy(frames.seal(bytes(6, Frames.PLAIN), 2, true), 0, longer, 2 * Frames.STORED, Frames.STORED);
        damaged(() -> frames.open(longer, 0, true));
    }

    @Test
    void framesThatChangedPlacesAreFound() {
        byte[] stored = frames.seal(bytes(5, 3 * Frames.PLAIN), 0, true);
        byte[] swapped = stored.clone();
        System.arraycopy(stored, 0, swapped, Frames.STORED, Frames.STORED);
        System.arraycopy(stored, Frames.STORED, swapped, 0, Frames.STORED);
        damaged(() -> frames.open(swapped, 0, true));
    }

    @Test
    void aFrameOfAnotherObjectIsFoundEvenUnderTheSameKey() {
        byte[] stored =
                new Frames(UUID.fromString("0190a000-0000-7000-8000-0000000000ac"), key).seal(bytes(5, 10), 0, true);
        damaged(() -> frames.open(stored, 0, true));
    }

    @Test
    void anotherKeyOpensNothing() {
        byte[] stored = frames.seal(bytes(5, 10), 0, true);
        damaged(() -> new Frames(ID, bytes(2, 32)).open(stored, 0, true));
    }

    @Test
    void theSameFrameSealedTwiceSharesNoNonce() {
        byte[] plain = bytes(5, 10);
        assertThat(Arrays.copyOf(frames.seal(plain, 0, true), 12))
                .isNotEqualTo(Arrays.copyOf(frames.seal(plain, 0, true), 12));
    }

    @Test
    void aDraftDoesNotPassForAFrameNorItsHeaderForAnother() {
        byte[] sealed = frames.sealDraft(new byte[] {1}, 0, bytes(5, 10));
        assertThat(frames.openDraft(new byte[] {1}, 0, sealed)).isEqualTo(bytes(5, 10));
        damaged(() -> frames.openDraft(new byte[] {2}, 0, sealed));
        damaged(() -> frames.open(sealed, 0, true));
    }

    private static void damaged(org.assertj.core.api.ThrowableAssert.ThrowingCallable work) {
        assertThatThrownBy(work)
                .isInstanceOfSatisfying(Problem.class, p -> assertThat(p.code()).isEqualTo("blob.damaged"));
    }

    private static byte[] bytes(long seed, int length) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }
}
