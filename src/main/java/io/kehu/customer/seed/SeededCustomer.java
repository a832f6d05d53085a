package io.kehu.customer.seed;

import io.kehu.customer.identity.IdentityRules.Gender;
import java.math.BigDecimal;
import java.time.LocalDate;
import org.jspecify.annotations.Nullable;

/**
 * One invented customer. Names of enum constants in lower case are the words of the contract.
 *
 * @param index place in the sequence, part of what decides everything else
 * @param idNumber resident id (GB 11643) of a person, unified social credit code (GB 32100) of an organisation; unique
 * @param gender persons only, as in the id number
 * @param birthDate persons only, as in the id number; 18 to 95 years before the reference date
 * @param foundedOn organisations only
 * @param phone E.164 of a mainland mobile, unique; for organisations that of the person in charge
 * @param email under the reserved domain {@code .example} (RFC 2606), so that no test mail reaches anybody; unique
 * @param regionCode where the customer lives or sits, county level of GB/T 2260 (the id number names where it was issued)
 * @param regionName province, city and county in full
 * @param occupationCode GB/T 6565, major and minor group in five digits; null for students, pensioners, organisations
 * @param industryCode section letter of GB/T 4754, organisations only
 * @param annualIncome CNY with two decimals; turnover of an organisation
 * @param assets CNY: financial assets of a person, balance sheet total of an organisation
 * @param liabilities CNY
 * @param maritalStatus persons only
 * @param customerSince null for prospects; never before the 18th birthday or the foundation
 */
public record SeededCustomer(
        long index,
        Kind kind,
        String name,
        String idNumber,
        @Nullable Gender gender,
        @Nullable LocalDate birthDate,
        @Nullable LocalDate foundedOn,
        String phone,
        @Nullable String email,
        String regionCode,
        String regionName,
        String addressLine,
        String postCode,
        @Nullable String occupationCode,
        @Nullable String industryCode,
        BigDecimal annualIncome,
        BigDecimal assets,
        BigDecimal liabilities,
        RiskTolerance riskTolerance,
        @Nullable MaritalStatus maritalStatus,
        @Nullable LocalDate customerSince,
        Lifecycle lifecycle,
        Tier tier,
        Channel preferredChannel) {
    public enum Kind {
        PERSON,
        ORGANISATION
    }

    /** Five grades of investors, from careful to bold. */
    public enum RiskTolerance {
        C1,
        C2,
        C3,
        C4,
        C5
    }

    public enum MaritalStatus {
        SINGLE,
        MARRIED,
        DIVORCED,
        WIDOWED
    }

    public enum Lifecycle {
        PROSPECT,
        NEW,
        ACTIVE,
        MATURE,
        DORMANT,
        LOST
    }

    /** Persons: mass, affluent, private. Organisations: small, medium, large. By assets, see {@link People}. */
    public enum Tier {
        MASS,
        AFFLUENT,
        PRIVATE,
        SMALL,
        MEDIUM,
        LARGE
    }

    public enum Channel {
        APP,
        WECHAT,
        SMS,
        PHONE,
        EMAIL,
        BRANCH
    }
}
