package io.kehu.iam.role;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Network;
import io.kehu.bus.Problem;
import io.netty.util.NetUtil;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The rules of roles that need nothing but the role. */
final class RoleRules {
    private RoleRules() {}

    /**
     * The networks of a request in the one spelling in which they are kept: without bits behind the prefix, each once.
     *
     * @param pointer where they stand; fails with request.invalid that points at each one that is no network
     */
    static List<String> networks(String pointer, JsonNode array) {
        Set<String> networks = new LinkedHashSet<>();
        List<Problem.FieldError> faults = new ArrayList<>();
        int i = 0;
        for (JsonNode text : array) {
            String network = canonical(text.textValue());
            if (network == null) {
                faults.add(new Problem.FieldError(pointer + "/" + i, "field.format", List.of("CIDR")));
            } else {
                networks.add(network);
            }
            i++;
        }
        if (!faults.isEmpty()) {
            throw Problem.invalid(faults);
        }
        return List.copyOf(networks);
    }

    private static @Nullable String canonical(String text) {
        String[] parts = text.split("/", 2);
        InetAddress address = Network.address(parts[0]);
        // An IPv4 address in the form of IPv6 (RFC 4291, 2.5.5.2) is none that anybody is seen to call from.
        if (address == null || parts[0].contains(":") == address instanceof Inet4Address || !isNetwork(text)) {
            return null;
        }
        int bits = Integer.parseInt(parts[1]);
        byte[] bytes = address.getAddress();
        for (int i = bits; i < bytes.length * 8; i++) {
            bytes[i / 8] &= (byte) ~(0x80 >> (i % 8));
        }
        return NetUtil.bytesToIpAddress(bytes) + "/" + bits;
    }

    private static boolean isNetwork(String text) {
        try {
            return Network.of(text).toString().contains("/");
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** Whether there is an address that only the first networks hold; none hold every address. */
    static boolean reachFurther(List<String> networks, List<String> others) {
        if (others.isEmpty()) {
            return false;
        }
        List<Network> bounds = others.stream().map(Network::of).toList();
        return networks.isEmpty()
                || !networks.stream()
                        .map(Network::of)
                        .allMatch(network -> bounds.stream().anyMatch(bound -> bound.holds(network)));
    }
}
