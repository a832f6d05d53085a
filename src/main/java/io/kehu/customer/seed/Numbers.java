package io.kehu.customer.seed;

import io.kehu.customer.identity.IdentityRules;
import io.kehu.customer.identity.IdentityRules.Gender;
import io.kehu.customer.seed.Lists.Region;
import java.time.LocalDate;
import java.util.List;

/**
 * Numbers that nobody shares. Tickets, 0 to 2^28 - 1, come from a bijection of the index ({@link Dice#permuted}). The first
 * 4 % belong to organisations; the others are shared out among cells (region, age, gender) in proportion to the
 * population, and the place of a ticket in its cell is written as day of birth and sequence. Phones: the same with cells
 * for prefixes. That no cell owns more tickets than it has numbers is checked when the class loads.
 */
final class Numbers {
    /** How many tickets there are. */
    static final int CAPACITY = 1 << Dice.BITS;

    private static final int ORGANISATIONS = CAPACITY / 25;
    private static final int PERSONS = CAPACITY - ORGANISATIONS;

    static final int YOUNGEST = 18;
    static final int AGES = 78;
    /** A year of age has at least this many days; the 366th of some is left out. */
    static final int DAYS = 365;
    /** Sequences 001 to 998: 499 odd ones for men, 499 even ones for women. */
    private static final int SEQUENCES = 499;
    /** Inhabitants per year of age in units of 10,000, from 18 on by fives (census of 2020, table of ages, rounded). */
    private static final int[] PYRAMID = {
        1480, 1560, 1980, 2440, 2000, 1880, 2300, 2400, 1960, 1480, 1420, 920, 580, 380, 180, 50
    };
    /** Men among 100 people of these ages, same source. */
    private static final int[] MEN = {54, 53, 52, 51, 51, 51, 51, 50, 50, 50, 49, 48, 47, 44, 40, 36};

    private static final int[] PERSON_CELLS = personCells();

    private static final int PHONE_SUFFIXES = 100_000_000;
    /** Coprime with 10^8, so that offset times this runs through all suffixes before one comes again. */
    private static final long PHONE_STRIDE = 61_803_399L;
    /** Numbering plan of the Ministry of Industry and Information Technology: prefixes of mobile voice numbers. */
    private static final List<String> PHONE_PREFIXES = Lists.words("phones.txt", "mobile");

    private static final int[] PHONE_CELLS = phoneCells();

    /** Organisation codes since October 2015: MA and six of 31 characters; 31^6, and a stride that is coprime with it. */
    private static final long CODES = 887_503_681L;

    private static final long CODE_STRIDE = 548_507_441L;
    private static final String CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    private static final LocalDate NEW_CODES_FROM = LocalDate.of(2015, 10, 1);
    private static final int[] CODE_WEIGHTS = {3, 7, 9, 10, 5, 8, 4, 2};

    private Numbers() {}

    static boolean isOrganisation(int ticket) {
        return ticket < ORGANISATIONS;
    }

    /**
     * What the ticket of a person says.
     *
     * @param day days since the last birthday, on the reference date
     * @param sequence of the id number, odd for men
     */
    record Origin(Region region, int age, Gender gender, int day, int sequence) {
        static Origin of(int ticket) {
            int place = ticket - ORGANISATIONS;
            int cell = Lists.cell(PERSON_CELLS, place);
            int offset = place - (cell == 0 ? 0 : PERSON_CELLS[cell - 1]);
            Gender gender = cell % 2 == 0 ? Gender.MALE : Gender.FEMALE;
            return new Origin(
                    Lists.REGIONS.get(cell / (2 * AGES)),
                    cell / 2 % AGES + YOUNGEST,
                    gender,
                    offset % DAYS,
                    offset / DAYS * 2 + (gender == Gender.MALE ? 1 : 2));
        }
    }

    static String residentId(Origin origin, LocalDate birth) {
        StringBuilder id = new StringBuilder(18).append(origin.region.code()).append(birth.getYear());
        padded(id, birth.getMonthValue(), 2);
        padded(id, birth.getDayOfMonth(), 2);
        padded(id, origin.sequence, 3);
        return id.append(IdentityRules.residentCheckCharacter(id)).toString();
    }

    /** 91 (market regulation, enterprise), region, organisation code with its check character (GB 11714), check character. */
    static String creditCode(Region seat, LocalDate founded, int ticket) {
        StringBuilder body = new StringBuilder(8);
        if (founded.isBefore(NEW_CODES_FROM)) {
            padded(body, (int) (ticket * PHONE_STRIDE % PHONE_SUFFIXES), 8);
        } else {
            body.append("MA");
            long rest = ticket * CODE_STRIDE % CODES;
            for (int i = 0; i < 6; i++) {
                body.append(CODE_ALPHABET.charAt((int) (rest % 31)));
                rest /= 31;
            }
        }
        int sum = 0;
        for (int i = 0; i < 8; i++) {
            sum += Character.digit(body.charAt(i), 36) * CODE_WEIGHTS[i];
        }
        int check = (11 - sum % 11) % 11;
        StringBuilder code =
                new StringBuilder(18).append("91").append(seat.code()).append(body);
        code.append(check == 10 ? 'X' : (char) ('0' + check));
        return code.append(IdentityRules.creditCheckCharacter(code)).toString();
    }

    static String phone(int contact) {
        int cell = Lists.cell(PHONE_CELLS, contact);
        int offset = contact - (cell == 0 ? 0 : PHONE_CELLS[cell - 1]);
        StringBuilder phone = new StringBuilder(14).append("+86").append(PHONE_PREFIXES.get(cell));
        padded(phone, (int) (offset * PHONE_STRIDE % PHONE_SUFFIXES), 8);
        return phone.toString();
    }

    /** Where each cell (region, age, gender) ends in the order of tickets. */
    private static int[] personCells() {
        int[] weights = new int[Lists.REGIONS.size() * AGES * 2];
        for (int i = 0; i < weights.length; i++) {
            int group = i / 2 % AGES / 5;
            int share = i % 2 == 0 ? MEN[group] : 100 - MEN[group];
            weights[i] = Lists.REGIONS.get(i / (2 * AGES)).inhabitants() * PYRAMID[group] / 10 * share;
        }
        return cells(weights, PERSONS, DAYS * SEQUENCES);
    }

    private static int[] phoneCells() {
        int[] weights = Lists.words("phones.txt", "weights").stream()
                .mapToInt(Integer::parseInt)
                .toArray();
        if (weights.length != PHONE_PREFIXES.size()) {
            throw new IllegalStateException("phones.txt: each prefix needs one weight");
        }
        return cells(weights, CAPACITY, PHONE_SUFFIXES);
    }

    /** Shares the tickets out by weight; a cell that would get more than it has numbers is a fault of the lists. */
    private static int[] cells(int[] weights, int tickets, int most) {
        long total = 0;
        for (int weight : weights) {
            total += weight;
        }
        int[] ends = new int[weights.length];
        long sum = 0;
        for (int i = 0; i < ends.length; i++) {
            sum += weights[i];
            ends[i] = (int) (Math.multiplyExact(sum, (long) tickets) / total);
            if (ends[i] - (i == 0 ? 0 : ends[i - 1]) > most) {
                throw new IllegalStateException("cell " + i + " has too few numbers for its share");
            }
        }
        return ends;
    }

    static void padded(StringBuilder text, int number, int digits) {
        int limit = 1;
        for (int i = 1; i < digits; i++) {
            limit *= 10;
        }
        for (; limit > number && limit > 1; limit /= 10) {
            text.append('0');
        }
        text.append(number);
    }
}
