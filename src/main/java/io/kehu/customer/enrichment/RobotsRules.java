package io.kehu.customer.enrichment;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.kehu.bus.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * What a robots.txt says to one crawler (RFC 9309): the groups that name it, else those for everybody; of the rules that fit a
 * path the longest decides, and of two as long the one that allows. Pure.
 */
record RobotsRules(List<Rule> rules) {
    /** All may be fetched: there is no such file. */
    static final RobotsRules OPEN = new RobotsRules(List.of());
    /** Nothing may: it could not be read, or is longer than anybody means. */
    static final RobotsRules CLOSED = new RobotsRules(List.of(new Rule(false, "/")));

    private static final int MAX_RULES = 1_000;
    private static final int MAX_PATH = 1_000;
    private static final String UNRESERVED = "-._~";

    /** @param path a beginning, in which * stands for anything and a $ at the end for the end; its escapes normalised */
    record Rule(boolean allow, String path) {}

    /**
     * The rules of a file.
     *
     * @param agent the product token that is looked for, whatever its case
     */
    static RobotsRules parse(String file, String agent) {
        List<Rule> mine = new ArrayList<>();
        List<Rule> everybodys = new ArrayList<>();
        Set<String> agents = new HashSet<>();
        boolean isNamed = false;
        boolean inRules = false;
        String wanted = agent.toLowerCase(Locale.ROOT);
        for (String line : (file.startsWith("\ufeff") ? file.substring(1) : file).split("\r\n|\r|\n", -1)) {
            int comment = line.indexOf('#');
            String said = comment < 0 ? line : line.substring(0, comment);
            int colon = said.indexOf(':');
            if (colon < 0) {
                continue;
            }
            String key = said.substring(0, colon).strip().toLowerCase(Locale.ROOT);
            String value = said.substring(colon + 1).strip();
            if (key.equals("user-agent")) {
                if (inRules) {
                    agents.clear();
                    inRules = false;
                }
                agents.add(token(value));
                isNamed |= token(value).equals(wanted);
            } else if (key.equals("allow") || key.equals("disallow")) {
                inRules = true;
                if (value.isEmpty()) {
                    continue; // allows and disallows nothing
                }
                if (value.length() > MAX_PATH) {
                    return CLOSED;
                }
                Rule rule = new Rule(key.equals("allow"), normal(value));
                if (agents.contains(wanted)) {
                    mine.add(rule);
                }
                if (agents.contains("*")) {
                    everybodys.add(rule);
                }
            }
        }
        List<Rule> rules = isNamed ? mine : everybodys;
        return rules.size() > MAX_RULES ? CLOSED : new RobotsRules(List.copyOf(rules));
    }

    /** The letters, hyphens and underlines that a name begins with. */
    private static String token(String value) {
        int end = 0;
        while (end < value.length()
                && (Character.isLetter(value.charAt(end)) || "-_*".indexOf(value.charAt(end)) >= 0)) {
            end++;
        }
        return value.substring(0, end).toLowerCase(Locale.ROOT);
    }

    /** @param target path and query of a request */
    boolean allows(String target) {
        String path = normal(target);
        int longest = -1;
        boolean allowed = true;
        for (Rule rule : rules) {
            int length = rule.path.length();
            if (length >= longest && fits(rule.path, path)) {
                allowed = rule.allow || (length == longest && allowed);
                longest = length;
            }
        }
        return allowed;
    }

    /** Without going back further than the last star, so that no pattern takes long. */
    private static boolean fits(String rule, String path) {
        boolean whole = rule.endsWith("$");
        String pattern = whole ? rule.substring(0, rule.length() - 1) : rule + "*";
        int p = 0;
        int at = 0;
        int star = -1;
        int behind = 0;
        while (at < path.length()) {
            if (p < pattern.length() && pattern.charAt(p) == '*') {
                star = p++;
                behind = at;
            } else if (p < pattern.length() && pattern.charAt(p) == path.charAt(at)) {
                p++;
                at++;
            } else if (star >= 0) {
                p = star + 1;
                at = ++behind;
            } else {
                return false;
            }
        }
        while (p < pattern.length() && pattern.charAt(p) == '*') {
            p++;
        }
        return p == pattern.length();
    }

    /** Escapes in one way: of what needs none undone, of what is not ASCII made, in capitals. */
    private static String normal(String path) {
        StringBuilder normal = new StringBuilder(path.length() + 16);
        byte[] bytes = path.getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < bytes.length; i++) {
            int c = bytes[i] & 0xff;
            int escaped = c == '%' && i + 2 < bytes.length
                    ? Character.digit(bytes[i + 1], 16) * 16 + Character.digit(bytes[i + 2], 16)
                    : -1;
            boolean isEscape =
                    escaped >= 0 && Character.digit(bytes[i + 1], 16) >= 0 && Character.digit(bytes[i + 2], 16) >= 0;
            if (isEscape) {
                i += 2;
                boolean plain =
                        escaped < 0x80 && (Character.isLetterOrDigit(escaped) || UNRESERVED.indexOf(escaped) >= 0);
                normal.append(plain ? Character.toString(escaped) : "%%%02X".formatted(escaped));
            } else {
                normal.append(c < 0x80 ? Character.toString(c) : "%%%02X".formatted(c));
            }
        }
        return normal.toString();
    }

    ArrayNode toJson() {
        ArrayNode list = Json.MAPPER.createArrayNode();
        rules.forEach(rule -> list.addObject().put("allow", rule.allow).put("path", rule.path));
        return list;
    }

    static RobotsRules from(JsonNode list) {
        List<Rule> rules = new ArrayList<>();
        list.forEach(rule -> rules.add(
                new Rule(rule.path("allow").asBoolean(), rule.path("path").asText())));
        return new RobotsRules(List.copyOf(rules));
    }
}
