package io.kehu.customer.imports.sheet;

import io.kehu.bus.Problem;
import java.io.Closeable;
import java.util.Map;
import java.util.TreeMap;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.jspecify.annotations.Nullable;

/**
 * One part of a workbook as XML, element by element. A document type is refused before anything in it is read, so there are no
 * entities to expand and none to fetch (XML 1.0, section 4); what lies between two steps of the reader is bounded.
 */
final class Xml implements Closeable {
    /** Bytes of XML that one element's tag, one piece of text or one comment may have. */
    private static final long MAX_STEP = 4 << 20;

    private static final XMLInputFactory FACTORY = factory();

    private final Zip.Unpacked bytes;
    private final XMLStreamReader reader;

    Xml(Zip.Unpacked bytes) {
        this.bytes = bytes;
        bytes.step(MAX_STEP);
        try {
            reader = FACTORY.createXMLStreamReader(bytes);
        } catch (XMLStreamException e) {
            throw failure(e);
        }
    }

    private static XMLInputFactory factory() {
        XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
        factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
        factory.setProperty(XMLInputFactory.IS_COALESCING, false);
        factory.setXMLResolver((publicId, systemId, base, namespace) -> {
            throw new XMLStreamException("nothing is fetched");
        });
        return factory;
    }

    /** Goes to the next event of {@link XMLStreamConstants}; -1 at the end. */
    int next() {
        try {
            if (!reader.hasNext()) {
                return -1;
            }
            bytes.step(MAX_STEP);
            int event = reader.next();
            if (event == XMLStreamConstants.DTD || event == XMLStreamConstants.ENTITY_REFERENCE) {
                throw Zip.unsafe("entity");
            }
            return event;
        } catch (XMLStreamException e) {
            throw failure(e);
        }
    }

    /** Goes to the next beginning of such an element, whatever its name space; false at the end. */
    boolean seek(String element) {
        for (int event = next(); event != -1; event = next()) {
            if (event == XMLStreamConstants.START_ELEMENT && name().equals(element)) {
                return true;
            }
        }
        return false;
    }

    String name() {
        return reader.getLocalName();
    }

    String text() {
        return reader.getText();
    }

    /** An attribute by its local name; for {@code r:id} that is {@code id}. */
    @Nullable
    String attribute(String name) {
        for (int i = 0; i < reader.getAttributeCount(); i++) {
            if (reader.getAttributeLocalName(i).equals(name)) {
                return reader.getAttributeValue(i);
            }
        }
        return null;
    }

    /** All attributes under their local names. */
    Map<String, String> attributes() {
        Map<String, String> all = new TreeMap<>();
        for (int i = 0; i < reader.getAttributeCount(); i++) {
            all.put(reader.getAttributeLocalName(i), reader.getAttributeValue(i));
        }
        return all;
    }

    /** Place in the file. */
    long at() {
        return bytes.at();
    }

    private static Problem failure(XMLStreamException e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof Problem problem) {
                return problem;
            }
            if (cause instanceof XMLStreamException nested && nested.getNestedException() instanceof Problem problem) {
                return problem;
            }
        }
        return Zip.damaged();
    }

    @Override
    public void close() {
        bytes.close();
    }
}
