package io.kehu.customer.filter;

import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import org.jspecify.annotations.Nullable;

/**
 * When a filter is asked, and about whom.
 *
 * @param now {@code kehu.now()}
 * @param today of then, in the bank's zone
 * @param zone of the bank
 * @param among where it is asked about some customers only, an SQL expression for the array of their ids: what stands in other
 *     tables is then looked up for them alone, not for everybody; null otherwise
 */
public record Moment(
        OffsetDateTime now,
        LocalDate today,
        ZoneId zone,
        @Nullable String among) {
    public static Moment at(OffsetDateTime now, ZoneId zone) {
        return new Moment(now, now.atZoneSameInstant(zone).toLocalDate(), zone, null);
    }

    /** The same, for these customers only; the query leaves out the others by itself. */
    public Moment among(String ids) {
        return new Moment(now, today, zone, ids);
    }
}
