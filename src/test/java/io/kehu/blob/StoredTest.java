package io.kehu.blob;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StoredTest {
    @ParameterizedTest
    @CsvSource({
        "255044462d312e37, application/pdf",
        "89504e470d0a1a0a0000, image/png",
        "ffd8ffe000104a46, image/jpeg",
        "474946383961, image/gif",
        "52494646123456785745425056503820, image/webp",
        "52494646123456785741564556503820, application/octet-stream",
        "504b0304140000, application/zip",
        "1f8b0800, application/gzip",
        "d0cf11e0a1b11ae1, application/x-ole-storage",
        "7f454c4602010100, application/octet-stream",
    })
    void theFirstBytesTellTheType(String head, String type) {
        assertThat(Stored.contentType(HexFormat.of().parseHex(head))).isEqualTo(type);
    }

    @Test
    void officeFilesAreToldFromOtherZips() {
        assertThat(Stored.contentType(zip("[Content_Types].xml", "xl/workbook.xml")))
                .endsWith("spreadsheetml.sheet");
        assertThat(Stored.contentType(zip("_rels/.rels", "word/document.xml"))).endsWith("wordprocessingml.document");
        assertThat(Stored.contentType(zip("a/xl/readme.txt"))).isEqualTo("application/zip");
    }

    @Test
    void textIsToldByItsCharset() {
        String table = "姓名,城市\n张三,上海\n";
        assertThat(Stored.contentType(table.getBytes(StandardCharsets.UTF_8))).isEqualTo("text/csv; charset=utf-8");
        assertThat(Stored.contentType(table.getBytes(Charset.forName("GBK")))).isEqualTo("text/csv; charset=gbk");
        assertThat(Stored.contentType("只有一行字".getBytes(StandardCharsets.UTF_8))).isEqualTo("text/plain; charset=utf-8");
        assertThat(Stored.contentType("Dear all, hello.\nNo table.\n".getBytes(StandardCharsets.UTF_8)))
                .isEqualTo("text/plain; charset=utf-8");
    }

    @Test
    void aCharacterCutByTheEndOfTheHeadIsStillText() {
        byte[] head = java.util.Arrays.copyOf("户".repeat(2_000).getBytes(StandardCharsets.UTF_8), 4_096);
        assertThat(Stored.contentType(head)).isEqualTo("text/plain; charset=utf-8");
    }

    @Test
    void controlCharactersAndNothingAreNoText() {
        assertThat(Stored.contentType(new byte[] {'a', 0, 'b'})).isEqualTo("application/octet-stream");
        assertThat(Stored.contentType(new byte[0])).isEqualTo("application/octet-stream");
    }

    private static byte[] zip(String... names) {
        return ("PK\3\4" + String.join("....PK\3\4", names)).getBytes(StandardCharsets.ISO_8859_1);
    }
}
