package io.kehu.bus;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import io.netty.util.NetUtil;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/** A range of addresses in CIDR notation (RFC 4632, RFC 4291), or a single address. */
public final class Network {
    private static final int SITE_BYTES = 8;

    private final String text;
    private final byte[] bytes;
    private final int bits;

    private Network(String text, byte[] bytes, int bits) {
        this.text = text;
        this.bytes = bytes;
        this.bits = bits;
    }

    /** Throws IllegalArgumentException where the text is no network; a name is never looked up. */
    @JsonCreator
    public static Network of(String text) {
        String[] parts = text.split("/", 2);
        byte[] bytes = NetUtil.createByteArrayFromIpAddressString(parts[0]);
        int most = bytes == null ? 0 : bytes.length * 8;
        boolean number = parts.length == 1 || parts[1].matches("[0-9]{1,3}");
        int bits = number && parts.length == 2 ? Integer.parseInt(parts[1]) : most;
        if (bytes == null || !number || bits > most) {
            throw new IllegalArgumentException(text + " is not a network");
        }
        return new Network(text, bytes, bits);
    }

    /** An address written in digits; null for anything else, however much it looks like digits. */
    public static @Nullable InetAddress address(String text) {
        byte[] bytes = NetUtil.createByteArrayFromIpAddressString(text);
        try {
            return bytes == null ? null : InetAddress.getByAddress(bytes);
        } catch (UnknownHostException e) {
            return null;
        }
    }

    /** Where an address comes from, for counting: of IPv6 its first 64 bits, which is what one household or server is given. */
    public static String source(String address) {
        int zone = address.indexOf('%');
        InetAddress parsed = address(zone < 0 ? address : address.substring(0, zone));
        return parsed instanceof Inet6Address
                ? HexFormat.of().formatHex(parsed.getAddress(), 0, SITE_BYTES)
                : parsed == null ? address : String.valueOf(parsed.getHostAddress());
    }

    public boolean holds(InetAddress address) {
        return holds(address.getAddress());
    }

    /** Whether every address of the other network lies in this one. */
    public boolean holds(Network other) {
        return other.bits >= bits && holds(other.bytes);
    }

    private boolean holds(byte[] other) {
        if (other.length != bytes.length) {
            return false;
        }
        for (int i = 0; i < bits; i++) {
            int mask = 0x80 >> (i % 8);
            if (((other[i / 8] ^ bytes[i / 8]) & mask) != 0) {
                return false;
            }
        }
        return true;
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Network network && network.text.equals(text);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bytes) + bits;
    }

    @JsonValue
    @Override
    public String toString() {
        return text;
    }
}
