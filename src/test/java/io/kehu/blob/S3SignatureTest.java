package io.kehu.blob;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** The worked examples of the Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header". */
class S3SignatureTest {
    private static final String OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    private static final S3Shelf.Options OPTIONS = new S3Shelf.Options(
            URI.create("https://s3.amazonaws.com"),
            "us-east-1",
            "examplebucket",
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            1_000,
            1_000,
            1,
            1);

    @Test
    void aRangeOfAnObjectIsSignedAsPublished() {
        assertThat(authorization("GET", "/test.txt", Map.of(), Map.of("range", "bytes=0-9"), OF_NOTHING))
                .isEqualTo("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                        + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                        + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    }

    @Test
    void anObjectThatIsPutIsSignedAsPublished() {
        String body = S3Shelf.hex("Welcome to Amazon S3.".getBytes(StandardCharsets.US_ASCII));
        Map<String, String> headers =
                Map.of("date", "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class", "REDUCED_REDUNDANCY");
        assertThat(authorization("PUT", "/test%24file.text", Map.of(), headers, body))
                .endsWith("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    }

    @Test
    void aParameterWithoutValueIsSignedAsPublished() {
        assertThat(authorization("GET", "/", Map.of("lifecycle", ""), Map.of(), OF_NOTHING))
                .endsWith("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    }

    @Test
    void severalParametersAreSignedAsPublished() {
        assertThat(authorization("GET", "/", Map.of("prefix", "J", "max-keys", "2"), Map.of(), OF_NOTHING))
                .endsWith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    }

    @Test
    void theOptionsDoNotShowTheirKeys() {
        assertThat(OPTIONS.toString()).doesNotContain("AKIA").doesNotContain("wJalr");
    }

    private static String authorization(
            String method, String path, Map<String, String> query, Map<String, String> more, String bodyHash) {
        TreeMap<String, String> headers = new TreeMap<>(more);
        headers.put("host", "examplebucket.s3.amazonaws.com");
        headers.put("x-amz-date", "20130524T000000Z");
        headers.put("x-amz-content-sha256", bodyHash);
        return S3Shelf.authorization(OPTIONS, method, path, new TreeMap<>(query), headers);
    }
}
