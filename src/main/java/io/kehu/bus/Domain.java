package io.kehu.bus;

/**
 * How a domain or sub-domain makes itself known: its verticle implements this and is named in {@code
 * META-INF/services/io.kehu.bus.Domain}. Every node makes one, and serves those whose top-level name its settings name. So a
 * new domain changes no line of the kernel.
 */
public interface Domain {
    /** The table of its operations; called once per node, before the node answers. */
    Operations operations(Kernel kernel);
}
