package io.kehu;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.conditions.ArchPredicates.are;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The boundaries of the house and its names, as the design says them. */
@AnalyzeClasses(packages = "io.kehu", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
    /** The rooms of the kernel, each of which uses only those before it. */
    private static final List<String> ROOMS = List.of(
            "bus",
            "contract",
            "crypto",
            "cache",
            "sql",
            "event",
            "audit",
            "blob",
            "job",
            "outgoing",
            "http",
            "beside",
            "kernel",
            "app");

    private static final String[] KERNEL =
            ROOMS.stream().map(room -> "io.kehu." + room + "..").toArray(String[]::new);
    /** What every request passes through: what has to be understood before anything else can be. */
    private static final List<String> WAY = List.of("bus", "contract", "sql", "event", "http", "kernel");

    private static final int MAX_WAY_FILES = 40;
    /** Without blank lines, comments and imports. */
    private static final int MAX_WAY_CODE_LINES = 5_000;

    private static final int MAX_FILE_LINES = 450;
    private static final Path MAIN = Path.of("src/main/java/io/kehu");

    private static final DescribedPredicate<JavaClass> DOMAINS = resideInAPackage("io.kehu.(*)..")
            .and(DescribedPredicate.not(resideInAnyPackage(KERNEL)))
            .as("classes of a domain");

    @ArchTest
    static final ArchRule aDomainNeverUsesAnotherDomain = slices().matching("io.kehu.(*)..")
            .should()
            .notDependOnEachOther()
            .ignoreDependency(DescribedPredicate.alwaysTrue(), resideInAnyPackage(KERNEL));

    @ArchTest
    static final ArchRule aDomainNeverUsesTheApp =
            noClasses().that(DOMAINS).should().dependOnClassesThat().resideInAPackage("io.kehu.app..");

    @ArchTest
    static final ArchRule theKernelNeverUsesADomain =
            noClasses().that().resideInAnyPackage(KERNEL).should().dependOnClassesThat(are(DOMAINS));

    @ArchTest
    static void aRoomOfTheKernelUsesOnlyThoseBeforeIt(JavaClasses classes) {
        for (int i = 0; i < ROOMS.size() - 1; i++) {
            String[] later = ROOMS.subList(i + 1, ROOMS.size()).stream()
                    .map(room -> "io.kehu." + room + "..")
                    .toArray(String[]::new);
            noClasses()
                    .that()
                    .resideInAPackage("io.kehu." + ROOMS.get(i) + "..")
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage(later)
                    .check(classes);
        }
    }

    @ArchTest
    static final ArchRule namesSayWhatAClassIs = noClasses()
            .should()
            .haveSimpleNameEndingWith("Impl")
            .orShould()
            .haveSimpleNameEndingWith("Manager")
            .orShould()
            .haveSimpleNameEndingWith("Helper")
            .orShould()
            .haveSimpleNameEndingWith("Util")
            .orShould()
            .haveSimpleNameEndingWith("Utils")
            .orShould()
            .haveSimpleNameEndingWith("Base")
            .orShould()
            .haveSimpleNameEndingWith("DTO")
            .orShould()
            .haveSimpleNameStartingWith("Abstract");

    @ArchTest
    static final ArchRule servicesAreNotSeenOutsideTheirPackage =
            classes().that(DOMAINS).and().haveNameMatching(".*Service").should().notBePublic();

    @ArchTest
    static final ArchRule servicesKnowNoHttpAndNoSqlClient = noClasses()
            .that(DOMAINS)
            .and()
            .haveSimpleNameEndingWith("Service")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.kehu.http..", "io.vertx.core.http..", "io.vertx.pgclient..");

    @ArchTest
    static final ArchRule rulesArePure = noClasses()
            .that()
            .haveSimpleNameEndingWith("Rules")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.vertx..", "io.kehu.sql..", "io.kehu.http..");

    @ArchTest
    static final ArchRule noOldDates = noClasses()
            .should()
            .dependOnClassesThat()
            .haveFullyQualifiedName("java.util.Date")
            .orShould()
            .dependOnClassesThat()
            .haveFullyQualifiedName("java.util.Calendar")
            .orShould()
            .dependOnClassesThat()
            .haveFullyQualifiedName("java.text.SimpleDateFormat");

    @ArchTest
    static final ArchRule onlyTheAppSpeaksToTheConsole = noClasses()
            .that()
            .resideOutsideOfPackage("io.kehu.app..")
            .should()
            .accessField(System.class, "out")
            .orShould()
            .accessField(System.class, "err");

    @ArchTest
    static final ArchRule nothingOutsideTheAppWaits = noClasses()
            .that()
            .resideOutsideOfPackage("io.kehu.app..")
            .should()
            .callMethod(Thread.class, "sleep", long.class)
            .orShould()
            .callMethod(java.util.concurrent.CompletableFuture.class, "get")
            .orShould()
            .callMethod(java.util.concurrent.CompletableFuture.class, "join")
            .orShould()
            .callMethod(java.util.concurrent.Future.class, "get")
            .orShould()
            .callMethod(io.vertx.core.Future.class, "await");

    private static final DescribedPredicate<JavaAccess<?>> THE_MACHINES_TIME = DescribedPredicate.describe(
            "the clock of the machine",
            access -> access.getTargetOwner().isEquivalentTo(System.class)
                            && access.getName().equals("currentTimeMillis")
                    || access.getTargetOwner().getPackageName().equals("java.time")
                            && access.getName().matches("now|system.*|tick.*"));

    /** Nothing that is decided, stored or ordered may depend on the clock of one node; each exception says why it does not. */
    @ArchTest
    static final ArchRule theMachinesClockDecidesNothing = noClasses()
            .that()
            // Until the database has been heard for the first time.
            .doNotBelongToAnyOf(
                    io.kehu.sql.Clock.class,
                    // Unique whatever the clock says; no list is ordered by ids that are made here.
                    io.kehu.bus.Ids.class)
            .and()
            // Compares it with the database's; signs requests to S3, which checks that time; ages of invented people.
            .doNotHaveFullyQualifiedName("io.kehu.app.Doctor")
            .and()
            .doNotHaveFullyQualifiedName("io.kehu.app.Options")
            .and()
            .doNotHaveFullyQualifiedName("io.kehu.customer.seed.SeedRun")
            .should()
            .accessTargetWhere(THE_MACHINES_TIME);

    private static final Pattern SQL = Pattern.compile(
            "\"\\s*(SELECT\\s+\\S+.*(FROM|\\()|INSERT INTO\\s|UPDATE\\s+\\w+\\.\\w+\\s+SET|DELETE FROM\\s|WITH\\s+\\w+\\s+AS\\s*\\()",
            Pattern.DOTALL);

    @ArchTest
    static void sqlStandsInStoresAndTheKernelOnly(JavaClasses classes) throws IOException {
        List<String> elsewhere = new ArrayList<>();
        for (Path file : sources()) {
            String name = file.getFileName().toString();
            boolean kernel = ROOMS.contains(MAIN.relativize(file).getName(0).toString());
            if (!kernel
                    && !name.endsWith("Store.java")
                    && SQL.matcher(Files.readString(file)).find()) {
                elsewhere.add(MAIN.relativize(file).toString());
            }
        }
        assertThat(elsewhere).isEmpty();
    }

    @ArchTest
    static void noFileOfTheKernelIsTooLong(JavaClasses classes) throws IOException {
        for (Path file : sources()) {
            if (ROOMS.contains(MAIN.relativize(file).getName(0).toString())) {
                assertThat(Files.readAllLines(file))
                        .as(MAIN.relativize(file).toString())
                        .hasSizeLessThanOrEqualTo(MAX_FILE_LINES);
            }
        }
    }

    @ArchTest
    static void theWayOfARequestFitsInOneHead(JavaClasses classes) throws IOException {
        List<Path> way = sources().stream()
                .filter(file -> WAY.contains(MAIN.relativize(file).getName(0).toString()))
                .toList();
        int lines = 0;
        for (Path file : way) {
            String code = Files.readString(file).replaceAll("(?s)/\\*.*?\\*/", "");
            lines += (int) code.lines()
                    .map(String::strip)
                    .filter(line -> !line.isEmpty() && !line.startsWith("//") && !line.startsWith("import "))
                    .count();
        }
        assertThat(way).hasSizeLessThanOrEqualTo(MAX_WAY_FILES);
        assertThat(lines).isBetween(1_000, MAX_WAY_CODE_LINES);
    }

    private static List<Path> sources() throws IOException {
        try (Stream<Path> files = Files.walk(MAIN)) {
            return files.filter(f -> f.toString().endsWith(".java")).toList();
        }
    }
}
