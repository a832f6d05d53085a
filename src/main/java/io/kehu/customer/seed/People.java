package io.kehu.customer.seed;

import io.kehu.customer.identity.IdentityRules.Gender;
import io.kehu.customer.seed.Lists.GivenNames;
import io.kehu.customer.seed.Lists.Occupation;
import io.kehu.customer.seed.Lists.Region;
import io.kehu.customer.seed.Lists.Surname;
import io.kehu.customer.seed.Lists.Weighted;
import io.kehu.customer.seed.SeededCustomer.Channel;
import io.kehu.customer.seed.SeededCustomer.Kind;
import io.kehu.customer.seed.SeededCustomer.Lifecycle;
import io.kehu.customer.seed.SeededCustomer.MaritalStatus;
import io.kehu.customer.seed.SeededCustomer.RiskTolerance;
import io.kehu.customer.seed.SeededCustomer.Tier;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Invented customers of a Chinese bank, for demonstrations and load tests. (seed, index) decides the whole record, on
 * any machine, without the records before it; only the reference date may move the dates.
 *
 * <p>Nobody shares an id number, phone or e-mail address with another index of the same seed, by construction: see
 * {@link Numbers}.
 *
 * <p>The numbers are well formed, so one of them may by chance be somebody's: a system filled with these records must
 * not send messages.
 */
public final class People {
    /** How many indices there are. */
    public static final int CAPACITY = Numbers.CAPACITY;

    private static final int DAYS = Numbers.DAYS;
    private static final int YOUNGEST = Numbers.YOUNGEST;

    /** Lowest financial assets for private banking, CNY: the line drawn by the regulator for private-bank customers. */
    public static final int PRIVATE_ASSETS = 6_000_000;

    public static final int AFFLUENT_ASSETS = 500_000;
    /** Balance sheet totals, CNY, after the classes of enterprises by the ministries of 2011 (line of construction). */
    public static final int LARGE_ASSETS = 800_000_000;

    public static final int MEDIUM_ASSETS = 50_000_000;

    /** People of which provinces bear names of which other shape, per 1,000; rounded down, many have Han names. */
    private static final Map<String, Minority> MINORITIES = Map.of(
            "65", new Minority("uyghur", "·", 230),
            "54", new Minority("tibetan", "", 750),
            "63", new Minority("tibetan", "", 120),
            "15", new Minority("mongolian", "", 100));

    private static final List<String> RARE = Lists.words("other-names.txt", "rare", "given");
    private static final int RARE_PER_1000 = 3;

    private static final List<RiskTolerance> GRADES = List.of(RiskTolerance.values());

    private static final String[] MAIL_HOSTS = {
        "qq.example", "163.example", "126.example", "mail.example", "sina.example", "post.example"
    };

    private static final List<String> SHARED_TIBETAN = Lists.words("other-names.txt", "tibetan", "shared");

    /** Occupations that somebody of this age may have, index 0 for the youngest. */
    private static final List<Weighted<Occupation>> BY_AGE = IntStream.range(YOUNGEST, YOUNGEST + Numbers.AGES)
            .mapToObj(age -> Weighted.of(
                    Lists.OCCUPATIONS.stream()
                            .filter(o -> o.lowestAge() <= age
                                    && (age <= o.highestAge() || o.code().startsWith("5")))
                            .toList(),
                    Occupation::weight))
            .toList();

    private final LocalDate reference;

    private People(LocalDate reference) {
        this.reference = reference;
    }

    /** The population as it is on this day: ages, dates and lifecycles are counted from it. */
    public static People asOf(LocalDate reference) {
        return new People(reference);
    }

    /**
     * The customer with this index.
     *
     * @param index 0 to {@link #CAPACITY} - 1
     * @throws IndexOutOfBoundsException beyond
     */
    public SeededCustomer at(long seed, long index) {
        int place = (int) Objects.checkIndex(index, (long) CAPACITY);
        int ticket = Dice.permuted(seed, place);
        // Another bijection, so that neighbours in the space of id numbers are no neighbours in that of phones.
        int contact = Dice.permuted(~seed, place);
        Dice dice = new Dice(seed, index);
        return Numbers.isOrganisation(ticket)
                ? organisation(index, ticket, contact, dice)
                : person(index, Numbers.Origin.of(ticket), contact, dice);
    }

    private SeededCustomer person(long index, Numbers.Origin origin, int contact, Dice dice) {
        int age = origin.age();
        Gender gender = origin.gender();
        LocalDate birth = reference.minusYears(age).minusDays(origin.day());

        Surname surname = Lists.SURNAMES.draw(dice);
        Region home = dice.percent(age < 60 ? 68 : 88) ? origin.region() : Lists.RESIDENCES.draw(dice);
        Occupation occupation = occupation(age, gender, dice);
        double income = income(age, home, occupation, dice);
        double assets = income
                * (0.25 + 0.045 * (Math.min(age, 65) - YOUNGEST))
                * StrictMath.exp(1.0 * dice.normal())
                * (dice.percent(2) ? pareto(dice) : 1);
        LocalDate adult = birth.plusYears(YOUNGEST);
        int longest = (int) Math.min(ChronoUnit.DAYS.between(adult, reference), 25 * DAYS);
        Lifecycle lifecycle = lifecycle(longest, dice);
        String email = email(surname.pinyin(), age, contact, dice);
        return new SeededCustomer(
                index,
                Kind.PERSON,
                name(surname, gender, birth.getYear(), origin.region(), dice),
                Numbers.residentId(origin, birth),
                gender,
                birth,
                null,
                Numbers.phone(contact),
                email,
                home.code(),
                home.fullName(),
                homeAddress(dice),
                home.postCode(),
                occupation == null ? null : occupation.code(),
                null,
                cny(income),
                cny(assets),
                cny(debts(age, income, dice)),
                riskTolerance(age, assets, dice),
                maritalStatus(age, gender, dice),
                since(lifecycle, longest, dice),
                lifecycle,
                assets >= PRIVATE_ASSETS ? Tier.PRIVATE : assets >= AFFLUENT_ASSETS ? Tier.AFFLUENT : Tier.MASS,
                channel(age, email != null, dice));
    }

    private SeededCustomer organisation(long index, int ticket, int contact, Dice dice) {
        Region seat = Lists.RESIDENCES.draw(dice);
        // Younger companies are more frequent: the square of a uniform number.
        double youth = dice.unit();
        int ageInDays = 60 + (int) (youth * youth * 30 * DAYS);
        LocalDate founded = reference.minusDays(ageInDays);
        String[] business = Lists.BUSINESSES.draw(dice);
        double turnover = 2_500_000.0 * seat.incomePercent() / 100 * StrictMath.exp(1.9 * dice.normal());
        double assets = turnover * StrictMath.exp(0.6 * dice.normal() - 0.1);
        Lifecycle lifecycle = lifecycle(Math.min(ageInDays, 25 * DAYS), dice);
        String email = dice.percent(85)
                ? "office." + Integer.toString(contact, 36) + "@" + MAIL_HOSTS[dice.below(MAIL_HOSTS.length)]
                : null;
        return new SeededCustomer(
                index,
                Kind.ORGANISATION,
                companyName(seat, business[1], dice),
                Numbers.creditCode(seat, founded, ticket),
                null,
                null,
                founded,
                Numbers.phone(contact),
                email,
                seat.code(),
                seat.fullName(),
                officeAddress(dice),
                seat.postCode(),
                null,
                business[2],
                cny(turnover),
                cny(assets),
                cny(assets * (0.15 + 0.7 * dice.unit())),
                GRADES.get(dice.between(0, 3)),
                null,
                since(lifecycle, Math.min(ageInDays, 25 * DAYS), dice),
                lifecycle,
                assets >= LARGE_ASSETS ? Tier.LARGE : assets >= MEDIUM_ASSETS ? Tier.MEDIUM : Tier.SMALL,
                email != null && dice.percent(40) ? Channel.EMAIL : dice.percent(60) ? Channel.PHONE : Channel.BRANCH);
    }

    private static @Nullable String email(String pinyin, int age, int contact, Dice dice) {
        if (!dice.percent(age < 45 ? 72 : age < 60 ? 48 : 18)) {
            return null;
        }
        // The part behind the dot is as unique as the ticket it writes.
        return pinyin + "." + Integer.toString(contact, 36) + "@" + MAIL_HOSTS[dice.below(MAIL_HOSTS.length)];
    }

    private static String name(Surname surname, Gender gender, int born, Region origin, Dice dice) {
        Minority minority = MINORITIES.get(origin.code().substring(0, 2));
        if (minority != null && dice.below(1000) < minority.per1000) {
            return minority.name(gender, dice);
        }
        GivenNames names = givenNames(gender, born);
        if (dice.below(1000) < RARE_PER_1000) {
            String rare = RARE.get(dice.below(RARE.size()));
            return surname.text() + (dice.percent(50) ? rare : names.first().draw(dice) + rare);
        }
        int shape = dice.below(100);
        if (shape < names.singlePercent()) {
            return surname.text() + character(names.single(), dice);
        }
        if (shape < names.singlePercent() + 8) {
            return surname.text() + names.favourites().draw(dice);
        }
        return surname.text() + character(names.first(), dice) + character(names.last(), dice);
    }

    private static String character(Weighted<String> usual, Dice dice) {
        return dice.percent(12) ? Lists.ANY_CHARACTERS.get(dice.below(Lists.ANY_CHARACTERS.size())) : usual.draw(dice);
    }

    private static GivenNames givenNames(Gender gender, int born) {
        GivenNames latest = Lists.GIVEN_NAMES.get(0);
        for (GivenNames names : Lists.GIVEN_NAMES) {
            if (names.gender() == gender && names.firstYear() <= born) {
                latest = names;
            }
        }
        return latest;
    }

    private static String companyName(Region seat, String business, Dice dice) {
        StringBuilder trade = new StringBuilder();
        for (int i = dice.percent(25) ? 3 : 2; i > 0; i--) {
            trade.append(Lists.BRANDS.get(dice.below(Lists.BRANDS.size())));
        }
        String form = Lists.LEGAL_FORMS.draw(dice)[1];
        return dice.percent(88)
                ? seat.shortCity() + trade + business + form
                : trade + "（" + seat.shortCity() + "）" + business + form;
    }

    private static String homeAddress(Dice dice) {
        StringBuilder line = new StringBuilder(32)
                .append(Lists.STREETS.get(dice.below(Lists.STREETS.size())))
                .append(dice.between(1, 699))
                .append('号')
                .append(Lists.ESTATES.get(dice.below(Lists.ESTATES.size())))
                .append(dice.between(1, 32))
                .append('栋')
                .append(dice.between(1, 4))
                .append("单元")
                .append(dice.between(1, 28));
        Numbers.padded(line, dice.between(1, 4), 2);
        return line.append('室').toString();
    }

    private static String officeAddress(Dice dice) {
        StringBuilder line = new StringBuilder(32)
                .append(Lists.STREETS.get(dice.below(Lists.STREETS.size())))
                .append(dice.between(1, 999))
                .append('号')
                .append(Lists.TOWERS.get(dice.below(Lists.TOWERS.size())))
                .append(dice.between(1, 9))
                .append('栋')
                .append(dice.between(1, 33));
        Numbers.padded(line, dice.between(1, 20), 2);
        return line.append('室').toString();
    }

    /** Null for students and pensioners; statutory retirement was at 60 for men and 55 or 50 for women until 2025. */
    private static @Nullable Occupation occupation(int age, Gender gender, Dice dice) {
        int working = age < 20 ? 35 : age < 23 ? 62 : age < (gender == Gender.MALE ? 60 : 54) ? 94 : age < 70 ? 18 : 3;
        if (!dice.percent(working)) {
            return null;
        }
        return BY_AGE.get(age - YOUNGEST).draw(dice);
    }

    /** Log-normal around a median for region, occupation and age; CNY a year. */
    private static double income(int age, Region home, @Nullable Occupation occupation, Dice dice) {
        double base = occupation == null
                ? (age < 30 ? 9_000 : age < 50 ? 18_000 : 40_000)
                : 720.0 * occupation.incomePercent();
        int seniority = occupation == null ? 100 : age < 25 ? 68 : age < 30 ? 90 : age < 50 ? 112 : age < 65 ? 100 : 65;
        return base * seniority / 100 * home.incomePercent() / 100 * StrictMath.exp(0.45 * dice.normal());
    }

    /** A mortgage for some, card debts for others. */
    private static double debts(int age, double income, Dice dice) {
        int mortgage = age < 24 ? 4 : age < 30 ? 25 : age < 48 ? 42 : age < 60 ? 18 : 2;
        if (dice.percent(mortgage)) {
            return income * StrictMath.exp(1.3 + 0.5 * dice.normal());
        }
        return dice.percent(age < 60 ? 38 : 8) ? income * 0.12 * StrictMath.exp(0.8 * dice.normal()) : 0;
    }

    /** Pareto with exponent 1.2, cut at 2,000: the tail that log-normal fortunes lack. */
    private static double pareto(Dice dice) {
        return Math.min(2_000, StrictMath.pow(dice.unit(), -1 / 1.2) * 2);
    }

    private static RiskTolerance riskTolerance(int age, double assets, Dice dice) {
        int grade = dice.between(0, 2) + dice.between(0, 2);
        grade += age < 40 ? 0 : age < 60 ? -dice.below(2) : -dice.between(1, 2);
        grade += assets >= AFFLUENT_ASSETS ? dice.below(2) : 0;
        return GRADES.get(Math.max(0, Math.min(4, grade)));
    }

    /** Shares by age after the census of 2020. */
    private static MaritalStatus maritalStatus(int age, Gender gender, Dice dice) {
        boolean woman = gender == Gender.FEMALE;
        int single = age < 20 ? 99 : age < 25 ? (woman ? 80 : 92) : age < 30 ? (woman ? 33 : 53) : age < 35 ? 15 : 4;
        int widowed = age < 50 ? 0 : age < 65 ? (woman ? 7 : 3) : age < 80 ? (woman ? 33 : 14) : woman ? 70 : 38;
        int divorced = age < 25 ? 0 : age < 60 ? 4 : 2;
        int draw = dice.below(100);
        return draw < single
                ? MaritalStatus.SINGLE
                : draw < single + widowed
                        ? MaritalStatus.WIDOWED
                        : draw < single + widowed + divorced ? MaritalStatus.DIVORCED : MaritalStatus.MARRIED;
    }

    /** New within the last year, mature after six; who could not have been here for long enough is new or active. */
    private static Lifecycle lifecycle(int longestDays, Dice dice) {
        int draw = dice.below(100);
        if (draw < 8) {
            return Lifecycle.PROSPECT;
        }
        if (draw < 15 || longestDays <= 2 * DAYS) {
            return Lifecycle.NEW;
        }
        if (draw < 55) {
            return Lifecycle.ACTIVE;
        }
        if (draw < 80) {
            return longestDays > 7 * DAYS ? Lifecycle.MATURE : Lifecycle.ACTIVE;
        }
        return draw < 94 ? Lifecycle.DORMANT : Lifecycle.LOST;
    }

    private @Nullable LocalDate since(Lifecycle lifecycle, int longestDays, Dice dice) {
        int days = switch (lifecycle) {
            case PROSPECT -> -1;
            case NEW -> dice.between(0, Math.min(DAYS - 1, longestDays));
            case ACTIVE -> dice.between(DAYS, Math.min(6 * DAYS, longestDays));
            case MATURE -> dice.between(6 * DAYS + 1, longestDays);
            case DORMANT, LOST -> dice.between(DAYS, longestDays);
        };
        return days < 0 ? null : reference.minusDays(days);
    }

    private static Channel channel(int age, boolean mail, Dice dice) {
        int draw = dice.below(100);
        int apps = age < 40 ? 60 : age < 60 ? 42 : age < 70 ? 20 : 6;
        int chats = age < 60 ? 22 : 18;
        if (draw < apps) {
            return Channel.APP;
        }
        if (draw < apps + chats) {
            return Channel.WECHAT;
        }
        if (age < 60) {
            return mail && draw >= 95 ? Channel.EMAIL : draw % 2 == 0 ? Channel.SMS : Channel.PHONE;
        }
        return draw % 5 < 3 ? Channel.BRANCH : Channel.PHONE;
    }

    private static BigDecimal cny(double amount) {
        return BigDecimal.valueOf((long) (amount * 100 + 0.5), 2);
    }

    /** How the people of one nationality are named. */
    private record Minority(String list, String link, int per1000, List<String> men, List<String> women) {
        Minority(String list, String link, int per1000) {
            this(
                    list,
                    link,
                    per1000,
                    Lists.words("other-names.txt", list, "M"),
                    Lists.words("other-names.txt", list, "F"));
        }

        /** Uyghurs: own name, dot, father's name. Tibetans: two words. Mongols: one word. */
        String name(Gender gender, Dice dice) {
            List<String> own = gender == Gender.MALE ? men : women;
            String first = own.get(dice.below(own.size()));
            return switch (list) {
                case "uyghur" -> first + link + men.get(dice.below(men.size()));
                case "tibetan" -> SHARED_TIBETAN.get(dice.below(SHARED_TIBETAN.size())) + first;
                default -> first;
            };
        }
    }
}
