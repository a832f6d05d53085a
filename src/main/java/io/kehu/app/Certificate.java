package io.kehu.app;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.net.KeyCertOptions;
import io.vertx.core.net.PemKeyCertOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.function.Function;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.X509KeyManager;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The two PEM files of TLS, which are looked at again and again: a renewed pair serves new connections without a restart.
 * While the files do not belong together, because one of them is still the old one, the pair in use stays.
 */
public final class Certificate {
    private static final Logger LOG = LoggerFactory.getLogger(Certificate.class);
    private static final List<String> KEY_TYPES = List.of("EC", "RSA", "EdDSA", "Ed25519");

    private final Vertx vertx;
    private final Path certificate;
    private final Path key;
    /** Times of both files when a pair was last taken from them; guarded by this. */
    private List<FileTime> seen = List.of();

    public Certificate(Vertx vertx, String certificate, String key) {
        this.vertx = vertx;
        this.certificate = Path.of(certificate);
        this.key = Path.of(key);
    }

    /**
     * Reads the pair. Fails with what is wrong with it: a file that cannot be read, or a key of another certificate.
     *
     * @return null where the files are those of the last successful reading
     */
    public Future<@Nullable KeyCertOptions> renewed() {
        return vertx.executeBlocking(this::read);
    }

    /**
     * Reads the pair at intervals and hands a new one on; says in the log what is wrong with it.
     *
     * @return ends the watch
     */
    public Runnable watch(long everyMillis, Function<KeyCertOptions, Future<?>> use) {
        long timer = vertx.setPeriodic(
                everyMillis,
                id -> renewed()
                        .compose(pair -> pair == null
                                ? Future.succeededFuture()
                                : use.apply(pair)
                                        .onSuccess(used -> LOG.info(
                                                "new connections are served with the certificate that is now in {}",
                                                certificate)))
                        .onFailure(failure -> LOG.error(
                                "the certificate in {} was not taken, the one before stays: {}",
                                certificate,
                                failure.toString())));
        return () -> vertx.cancelTimer(timer);
    }

    private synchronized @Nullable KeyCertOptions read() throws Exception {
        List<FileTime> times = List.of(Files.getLastModifiedTime(certificate), Files.getLastModifiedTime(key));
        if (times.equals(seen)) {
            return null;
        }
        KeyManagerFactory keys = new PemKeyCertOptions()
                .setCertPath(certificate.toString())
                .setKeyPath(key.toString())
                .getKeyManagerFactory(vertx);
        mustBelongTogether(keys);
        seen = times;
        return KeyCertOptions.wrap(keys);
    }

    /** Neither the JDK nor Netty minds a key of another certificate before the first handshake fails. */
    private static void mustBelongTogether(KeyManagerFactory keys) throws GeneralSecurityException, IOException {
        X509KeyManager pair = (X509KeyManager) keys.getKeyManagers()[0]; // of PEM files there is always this one
        for (String type : KEY_TYPES) {
            String[] names = pair.getServerAliases(type, null);
            if (names != null) {
                mustBelongTogether(pair.getPrivateKey(names[0]), pair.getCertificateChain(names[0])[0]);
                return;
            }
        }
        throw new IOException("no key and certificate of a known kind (EC, RSA, Ed25519)");
    }

    private static void mustBelongTogether(PrivateKey key, X509Certificate certificate)
            throws GeneralSecurityException, IOException {
        String algorithm = switch (key.getAlgorithm()) {
            case "EC" -> "SHA256withECDSA";
            case "RSA" -> "SHA256withRSA";
            default -> "Ed25519";
        };
        byte[] text = certificate.getEncoded();
        Signature signature = Signature.getInstance(algorithm);
        signature.initSign(key);
        signature.update(text);
        byte[] signed = signature.sign();
        signature.initVerify(certificate.getPublicKey());
        signature.update(text);
        if (!signature.verify(signed)) {
            throw new IOException("the key is not the certificate's");
        }
    }
}
