package io.kehu.customer.filter;

import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;

/**
 * When a filter is asked.
 *
 * @param now {@code kehu.now()}
 * @param today of then, in the bank's zone
 * @param zone of the bank
 */
public record Moment(OffsetDateTime now, LocalDate today, ZoneId zone) {
    public static Moment at(OffsetDateTime now, ZoneId zone) {
        return new Moment(now, now.atZoneSameInstant(zone).toLocalDate(), zone);
    }
}
