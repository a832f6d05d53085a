package io.kehu.customer.statistics;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.customer.statistics.StatisticsStore.Count;
import io.kehu.customer.statistics.StatisticsStore.Counts;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Clock;
import io.vertx.core.Future;
import java.io.IOException;
import java.time.ZoneId;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The rules of who is told which numbers. */
final class StatisticsService {
    private static final Logger LOG = LoggerFactory.getLogger(StatisticsService.class);
    private static final String FINANCE = "customer:finance";

    private final StatisticsStore store;
    private final Clock clock;
    private final ZoneId zone;

    StatisticsService(StatisticsStore store, Clock clock, ZoneId zone) {
        this.store = store;
        this.clock = clock;
        this.zone = zone;
    }

    /** Makes the numbers of branches anew where customers have changed, until the node stops. */
    void keep(Kernel kernel, int pollMillis) {
        kernel.every(pollMillis, () -> store.keep(now()), failure -> {
            if (Problem.in(failure) == null) {
                LOG.warn("the numbers of branches are made later", failure);
            }
        });
    }

    private Moment now() {
        return Moment.at(clock.now(), zone);
    }

    /** All customers in the caller's scope: from the kept numbers where it is made of branches, else counted now. */
    Future<Reply> kept(Call call) {
        Principal who = call.principal();
        return (who.seesWholeBranches() ? store.kept(call) : Future.succeededFuture(Optional.<Counts>empty()))
                .compose(kept ->
                        kept.map(Future::succeededFuture).orElseGet(() -> store.live(call, Filter.everybody(), now())))
                .map(counts -> reply(who, counts));
    }

    /** Those whom a filter fits, counted now. Problems: customer.fieldForbidden. */
    Future<Reply> live(Call call) {
        Filter filter = Filter.parse(call.json().get("filter"), "/filter");
        filter.mustBeOpenTo(call.principal());
        return store.live(call, filter, now()).map(counts -> reply(call.principal(), counts));
    }

    private static Reply reply(Principal who, Counts counts) {
        boolean finance = who.may(FINANCE);
        Map<String, List<Count>> by = new TreeMap<>(counts.by());
        by.remove(StatisticsStore.ALL);
        if (!finance) {
            by.remove("value");
        }
        List<Count> all = counts.by().getOrDefault(StatisticsStore.ALL, List.of());
        return Reply.ok(json -> {
            json.writeStartObject();
            json.writeStringField("at", Json.instant(counts.at()));
            json.writeNumberField(
                    "customers", all.stream().mapToLong(Count::customers).sum());
            if (finance) {
                json.writeStringField(
                        "assets",
                        all.stream()
                                .map(Count::assets)
                                .reduce(java.math.BigDecimal.ZERO, java.math.BigDecimal::add)
                                .toPlainString());
            }
            json.writeObjectFieldStart("by");
            for (Map.Entry<String, List<Count>> dimension : by.entrySet()) {
                json.writeArrayFieldStart(dimension.getKey());
                for (Count count : dimension.getValue()) {
                    write(json, count, finance);
                }
                json.writeEndArray();
            }
            json.writeEndObject();
            json.writeEndObject();
        });
    }

    private static void write(JsonGenerator json, Count count, boolean finance) throws IOException {
        json.writeStartObject();
        if (count.value() != null) {
            json.writeStringField("value", count.value());
        }
        if (count.others() != null) {
            json.writeNumberField("others", count.others());
        }
        json.writeNumberField("customers", count.customers());
        if (finance) {
            json.writeStringField("assets", count.assets().toPlainString());
        }
        json.writeEndObject();
    }
}
