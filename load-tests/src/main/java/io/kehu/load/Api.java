package io.kehu.load;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;

/** One person's requests, one after the other; signs in again before the token of a long run is over. */
final class Api {
    /** A token lives five minutes unless the server says otherwise. */
    private static final long SIGNED_IN_NANOS = Duration.ofMinutes(4).toNanos();

    private static final ObjectMapper JSON = new ObjectMapper();

    private final URI url;
    private final String username;
    private final String password;
    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5))
            .build();
    private String token;
    private String branch = "";
    private long signedInNanos;

    /**
     * An answer as far as it was expected.
     *
     * @param body null where there is none
     */
    record Answer(JsonNode body, String location) {
        String text(String name) {
            return body.hasNonNull(name) ? body.path(name).asText() : "";
        }
    }

    /** @param user NAME:PASSWORD */
    Api(URI url, String user) throws IOException {
        if (!InetAddress.getByName(url.getHost()).isLoopbackAddress()) {
            throw new IllegalArgumentException("load is for loopback only, not " + url.getHost());
        }
        String[] parts = user.split(":", 2);
        if (parts.length < 2) {
            throw new IllegalArgumentException("a user is written NAME:PASSWORD");
        }
        this.url = url;
        this.username = parts[0];
        this.password = parts[1];
    }

    String branch() {
        return branch;
    }

    /** What asks for a fresh proof of who one is gets it by this. */
    void signIn() throws IOException, InterruptedException {
        token = null;
        Answer answer =
                send("POST", Requests.LOGIN, Requests.body("username", username, "password", password), 200, false);
        token = answer.text("accessToken");
        branch = answer.body.at("/staff/branchId").asText();
        signedInNanos = System.nanoTime();
    }

    Answer get(String path) throws IOException, InterruptedException {
        return send("GET", path, null, 200, true);
    }

    Answer post(String path, String json, int status) throws IOException, InterruptedException {
        return send("POST", path, json, status, true);
    }

    /** Sends a file without holding it in memory. */
    void put(String path, Path file, Duration within) throws IOException, InterruptedException {
        HttpRequest.Builder request = request(path, true)
                .timeout(within)
                .setHeader("Content-Type", "application/octet-stream")
                .PUT(BodyPublishers.ofFile(file));
        must(200, client.send(request.build(), BodyHandlers.ofString()));
    }

    /** Writes what a path leads to into a file. */
    void download(String path, Path file, Duration within) throws IOException, InterruptedException {
        HttpRequest.Builder request = request(path, true).timeout(within).GET();
        HttpResponse<Path> answer = client.send(request.build(), BodyHandlers.ofFile(file));
        if (answer.statusCode() != 200) {
            throw new IOException(path + " answered " + answer.statusCode());
        }
    }

    private Answer send(String method, String path, String json, int status, boolean signedIn)
            throws IOException, InterruptedException {
        HttpRequest.Builder request = request(path, signedIn)
                .method(method, json == null ? BodyPublishers.noBody() : BodyPublishers.ofString(json));
        HttpResponse<String> answer = must(status, client.send(request.build(), BodyHandlers.ofString()));
        return new Answer(
                JSON.readTree(answer.body()),
                answer.headers().firstValue("Location").orElse(""));
    }

    private HttpRequest.Builder request(String path, boolean signedIn) throws IOException, InterruptedException {
        if (signedIn && (token == null || System.nanoTime() - signedInNanos > SIGNED_IN_NANOS)) {
            signIn();
        }
        HttpRequest.Builder request = HttpRequest.newBuilder(url.resolve(path))
                .timeout(Duration.ofSeconds(40))
                .setHeader("Content-Type", "application/json");
        if (signedIn) {
            request.setHeader("Authorization", "Bearer " + token);
        }
        return request;
    }

    private static HttpResponse<String> must(int status, HttpResponse<String> answer) throws IOException {
        if (answer.statusCode() != status) {
            throw new IOException(String.format(
                    Locale.ROOT, "%s answered %d %s", answer.uri().getPath(), answer.statusCode(), answer.body()));
        }
        return answer;
    }
}
