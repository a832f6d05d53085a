package io.kehu.http;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.kehu.bus.Problems;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerResponse;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The one place where a {@link Problem} becomes an answer: {@code application/problem+json}, RFC 9457, in two languages. */
final class ProblemWriter {
    private static final List<Locale> LANGUAGES = List.of(Locale.ENGLISH, Locale.CHINESE);

    private ProblemWriter() {}

    static int status(Problem problem) {
        return Problems.of(problem.code()).status();
    }

    static Buffer body(Problem problem, String requestId, boolean chinese) {
        Problems.Entry entry = Problems.of(problem.code());
        Problems.Text text = entry.text(chinese);
        return Json.write(json -> {
            json.writeStartObject();
            json.writeStringField("type", "/docs/problems#" + entry.code());
            json.writeStringField("title", Problems.fill(text.title(), problem.args()));
            json.writeNumberField("status", entry.status());
            json.writeStringField("code", entry.code());
            json.writeStringField("detail", Problems.fill(text.cause() + " " + text.remedy(), problem.args()));
            json.writeStringField("requestId", requestId);
            if (!problem.errors().isEmpty()) {
                json.writeArrayFieldStart("errors");
                Map<String, String> texts = Problems.fields(chinese);
                for (FieldError error : problem.errors()) {
                    json.writeStartObject();
                    json.writeStringField("pointer", error.pointer());
                    json.writeStringField("code", error.code());
                    json.writeStringField(
                            "detail", Problems.fill(texts.getOrDefault(error.code(), error.code()), error.args()));
                    json.writeEndObject();
                }
                json.writeEndArray();
            }
            for (Map.Entry<String, JsonNode> member : problem.members().properties()) {
                json.writeFieldName(member.getKey());
                json.writeTree(member.getValue());
            }
            json.writeEndObject();
        });
    }

    /** Status and headers that belong to the problem; the first argument of 405 and of 429 and 503 goes into a header. */
    static void head(HttpServerResponse response, Problem problem) {
        int status = status(problem);
        response.setStatusCode(status).putHeader(HttpHeaders.CONTENT_TYPE, "application/problem+json");
        String first = problem.args().isEmpty() ? null : problem.args().get(0);
        switch (status) {
            case 401 -> response.putHeader("WWW-Authenticate", challenge(problem));
            case 405 -> {
                if (first != null) {
                    response.putHeader(HttpHeaders.ALLOW, first);
                }
            }
            case 409 -> {
                if (problem.code().equals("request.inFlight") || problem.code().equals("audit.notSealed")) {
                    response.putHeader(HttpHeaders.RETRY_AFTER, "1");
                }
            }
            case 429, 503 ->
                response.putHeader(HttpHeaders.RETRY_AFTER, first != null && first.matches("[0-9]{1,5}") ? first : "1");
            default -> {}
        }
    }

    /** RFC 6750, section 3; of a step-up RFC 9470, section 3: how many seconds ago the last factor may have been proven. */
    private static String challenge(Problem problem) {
        return problem.members().has("maxAge")
                ? "Bearer error=\"insufficient_user_authentication\", error_description=\"a fresh factor is needed\","
                        + " max_age=\"" + problem.members().get("maxAge").asInt() + "\""
                : "Bearer";
    }

    /** Whether the caller reads Chinese rather than English, from {@code Accept-Language}; English where nothing is said. */
    static boolean chinese(@Nullable String acceptLanguage) {
        if (acceptLanguage == null || acceptLanguage.length() > 200) {
            return false;
        }
        try {
            return Locale.CHINESE.equals(Locale.lookup(Locale.LanguageRange.parse(acceptLanguage), LANGUAGES));
        } catch (IllegalArgumentException e) {
            return false;
        }
    }
}
