package io.kehu.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.bus.Problems;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The catalogue of problems and the sources say the same. */
class CatalogueTest {
    private static final Path MAIN = Path.of("src/main/java");
    private static final Pattern THROWN = Pattern.compile("\"([a-z]+\\.[a-z][A-Za-z]+)\"");
    private static final Pattern FIELD = Pattern.compile("\"(field\\.[A-Za-z]+)\"");
    /** Codes in a "Problems:" sentence of javadoc, up to its end. */
    private static final Pattern DOCUMENTED =
            Pattern.compile("Problems?: ([^/]*?)(?:\\.\\s|\\.?\\s*\\*/)", Pattern.DOTALL);

    private static String sources() throws IOException {
        StringBuilder all = new StringBuilder();
        try (Stream<Path> files = Files.walk(MAIN)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
                all.append(Files.readString(file));
            }
        }
        return all.toString();
    }

    @Test
    void everyProblemThatTheCodeNamesStandsInTheCatalogue() throws IOException {
        Set<String> known = new TreeSet<>();
        Problems.all().forEach(p -> known.add(p.code()));
        String sources = sources();
        List<String> lost = new ArrayList<>();
        Matcher of = Pattern.compile("Problem\\.of\\(\\s*\"([^\"]+)\"").matcher(sources);
        while (of.find()) {
            if (!known.contains(of.group(1))) {
                lost.add(of.group(1));
            }
        }
        Matcher documented = DOCUMENTED.matcher(sources);
        while (documented.find()) {
            Matcher code = Pattern.compile("\\b[a-z]+\\.[a-z][A-Za-z]+\\b").matcher(documented.group(1));
            while (code.find()) {
                if (!known.contains(code.group())) {
                    lost.add(code.group() + " (javadoc)");
                }
            }
        }
        assertThat(lost).isEmpty();
    }

    @Test
    void everyProblemOfTheCatalogueIsUsedOrBelongsToAConstraint() throws IOException {
        Set<String> used = new TreeSet<>();
        Matcher thrown = THROWN.matcher(sources());
        while (thrown.find()) {
            used.add(thrown.group(1));
        }
        assertThat(Problems.all())
                .filteredOn(p -> p.constraints().isEmpty() && !used.contains(p.code()))
                .extracting(Problems.Entry::code)
                .isEmpty();
    }

    @Test
    void theFieldCodesOfCodeAndCatalogueAreTheSame() throws IOException {
        Set<String> used = new TreeSet<>();
        Matcher field = FIELD.matcher(sources());
        while (field.find()) {
            used.add(field.group(1));
        }
        assertThat(Problems.fields(false).keySet()).containsExactlyInAnyOrderElementsOf(used);
        assertThat(Problems.fields(true).keySet()).containsExactlyInAnyOrderElementsOf(used);
    }

    @Test
    void textsHaveTheSamePlaceholdersInBothLanguages() {
        assertThat(Problems.all())
                .allSatisfy(p -> assertThat(placeholders(p.en())).as(p.code()).isEqualTo(placeholders(p.zh())));
        assertThat(Problems.all()).allSatisfy(p -> assertThat(p.status()).isBetween(400, 599));
    }

    private static Set<String> placeholders(Problems.Text text) {
        Set<String> found = new TreeSet<>();
        Matcher matcher = Pattern.compile("\\{[0-9]}").matcher(text.title() + text.cause() + text.remedy());
        while (matcher.find()) {
            found.add(matcher.group());
        }
        return found;
    }
}
