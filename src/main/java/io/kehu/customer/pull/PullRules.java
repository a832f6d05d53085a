package io.kehu.customer.pull;

import io.kehu.bus.Problem;
import java.math.BigInteger;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What a source may be asked, and how far its rows bring it. Pure. */
final class PullRules {
    /** A time or a number; it stands in plain, so it is nothing personal. */
    private static final Pattern WATERMARK = Pattern.compile("[0-9][0-9A-Za-z:+. _-]{0,63}");

    private static final Pattern NUMBER = Pattern.compile("[0-9]+");

    private PullRules() {}

    /** Fails with {@code pull.urlForbidden} unless it is an https address of a host that the settings name. */
    static URI allowed(String url, Set<String> hosts) {
        try {
            URI uri = new URI(url);
            String host = uri.getHost();
            if ("https".equals(uri.getScheme())
                    && host != null
                    && hosts.contains(host.toLowerCase(Locale.ROOT))
                    && uri.getRawUserInfo() == null
                    && uri.getRawFragment() == null) {
                return uri;
            }
        } catch (URISyntaxException e) {
            // as any other that is not allowed
        }
        throw Problem.of("pull.urlForbidden");
    }

    /** Whether both lead to the same server: a secret given for one is not sent to another. */
    static boolean isSameOrigin(String one, String other) {
        URI a = URI.create(one);
        URI b = URI.create(other);
        return String.valueOf(a.getHost()).equalsIgnoreCase(String.valueOf(b.getHost())) && a.getPort() == b.getPort();
    }

    static URI question(Pull pull, @Nullable String watermark) {
        if (pull.parameter() == null || watermark == null) {
            return URI.create(pull.url());
        }
        return URI.create(pull.url() + (pull.url().contains("?") ? "&" : "?")
                + URLEncoder.encode(pull.parameter(), StandardCharsets.UTF_8) + "="
                + URLEncoder.encode(watermark, StandardCharsets.UTF_8));
    }

    /** The greatest watermark of all. Fails with {@code pull.watermarkInvalid} where a row has none. */
    static @Nullable String reached(Pull pull, List<Map<String, String>> rows, @Nullable String before) {
        if (pull.field() == null) {
            return before;
        }
        String reached = before;
        for (Map<String, String> row : rows) {
            String value = row.getOrDefault(pull.field(), "").strip();
            if (!WATERMARK.matcher(value).matches()) {
                throw Problem.of("pull.watermarkInvalid");
            }
            reached = reached == null || isLater(value, reached) ? value : reached;
        }
        return reached;
    }

    /** Numbers by their value, times as they are written. */
    static boolean isLater(String one, String other) {
        if (NUMBER.matcher(one).matches() && NUMBER.matcher(other).matches()) {
            return new BigInteger(one).compareTo(new BigInteger(other)) > 0;
        }
        return one.compareTo(other) > 0;
    }
}
