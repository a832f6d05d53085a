package io.kehu.customer.seed;

import io.kehu.customer.identity.IdentityRules.Gender;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToIntFunction;

/** The word lists (resources beside this class, each with its sources in the header), read once. */
final class Lists {
    /** How the weight falls along a list that is ordered by frequency: 1000 / (rank + this). */
    private static final int FLATNESS = 8;

    static final List<Region> REGIONS =
            lines("regions.txt").stream().map(Region::of).toList();
    static final Weighted<Region> RESIDENCES = Weighted.of(REGIONS, r -> r.inhabitants * r.pull);
    static final Weighted<Surname> SURNAMES = Weighted.of(
            lines("surnames.txt").stream()
                    .map(f -> new Surname(f[0], f[1], Integer.parseInt(f[2])))
                    .toList(),
            Surname::weight);
    static final List<GivenNames> GIVEN_NAMES = lines("given-names.txt").stream()
            .filter(f -> f.length == 7)
            .map(GivenNames::of)
            .toList();
    static final List<String> ANY_CHARACTERS = lines("given-names.txt").stream()
            .filter(f -> f.length == 2)
            .flatMap(f -> words(f[1]).stream())
            .toList();
    static final List<Occupation> OCCUPATIONS =
            lines("occupations.txt").stream().map(Occupation::of).toList();
    static final List<String> STREETS = words("addresses.txt", "street");
    static final List<String> ESTATES = words("addresses.txt", "estate");
    static final List<String> TOWERS = words("addresses.txt", "tower");
    static final List<String> BRANDS = words("companies.txt", "brand");
    static final Weighted<String[]> BUSINESSES =
            Weighted.of(fields("companies.txt", "business"), f -> Integer.parseInt(f[3]));
    static final Weighted<String[]> LEGAL_FORMS =
            Weighted.of(fields("companies.txt", "form"), f -> Integer.parseInt(f[2]));

    private Lists() {}

    record Surname(String text, String pinyin, int weight) {}

    /** A county; {@code city} is empty in the municipalities. */
    record Region(
            String code,
            String province,
            String city,
            String fullName,
            String shortCity,
            String postCode,
            int inhabitants,
            int pull,
            int incomePercent) {
        static Region of(String[] f) {
            String city = f[2].equals("-") ? "" : f[2];
            String town = city.isEmpty() ? f[1] : city;
            // Companies carry the name of their town without the class of the division.
            String shortCity = town.endsWith("自治州") ? f[3] : town;
            return new Region(
                    f[0],
                    f[1],
                    city,
                    f[1] + city + f[3],
                    shortCity.replaceAll("[市区]$|地区$", ""),
                    f[4],
                    Integer.parseInt(f[5]),
                    Integer.parseInt(f[6]),
                    Integer.parseInt(f[7]));
        }
    }

    record Occupation(String code, int weight, int incomePercent, int lowestAge, int highestAge) {
        static Occupation of(String[] f) {
            return new Occupation(
                    f[0],
                    Integer.parseInt(f[2]),
                    Integer.parseInt(f[3]),
                    Integer.parseInt(f[4]),
                    Integer.parseInt(f[5]));
        }
    }

    record GivenNames(
            Gender gender,
            int firstYear,
            int singlePercent,
            Weighted<String> favourites,
            Weighted<String> first,
            Weighted<String> last,
            Weighted<String> single) {
        static GivenNames of(String[] f) {
            return new GivenNames(
                    f[0].equals("M") ? Gender.MALE : Gender.FEMALE,
                    Integer.parseInt(f[1]),
                    Integer.parseInt(f[2]),
                    Weighted.falling(words(f[3])),
                    Weighted.falling(words(f[4])),
                    Weighted.falling(words(f[5])),
                    Weighted.falling(words(f[6])));
        }
    }

    /** Items with whole weights; a draw is one random number and a binary search. */
    static final class Weighted<T> {
        private final List<T> items;
        private final int[] ends;

        private Weighted(List<T> items, int[] ends) {
            this.items = items;
            this.ends = ends;
        }

        static <T> Weighted<T> of(List<T> items, ToIntFunction<T> weight) {
            int[] ends = new int[items.size()];
            int sum = 0;
            for (int i = 0; i < ends.length; i++) {
                sum = Math.addExact(sum, weight.applyAsInt(items.get(i)));
                ends[i] = sum;
            }
            return new Weighted<>(List.copyOf(items), ends);
        }

        static Weighted<String> falling(List<String> items) {
            int[] rank = {0};
            return of(items, item -> 1000 / (rank[0]++ + FLATNESS));
        }

        T draw(Dice dice) {
            return items.get(cell(ends, dice.below(ends[ends.length - 1])));
        }
    }

    /** The place of the first end that lies above the ticket. */
    static int cell(int[] ends, int ticket) {
        int found = Arrays.binarySearch(ends, ticket + 1);
        if (found < 0) {
            return -found - 1;
        }
        // Cells without tickets share their end with the one before, which is the one that holds the ticket.
        while (found > 0 && ends[found - 1] == ends[found]) {
            found--;
        }
        return found;
    }

    static List<String> words(String file, String... keys) {
        return fields(file, keys).stream()
                .flatMap(f -> words(f[f.length - 1]).stream())
                .toList();
    }

    private static List<String[]> fields(String file, String... keys) {
        return lines(file).stream()
                .filter(f -> f.length > keys.length && Arrays.equals(Arrays.copyOf(f, keys.length), keys))
                .toList();
    }

    private static List<String> words(String line) {
        return List.of(line.split(" "));
    }

    private static List<String[]> lines(String file) {
        try (InputStream stream = Lists.class.getResourceAsStream(file)) {
            if (stream == null) {
                throw new IllegalStateException("missing resource " + file);
            }
            BufferedReader reader = new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8));
            List<String[]> lines = new ArrayList<>();
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (!line.startsWith("#") && !line.isEmpty()) {
                    lines.add(line.split("\\|"));
                }
            }
            return lines;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
