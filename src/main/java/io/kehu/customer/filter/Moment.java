package io.kehu.customer.filter;

import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;

/**
 * When a filter is asked.
 *
 * @param now {@code kehu.now()}
 * @param today of then, in the bank's zone
 */
public record Moment(OffsetDateTime now, LocalDate today) {
    public static Moment at(OffsetDateTime now, ZoneId zone) {
        return new Moment(now, now.atZoneSameInstant(zone).toLocalDate());
    }
}
