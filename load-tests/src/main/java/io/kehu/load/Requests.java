package io.kehu.load;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.load.Engine.Part;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What is asked of Kehu: the only place that knows its paths and bodies. Tokens, customer ids and names come from a
 * file that {@code prepare} writes.
 */
final class Requests {
    static final String LOGIN = "/v1/auth/login";
    static final String STAFF = "/v1/staff";
    static final String CUSTOMERS = "/v1/customers";
    static final String SEARCH = "/v1/customers/search";
    static final String UPLOADS = "/v1/uploads";
    static final String IMPORTS = "/v1/imports";
    static final String EXPORTS = "/v1/exports";
    static final String APPROVALS = "/v1/approvals/";
    static final String PASSWORD = "/v1/auth/password";

    /** As many different requests are made beforehand; more would measure the generator's memory. */
    private static final int PREPARED = 10_000;

    private static final ObjectMapper JSON = new ObjectMapper();

    private final String host;
    private final List<String> tokens;
    private final List<String> customers;
    private final List<String> names;
    /** Fixed, so that every run asks for the same things in the same order. */
    private final Random random = new Random(20260101);

    private final AtomicLong written = new AtomicLong(System.currentTimeMillis());

    private Requests(URI target, List<String> tokens, List<String> customers, List<String> names) {
        this.host = target.getHost() + ":" + target.getPort();
        this.tokens = tokens;
        this.customers = customers;
        this.names = names;
    }

    /** Reads {@code {"tokens": [], "customers": [], "names": []}}. */
    static Requests from(URI target, Path prepared) throws IOException {
        JsonNode file = JSON.readTree(prepared.toFile());
        return new Requests(target, texts(file, "tokens"), texts(file, "customers"), texts(file, "names"));
    }

    private static List<String> texts(JsonNode file, String name) throws IOException {
        List<String> texts = new ArrayList<>();
        file.path(name).forEach(text -> texts.add(text.asText()));
        if (texts.isEmpty()) {
            throw new IOException("the prepared file has no " + name);
        }
        return texts;
    }

    /** 70 % reads of a customer, 25 % searches by name, 5 % new customers. */
    List<Part> mix() {
        return List.of(read(70), search(25), write(5));
    }

    /** Only reads of a customer: the request whose cost is compared with the bare handler's. */
    List<Part> reads() {
        return List.of(read(1));
    }

    /** Everything about a customer at a glance. */
    List<Part> overviews() {
        return List.of(prepared(
                "overview",
                1,
                () -> request("GET", CUSTOMERS + "/" + pick(customers) + "/overview", pick(tokens), null)));
    }

    /** Only searches by name. */
    List<Part> searches() {
        return List.of(search(1));
    }

    /**
     * Reads of a customer with tokens that look right up to the signature, which is what costs the server most; none comes
     * twice, so none can be remembered.
     */
    List<Part> forged() {
        return List.of(new Part("forged", 1, () -> {
            String token = pick(tokens);
            byte[] signature = new byte[64];
            random.nextBytes(signature);
            String forged = token.substring(0, token.lastIndexOf('.') + 1)
                    + Base64.getUrlEncoder().withoutPadding().encodeToString(signature);
            return request("GET", CUSTOMERS + "/" + pick(customers), forged, null);
        }));
    }

    /** Sign-ins of one after the other, all with the same password. */
    List<Part> signIns(List<String> usernames, String password) {
        List<byte[]> logins = usernames.stream()
                .map(username -> request("POST", LOGIN, null, body("username", username, "password", password)))
                .toList();
        int[] next = {0};
        return List.of(new Part("sign-in", 1, () -> logins.get(next[0]++ % logins.size())));
    }

    /** Single requests whose latency must not grow with the number of customers. */
    Map<String, List<Part>> named() {
        Map<String, String> lists = new LinkedHashMap<>();
        lists.put("first page", "?limit=20");
        lists.put("city", "?limit=20&city=3301");
        lists.put("kind", "?limit=20&kind=person");
        lists.put("tier", "?limit=20&tier=affluent");
        lists.put("two tiers", "?limit=20&tier=affluent,private");
        lists.put("lifecycle", "?limit=20&lifecycle=active");
        lists.put("risk", "?limit=20&risk=C3");
        lists.put("age", "?limit=20&ageFrom=30&ageTo=40");
        lists.put("assets", "?limit=20&assetsFrom=1000000");
        lists.put("updated since", "?limit=20&updatedSince=2026-01-01T00:00:00Z");
        Map<String, List<Part>> named = new LinkedHashMap<>();
        named.put("one customer", List.of(read(1)));
        lists.forEach((name, query) -> named.put(name, one("GET", CUSTOMERS + query, null)));
        // Each fills its page also among 10,000: where it does not, it would be compared with another work.
        named.put("name, whole", one("POST", SEARCH, search(5, "name", "王伟")));
        named.put("name, two characters", one("POST", SEARCH, search("name", "志强")));
        named.put("name, one character", one("POST", SEARCH, search("name", "伟")));
        named.put("name, pinyin", one("POST", SEARCH, search("name", "wangwei")));
        named.put("name, initials", one("POST", SEARCH, search("name", "ww")));
        named.put("phone, last four", one("POST", SEARCH, search(3, "lastFour", "1234")));
        named.put("name and province", one("POST", SEARCH, search("name", "王", "city", "44")));
        return named;
    }

    private List<Part> one(String method, String path, String body) {
        byte[] request = request(method, path, pick(tokens), body);
        return List.of(new Part(path, 1, () -> request));
    }

    private Part read(int weight) {
        return prepared("read", weight, () -> request("GET", CUSTOMERS + "/" + pick(customers), pick(tokens), null));
    }

    private Part search(int weight) {
        return prepared("search", weight, () -> request("POST", SEARCH, pick(tokens), search("name", pick(names))));
    }

    private Part write(int weight) {
        return new Part("write", weight, () -> {
            long number = written.incrementAndGet();
            // An external id of its own: the server must not take two of these for the same person.
            ObjectNode body = JSON.createObjectNode().put("kind", "person").put("name", pick(names));
            body.putArray("externalIds").addObject().put("source", "load").put("id", "load-" + number);
            return request("POST", CUSTOMERS, pick(tokens), body.toString());
        });
    }

    private Part prepared(String name, int weight, Engine.Source make) {
        byte[][] requests = new byte[PREPARED][];
        for (int i = 0; i < PREPARED; i++) {
            requests[i] = make.next();
        }
        int[] next = {0};
        return new Part(name, weight, () -> requests[next[0]++ % PREPARED]);
    }

    private String pick(List<String> from) {
        return from.get(random.nextInt(from.size()));
    }

    static String body(String... namesAndValues) {
        ObjectNode body = JSON.createObjectNode();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            body.put(namesAndValues[i], namesAndValues[i + 1]);
        }
        return body.toString();
    }

    static String upload(long size) {
        return "{\"purpose\": \"customer-import\", \"name\": \"people.xlsx\", \"size\": " + size + "}";
    }

    /** The columns of {@link Workbook}. */
    static String importOf(String upload, String source, boolean dryRun) {
        ObjectNode body = JSON.createObjectNode().put("uploadId", upload).put("dryRun", dryRun);
        ObjectNode mapping = body.putObject("mapping").put("kind", "person");
        mapping.putObject("externalId").put("source", source).put("column", "number");
        ArrayNode fields = mapping.putArray("fields");
        for (String column : Workbook.COLUMNS.subList(1, Workbook.COLUMNS.size())) {
            ObjectNode field = fields.addObject().put("field", column.equals("born") ? "birthDate" : column);
            field.put("column", column);
            if (column.equals("born")) {
                field.put("dateFormat", "yyyy-MM-dd");
            }
        }
        return body.toString();
    }

    static String export() {
        ObjectNode body = JSON.createObjectNode().put("format", "xlsx").put("purpose", "service");
        List.of("number", "name", "birthDate", "gender", "phone", "email", "address", "tier", "lifecycle", "createdAt")
                .forEach(body.putArray("columns")::add);
        return body.toString();
    }

    static String head(String username, String branch) {
        ObjectNode body = JSON.createObjectNode()
                .put("username", username)
                .put("name", "导出")
                .put("branchId", branch);
        body.putArray("roles").add("branch-head");
        return body.toString();
    }

    static String newPassword(String current, String next) {
        return body("currentPassword", current, "newPassword", next);
    }

    /** Searches show pages of 20. */
    private static String search(String... namesAndValues) {
        return search(20, namesAndValues);
    }

    private static String search(int limit, String... namesAndValues) {
        ObjectNode body = JSON.createObjectNode().put("limit", limit);
        for (int i = 0; i < namesAndValues.length; i += 2) {
            body.put(namesAndValues[i], namesAndValues[i + 1]);
        }
        return body.toString();
    }

    private byte[] request(String method, String path, String token, String body) {
        byte[] content = body == null ? new byte[0] : body.getBytes(StandardCharsets.UTF_8);
        StringBuilder head = new StringBuilder(512)
                .append(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nAccept: application/json\r\n");
        if (token != null) {
            head.append("Authorization: Bearer ").append(token).append("\r\n");
        }
        if (body != null) {
            head.append("Content-Type: application/json\r\nContent-Length: ")
                    .append(content.length)
                    .append("\r\n");
        }
        byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.US_ASCII);
        byte[] request = new byte[start.length + content.length];
        System.arraycopy(start, 0, request, 0, start.length);
        System.arraycopy(content, 0, request, start.length, content.length);
        return request;
    }
}
