package io.kehu.customer.export.format;

import java.util.UUID;

/** Texts within XML, and the parts that office files share (ECMA-376). */
final class Xml {
    static final String HEAD = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
    static final String RELATIONS =
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">";
    static final String OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

    private Xml() {}

    /** Escaped; what XML 1.0 cannot hold becomes U+FFFD. */
    static void text(String value, StringBuilder into) {
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            switch (c) {
                case '&' -> into.append("&amp;");
                case '<' -> into.append("&lt;");
                case '>' -> into.append("&gt;");
                case '"' -> into.append("&quot;");
                case '\r' -> into.append("&#13;");
                default -> {
                    boolean pair = Character.isHighSurrogate(c)
                            && i + 1 < value.length()
                            && Character.isLowSurrogate(value.charAt(i + 1));
                    if (pair) {
                        into.append(c).append(value.charAt(++i));
                    } else if ((c < ' ' && c != '\t' && c != '\n') || Character.isSurrogate(c) || c >= '\ufffe') {
                        into.append('\ufffd');
                    } else {
                        into.append(c);
                    }
                }
            }
        }
    }

    static String text(String value) {
        StringBuilder into = new StringBuilder(value.length() + 8);
        text(value, into);
        return into.toString();
    }

    /** {@code docProps/custom.xml} with the mark. */
    static String properties(UUID export) {
        return HEAD
                + "<Properties xmlns=\"http://schemas.openxmlformats.org/officeDocument/2006/custom-properties\""
                + " xmlns:vt=\"http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes\">"
                + "<property fmtid=\"{D5CDD505-2E9C-101B-9397-08002B2CF9AE}\" pid=\"2\" name=\"" + Mark.PROPERTY
                + "\"><vt:lpwstr>" + export + "</vt:lpwstr></property></Properties>";
    }

    /** {@code _rels/.rels}. */
    static String relations(String main) {
        return HEAD + RELATIONS + "<Relationship Id=\"r1\" Type=\"" + OFFICE + "/officeDocument\" Target=\"" + main
                + "\"/><Relationship Id=\"r2\" Type=\"" + OFFICE
                + "/custom-properties\" Target=\"docProps/custom.xml\"/></Relationships>";
    }

    /** {@code [Content_Types].xml}. */
    static String types(String... partsAndTypes) {
        StringBuilder types = new StringBuilder(HEAD)
                .append("<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">")
                .append("<Default Extension=\"rels\"")
                .append(" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>")
                .append("<Default Extension=\"xml\" ContentType=\"application/xml\"/>")
                .append("<Override PartName=\"/docProps/custom.xml\"")
                .append(" ContentType=\"application/vnd.openxmlformats-officedocument.custom-properties+xml\"/>");
        for (int i = 0; i < partsAndTypes.length; i += 2) {
            types.append("<Override PartName=\"").append(partsAndTypes[i]);
            types.append("\" ContentType=\"application/vnd.openxmlformats-officedocument.");
            types.append(partsAndTypes[i + 1]).append("+xml\"/>");
        }
        return types.append("</Types>").toString();
    }
}
