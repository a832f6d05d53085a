package io.kehu.customer.identity;

import com.ibm.icu.text.Normalizer2;
import com.ibm.icu.text.Transliterator;
import io.kehu.crypto.KeyStore;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Predicate;
import javax.crypto.Mac;
import org.jspecify.annotations.Nullable;

/**
 * Makes encrypted names searchable: each part of a name by which it may be looked for becomes the first 32 bits of
 * HMAC-SHA256(key, kind | part), stored as {@code int4[]} under a GIN index. Without the key the numbers say nothing
 * about a name but which names share a part. Hits are candidates: decrypt them and ask {@link #matches}.
 *
 * <p>Tokens of a name, at most {@value #TOKENS_MAX}; 张三丰 has 14:
 * <ul>
 *   <li>the whole name;
 *   <li>each Chinese character and each adjacent pair (of the first {@value #CHARACTERS_MAX});
 *   <li>of the first {@value #SYLLABLES_MAX} characters the pinyin: joined, each syllable, each adjacent pair of
 *       syllables, and the beginnings of the initials, 2 to {@value #PREFIX_MAX} letters;
 *   <li>of the first {@value #WORDS_MAX} words in other scripts the beginnings of 2 to {@value #PREFIX_MAX} letters.
 * </ul>
 * Readings are those of ICU's Han-Latin transform: one for each character (乐 is le, 行 is xing), and for the surnames
 * listed here also the reading as a surname (单 dan and shan). ü is found as v, u and yu. A character without a known
 * reading (𠮷) is skipped in the pinyin forms. Spaces, middle dots and punctuation inside a name do not count.
 */
public final class NameTokens {
    static final int TOKENS_MAX = 256;
    static final int CHARACTERS_MAX = 64;
    static final int SYLLABLES_MAX = 16;
    static final int WORDS_MAX = 8;
    static final int PREFIX_MAX = 8;
    private static final int ALTERNATIVES_MAX = 8;
    private static final int TEXT_MAX = 256; // UTF-16 units; what is longer is cut, the contract allows less
    private static final int CACHE_SLOTS = 1 << 17;
    private static final Normalizer2 FOLD = Normalizer2.getNFKCCasefoldInstance();
    private static final Transliterator PINYIN = Transliterator.getInstance("Han-Latin");
    /** Syllables by character, filled as characters appear: ICU needs 14 µs for one. Empty text: no reading. */
    private static final Map<Integer, String> SYLLABLES = new ConcurrentHashMap<>();

    private static final int SYLLABLES_KEPT_MAX = 50_000;
    /** Readings by surname, separated by a space. */
    private static final Map<String, String> SURNAMES = new HashMap<>();
    /** The syllables of Mandarin, to cut typed pinyin. */
    private static final Set<String> MANDARIN = new HashSet<>();

    static {
        try (InputStream in = Objects.requireNonNull(NameTokens.class.getResourceAsStream("pinyin.txt"))) {
            new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .filter(line -> !line.isBlank() && !line.startsWith("#"))
                    .map(line -> line.split(" ", 3))
                    .forEach(NameTokens::learn);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void learn(String[] words) {
        if (words[0].equals("surname")) {
            SURNAMES.put(words[1], words[2]);
        } else {
            for (String end : words[2].split(" ")) {
                MANDARIN.add(words[1].equals("-") ? end : words[1] + end);
            }
        }
    }

    private static final char WHOLE = 'W';
    private static final char CHARACTER = 'C';
    private static final char PAIR = 'P';
    private static final char JOINED = 'J';
    private static final char SYLLABLE = 'S';
    private static final char SYLLABLE_PAIR = 'D';
    private static final char INITIALS = 'I';
    private static final char WORD = 'L';

    private final ThreadLocal<Mac> macs;
    /** Tokens made before, each in the one slot its hash gives: bounded, without locks, the newer one wins. */
    private final AtomicReferenceArray<@Nullable Known> known = new AtomicReferenceArray<>(CACHE_SLOTS);

    private record Known(char kind, String part, int token) {}

    /** Tokens with the current key; after a rotation a second object fills the second column. */
    public NameTokens(KeyStore store) {
        this(store, store.current(KeyStore.Kind.TOKENS));
    }

    /** Tokens with a given key; IllegalArgumentException when there is none of that version. */
    public NameTokens(KeyStore store, int version) {
        this.macs = ThreadLocal.withInitial(() -> store.mac(KeyStore.Kind.TOKENS, version));
        macs.get(); // a missing key shows here and not at the first name
    }

    // ---- storing

    /** The distinct tokens to store beside a name. */
    public int[] of(String name) {
        Text text = Text.of(name);
        if (text.whole.isEmpty()) {
            return new int[0];
        }
        Set<Integer> tokens = new LinkedHashSet<>(32);
        add(tokens, WHOLE, text.whole);
        for (String run : text.runs) {
            addPairs(CHARACTER, PAIR, characters(run), CHARACTERS_MAX, tokens);
        }
        for (List<String> syllables : readings(text)) {
            addPairs(SYLLABLE, SYLLABLE_PAIR, syllables, SYLLABLES_MAX, tokens);
            add(tokens, JOINED, String.join("", syllables));
            String initials = initials(syllables);
            for (int end = 2; end <= Math.min(PREFIX_MAX, initials.length()); end++) {
                add(tokens, INITIALS, initials.substring(0, end));
            }
        }
        for (String word : text.words.subList(0, Math.min(WORDS_MAX, text.words.size()))) {
            int length = word.codePointCount(0, word.length());
            for (int end = Math.min(2, length); end <= Math.min(PREFIX_MAX, length); end++) {
                add(tokens, WORD, word.substring(0, word.offsetByCodePoints(0, end)));
            }
        }
        return array(tokens);
    }

    private void addPairs(char one, char two, List<String> parts, int max, Set<Integer> tokens) {
        for (int i = 0; i < Math.min(max, parts.size()); i++) {
            add(tokens, one, parts.get(i));
            if (i > 0) {
                add(tokens, two, parts.get(i - 1) + parts.get(i));
            }
        }
    }

    // ---- searching

    /** The token of exactly this name. */
    public int exact(String name) {
        return token(WHOLE, Text.of(name).whole);
    }

    /**
     * What to look for: a name qualifies when it has all tokens of any one alternative ({@code tokens @> a or tokens @>
     * b}), the most selective first. Chinese text means a part of the name. Latin letters may be a word, pinyin or
     * initials. Empty when the text holds nothing to look for, or is a single letter that begins no promised form.
     */
    public List<int[]> query(String text) {
        Text wanted = Text.of(text);
        List<int[]> alternatives = new ArrayList<>();
        if (wanted.whole.isEmpty()) {
            return alternatives;
        }
        Set<Integer> literal = new LinkedHashSet<>();
        for (String run : wanted.runs) {
            List<String> characters = characters(run);
            if (characters.size() == 1) {
                add(literal, CHARACTER, run);
            }
            for (int i = 1; i < Math.min(CHARACTERS_MAX, characters.size()); i++) {
                add(literal, PAIR, characters.get(i - 1) + characters.get(i));
            }
        }
        for (String word : wanted.words.subList(0, Math.min(WORDS_MAX, wanted.words.size()))) {
            add(literal, WORD, beginning(word));
        }
        if (wanted.runs.isEmpty() && wanted.isAscii()) {
            String letters = wanted.whole;
            alternatives.add(new int[] {token(JOINED, letters)});
            for (List<String> syllables : syllables(wanted)) {
                Set<Integer> pinyin = new LinkedHashSet<>();
                if (syllables.size() == 1) {
                    add(pinyin, SYLLABLE, syllables.get(0));
                }
                for (int i = 1; i < syllables.size(); i++) {
                    add(pinyin, SYLLABLE_PAIR, syllables.get(i - 1) + syllables.get(i));
                }
                alternatives.add(array(pinyin));
            }
            if (letters.length() >= 2) {
                alternatives.add(new int[] {token(INITIALS, beginning(letters))});
            }
        }
        alternatives.add(array(literal));
        return alternatives;
    }

    /**
     * What a name is made of, normalised, to be held against another name.
     *
     * @param words in scripts with spaces
     * @param characters Chinese ones
     * @param syllables their usual reading; a character without a known one has none
     */
    public record Parts(List<String> words, List<String> characters, List<String> syllables) {}

    public static Parts parts(String name) {
        Text text = Text.of(name);
        List<List<String>> readings = readings(text);
        return new Parts(
                List.copyOf(text.words),
                characters(String.join("", text.runs)),
                readings.isEmpty() ? List.of() : List.copyOf(readings.get(0)));
    }

    /** Whether a decrypted name is meant by the search text, by the same rules but exactly. */
    public static boolean matches(String name, String query) {
        return matching(query).test(name);
    }

    /** The same for many names: the search text is read once. */
    public static Predicate<String> matching(String query) {
        Text wanted = Text.of(query);
        if (wanted.whole.isEmpty()) {
            return name -> false;
        }
        if (!wanted.runs.isEmpty()) {
            return name -> Text.whole(name).contains(wanted.whole);
        }
        List<List<String>> parts = wanted.isAscii() ? syllables(wanted) : List.of();
        return name -> matches(Text.of(name), wanted, parts);
    }

    /** @param parts the ways to cut the search text into syllables */
    private static boolean matches(Text have, Text wanted, List<List<String>> parts) {
        if (wanted.words.stream()
                .allMatch(word -> have.words.stream()
                        .anyMatch(known -> word.codePointCount(0, word.length()) == 1
                                ? known.equals(word)
                                : known.startsWith(word)))) {
            return true;
        }
        if (!wanted.isAscii()) {
            return false;
        }
        String letters = wanted.whole;
        for (List<String> syllables : readings(have)) {
            if ((letters.length() >= 2 && initials(syllables).startsWith(letters))
                    || String.join("", syllables).equals(letters)
                    || parts.stream().anyMatch(part -> Collections.indexOfSubList(syllables, part) >= 0)) {
                return true;
            }
        }
        return false;
    }

    private static String beginning(String word) {
        int length = word.codePointCount(0, word.length());
        return word.substring(0, word.offsetByCodePoints(0, Math.min(PREFIX_MAX, length)));
    }

    // ---- text

    /**
     * A name or search text, normalised (NFKC, case-folded, Latin without accents).
     *
     * @param whole everything that counts, without spaces, dots and punctuation
     * @param runs the Chinese parts, as they stand between words
     * @param words the other parts
     */
    private record Text(String whole, List<String> runs, List<String> words) {
        static Text of(String raw) {
            String cut = raw.length() <= TEXT_MAX ? raw : raw.substring(0, TEXT_MAX);
            String folded = plain(cut) ? cut : Normalizer.normalize(FOLD.normalize(cut), Normalizer.Form.NFKD);
            StringBuilder whole = new StringBuilder(folded.length());
            List<String> runs = new ArrayList<>(2);
            List<String> words = new ArrayList<>(2);
            StringBuilder run = new StringBuilder();
            StringBuilder word = new StringBuilder();
            for (int i = 0; i < folded.length(); ) {
                int c = folded.codePointAt(i);
                i += Character.charCount(c);
                if (isCharacter(c)) {
                    flush(word, words);
                    run.appendCodePoint(c);
                    whole.appendCodePoint(c);
                } else if (Character.isLetterOrDigit(c)) {
                    flush(run, runs);
                    word.appendCodePoint(c);
                    whole.appendCodePoint(c);
                } else if (Character.getType(c) != Character.NON_SPACING_MARK && c != '\'' && c != '\u2019') {
                    flush(word, words); // O'Brien is one word; a space or dot ends a word but not a Chinese run
                }
            }
            flush(word, words);
            flush(run, runs);
            return new Text(whole.toString(), runs, words);
        }

        /** Only what counts of a text. */
        static String whole(String raw) {
            return raw.length() <= TEXT_MAX && plain(raw) ? raw : of(raw).whole;
        }

        private static void flush(StringBuilder part, List<String> parts) {
            if (part.length() > 0) {
                parts.add(part.toString());
                part.setLength(0);
            }
        }

        /** Nothing to normalise: only common Chinese characters, the usual case. */
        private static boolean plain(String text) {
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                if (c < 0x4E00 || c > 0x9FFF) {
                    return false;
                }
            }
            return true;
        }

        boolean isAscii() {
            return whole.chars().allMatch(c -> c < 128);
        }
    }

    /** What is written without spaces: Han, also where Unicode is newer than the JDK and in private use, and kana. */
    private static boolean isCharacter(int c) {
        return (c >= 0x3400 && c <= 0x9FFF)
                || (c >= 0x20000 && c <= 0x3FFFF)
                || (c >= 0x3005 && c <= 0x3007)
                || (c >= 0x3041 && c <= 0x30FF && c != 0x30FB) // that one is a middle dot
                || (c >= 0xE000 && c <= 0xF8FF)
                || c >= 0xF0000;
    }

    private static List<String> characters(String run) {
        List<String> characters = new ArrayList<>(run.length());
        for (int i = 0; i < run.length(); ) {
            int end = run.offsetByCodePoints(i, 1);
            characters.add(run.substring(i, end));
            i = end;
        }
        return characters;
    }

    // ---- pinyin

    /** The ways to read the Chinese part of a name: at least the usual one; none where there is nothing to read. */
    private static List<List<String>> readings(Text text) {
        if (text.runs.isEmpty()) {
            return List.of();
        }
        String han = text.runs.size() == 1 ? text.runs.get(0) : String.join("", text.runs);
        List<String> characters = characters(han);
        List<List<String>> readings = new ArrayList<>(1);
        List<String> usual = new ArrayList<>(characters.size());
        for (String character : characters.subList(0, Math.min(SYLLABLES_MAX, characters.size()))) {
            String syllable = syllable(character.codePointAt(0));
            if (!syllable.isEmpty()) {
                usual.add(syllable);
            }
        }
        if (usual.isEmpty()) {
            return List.of();
        }
        readings.add(usual);
        for (int length = Math.min(2, characters.size()); length > 0; length--) {
            String surname = SURNAMES.get(String.join("", characters.subList(0, length)));
            if (surname != null && usual.size() >= length) {
                List<String> other = new ArrayList<>(List.of(surname.split(" ")));
                other.addAll(usual.subList(length, usual.size()));
                if (!readings.contains(other)) {
                    readings.add(other);
                }
            }
        }
        // ü is typed as v, printed as u by those who drop the dots, and as yu in passports.
        for (List<String> reading : List.copyOf(readings)) {
            for (String other : List.of("u", "yu")) {
                List<String> spelled = new ArrayList<>(reading);
                spelled.replaceAll(syllable -> syllable.replace("v", other));
                if (!readings.contains(spelled)) {
                    readings.add(spelled);
                }
            }
        }
        return readings;
    }

    private static String syllable(int c) {
        String known = SYLLABLES.get(c);
        if (known == null) {
            known = read(c);
            if (SYLLABLES.size() < SYLLABLES_KEPT_MAX) {
                SYLLABLES.put(c, known);
            }
        }
        return known;
    }

    private static String read(int c) {
        String read = PINYIN.transliterate(Character.toString(c));
        String letters = Normalizer.normalize(read, Normalizer.Form.NFD)
                .replace("u\u0308", "v")
                .replaceAll("\\p{M}", "");
        return letters.matches("[a-z]{1,6}") ? letters : "";
    }

    private static String initials(List<String> syllables) {
        StringBuilder initials = new StringBuilder(syllables.size());
        syllables.forEach(syllable -> initials.append(syllable.charAt(0)));
        return initials.toString();
    }

    /** The ways to cut Latin letters into syllables, never across a space: xian is one or two. */
    private static List<List<String>> syllables(Text text) {
        List<List<String>> ways = List.of(List.of());
        for (String word : text.words) {
            int[] least = leastSyllables(word);
            List<List<String>> next = new ArrayList<>();
            for (List<String> way : ways) {
                cut(word, 0, least, way, next);
            }
            ways = next;
        }
        return ways;
    }

    /** How many syllables it takes at least from each position to the end, so that no dead end is walked into. */
    private static int[] leastSyllables(String word) {
        int[] least = new int[word.length() + 1];
        for (int from = word.length() - 1; from >= 0; from--) {
            least[from] = SYLLABLES_MAX + 1;
            for (int end = from + 1; end <= Math.min(word.length(), from + 6); end++) {
                if (least[end] < least[from] && MANDARIN.contains(word.substring(from, end))) {
                    least[from] = least[end] + 1;
                }
            }
        }
        return least;
    }

    private static void cut(String word, int from, int[] least, List<String> before, List<List<String>> ways) {
        if (ways.size() >= ALTERNATIVES_MAX || before.size() + least[from] > SYLLABLES_MAX) {
            return;
        }
        if (from == word.length()) {
            ways.add(before);
            return;
        }
        for (int end = Math.min(word.length(), from + 6); end > from; end--) {
            if (MANDARIN.contains(word.substring(from, end))) {
                List<String> longer = new ArrayList<>(before);
                longer.add(word.substring(from, end));
                cut(word, end, least, longer, ways);
            }
        }
    }

    // ---- tokens

    private void add(Set<Integer> tokens, char kind, String part) {
        if (tokens.size() < TOKENS_MAX) {
            tokens.add(token(kind, part));
        }
    }

    private static int[] array(Set<Integer> tokens) {
        return tokens.stream().mapToInt(Integer::intValue).toArray();
    }

    private int token(char kind, String part) {
        int hash = part.hashCode() * 31 + kind;
        int slot = (hash ^ (hash >>> 15)) & (CACHE_SLOTS - 1);
        Known cached = known.get(slot);
        if (cached != null && cached.kind == kind && cached.part.equals(part)) {
            return cached.token;
        }
        byte[] text = (kind + "|" + part).getBytes(StandardCharsets.UTF_8);
        int token = ByteBuffer.wrap(macs.get().doFinal(text)).getInt();
        if (kind != WHOLE && kind != JOINED) { // seldom seen again, would only push out parts
            known.set(slot, new Known(kind, part, token));
        }
        return token;
    }
}
