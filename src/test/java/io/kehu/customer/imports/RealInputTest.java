package io.kehu.customer.imports;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Published files of people, imported with the mappings that the README shows. The folder is named by the property or the
 * environment variable KEHU_DATA.
 */
class RealInputTest {
    private static final Path DATA =
            Path.of(System.getProperty("KEHU_DATA", System.getenv().getOrDefault("KEHU_DATA", "../shared/data")));
    private static TestKehu kehu;
    private static Caller operator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        operator = kehu.caller("operator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static byte[] file(String name) throws IOException {
        Path path = DATA.resolve(name);
        assumeTrue(Files.isReadable(path), () -> "skipped: " + path + " is not there; name its folder with KEHU_DATA");
        byte[] bytes = Files.readAllBytes(path);
        if (!name.endsWith(".gz")) {
            return bytes;
        }
        try (InputStream in = new GZIPInputStream(Files.newInputStream(path))) {
            return in.readAllBytes();
        }
    }

    private static Answer imported(byte[] file, String mapping) throws IOException {
        try (InputStream in = RealInputTest.class.getResourceAsStream("/import/" + mapping)) {
            String json = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            Answer end = ImportTest.ended(operator, ImportTest.begin(operator, file, json));
            assertThat(end.at("/state").asText()).as(end.text()).isEqualTo("done");
            System.out.println(mapping + ": " + end.text());
            return end;
        }
    }

    private static Map<String, Integer> codes(Answer end) {
        Map<String, Integer> codes = new TreeMap<>();
        operator.get(ImportTest.path(end) + "/errors", "Accept-Language", "en")
                .is(200)
                .text()
                .lines()
                .skip(1)
                .forEach(line -> codes.merge(line.split(",")[1] + " " + line.split(",")[2], 1, Integer::sum));
        return codes;
    }

    @Test
    void peopleOfFebrlComeInButForFalseDatesSecondHoldersOfANumberAndOneWithoutAName() throws IOException {
        byte[] file = file("febrl/dataset2.csv");
        Answer end = imported(file, "febrl.json");
        ImportTest.counts(end, "read 5000 created 4087 changed 0 unchanged 0 rejected 913");
        assertThat(codes(end))
                .isEqualTo(Map.of(
                        "\"date_of_birth\" field.date", 10,
                        "\"soc_sec_id\" customer.idTaken", 902,
                        "\"given_name+surname\" field.required", 1));
        ImportTest.counts(imported(file, "febrl.json"), "read 5000 created 0 changed 0 unchanged 4087 rejected 913");
        assertThat(operator.post("/v1/customers/search", "{\"name\": \"sarah bruhn\"}")
                        .is(200)
                        .at("/items"))
                .isNotEmpty();
    }

    @Test
    void prospectsWithoutNamesComeInByTheNumberOfTheirRow() throws IOException {
        Answer end = imported(file("uci_bank_marketing/bank-additional-train.csv.gz"), "bank-marketing.json");
        ImportTest.counts(end, "read 33100 created 33100 changed 0 unchanged 0 rejected 0");
    }
}
