package io.kehu.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.crypto.Sha256;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class MerkleTest {
    private static byte[] leaf(byte[] data) {
        MessageDigest digest = Sha256.start();
        digest.update((byte) 0);
        return digest.digest(data);
    }

    private static List<byte[]> leaves(int count) {
        List<byte[]> leaves = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            leaves.add(leaf(new byte[] {(byte) i, (byte) (i >> 8)}));
        }
        return leaves;
    }

    /** The definition of RFC 6962, section 2.1, to the letter. */
    private static byte[] defined(List<byte[]> leaves) {
        if (leaves.size() == 1) {
            return leaves.get(0);
        }
        int k = 1;
        while (k * 2 < leaves.size()) {
            k *= 2;
        }
        MessageDigest digest = Sha256.start();
        digest.update((byte) 1);
        digest.update(defined(leaves.subList(0, k)));
        return digest.digest(defined(leaves.subList(k, leaves.size())));
    }

    @Test
    void rootsAreThoseOfTheReferenceTreeOfCertificateTransparency() {
        List<String> inputs = List.of(
                "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f");
        List<String> roots = List.of(
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
        List<byte[]> leaves = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            leaves.add(leaf(HexFormat.of().parseHex(inputs.get(i))));
            assertThat(HexFormat.of().formatHex(Merkle.root(leaves))).isEqualTo(roots.get(i));
        }
        assertThat(Merkle.root(List.of())).isEqualTo(Sha256.start().digest());
    }

    @Property(tries = 200)
    void theTreeThatGrowsIsTheOneThatIsDefined(@ForAll @IntRange(min = 1, max = 300) int count) {
        List<byte[]> leaves = leaves(count);
        assertThat(Merkle.root(leaves)).isEqualTo(defined(leaves));
    }

    @Property(tries = 300)
    void aPathLeadsFromItsLeafToTheRootAndFromNoOther(
            @ForAll @IntRange(min = 1, max = 300) int count, @ForAll @IntRange(min = 0, max = 299) int place) {
        List<byte[]> leaves = leaves(count);
        int index = place % count;
        List<byte[]> path = Merkle.path(leaves, index);
        byte[] root = Merkle.root(leaves);
        assertThat(Merkle.root(leaves.get(index), index, count, path)).isEqualTo(root);
        byte[] other = leaves.get(index).clone();
        other[place % 32] ^= 1;
        assertThat(Merkle.root(other, index, count, path)).isNotEqualTo(root);
        if (count > 1) {
            assertThatThrownBy(() -> Merkle.root(leaves.get(index), index, count, path.subList(1, path.size())))
                    .isInstanceOf(IllegalArgumentException.class);
        }
        List<byte[]> longer = new ArrayList<>(path);
        longer.add(root);
        assertThatThrownBy(() -> Merkle.root(leaves.get(index), index, count, longer))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
