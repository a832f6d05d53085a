package io.kehu.beside;

import io.kehu.bus.Problem;
import io.kehu.bus.Problems;
import io.kehu.contract.Contract;
import io.kehu.http.Exchange;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;

/**
 * The few pages beside the API: the contract, the documentation that shows it, the catalogue of problems, and the public keys
 * of access tokens.
 */
public final class Pages {
    /** The version of the web jar in the POM; a missing file stops the start. */
    private static final String SWAGGER = "/META-INF/resources/webjars/swagger-ui/5.34.1/";

    /** Styles are set by scripts of Swagger UI itself; nothing comes from elsewhere. */
    private static final String CONTENT_POLICY =
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
                    + " base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static final String KEYS = "/.well-known/jwks.json";

    private final Map<String, Page> pages = new HashMap<>();
    private final Supplier<String> keys;
    private final String keptFor;

    private record Page(String type, Buffer body) {}

    /**
     * Pages of a node.
     *
     * @param keys the public keys that tokens are checked with, now, as a JSON Web Key Set
     * @param keptSeconds how long others may keep it
     */
    public Pages(Contract contract, Supplier<String> keys, int keptSeconds) {
        this.keys = keys;
        this.keptFor = "public, max-age=" + keptSeconds;
        pages.put("/openapi.json", new Page("application/json", contract.bytes()));
        pages.put("/docs/swagger-ui.css", new Page("text/css", asset("swagger-ui.css")));
        pages.put("/docs/swagger-ui-bundle.js", new Page("text/javascript", asset("swagger-ui-bundle.js")));
        pages.put("/docs/start.js", new Page("text/javascript", Buffer.buffer("""
                SwaggerUIBundle({url: '/openapi.json', dom_id: '#docs', deepLinking: true, docExpansion: 'none', filter: true,
                  validatorUrl: null, persistAuthorization: false, displayRequestDuration: true});
                """)));
        Page docs = new Page("text/html; charset=utf-8", Buffer.buffer("""
                <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kehu API</title>
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <link rel="stylesheet" href="/docs/swagger-ui.css"></head>
                <body><div id="docs"></div>
                <script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>
                """));
        pages.put("/docs", docs);
        pages.put("/docs/", docs);
        pages.put("/docs/problems", new Page("text/html; charset=utf-8", Buffer.buffer(problems())));
    }

    private static Buffer asset(String name) {
        try (InputStream in = Pages.class.getResourceAsStream(SWAGGER + name)) {
            if (in == null) {
                throw new IllegalStateException(SWAGGER + name + " is not on the class path");
            }
            return Buffer.buffer(in.readAllBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public void serve(Exchange exchange) {
        String path = exchange.request().path();
        HttpMethod method = exchange.request().method();
        HttpServerResponse response = exchange.request().response();
        Page page =
                KEYS.equals(path) ? new Page("application/jwk-set+json", Buffer.buffer(keys.get())) : pages.get(path);
        if (page == null && !"/".equals(path)) {
            throw Problem.of("request.unknownPath");
        }
        if (!method.equals(HttpMethod.GET) && !method.equals(HttpMethod.HEAD)) {
            throw Problem.of("request.methodNotAllowed", "GET, HEAD");
        }
        exchange.head();
        if (page == null) {
            response.setStatusCode(302).putHeader(HttpHeaders.LOCATION, "/docs").end();
            exchange.ended(302, null);
            return;
        }
        if (KEYS.equals(path)) {
            response.putHeader(HttpHeaders.CACHE_CONTROL, keptFor);
        }
        response.putHeader(HttpHeaders.CONTENT_TYPE, page.type)
                .putHeader("Content-Security-Policy", CONTENT_POLICY)
                .putHeader("X-Frame-Options", "DENY")
                .end(page.body);
        exchange.ended(200, null);
    }

    private static String problems() {
        StringBuilder html = new StringBuilder("""
                <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kehu: problems</title>
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
                h2{font:600 1rem ui-monospace,monospace;margin:2rem 0 .2rem}p{margin:.2rem 0}.s{color:#666}</style></head><body>
                <h1>Problems · 错误一览</h1>
                <p>Every refusal carries one of these codes, in <code>application/problem+json</code>. 每个错误都带有以下代码之一。</p>
                """);
        for (Problems.Entry entry : Problems.all()) {
            html.append("<h2 id=\"")
                    .append(entry.code())
                    .append("\">")
                    .append(entry.code())
                    .append(" <span class=\"s\">")
                    .append(entry.status())
                    .append("</span></h2>");
            for (boolean chinese : new boolean[] {false, true}) {
                Problems.Text text = entry.text(chinese);
                html.append("<p lang=\"")
                        .append(chinese ? "zh" : "en")
                        .append("\"><b>")
                        .append(escape(text.title()))
                        .append("</b> ")
                        .append(escape(text.cause()))
                        .append(" <i>")
                        .append(escape(text.remedy()))
                        .append("</i></p>");
            }
        }
        html.append("<h1>Fields · 字段</h1>");
        Problems.fields(false)
                .forEach((code, text) -> html.append("<h2 id=\"")
                        .append(code)
                        .append("\">")
                        .append(code)
                        .append("</h2><p lang=\"en\">")
                        .append(escape(text))
                        .append("</p><p lang=\"zh\">")
                        .append(escape(Problems.fields(true).getOrDefault(code, "")))
                        .append("</p>"));
        return html.append("</body></html>").toString();
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }
}
