package io.kehu.customer.duplicate;

import io.kehu.customer.identity.NameTokens;
import java.time.LocalDate;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * By what two records come to be compared at all: those that share a key. Each error leaves some key alone; a key that many
 * share (a frequent name) is not looked at, others combine it with more. Texts, to be hashed under the bank's key. Pure.
 */
final class BlockKeys {
    private static final int MAX_WORDS = 4;

    private BlockKeys() {}

    /** At most some forty keys, seven of a usual person. */
    static Set<String> of(Profile of) {
        Set<String> keys = new LinkedHashSet<>();
        for (String document : of.documents()) {
            String number = Profile.number(document);
            // One slip leaves one half alone; of a resident id the first half is only the place and the decade.
            if (number.length() > 5) {
                keys.add("D" + number.substring(number.length() / 2));
                if (number.length() < 15) {
                    keys.add("d" + number.substring(0, (number.length() + 1) / 2));
                }
            }
        }
        of.phones().forEach(phone -> keys.add("P" + phone));
        of.emails().forEach(email -> keys.add("E" + email));
        address(of, keys);
        NameTokens.Parts name = of.name();
        if (name == null) {
            return keys;
        }
        boolean han = !name.characters().isEmpty();
        List<String> sounds = (han ? name.syllables() : name.words())
                .stream().limit(MAX_WORDS).toList();
        String whole = String.join("", sounds.stream().sorted().toList());
        LocalDate born = of.born();
        if (born != null) {
            keys.add("NY" + whole + born.getYear());
            keys.add("NM" + whole + born.getMonthValue() + '-' + born.getDayOfMonth());
            for (String sound : han ? List.<String>of() : sounds) {
                keys.add("B" + born + sound.charAt(0));
            }
        }
        for (String place : of.place()) {
            keys.add("NP" + whole + place);
            for (String sound : han ? List.<String>of() : sounds) {
                keys.add("WP" + sound + place);
            }
        }
        if (!han) {
            for (String word : sounds) {
                if (born != null) {
                    keys.add("W" + word + born.getYear());
                    keys.add("WD" + word + born.getMonthValue() + '-' + born.getDayOfMonth());
                }
                of.address().stream()
                        .filter(part -> part.length() > 4)
                        .limit(5)
                        .forEach(part -> keys.add("WA" + word + part));
            }
        }
        if (whole.length() > 1 && (born == null || of.place().isEmpty())) {
            keys.add("N" + whole);
        }
        return keys;
    }

    /** Where somebody lives, with the birth date or the post code: whatever the name. */
    private static void address(Profile of, Set<String> keys) {
        String longest = "";
        String number = "";
        boolean han = false;
        for (String word : of.address()) {
            han = han || Character.isIdeographic(word.codePointAt(0));
            longest = word.length() > longest.length() ? word : longest;
            // Of a Chinese address all numbers: road, house, floor, flat.
            boolean counts = Character.isDigit(word.charAt(0)) && (han || number.isEmpty());
            number = counts ? number + '/' + word : number;
        }
        if (longest.isEmpty() || (han && number.isEmpty())) {
            return;
        }
        if (of.born() != null) {
            if (!han) {
                keys.add("AB" + of.born() + longest);
            }
            keys.add("AN" + of.born() + number);
        }
        for (String place : of.place()) {
            keys.add("AP" + number + longest + place);
        }
    }
}
